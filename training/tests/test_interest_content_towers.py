"""Towers by name: features of the right token, vocabularies that know a catalogue's words, refusals that say why."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import AutoModel, BertConfig, BertTokenizer, GPT2Config

from rapport_edge.errors import SettingsError
from rapport_training.interest.content.language import (
    new_language_tower,
    pooled,
    save_language,
    saved_language_tower,
)
from rapport_training.interest.content.pretraining.masked_language import MaskedLanguage
from rapport_training.interest.content.recipe import Language, Vision, load_content_recipe
from rapport_training.interest.content.vision import COMPACT, VisionTower
from rapport_training.interest.content.vocabulary import wordpieces_of
from rapport_training.yaml_files import RECIPES

TITLES = ["Toy Story (1995)", "The Story of Toys", "Été à la plage", "Alien", ""]


def folder_of(kind: str, folder: Path) -> Path:
    """A published model as it lies in a folder, with a real architecture and random weights."""
    pieces = wordpieces_of(TITLES, 100)
    size = {"vocab_size": len(pieces)}
    if kind == "gpt2":
        config = GPT2Config(**size, n_embd=16, n_layer=1, n_head=2, n_positions=32, bos_token_id=2, eos_token_id=3)
    else:
        config = BertConfig(**size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    AutoModel.from_config(config).save_pretrained(folder)
    BertTokenizer(vocab={piece: n for n, piece in enumerate(pieces)}).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("kind", "pooling"), [("bert", "cls"), ("gpt2", "last")])
def test_a_published_model_is_read_from_its_folder(kind: str, pooling: str, tmp_path: Path) -> None:
    folder = folder_of(kind, tmp_path / kind)
    tower = new_language_tower(Language(model=str(folder), max_length=12), TITLES).eval()
    assert tower.pooling == pooling
    titles = tower.tokenise(TITLES)
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder).eval()(titles.ids, attention_mask=titles.mask).last_hidden_state
        place = 0 if pooling == "cls" else titles.mask.sum(dim=1) - 1
        torch.testing.assert_close(tower(titles), hidden[torch.arange(len(TITLES)), place])


@pytest.mark.parametrize("model", ["compact-small", "compact-gpt2"])
def test_padding_changes_no_feature(model: str) -> None:
    tower = new_language_tower(Language(model=model, max_length=16), TITLES).eval()
    with torch.no_grad():
        together = tower(tower.tokenise(TITLES))
        alone = torch.cat([tower(tower.tokenise([title])) for title in TITLES])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    pooling=st.sampled_from(["cls", "last", "mean"]),
    seed=st.integers(0, 99),
)
def test_pooling_reads_real_tokens_only(lengths: list[int], pooling: str, seed: int) -> None:
    torch.manual_seed(seed)
    hidden = torch.randn(len(lengths), 6, 3)
    mask = (torch.arange(6) < torch.tensor(lengths)[:, None]).long()
    noisy = torch.where(mask.bool()[..., None], hidden, torch.randn_like(hidden) * 100)
    found = pooled(noisy, mask, pooling)  # type: ignore[arg-type]
    for row, length in enumerate(lengths):
        tokens = hidden[row, :length]
        expected = {"cls": tokens[0], "last": tokens[-1], "mean": tokens.mean(dim=0)}[pooling]
        torch.testing.assert_close(found[row], expected)


def test_a_saved_tower_needs_nobodys_files(tmp_path: Path) -> None:
    tower = new_language_tower(Language(model="compact-small"), TITLES)
    save_language(tower, tmp_path)
    again = saved_language_tower(Language(model="compact-small"), tmp_path)
    again.load_state_dict(tower.state_dict())
    titles = tower.tokenise(TITLES)
    assert torch.equal(again.tokenise(TITLES).ids, titles.ids)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(titles), tower.eval()(titles))
    with pytest.raises(SettingsError, match="holds no language model's configuration"):
        saved_language_tower(Language(), tmp_path / "nowhere")


@settings(max_examples=40, deadline=None)
@given(titles=st.lists(st.text(max_size=20), max_size=6))
def test_no_seen_character_is_unknown(titles: list[str]) -> None:
    pieces = wordpieces_of(titles, 50)
    assert len(set(pieces)) == len(pieces)
    assert pieces == wordpieces_of(list(titles), 50)
    tower = new_language_tower(Language(model="compact-small", max_length=64), titles)
    short = [title for title in titles if len(title) <= 20]
    if short:
        assert not (tower.tokenise(short).ids == tower.tokenizer.unk_token_id).any()


def test_berts_own_vocabulary(shared_data: Path) -> None:
    file = shared_data / "models" / "bert-base-uncased" / "vocab.txt"
    tower = new_language_tower(Language(model="compact-small", vocabulary=str(file)), [])
    assert tower.tokenizer.convert_ids_to_tokens(tower.tokenise(["Toy Story"]).ids[0].tolist()) == [
        "[CLS]",
        "toy",
        "story",
        "[SEP]",
    ]


def test_masked_language_follows_berts_rule() -> None:
    words = [f"word{n:03d}" for n in range(200)] * 2
    titles = [" ".join(words[n : n + 20]) for n in range(300)]
    tower = new_language_tower(Language(model="compact-small", max_length=24), titles)
    language, tokens = MaskedLanguage(tower, 0.15), tower.tokenise(titles)
    hidden = language.hide(tokens, seed=5)
    chosen = hidden.labels != -100
    special = torch.isin(tokens.ids, torch.tensor(tower.tokenizer.all_special_ids))
    assert not (chosen & special).any()
    assert float(chosen.sum() / (~special).sum()) == pytest.approx(0.15, abs=0.02)
    assert torch.equal(hidden.labels[chosen], tokens.ids[chosen])
    masked = hidden.titles.ids == tower.tokenizer.mask_token_id
    assert float(masked[chosen].float().mean()) == pytest.approx(0.8, abs=0.04)
    assert float((hidden.titles.ids == tokens.ids)[chosen].float().mean()) == pytest.approx(0.1, abs=0.04)
    assert torch.equal(hidden.titles.ids[~chosen], tokens.ids[~chosen])
    assert torch.equal(language.hide(tokens, seed=5).labels, hidden.labels)
    assert not torch.equal(language.hide(tokens, seed=6).labels, hidden.labels)


def test_gpt2_predicts_the_next_token() -> None:
    tower = new_language_tower(Language(model="compact-gpt2"), TITLES)
    tokens = tower.tokenise(TITLES)
    labels = MaskedLanguage(tower, 0.15).hide(tokens, seed=0).labels
    real = tokens.mask[:, 1:].bool()
    assert torch.equal(labels[:, :-1][real], tokens.ids[:, 1:][real])
    assert (labels[:, :-1][~real] == -100).all()
    assert (labels[:, -1] == -100).all()


@pytest.mark.parametrize("model", [*COMPACT, "test_resnet", "test_vit"])
def test_a_vision_tower_encodes_pictures_one_by_one(model: str) -> None:
    tower = VisionTower(Vision(model=model, image_size=32 if model in COMPACT else 160)).eval()
    pictures = torch.randint(0, 256, (3, 3, 32, 32) if model in COMPACT else (3, 3, 160, 160), dtype=torch.uint8)
    with torch.no_grad():
        together = tower(pictures)
        alone = torch.cat([tower(picture[None]) for picture in pictures])
    assert together.shape == (3, tower.dimension)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_weights_from_a_local_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    before = VisionTower(Vision(model="test_convnext", image_size=32))
    save_file(before.trunk.state_dict(), tmp_path / "weights.safetensors")
    settings_ = Vision(model="test_convnext", image_size=32, weights=str(tmp_path / "weights.safetensors"))
    after = VisionTower(settings_)
    for name, tensor in before.trunk.state_dict().items():
        assert torch.equal(after.trunk.state_dict()[name], tensor)
    assert after.pixels == VisionTower(settings_, pretrained=False).pixels != before.pixels
    with pytest.raises(SettingsError, match="there is no file of weights"):
        VisionTower(Vision(model="test_convnext", image_size=32, weights=str(tmp_path / "absent.safetensors")))


def test_names_that_no_library_knows_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"timm has no model 'resnet51'; .*resnet50"):
        VisionTower(Vision(model="resnet51"))
    with pytest.raises(SettingsError, match="BEiT-3's text side is in none of"):
        new_language_tower(Language(model="beit3_base"), [])
    with pytest.raises(SettingsError, match="cannot load the language model"):
        new_language_tower(Language(model="./no/such/folder"), [])


@pytest.mark.parametrize("name", ["compact-small", "compact", "compact-large", "paper-eva02-bge"])
def test_shipped_recipes_are_read(name: str) -> None:
    recipe = load_content_recipe(RECIPES / "interest" / f"{name}.yaml")
    assert recipe.name == name
    assert (recipe.csft.alpha, recipe.csft.beta) == (0.5, 0.5)
    assert recipe.csft.queue == (10 if name.startswith("paper") else 0)


def test_a_category_cannot_be_contrasted(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\ncsft: {signal: category}\n")
    with pytest.raises(SettingsError, match="goes with the loss cross-entropy"):
        load_content_recipe(tmp_path / "recipe.yaml")
