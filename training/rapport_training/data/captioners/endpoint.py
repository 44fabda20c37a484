"""A captioner behind any endpoint that speaks OpenAI's chat completions protocol, on this machine or elsewhere."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rapport_edge.errors import SettingsError
from rapport_training.data.captioners.base import (
    Answer,
    Caption,
    CaptionError,
    NoAnswerError,
    Refusal,
    identity_of,
    one_paragraph,
)
from rapport_training.data.captioners.instructions import INSTRUCTIONS, declines, request_text, whole_sentences
from rapport_training.data.captioners.pacing import Pacer

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

#: Codes of errors that speak of the picture or the answer, not of the request.
_REFUSING_CODES: Final = ("content_filter", "content_policy_violation", "moderation_blocked")
_HOPELESS: Final = (401, 403, 404)
_MAGIC: Final = ((b"\xff\xd8", "jpeg"), (b"\x89PNG", "png"), (b"RIFF", "webp"), (b"GIF8", "gif"), (b"BM", "bmp"))


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask.

    Attributes:
        base_url: such as https://api.openai.com/v1 or http://localhost:8000/v1.
        model: as the endpoint names it.
        key_variable: environment variable with the key; an endpoint on this machine may need none.
        max_tokens: most tokens of an answer.
        requests_per_minute: repeated requests count, too; None for no limit.
        timeout: seconds for one request.
        retries: further requests after 408, 409, 429, 5xx or no connection; a Retry-After up to two minutes is obeyed.
        price_in, price_out: per million tokens, in any currency.
    """

    base_url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    max_tokens: int = 200
    requests_per_minute: float | None = None
    timeout: float = 60.0
    retries: int = 5
    price_in: float = 0.0
    price_out: float = 0.0


class EndpointCaptioner:
    """Sends the picture as a data URL and the attributes as JSON.

    Raises:
        SettingsError: if the endpoint is not on this machine and the environment has no key for it.
    """

    free = False

    def __init__(self, endpoint: Endpoint) -> None:
        from openai import DefaultHttpxClient, OpenAI

        self._endpoint = endpoint
        self.identity = identity_of("endpoint", endpoint.model, f"{INSTRUCTIONS}\0{endpoint.max_tokens}")
        self._limit_field = "max_tokens"
        pacer = Pacer(endpoint.requests_per_minute)
        # A hook on the connection sees every request, the library's own repetitions included.
        http = DefaultHttpxClient(event_hooks={"request": [lambda _request: pacer.wait()]}, timeout=endpoint.timeout)
        self._client = OpenAI(
            base_url=endpoint.base_url,
            api_key=_key(endpoint),
            http_client=http,
            timeout=endpoint.timeout,
            max_retries=endpoint.retries,
        )

    def caption(self, picture: bytes, attributes: Mapping[str, str]) -> Answer:
        """Asks once, and again as often as the endpoint's settings allow while it is busy or broken."""
        import openai

        try:
            return self._read(self._ask(picture, attributes))
        except openai.APIStatusError as error:
            return _refusal_or_raise(error, self._endpoint)
        except openai.APIError as error:  # a time-out, no connection, a reply that is not what the protocol says
            raise NoAnswerError(f"{self._endpoint.base_url}: {error}") from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise NoAnswerError(f"{self._endpoint.base_url} sent a reply that is not JSON: {error}") from error

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _ask(self, picture: bytes, attributes: Mapping[str, str]) -> ChatCompletion:
        import openai

        try:
            return self._request(picture, attributes)
        except openai.BadRequestError as error:
            # Newer models of OpenAI know the limit under another name, which other servers do not know.
            if error.param != "max_tokens" or self._limit_field != "max_tokens":
                raise
            self._limit_field = "max_completion_tokens"
            return self._request(picture, attributes)

    def _request(self, picture: bytes, attributes: Mapping[str, str]) -> ChatCompletion:
        content: list[Any] = [
            {"type": "text", "text": request_text(attributes)},
            {"type": "image_url", "image_url": {"url": data_url(picture)}},
        ]
        limit: dict[str, Any] = {self._limit_field: self._endpoint.max_tokens}
        return self._client.chat.completions.create(
            model=self._endpoint.model,
            messages=[{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": content}],
            **limit,
        )

    def _read(self, reply: ChatCompletion) -> Answer:
        """The library checks no types: whatever the server sent may be in here."""
        try:
            choice = reply.choices[0]
            message, finish = choice.message, choice.finish_reason
            refusal, text = message.refusal, one_paragraph(message.content or "")
            used_in, used_out = _usage(reply)
        except (AttributeError, TypeError, IndexError, ValueError) as error:
            raise NoAnswerError(f"{self._endpoint.base_url} sent a reply without a usable choice: {error}") from error
        paid = {"input_tokens": used_in, "output_tokens": used_out, "cost": self._cost(used_in, used_out)}
        if refusal or finish == "content_filter":
            return Refusal(one_paragraph(str(refusal or "content filter")), **paid)
        if finish == "length":
            text = whole_sentences(text)
            if not text:
                raise NoAnswerError(
                    f"{self._endpoint.model} finished no sentence within {self._endpoint.max_tokens} tokens"
                )
        if not text:
            return Refusal("empty answer", **paid)
        return Refusal(text, **paid) if declines(text) else Caption(text, **paid)

    def _cost(self, used_in: int, used_out: int) -> float:
        return (used_in * self._endpoint.price_in + used_out * self._endpoint.price_out) / 1e6


def data_url(picture: bytes) -> str:
    """The picture within a URL; its type is read from its first bytes."""
    kind = next((name for magic, name in _MAGIC if picture.startswith(magic)), "jpeg")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _key(endpoint: Endpoint) -> str:
    key = os.environ.get(endpoint.key_variable, "")
    if key:
        return key
    if any(f"//{host}" in endpoint.base_url for host in ("localhost", "127.", "[::1]")):
        return "none"  # the library insists on one, a server on this machine does not
    raise SettingsError(
        f"{endpoint.base_url} needs a key: put it into the environment variable {endpoint.key_variable}"
    )


def _usage(reply: ChatCompletion) -> tuple[int, int]:
    """Tokens in and out; an endpoint that counts none is taken to charge none."""
    if reply.usage is None:
        return 0, 0
    return int(reply.usage.prompt_tokens or 0), int(reply.usage.completion_tokens or 0)


def _refusal_or_raise(error: Any, endpoint: Endpoint) -> Refusal:
    """Reads an openai.APIStatusError."""
    said = one_paragraph(str(error.message))[:300]
    if error.status_code == 400 and error.code in _REFUSING_CODES:
        return Refusal(said)
    if error.status_code in _HOPELESS or error.code == "insufficient_quota":
        raise CaptionError(
            f"{endpoint.base_url} says {said!r}; check base URL, model and the key in {endpoint.key_variable}"
        ) from error
    raise NoAnswerError(f"{endpoint.base_url} says {said!r}") from error
