"""A local captioner on a model of a real architecture, tiny, and taught one answer only."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="the optional captioner needs transformers")

import cv2
import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from rapport_edge.errors import SettingsError
from rapport_training.data.captioners.base import Caption, NoAnswerError
from rapport_training.data.captioners.vision_language import VisionLanguageCaptioner

ANSWER = "a woman with long brown hair smiles ."
WORDS = ["<pad>", "<s>", "</s>", "<unk>", "<image>", *ANSWER.split()]
TEMPLATE = (
    "{% for message in messages %}<s>{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


@pytest.fixture(scope="module")
def tiny_llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Processor and model as they lie in a model's folder."""
    folder = tmp_path_factory.mktemp("llava")
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        **{"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
        extra_special_tokens={"image_token": "<image>"},
    )
    side = {"height": 32, "width": 32}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=side),
        tokenizer=tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(5)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=32, patch_size=16, **sizes),
        text_config=LlamaConfig(vocab_size=len(WORDS), pad_token_id=0, bos_token_id=1, eos_token_id=2, **sizes),
        image_token_index=WORDS.index("<image>"),
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    return folder


def picture(shade: int) -> bytes:
    return cv2.imencode(".png", np.full((50, 40, 3), shade, dtype=np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def captioner(tiny_llava: Path) -> VisionLanguageCaptioner:
    """Has learnt one answer by heart."""
    made = VisionLanguageCaptioner(str(tiny_llava), max_tokens=20, device="cpu")
    inputs = made._inputs(picture(200), {"gender": "female"})
    answer = torch.tensor([[WORDS.index(word) for word in [*ANSWER.split(), "</s>"]]])
    asked = {"input_ids": inputs["input_ids"], "pixel_values": inputs["pixel_values"]}
    asked["input_ids"] = torch.cat([asked["input_ids"], answer], dim=1)
    labels = asked["input_ids"].clone()
    labels[:, : -answer.shape[1]] = -100
    optimizer = torch.optim.Adam(made._model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        made._model(**asked, labels=labels).loss.backward()
        optimizer.step()
    return made


def test_a_picture_goes_in_and_text_with_its_tokens_comes_out(
    captioner: VisionLanguageCaptioner, tiny_llava: Path
) -> None:
    seen: list[torch.Tensor] = []
    tower = captioner._model.model.vision_tower
    hook = tower.register_forward_pre_hook(
        lambda _m, args, named: seen.extend([*args, *named.values()]), with_kwargs=True
    )
    said = captioner.caption(picture(200), {"gender": "female"})
    hook.remove()
    asked = captioner._inputs(picture(200), {"gender": "female"})["input_ids"]
    assert said == Caption(ANSWER, asked.shape[1], len(ANSWER.split()) + 1)
    assert seen[0].shape == (1, 3, 32, 32)
    assert (asked == WORDS.index("<image>")).sum() == 4  # 2 x 2 patches
    assert captioner.identity.startswith(f"vision-language/{tiny_llava}/")
    assert not captioner.free


def test_an_answer_that_ends_within_a_sentence_is_none(captioner: VisionLanguageCaptioner, monkeypatch) -> None:
    monkeypatch.setattr(captioner, "_max_tokens", 4)
    with pytest.raises(NoAnswerError, match="within 4 tokens"):
        captioner.caption(picture(200), {"gender": "female"})


def test_a_folder_without_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot load"):
        VisionLanguageCaptioner(str(tmp_path))
