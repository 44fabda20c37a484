"""Faces as batches of crops with the captions that describe them."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from rapport_edge.alignment import CropTemplate, align, resize_whole
from rapport_training.demographic.augment import augmented_crop
from rapport_training.demographic.captions import SENTENCE, caption, paraphrases
from rapport_training.demographic.faces import Faces


class CaptionIndex:
    """Numbers the distinct captions of a view.

    Attributes:
        texts: the distinct captions.
        of_face: (wordings, n) int64, which of them describes each face in each wording; most views have one wording.
    """

    def __init__(self, faces: Faces, view: str) -> None:
        people, person = np.unique(np.stack([faces.race, faces.gender, faces.age]), axis=1, return_inverse=True)
        wordings = np.array([_wordings(view, *map(str, labels)) for labels in people.T]).T
        texts, inverse = np.unique(wordings, return_inverse=True)
        self.texts: list[str] = [str(text) for text in texts]
        self.of_face: NDArray[np.int64] = inverse.reshape(wordings.shape)[:, person.ravel()].astype(np.int64)


def _wordings(view: str, race: str, gender: str, age: str) -> list[str]:
    return paraphrases(gender, age) if view == SENTENCE else [caption(view, race=race, gender=gender, age=age)]


class FaceCrops(Dataset[tuple[Tensor, Tensor]]):
    """Crops of a subset of faces, augmented or as the robot sees them.

    A view is a function of seed, epoch and face alone, so a run that was interrupted continues with the same numbers.
    Whole batches are asked for at once (`__getitems__`), which spares the collation of single tensors.
    """

    def __init__(self, faces: Faces, rows: NDArray[np.int64], template: CropTemplate, seed: int | None) -> None:
        """Looks at a subset.

        Args:
            faces: all faces of the run.
            rows: which of them.
            template: the crop; may be changed between epochs.
            seed: None for no augmentation.
        """
        self.faces, self.rows, self.template, self.seed = faces, rows, template, seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        crops, rows = self.__getitems__([index])
        return crops[0], rows[0]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """((n, 3, size, size) uint8 in channels-last memory, (n,) int64 rows of the faces)."""
        rows = self.rows[indices]
        crops = np.stack([self._crop(int(row)) for row in rows])
        return torch.from_numpy(crops).permute(0, 3, 1, 2), torch.from_numpy(rows)

    def _crop(self, row: int) -> NDArray[np.uint8]:
        image, landmarks = np.asarray(self.faces.images[row]), self.faces.landmarks[row]
        if self.seed is not None:
            rng = np.random.default_rng((self.seed, self.epoch, row))
            return augmented_crop(image, landmarks, self.template, rng)
        if np.isfinite(landmarks).all():
            return align(image, landmarks, self.template)
        return resize_whole(image, self.template.size)


def use_one_opencv_thread() -> None:
    """Crops are too small to share among threads, and a loader's workers would fight over the cores."""
    cv2.setNumThreads(1)
