"""A captioner that runs a vision-language model of the Hugging Face kind on this machine."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from rapport_edge.errors import SettingsError
from rapport_edge.images import decode_compressed
from rapport_training.data.captioners.base import Answer, Caption, NoAnswerError, Refusal, identity_of, one_paragraph
from rapport_training.data.captioners.instructions import INSTRUCTIONS, declines, request_text, whole_sentences


class VisionLanguageCaptioner:
    """Decodes greedily, so that the same picture gets the same profile; one picture at a time, whoever asks.

    Args:
        model: folder or name of a model that transformers knows as image-text-to-text, with a chat template.
        max_tokens: most tokens of an answer.
        device: as torch names it; None takes a GPU if there is one.

    Raises:
        SettingsError: if transformers is not installed, or the model cannot be loaded.
    """

    free = False

    def __init__(self, model: str, max_tokens: int = 200, device: str | None = None) -> None:
        self.identity = identity_of("vision-language", model.rstrip("/"), f"{INSTRUCTIONS}\0{max_tokens}")
        self._max_tokens = max_tokens
        self._turn = threading.Lock()
        self._processor, self._model = _load(model, device)

    def caption(self, picture: bytes, attributes: Mapping[str, str]) -> Answer:
        """Writes one profile; the tokens of the picture are among those that go in."""
        inputs = self._inputs(picture, attributes)
        with self._turn:
            generated = self._model.generate(**inputs, max_new_tokens=self._max_tokens, do_sample=False)
        used_in = inputs["input_ids"].shape[1]
        answer = generated[0, used_in:]
        text = one_paragraph(self._processor.decode(answer, skip_special_tokens=True))
        if len(answer) >= self._max_tokens:
            text = whole_sentences(text)
            if not text:
                raise NoAnswerError(f"the model finished no sentence within {self._max_tokens} tokens")
        if not text or declines(text):
            return Refusal(text or "empty answer", used_in, len(answer))
        return Caption(text, used_in, len(answer))

    def close(self) -> None:
        """Nothing to let go of."""

    def _inputs(self, picture: bytes, attributes: Mapping[str, str]) -> Any:
        from PIL import Image

        image = Image.fromarray(decode_compressed(picture))
        text = f"{INSTRUCTIONS}\n{request_text(attributes)}"  # not every chat template knows a system message
        content = [{"type": "image", "image": image}, {"type": "text", "text": text}]
        inputs = self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        return inputs.to(self._model.device, dtype=self._model.dtype)


def _load(model: str, device: str | None) -> tuple[Any, Any]:
    """Processor and model, in the precision in which the model is stored."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(model)
        loaded = AutoModelForImageTextToText.from_pretrained(model, dtype="auto").eval()
    except (OSError, ValueError, ImportError) as error:
        raise SettingsError(f"cannot load a vision-language model from {model}: {one_paragraph(str(error))}") from error
    return processor, loaded.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
