"""Models by name and by configuration, and a tokenizer that cuts nothing in silence."""

from __future__ import annotations

import pickle

import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import QuickGELU
from torch import nn

from rapport_edge.errors import SettingsError
from rapport_training.demographic.model import (
    CaptionError,
    CaptionTokenizer,
    build_model,
    build_tokenizer,
    encode_prompts,
    model_config,
)

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
CONFIG = {
    "embed_dim": 8,
    "vision_cfg": {"layers": 1, "width": 64, "image_size": 32, "patch_size": 16},
    "text_cfg": TEXT,
}


def test_clips_model_has_quick_gelu_in_both_towers() -> None:
    with torch.device("meta"):
        clip, plain = build_model("ViT-B-16-quickgelu"), build_model("ViT-B-16")
    assert sum(isinstance(module, QuickGELU) for module in clip.modules()) == 24
    assert not any(isinstance(module, nn.GELU) for module in clip.modules())
    assert sum(isinstance(module, nn.GELU) for module in plain.modules()) == 24


# One of each kind: OpenAI's residual network, a timm tower, open_clip's second class, a tower with its own pooling.
@pytest.mark.parametrize("name", ["RN50", "convnext_base", "MobileCLIP-S1", "ViT-B-16-SigLIP2", "ViT-B-32-plus-256"])
def test_models_of_every_kind_are_built_without_a_download(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was opened"))
    with torch.device("meta"):
        built = build_model(name)
        expected = open_clip.create_model(name, load_weights=False, pretrained_hf=False, device="meta")
    assert {k: v.shape for k, v in built.state_dict().items()} == {k: v.shape for k, v in expected.state_dict().items()}


def test_an_unknown_name_is_refused_with_those_close_to_it() -> None:
    with pytest.raises(SettingsError, match=r"knows no model 'ViT-B-16-quickgel'; close to it are ViT-B-16-quickgelu"):
        build_model("ViT-B-16-quickgel")
    with pytest.raises(SettingsError, match="list_models"):
        build_model("%%%")


@pytest.mark.parametrize(("name", "word"), [("coca_ViT-B-32", "decoder"), ("roberta-ViT-B-32", "hub")])
def test_a_model_that_is_no_dual_encoder_of_open_clip_is_refused(name: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        build_model(name)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"vision_cfg": {"widht": 64}}, "widht"),
        ({"vision_cfg": {"timm_model_name": "no_such_tower"}}, "no_such_tower"),
        ({"colour": 1}, "colour"),
        ({"text_cfg": {**TEXT, "heads": 3}}, "divisible"),
    ],
)
def test_a_wrong_configuration_is_refused_by_its_field(change: dict, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        build_model({**CONFIG, **change})


def test_a_configuration_without_a_tower_is_refused_and_none_is_changed() -> None:
    with pytest.raises(SettingsError, match="lacks text_cfg"):
        build_model({key: value for key, value in CONFIG.items() if key != "text_cfg"})
    before = repr(CONFIG)
    build_model(CONFIG)
    assert repr(CONFIG) == before
    assert model_config("ViT-B-16-quickgelu")["quick_gelu"] is True


def test_a_timm_transformer_takes_pictures_of_the_configured_size() -> None:
    tower = {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "linear", "image_size": 96}
    model = build_model({**CONFIG, "vision_cfg": tower}).eval()
    with torch.no_grad():
        assert model.encode_image(torch.zeros(1, 3, 96, 96)).shape == (1, 8)


REFUSING, CUTTING = CaptionTokenizer(16), CaptionTokenizer(16, truncate=True)
PLAIN = SimpleTokenizer(context_length=16)
WORDS = st.lists(st.sampled_from(["person", "a", "grey-haired", "50-59", "naïve", "!"]), max_size=24).map(" ".join)


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_the_tokenizer_gives_open_clips_tokens_or_names_the_caption_that_is_too_long(texts: list[str]) -> None:
    too_long = [text for text in texts if len(PLAIN.encode(text)) + 2 > 16]
    if too_long:
        with pytest.raises(CaptionError) as caught:
            REFUSING(texts)
        assert repr(too_long[0][:60]) in str(caught.value)
        assert f"has {len(PLAIN.encode(too_long[0])) + 2} tokens" in str(caught.value)
    else:
        assert torch.equal(REFUSING(texts), PLAIN(texts))
    assert torch.equal(CUTTING(texts), PLAIN(texts))


def test_the_tokenizer_is_the_models() -> None:
    assert build_tokenizer("ViT-B-16-quickgelu")("a man").shape == (1, 77)
    tokenizer = pickle.loads(pickle.dumps(build_tokenizer(CONFIG, truncate=True)))
    assert tokenizer(["a man"] * 3).shape == (3, 16)
    assert tokenizer.truncate
    prompts = encode_prompts(build_model(CONFIG).eval(), tokenizer, ["a man", "a woman"])
    torch.testing.assert_close(prompts.norm(dim=1), torch.ones(2))


def test_a_vocabulary_that_is_not_clips_is_refused() -> None:
    with pytest.raises(SettingsError, match="timm/ViT-B-16-SigLIP"):
        build_tokenizer("ViT-B-16-SigLIP")
    with pytest.raises(SettingsError, match="vocab_size is 100"):
        build_tokenizer({**CONFIG, "text_cfg": {**TEXT, "vocab_size": 100}})
