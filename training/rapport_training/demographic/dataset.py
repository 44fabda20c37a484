"""Faces as batches of crops, and the captions that describe them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rapport_edge.alignment import CropTemplate, align, resize_whole
from rapport_edge.errors import SettingsError
from rapport_edge.faces import ByteImage, FloatArray
from rapport_edge.labels import AGE_BINS, GENDERS
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.augment import augmented_crop, resized_crop
from rapport_training.demographic.captions import OWN_CAPTION, SENTENCE, caption, paraphrases

Augmentation = Callable[[ByteImage, FloatArray, CropTemplate, np.random.Generator], ByteImage]

AUGMENTATIONS: Mapping[str, Augmentation | None] = {"robot": augmented_crop, "flyp": resized_crop, "none": None}


class CaptionIndex:
    """Numbers the distinct captions of a view.

    Attributes:
        texts: the distinct captions.
        of_face: (wordings, n) int64, which of them describes each face in each wording; most views have one wording.

    Raises:
        SettingsError: if the view is made from labels that the data set does not have.
    """

    def __init__(self, faces: UserFaces, view: str) -> None:
        if view == OWN_CAPTION:
            texts, inverse = np.unique(faces.caption, return_inverse=True)
            self.texts: list[str] = [str(text) for text in texts]
            self.of_face: NDArray[np.int64] = inverse.reshape(1, -1).astype(np.int64)
            return
        _check_labels(faces, view)
        people, person = np.unique(np.stack([faces.race, faces.gender, faces.age]), axis=1, return_inverse=True)
        wordings = np.array([_wordings(view, *map(str, labels)) for labels in people.T]).T
        texts, inverse = np.unique(wordings, return_inverse=True)
        self.texts = [str(text) for text in texts]
        self.of_face = inverse.reshape(wordings.shape)[:, person.ravel()].astype(np.int64)


class Batch(NamedTuple):
    """What a step sees.

    Attributes:
        crops: (n, 3, s, s) uint8 in channels-last memory.
        rows: (n,) int64, the faces' rows in the data set.
        plain: the same faces as the robot crops them, for masked image modelling; empty unless asked for.
    """

    crops: Tensor
    rows: Tensor
    plain: Tensor


class FaceCrops(Dataset[Batch]):
    """Crops of a subset of faces, augmented or as the robot sees them.

    A view is a function of seed, epoch and face alone, so a run that was interrupted continues with the same numbers.
    Whole batches are asked for at once (`__getitems__`), which spares the collation of single tensors.
    """

    def __init__(
        self,
        faces: UserFaces,
        rows: NDArray[np.int64],
        template: CropTemplate,
        seed: int | None,
        augmentation: str = "robot",
        *,
        with_plain: bool = False,
    ) -> None:
        """Looks at a subset.

        Args:
            faces: a split of a data set.
            rows: which of its faces.
            template: the crop; may be changed between epochs.
            seed: None for no augmentation.
            augmentation: a key of `AUGMENTATIONS`.
            with_plain: also give the crop that was not augmented.
        """
        self.faces, self.rows, self.template, self.seed = faces, rows, template, seed
        self._augment = None if seed is None else AUGMENTATIONS[augmentation]
        self._with_plain = with_plain
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> Batch:
        """The faces at `indices` of the subset."""
        rows = self.rows[indices]
        views = [self._views(int(row)) for row in rows]
        crops = _channels_first([view[0] for view in views])
        plain = _channels_first([view[1] for view in views if view[1] is not None])
        return Batch(crops, torch.from_numpy(rows), plain)

    def _views(self, row: int) -> tuple[ByteImage, ByteImage | None]:
        image, landmarks = self.faces.picture(row), self.faces.landmarks[row]
        plain = robot_crop(image, landmarks, self.template) if self._augment is None or self._with_plain else None
        if self._augment is None:
            assert plain is not None
            return plain, plain if self._with_plain else None
        rng = np.random.default_rng((self.seed, self.epoch, row))
        return self._augment(image, landmarks, self.template, rng), plain


class LateLoader(DataLoader[Batch]):
    """Draws the order and starts the workers when the first batch is asked for.

    Lightning makes the first iterator of a resumed run before it says which epoch it is; workers that start there would
    augment and shuffle as in epoch 0.
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        yield from super().__iter__()


def crop_loader(crops: Dataset[Batch], batch_size: int, workers: int = 0, **options: Any) -> DataLoader[Batch]:
    """Batches as `FaceCrops` makes them, whole; `options` are those of torch's DataLoader."""
    pin = torch.cuda.is_available()
    return LateLoader(crops, batch_size, num_workers=workers, collate_fn=_as_it_is, pin_memory=pin, **options)


def _as_it_is(batch: Batch) -> Batch:
    return batch


def robot_crop(image: ByteImage, landmarks: FloatArray, template: CropTemplate) -> ByteImage:
    """The aligned face; the whole picture where no face was found, as in evaluation."""
    return align(image, landmarks, template) if np.isfinite(landmarks).all() else resize_whole(image, template.size)


def use_one_opencv_thread() -> None:
    """Crops are too small to share among threads, and a loader's workers would fight over the cores."""
    cv2.setNumThreads(1)


def _channels_first(crops: list[ByteImage]) -> Tensor:
    if not crops:
        return torch.empty(0, dtype=torch.uint8)
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def _wordings(view: str, race: str, gender: str, age: str) -> list[str]:
    return paraphrases(gender, age) if view == SENTENCE else [caption(view, race=race, gender=gender, age=age)]


def _check_labels(faces: UserFaces, view: str) -> None:
    strange = sorted((set(faces.age) - set(AGE_BINS)) | (set(faces.gender) - set(GENDERS)))
    if strange:
        raise SettingsError(
            f"the view {view!r} is made from FairFace's labels of age and gender, but {faces.name} ({faces.split}) has "
            f"{', '.join(repr(str(label)) for label in strange[:3])}; use the view {OWN_CAPTION!r}"
        )
