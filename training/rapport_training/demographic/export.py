"""`rapport-train demographic export`: from a run to a bundle that robots load."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rapport_edge.alignment import align
from rapport_edge.bundle import Bundle, write_bundle
from rapport_edge.bundle.manifest import (
    Calibration,
    CategoricalHead,
    Crop,
    DataSet,
    DemographicEncoder,
    Golden,
    Head,
    ImageInput,
    Licence,
    Metric,
    Model,
    OrdinalHead,
    TensorSpec,
)
from rapport_edge.detection import DetectorSettings, create_detector
from rapport_edge.encoding.preprocessing import to_input
from rapport_edge.engines import EngineSettings, create_engine
from rapport_edge.errors import RapportError, SettingsError
from rapport_edge.evaluation import Report
from rapport_edge.faces import FloatArray
from rapport_edge.labels import AGE_BINS, AGE_EDGES, GENDERS
from rapport_training.demographic.calibration import fit_calibration
from rapport_training.demographic.captions import caption
from rapport_training.demographic.dataset import FaceCrops
from rapport_training.demographic.faces import Faces, is_held_out
from rapport_training.demographic.model import CLIP, build_model, build_tokenizer, encode_prompts
from rapport_training.demographic.model_card import model_card
from rapport_training.demographic.onnx_export import (
    ExportedEncoder,
    export_onnx,
    round_weights_to_fp16,
    store_weights_as_fp16,
)
from rapport_training.demographic.recipe import Recipe

ONNX_NAME, GOLDEN_NAME, CARD_NAME = "image_encoder.onnx", "golden.npz", "MODEL_CARD.md"

#: Largest absolute difference to PyTorch on the golden faces; embeddings have unit length.
PARITY = 1e-5

FAIRFACE = DataSet(
    name="FairFace (margin 0.25, 128 x 128)",
    role="training and evaluation",
    licence="CC BY 4.0",
    attribution=(
        "K. Karkkainen and J. Joo, FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age, WACV 2021"
    ),
    url="https://github.com/joojs/fairface",
)


@dataclass(frozen=True)
class Trained:
    """A trained model with what its bundle is made of.

    Attributes:
        onnx: the exported image tower.
        prompts: (k, d) prompt embeddings by attribute.
        heads: with their calibration.
        golden: inputs and PyTorch's outputs.
    """

    recipe: Recipe
    onnx: bytes
    prompts: Mapping[str, FloatArray]
    heads: tuple[Head, ...]
    golden: Mapping[str, np.ndarray]


def load_model(recipe: Recipe, checkpoint: Path) -> CLIP:
    """The dual encoder with the averaged weights of a Lightning checkpoint.

    Raises:
        SettingsError: if there is no checkpoint, or it is of another model.
    """
    if not checkpoint.is_file():
        raise SettingsError(f"there is no checkpoint {checkpoint}; train first with 'rapport-train demographic fit'")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    model = build_model(recipe.model)
    weights = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise SettingsError(f"checkpoint {checkpoint} does not fit the run's recipe: {error}") from error
    return model.eval()


def assemble(recipe: Recipe, model: CLIP, faces: Faces) -> Trained:
    """Exports the tower, embeds the prompts and calibrates both heads on the faces held out from training.

    Raises:
        RapportError: if the exported graph does not compute what PyTorch computes.
    """
    encoder = ExportedEncoder(model.visual)
    round_weights_to_fp16(encoder)
    size = recipe.final_template.size
    onnx_file = store_weights_as_fp16(export_onnx(encoder, size))
    golden = _golden(encoder, recipe)
    _check_parity(onnx_file, golden)
    rows = np.flatnonzero(is_held_out(faces.content, recipe.held_out))
    embeddings = _embed(onnx_file, FaceCrops(faces, rows, recipe.final_template, seed=None))
    tokenizer = build_tokenizer(recipe.model)
    heads, prompts = [], {}
    for name, labels, truth in (("age", AGE_BINS, faces.age), ("gender", GENDERS, faces.gender)):
        texts = {label: prompt_of(name, label) for label in labels}
        prompts[name] = encode_prompts(model, tokenizer, list(texts.values())).numpy()
        indices = np.array([labels.index(str(label)) for label in truth[rows]])
        calibration = fit_calibration(embeddings, prompts[name], indices)
        heads.append(_head(recipe, name, texts, calibration))
    return Trained(recipe, onnx_file, prompts, tuple(heads), golden)


def prompt_of(attribute: str, label: str) -> str:
    """The caption that stands for a label: the view of training that speaks of this attribute alone."""
    return caption(attribute, race="", gender=label, age=label)


def write(trained: Trained, folder: Path, version: str, report: Report | None, *, overwrite: bool) -> Bundle:
    """Writes the bundle; with a report, its figures go into the manifest and the model card."""
    size = trained.recipe.final_template.size
    dim = int(trained.recipe.model["embed_dim"])
    manifest = DemographicEncoder(
        format_version=1,
        name=trained.recipe.name,
        version=version,
        description="CLIP-style dual encoder for aligned faces: age and gender through prompt embeddings",
        models=(_model_entry(size, dim),),
        licences=(Licence(applies_to="weights", licence="CC BY 4.0"), Licence(applies_to="code", licence="Apache-2.0")),
        datasets=(FAIRFACE,),
        metrics=() if report is None else metrics_of(report),
        commit=current_commit(),
        created=date.today().isoformat(),
        crop=Crop(size=size, scale=trained.recipe.crop.scale, shift_y=trained.recipe.crop.shift_y),
        embedding_dim=dim,
        attributes=trained.heads,
    )
    files: dict[str, object] = {f"{name}_prompts.npy": array for name, array in trained.prompts.items()}
    files |= {ONNX_NAME: trained.onnx, GOLDEN_NAME: dict(trained.golden)}
    files[CARD_NAME] = model_card(manifest, trained.recipe, report).encode()
    return write_bundle(folder, manifest, files, overwrite=overwrite)  # type: ignore[arg-type]


def metrics_of(report: Report) -> tuple[Metric, ...]:
    """A report's figures, overall and per group, in the manifest's form."""
    names = ("gender_accuracy", "age_mae", "age_bin_accuracy")
    rows = [Metric(name=name, value=float(getattr(report, name)), split="val", n=report.n) for name in names]
    for name in ("gender_ece", "age_ece", "unknown_rate"):
        rows.append(Metric(name=name, value=float(getattr(report, name)), split="val", n=report.n))
    for column, groups in report.groups.items():
        for label, figures in groups.items():
            for name in names:
                value = float(getattr(figures, name))
                rows.append(Metric(name=name, value=value, split="val", n=figures.n, group=f"{column}: {label}"))
    return tuple(rows)


def current_commit() -> str:
    """The commit of the code that exports, "unknown" outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _head(recipe: Recipe, name: str, texts: Mapping[str, str], calibration: Calibration) -> Head:
    prompts = {label: (text,) for label, text in texts.items()}
    array = f"{name}_prompts.npy"
    if name == "age":
        return OrdinalHead(
            name=name,
            labels=tuple(texts),
            prompts=prompts,
            array=array,
            calibration=calibration,
            bin_edges=AGE_EDGES,
            unknown_above_std=recipe.unknown.age_above_std,
        )
    return CategoricalHead(
        name=name,
        labels=tuple(texts),
        prompts=prompts,
        array=array,
        calibration=calibration,
        unknown_below=recipe.unknown.gender_below,
    )


def _model_entry(size: int, dim: int) -> Model:
    image = ImageInput(layout="NHWC", colour_order="RGB")
    return Model(
        file=ONNX_NAME,
        inputs=(TensorSpec(name="faces", shape=("batch", size, size, 3), dtype="uint8", image=image),),
        outputs=(TensorSpec(name="embeddings", shape=("batch", dim), dtype="float32"),),
        golden=Golden(file=GOLDEN_NAME, tolerance=1e-3),
    )


def _golden(encoder: nn.Module, recipe: Recipe) -> dict[str, np.ndarray]:
    """The astronaut's face (NASA, public domain), its mirror image and noise, with PyTorch's embeddings."""
    from skimage import data

    photograph = np.ascontiguousarray(data.astronaut())
    face = create_detector(DetectorSettings()).detect(photograph)[0]
    crop = align(photograph, face.landmarks, recipe.final_template)
    noise = np.random.default_rng(0).integers(0, 256, size=crop.shape, dtype=np.uint8)
    faces = np.stack([crop, crop[:, ::-1], noise])
    with torch.no_grad():
        embeddings = encoder(torch.from_numpy(faces.copy())).numpy()
    return {"input:faces": faces, "output:embeddings": embeddings}


def _check_parity(onnx_file: bytes, golden: Mapping[str, np.ndarray]) -> None:
    engine = create_engine(onnx_file, EngineSettings(name="onnxruntime-cpu"))
    found = engine.run({"faces": golden["input:faces"]})[0]
    difference = float(np.abs(found - golden["output:embeddings"]).max())
    if not difference <= PARITY:
        raise RapportError(f"the exported graph differs from PyTorch by {difference:.2g}, more than {PARITY:g}")


def _embed(onnx_file: bytes, crops: FaceCrops) -> FloatArray:
    """Through the robot's runtime, so that the calibration belongs to what runs there."""
    engine = create_engine(onnx_file, EngineSettings(name="onnxruntime-cpu"))
    spec = _model_entry(crops.template.size, 1).inputs[0]
    parts = []
    for start in range(0, len(crops), 64):
        pixels = crops.__getitems__(list(range(start, min(start + 64, len(crops)))))[0]
        faces = np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())
        parts.append(engine.run({"faces": to_input(faces, spec)})[0])
    return np.concatenate(parts)
