"""A tokenizer trained on drawn faces, and the tokens that are kept beside a data set."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from rapport_edge.alignment import CropTemplate
from rapport_edge.errors import SettingsError
from rapport_training.data.rows import SourceRow
from rapport_training.data.schema import DESCRIPTION
from rapport_training.data.split_writer import SplitWriter
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.dataset import FaceCrops
from rapport_training.masked_image import tokens as tokens_module
from rapport_training.masked_image.command import tokenizer as command
from rapport_training.masked_image.tokenizers import ImageTokenizerError, fitting, load_image_tokenizer
from rapport_training.masked_image.tokenizers.autoencoder import AutoencoderConfig, DiscreteAutoencoder
from rapport_training.masked_image.tokenizers.fitting import fit_tokenizer
from rapport_training.masked_image.tokenizers.settings import TokenizerSettings
from rapport_training.masked_image.tokens import tokens_of

LANDMARKS = np.array([[22, 26], [42, 26], [32, 38], [25, 46], [39, 46]], dtype=np.float32)
SMALL = TokenizerSettings(
    network=AutoencoderConfig(vocabulary=16, width=8, code_width=4), size=32, epochs=2, batch_size=16
)


def drawn_face(rng: np.random.Generator) -> bytes:
    """An oval with two eyes and a mouth before a plain wall, as PNG."""
    wall, skin, hair = (tuple(int(v) for v in rng.integers(20, 235, 3)) for _ in range(3))
    picture = np.full((64, 64, 3), wall, np.uint8)
    cv2.ellipse(picture, (32, 32), (18, 24), 0, 0, 360, skin, -1)
    cv2.ellipse(picture, (32, 14), (18, 8), 0, 0, 360, hair, -1)
    for x, y in LANDMARKS[:2].astype(int):
        cv2.circle(picture, (int(x), int(y)), 3, (20, 20, 20), -1)
    cv2.line(picture, (25, 46), (39, 46), (40, 40, 160), 2)
    return cv2.imencode(".png", picture)[1].tobytes()


@pytest.fixture(scope="module")
def drawn_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 48 drawn faces to train on and 16 to watch; one has no landmarks."""
    folder = tmp_path_factory.mktemp("drawn")
    rng = np.random.default_rng(0)
    for split, count in (("train", 48), ("val", 16)):
        with SplitWriter(folder / f"{split}.parquet") as writer:
            for number in range(count):
                row = SourceRow(f"{split}/{number}.png", drawn_face(rng), "a drawn person", split)
                writer.write(row, None if number == 3 else LANDMARKS)
    (folder / DESCRIPTION).write_text(json.dumps({"name": "Drawn"}))
    return folder


class Counting:
    """The mean brightness of each patch: a tokenizer whose tokens are known, which can be interrupted."""

    vocabulary, digest = 256, "brightness"

    def __init__(self, fail_at: int | None = None) -> None:
        self.seen, self.fail_at = 0, fail_at

    def encode(self, crops: Tensor, grid: int) -> Tensor:
        if self.fail_at is not None and self.seen >= self.fail_at:
            raise KeyboardInterrupt
        self.seen += len(crops)
        return torch.nn.functional.adaptive_avg_pool2d(crops.float().mean(1, keepdim=True), grid).flatten(1).long()


TEMPLATE = CropTemplate(size=32, scale=0.8)


def expected(faces: UserFaces, template: CropTemplate = TEMPLATE, grid: int = 4) -> np.ndarray:
    crops = FaceCrops(faces, np.arange(len(faces)), template, seed=None).__getitems__(list(range(len(faces)))).crops
    return Counting().encode(crops, grid).numpy()


def test_tokens_are_those_of_the_robots_crops_and_are_computed_once(drawn_faces, tmp_path) -> None:
    faces, tokenizer = UserFaces.open(drawn_faces, "train"), Counting()
    tokens = tokens_of(faces, TEMPLATE, tokenizer, 4, tmp_path / "tokens")
    assert tokens.dtype == np.uint16
    assert np.array_equal(tokens, expected(faces))
    again = tokens_of(faces, TEMPLATE, tokenizer, 4, tmp_path / "tokens")
    assert tokenizer.seen == len(faces)
    assert np.array_equal(again, tokens)


def test_another_crop_grid_split_or_tokenizer_has_tokens_of_its_own(drawn_faces, tmp_path) -> None:
    faces = UserFaces.open(drawn_faces, "train")
    other = CropTemplate(size=32, scale=1.0)
    assert np.array_equal(tokens_of(faces, TEMPLATE, Counting(), 4, tmp_path), expected(faces))
    assert np.array_equal(tokens_of(faces, other, Counting(), 4, tmp_path), expected(faces, other))
    assert np.array_equal(tokens_of(faces, TEMPLATE, Counting(), 2, tmp_path), expected(faces, grid=2))
    watched = UserFaces.open(drawn_faces, "val")
    assert np.array_equal(tokens_of(watched, TEMPLATE, Counting(), 4, tmp_path), expected(watched))
    large = Counting()
    large.vocabulary, large.digest = 70_000, "other"
    assert tokens_of(faces, TEMPLATE, large, 4, tmp_path).dtype == np.int32
    assert len(list(tmp_path.glob("*.npy"))) == 5


def test_an_interrupted_computation_goes_on_where_it_stopped(drawn_faces, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tokens_module, "_CHUNK", 10)
    faces = UserFaces.open(drawn_faces, "train")
    with pytest.raises(KeyboardInterrupt):
        tokens_of(faces, TEMPLATE, Counting(fail_at=20), 4, tmp_path)
    rest = Counting()
    assert np.array_equal(tokens_of(faces, TEMPLATE, rest, 4, tmp_path), expected(faces))
    assert rest.seen == len(faces) - 20
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".lock", ".npy"]


@pytest.mark.parametrize("damage", ["cut", "other shape"])
def test_damaged_tokens_are_computed_again(drawn_faces, tmp_path, damage) -> None:
    faces = UserFaces.open(drawn_faces, "train")
    tokens_of(faces, TEMPLATE, Counting(), 4, tmp_path)
    path = next(tmp_path.glob("*.npy"))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:300])
    else:
        np.save(path, np.zeros((2, 2), np.uint16))
    assert np.array_equal(tokens_of(faces, TEMPLATE, Counting(), 4, tmp_path), expected(faces))


def test_two_at_once_share_the_work(drawn_faces, tmp_path) -> None:
    faces, tokenizers, results = UserFaces.open(drawn_faces, "train"), [Counting(), Counting()], [None, None]

    def compute(number: int) -> None:
        results[number] = np.array(tokens_of(faces, TEMPLATE, tokenizers[number], 4, tmp_path))

    threads = [threading.Thread(target=compute, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(tokenizer.seen for tokenizer in tokenizers) == [0, len(faces)]
    assert np.array_equal(results[0], results[1])


def test_a_cache_that_is_in_the_way_is_a_clear_error(drawn_faces, tmp_path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ImageTokenizerError, match="cannot keep image tokens in"):
        tokens_of(UserFaces.open(drawn_faces, "train"), TEMPLATE, Counting(), 4, tmp_path / "file" / "tokens")


def weights(path: Path) -> dict[str, Tensor]:
    return load_image_tokenizer(path, "cpu").model.state_dict()


def test_a_training_writes_tokenizer_picture_and_figures(drawn_faces, tmp_path) -> None:
    out = tmp_path / "faces.safetensors"
    arguments = ["--vocabulary", "16", "--width", "8", "--size", "32", "--epochs", "2", "--batch-size", "16"]
    result = CliRunner().invoke(command, ["fit", "--data", str(drawn_faces), "--out", str(out), *arguments])
    assert result.exit_code == 0, result.output
    figures = json.loads(out.with_suffix(".json").read_text())
    assert figures["epochs"] == 2
    assert figures["vocabulary"] == 16
    assert 1 <= figures["perplexity"] <= figures["codes_used"] <= 16
    picture = cv2.imread(str(out.with_suffix(".png")))
    assert picture.shape[0] > 2 * 96  # 16 faces: two rows, each above its reconstructions
    tokenizer = load_image_tokenizer(out, "cpu")
    tokens = tokens_of(UserFaces.open(drawn_faces, "train"), TEMPLATE, tokenizer, 4, tmp_path / "tokens")
    assert tokens.max() < 16
    assert figures["settings"]["network"]["vocabulary"] == 16


def test_equal_seeds_give_equal_tokenizers_and_others_give_others(drawn_faces, tmp_path) -> None:
    digests = {
        name: fit_tokenizer(TokenizerSettings(**{**as_arguments(SMALL), "seed": seed}), drawn_faces, tmp_path / name)
        for name, seed in (("a.st", 1), ("b.st", 1), ("c.st", 2))
    }
    assert digests["a.st"] == digests["b.st"] != digests["c.st"]


def as_arguments(settings: TokenizerSettings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


class Stopped(Exception):
    """The power goes."""


def test_an_interrupted_training_ends_with_the_same_weights(drawn_faces, tmp_path, monkeypatch) -> None:
    whole, broken = tmp_path / "whole.st", tmp_path / "broken.st"
    settings = TokenizerSettings(**{**as_arguments(SMALL), "epochs": 3})
    fit_tokenizer(settings, drawn_faces, whole)
    step = fitting.AutoencoderModule.training_step

    def stop_in_the_second_epoch(module, batch, number):
        if module.current_epoch == 1 and number == 1:
            raise Stopped
        return step(module, batch, number)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(fitting.AutoencoderModule, "training_step", stop_in_the_second_epoch)
        fit_tokenizer(settings, drawn_faces, broken)
    assert not broken.exists()
    fit_tokenizer(settings, drawn_faces, broken)
    first, second = weights(whole), weights(broken)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert json.loads(broken.with_suffix(".json").read_text())["epochs"] == 3


def test_a_folder_with_another_training_is_not_continued(drawn_faces, tmp_path) -> None:
    out = tmp_path / "faces.st"
    fit_tokenizer(TokenizerSettings(**{**as_arguments(SMALL), "epochs": 1}), drawn_faces, out)
    with pytest.raises(SettingsError, match="other settings"):
        fit_tokenizer(SMALL, drawn_faces, out)
    fit_tokenizer(SMALL, drawn_faces, out, resume=False)
    assert json.loads(out.with_suffix(".json").read_text())["epochs"] == 2


def test_a_loss_that_is_no_number_stops_the_training(drawn_faces, tmp_path, monkeypatch) -> None:
    real = DiscreteAutoencoder.loss

    def loss(model, pixels):
        value, result = real(model, pixels)
        return value * torch.nan, result

    monkeypatch.setattr(DiscreteAutoencoder, "loss", loss)
    with pytest.raises(ImageTokenizerError, match=r"nan at step 0.*learning-rate"):
        fit_tokenizer(SMALL, drawn_faces, tmp_path / "faces.st")
    assert not (tmp_path / "faces.st").exists()


def test_training_brings_reconstructions_nearer(drawn_faces) -> None:
    crops = FaceCrops(UserFaces.open(drawn_faces, "train"), np.arange(16), TEMPLATE, seed=None)
    pixels = crops.__getitems__(list(range(16))).crops.float() / 255
    torch.manual_seed(0)
    model = DiscreteAutoencoder(AutoencoderConfig(vocabulary=64))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(100):
        loss, result = model.loss(pixels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    blurred = pixels.mean(dim=0, keepdim=True)  # what a decoder without codes could learn at best
    assert (result.pixels - pixels).square().mean() < 0.3 * (blurred - pixels).square().mean()


def test_crops_that_do_not_divide_into_patches_are_refused(drawn_faces, tmp_path) -> None:
    with pytest.raises(SettingsError, match="patches of 8"):
        fit_tokenizer(TokenizerSettings(size=36), drawn_faces, tmp_path / "faces.st")
