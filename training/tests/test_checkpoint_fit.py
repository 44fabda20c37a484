"""Weights of another model, of another activation, of another size of picture: refused, or resized when asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from clip_files import FARL_SHAPES, openai_constants
from safetensors.torch import save_file
from torch import Tensor, nn

pytest.importorskip("transformers", reason="its CLIPModel writes some of the files")
from small_clip import TEXT, VISION, refusal, save, small, transformers_pair

from rapport_training.demographic.checkpoints import load_weights
from rapport_training.demographic.model import CLIP, build_model


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return dict(small().state_dict())


# Another model's weights


def test_what_is_missing_unexpected_and_misshapen_is_counted_and_named(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    changed = {name: value for name, value in state.items() if ".ln_1." not in name}
    changed["visual.proj"] = torch.zeros(64, 8)
    changed["visual.head"] = torch.zeros(3)
    text = refusal(save(changed, tmp_path / "a.pt"))
    assert "8 missing (visual.transformer.resblocks.0.ln_1.weight, " in text
    assert "1 unexpected (visual.head)" in text
    assert "1 misshapen (visual.proj is (64, 8) in the file and (64, 16) in the model)" in text


def test_weights_in_integers_are_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = save({**state, "visual.proj": torch.zeros(64, 16, dtype=torch.int8)}, tmp_path / "a.pt")
    assert "visual.proj is int8 (64, 16) in the file" in refusal(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(state: dict[str, Tensor], tmp_path: Path, value: float) -> None:
    broken = state["visual.proj"].clone()
    broken[0, 0] = value
    text = refusal(save({**state, "visual.proj": broken}, tmp_path / "a.pt"))
    assert "NaN or infinity in 1 tensors, the first is visual.proj" in text


def test_a_part_of_farls_head_is_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    head = {f"visual.{name}": torch.zeros(1) for name in FARL_SHAPES if name != "ln_lm.bias"}
    assert "1 of the 17 tensors" in refusal(save({"state_dict": {**state, **head}}, tmp_path / "a.pt"))


def test_a_runs_other_tensors_are_refused_by_name(state: dict[str, Tensor], tmp_path: Path) -> None:
    inner = {f"model.{name}": value for name, value in state.items()} | {"teacher.weight": torch.zeros(1)}
    path = save({"pytorch-lightning_version": "2.6", "state_dict": inner}, tmp_path / "a.ckpt")
    assert "1 unexpected (teacher.weight)" in refusal(path)


# What names do not show


def test_gelu_is_refused_for_openais_weights_and_quick_gelu_for_a_gelu_config(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = save({**state, **openai_constants(small())}, tmp_path / "a.pt")
    assert load_weights(small(), path).layout == "openai"
    assert "quick_gelu: true" in refusal(path, small(quick_gelu=False))
    folder = transformers_pair(state, tmp_path / "hf", activation="gelu")
    assert load_weights(small(quick_gelu=False), folder).layout == "transformers"
    assert "trained with activation gelu in the image tower, but the model has quick_gelu" in refusal(folder)


def test_another_number_of_heads_is_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = save({**state, **openai_constants(small())}, tmp_path / "a.pt")
    assert "heads 1 in the text tower, but the model has 2" in refusal(path, small(text={"heads": 2}))


def test_open_clips_configuration_beside_the_file_is_held_against_the_model(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file(state, tmp_path / "open_clip_model.safetensors")
    config = {"model_cfg": {"embed_dim": 16, "quick_gelu": True, "vision_cfg": VISION, "text_cfg": TEXT}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    assert load_weights(small(), tmp_path).layout == "open_clip"
    assert "activation quick_gelu" in refusal(tmp_path, small(quick_gelu=False))


# Position embeddings


def test_position_embeddings_are_resized_only_when_asked(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = save(state, tmp_path / "a.pt")
    larger = small(vision={"image_size": 48})
    text = refusal(path, larger)
    assert "(17, 64) in the file and (37, 64) in the model" in text
    assert "ask for position embeddings to be resized" in text
    load_weights(larger, path, resize_positions=True)
    found, old = larger.visual.positional_embedding, state["visual.positional_embedding"]
    assert torch.equal(found[0], old[0])  # the class token's
    expected = nn.functional.interpolate(
        old[1:].T.reshape(1, 64, 4, 4), size=(6, 6), mode="bicubic", antialias=True, align_corners=False
    )
    torch.testing.assert_close(found[1:], expected.reshape(64, 36).T)


def test_a_timm_towers_position_embeddings_are_resized(tmp_path: Path) -> None:
    def with_timm(size: int) -> CLIP:
        tower = {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "linear", "image_size": size}
        return build_model({"embed_dim": 16, "vision_cfg": tower, "text_cfg": TEXT})

    source, target = with_timm(96), with_timm(160)
    path = save(source.state_dict(), tmp_path / "a.pt")
    load_weights(target, path, resize_positions=True)
    assert target.visual.trunk.pos_embed.shape[1] > source.visual.trunk.pos_embed.shape[1]
    assert torch.equal(target.visual.trunk.pos_embed[:, 0], source.visual.trunk.pos_embed[:, 0])


def test_a_shorter_context_computes_the_same_and_a_longer_one_is_refused(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = save(state, tmp_path / "a.pt")
    shorter = small(text={"context_length": 8})
    load_weights(shorter, path, resize_positions=True)
    whole = small()
    load_weights(whole, path)
    tokens = torch.tensor([[49406, 320, 786, 49407, 0, 0, 0, 0, 0, 0, 0, 0]])
    with torch.no_grad():
        torch.testing.assert_close(shorter.encode_text(tokens[:, :8]), whole.encode_text(tokens))
    assert "positional_embedding" in refusal(path, small(text={"context_length": 16}), resize_positions=True)
