"""`rapport-train demographic export`: from a trained model to a bundle that robots load."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rapport_edge.alignment import CropTemplate
from rapport_edge.bundle import Bundle, write_bundle
from rapport_edge.bundle.manifest import FORMAT_VERSION, Crop, DataSet, DemographicEncoder, Head, Licence, Model
from rapport_edge.bundle.sensitive import OPEN_TEXT
from rapport_edge.errors import SettingsError
from rapport_edge.evaluation import Report
from rapport_edge.faces import FloatArray
from rapport_training.commit import current_commit
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.bundle_parts import (
    GOLDEN_NAME,
    ONNX_NAME,
    data_set_of,
    head_of,
    image_model,
    metrics_of,
)
from rapport_training.demographic.calibration import fit_calibration
from rapport_training.demographic.captions import SENTENCE
from rapport_training.demographic.dataset import FaceCrops
from rapport_training.demographic.dual_encoder import DualEncoder
from rapport_training.demographic.export_faces import GOLDEN, crops_of, embed, embed_all, golden_faces, labelled
from rapport_training.demographic.model import CLIP
from rapport_training.demographic.model_card import CARD_NAME, model_card
from rapport_training.demographic.onnx_export import (
    ExportedEncoder,
    export_image_tower,
    is_convolutional,
    round_weights_to_fp16,
    store_weights_as_fp16,
)
from rapport_training.demographic.parity import check_parity, relative_distance
from rapport_training.demographic.prompts import embed_prompts, prompts_of
from rapport_training.demographic.recipe import Recipe
from rapport_training.demographic.text_export import TextFiles, export_text

#: Real faces on which graph and PyTorch are compared at each export.
_COMPARED = 16


@dataclass(frozen=True)
class ExportOptions:
    """What goes into a bundle.

    Attributes:
        attributes: heads, of "age", "gender" and, only if the operator of the robot has a policy for it, "race".
        average_mirrored: average each face with its mirror image; None: for convolutional towers only.
        text: with the text tower; None: if the model was trained on the view "sentence".
        open_vocabulary: a text tower that knows every word, which a robot refuses without a policy.
        half_weights: store large weights as float16: half the size, and embeddings move by about 0.001.
    """

    attributes: tuple[str, ...] = ("age", "gender")
    average_mirrored: bool | None = None
    text: bool | None = None
    open_vocabulary: bool = False
    half_weights: bool = True

    def __post_init__(self) -> None:
        if self.text is False and self.open_vocabulary:
            raise SettingsError("--open-vocabulary asks for a text tower, and --no-text for none; give one of them")


@dataclass(frozen=True)
class Trained:
    """A trained model with what its bundle is made of.

    Attributes:
        recipe: that it was trained with.
        options: what was asked for.
        template: the crop that the image tower takes.
        data: the data set of training and calibration.
        onnx: the exported image tower.
        prompts: (k, d) prompt embeddings by attribute.
        heads: with their calibration.
        golden: faces and PyTorch's embeddings.
        text: the text tower, or None.
        parity: largest relative distance of a graph's embedding to PyTorch's with the same weights.
        rounding: largest relative distance to PyTorch with the weights as they were trained.
    """

    recipe: Recipe
    options: ExportOptions
    template: CropTemplate
    data: DataSet
    onnx: bytes
    prompts: Mapping[str, FloatArray]
    heads: tuple[Head, ...]
    golden: Mapping[str, NDArray[np.generic]]
    text: TextFiles | None
    parity: float
    rounding: float

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.golden["output:embeddings"].shape[1]


def assemble(recipe: Recipe, encoder: DualEncoder, faces_val: UserFaces, options: ExportOptions) -> Trained:
    """Exports the towers, embeds the prompts and calibrates the heads on faces that training did not see.

    Args:
        recipe: that the model was trained with.
        encoder: the model.
        faces_val: the split that chose the model; the rows that have an attribute's label calibrate its head.
        options: see there.

    Raises:
        RapportError: if a graph does not compute what PyTorch computes, or no face has an attribute's label.
    """
    model = copy.deepcopy(encoder.model).cpu().eval()
    average = is_convolutional(model.visual) if options.average_mirrored is None else options.average_mirrored
    image = ExportedEncoder(model.visual, encoder.pixels, average_mirrored=average).eval()
    rows = np.arange(min(_COMPARED, len(faces_val)))
    faces = np.concatenate(
        [
            golden_faces(encoder.template),
            crops_of(FaceCrops(faces_val, rows, encoder.template, seed=None)),
        ]
    )
    as_trained = embed(image, faces)
    if options.half_weights:
        round_weights_to_fp16(model)
    expected = embed(image, faces)
    onnx_file = export_image_tower(image, encoder.template.size)
    onnx_file = store_weights_as_fp16(onnx_file) if options.half_weights else onnx_file
    parity = check_parity(onnx_file, "faces", faces, expected)
    text = _text(model, encoder, options) if _with_text(recipe, options) else None
    heads, prompts = _calibrated(recipe, replace(encoder, model=model), image, faces_val, options.attributes)
    return Trained(
        recipe=recipe,
        options=options,
        template=encoder.template,
        data=data_set_of(faces_val),
        onnx=onnx_file,
        prompts=prompts,
        heads=heads,
        golden={"input:faces": faces[:GOLDEN], "output:embeddings": expected[:GOLDEN]},
        text=text,
        parity=max(parity, text.parity if text else 0.0),
        rounding=relative_distance(expected, as_trained),
    )


def _calibrated(
    recipe: Recipe, encoder: DualEncoder, image: ExportedEncoder, faces: UserFaces, attributes: Sequence[str]
) -> tuple[tuple[Head, ...], dict[str, FloatArray]]:
    """Heads and prompt embeddings; on a GPU where there is one, because a large tower takes a CPU hours."""
    image.to("cuda" if torch.cuda.is_available() else "cpu")
    embeddings = embed_all(image, FaceCrops(faces, np.arange(len(faces)), encoder.template, seed=None))
    image.cpu()
    heads, prompts = [], {}
    for name in attributes:
        sentences = prompts_of(name, recipe.used_views)
        prompts[name] = embed_prompts(encoder.model, encoder.tokenizer, sentences)
        rows, truth = labelled(faces, name)
        calibration = fit_calibration(embeddings[rows], prompts[name], truth)
        heads.append(head_of(name, sentences, calibration, recipe.unknown))
    return tuple(heads), prompts


def write(
    trained: Trained, folder: Path, version: str, report: Report | None, *, measured_on: str = "", overwrite: bool
) -> Bundle:
    """Writes the bundle; with a report, its figures go into the manifest and the model card.

    Args:
        trained: from `assemble`.
        folder: where the bundle goes.
        version: as "1.0.0".
        report: of `measure`, or None.
        measured_on: what the report is about, such as "FairUser test".
        overwrite: replace a bundle that is there.
    """
    recipe, template, text = trained.recipe, trained.template, trained.text
    models: tuple[Model, ...] = (image_model(template.size, trained.dim),)
    manifest = DemographicEncoder(
        format_version=FORMAT_VERSION,
        name=recipe.name,
        version=version,
        description=f"CLIP-style dual encoder for aligned faces: {' and '.join(trained.prompts)} through prompts",
        models=(*models, text.model) if text else models,
        licences=(
            Licence(applies_to="weights", licence=trained.data.licence),
            Licence(applies_to="code", licence="Apache-2.0"),
        ),
        datasets=(trained.data,),
        metrics=() if report is None else metrics_of(report, measured_on or trained.data.name),
        commit=current_commit(),
        created=date.today().isoformat(),
        crop=Crop(size=template.size, scale=template.scale, shift_y=template.shift_y),
        embedding_dim=trained.dim,
        attributes=trained.heads,
        text=text.part if text else None,
    )
    files: dict[str, object] = {f"{name}_prompts.npy": array for name, array in trained.prompts.items()}
    files |= {ONNX_NAME: trained.onnx, GOLDEN_NAME: dict(trained.golden), **(text.files if text else {})}
    files[CARD_NAME] = model_card(manifest, trained, report).encode()
    asked_for = (*trained.options.attributes, *((OPEN_TEXT,) if trained.options.open_vocabulary else ()))
    return write_bundle(folder, manifest, files, overwrite=overwrite, sensitive=asked_for)  # type: ignore[arg-type]


def _with_text(recipe: Recipe, options: ExportOptions) -> bool:
    if options.text is None:
        return options.open_vocabulary or SENTENCE in recipe.used_views
    return options.text


def _text(model: CLIP, encoder: DualEncoder, options: ExportOptions) -> TextFiles:
    return export_text(
        model, encoder.tokenizer, open_vocabulary=options.open_vocabulary, half_weights=options.half_weights
    )
