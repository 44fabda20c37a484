"""Captions from an endpoint: a real server that speaks the chat completions protocol, and its bad days."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest
from chat_server import ChatServer, Reply, answer, completion, error, picture

from rapport_edge.errors import SettingsError
from rapport_training.data.captioners.base import Caption, CaptionError, NoAnswerError, Refusal
from rapport_training.data.captioners.endpoint import Endpoint, EndpointCaptioner


def captioner(chat_server: ChatServer, **settings: Any) -> EndpointCaptioner:
    return EndpointCaptioner(Endpoint(chat_server.url, "some-model", **{"timeout": 60.0, **settings}))


def test_a_request_carries_picture_and_attributes_and_an_answer_its_cost(chat_server: ChatServer, monkeypatch) -> None:
    monkeypatch.setenv("A_KEY", "secret")
    asked = captioner(chat_server, key_variable="A_KEY", price_in=2.5, price_out=10.0)
    said = asked.caption(picture(0), {"hair_color": "braun"})
    digest = hashlib.sha256(picture(0)).hexdigest()
    assert said == Caption(f"A person known as {digest[:8]}.", 1000, 50, pytest.approx(0.003))
    assert chat_server.pictures == {digest: 1}
    text, image = chat_server.bodies[0]["messages"][1]["content"]
    assert '"hair_color": "braun"' in text["text"]
    assert image["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert chat_server.bodies[0]["max_tokens"] == 200
    assert chat_server.headers[0]["authorization"] == "Bearer secret"
    assert asked.identity.startswith("endpoint/some-model/")
    assert asked.identity != captioner(chat_server, max_tokens=100).identity


@pytest.mark.parametrize(
    "reply",
    [
        completion(None, refusal="I do not describe people."),
        completion(None, finish="content_filter"),
        completion(""),
        completion("I'm sorry, but I can't help with identifying people."),
        completion("I cannot describe this person."),
        error(400, "content_policy_violation"),
    ],
)
def test_refusals_are_answers_and_not_repeated(chat_server: ChatServer, reply: Reply) -> None:
    chat_server.script = [lambda: reply]
    said = captioner(chat_server).caption(picture(0), {})
    assert isinstance(said, Refusal)
    assert said.reason
    assert chat_server.pictures.total() == 1
    assert said.input_tokens == (1000 if reply[0] == 200 else 0)


def test_a_busy_server_is_asked_again_when_it_says(chat_server: ChatServer) -> None:
    chat_server.script = [lambda: error(429, "rate_limit_exceeded", Retry_After="1"), lambda: error(503, "overloaded")]
    started = time.monotonic()
    assert isinstance(captioner(chat_server).caption(picture(0), {}), Caption)
    assert chat_server.pictures.total() == 3
    assert time.monotonic() - started >= 1.0


@pytest.mark.parametrize(
    "reply",
    [
        error(500, "broken"),
        answer(200, b'{"id": "c", "choi'),
        answer(200, {"id": "c", "choices": []}),
        answer(200, {"choices": [{"message": None, "finish_reason": "stop"}]}),
        answer(200, ["not", "an", "object"]),
        answer(200, b"\xff\xfe"),
        answer(200, "just text"),
        completion("A person whose profile has no e", finish="length"),
        error(400, "invalid_image"),
    ],
)
def test_what_is_no_answer_is_said_and_no_caption(chat_server: ChatServer, reply: Reply) -> None:
    chat_server.script = [lambda: reply]
    with pytest.raises(NoAnswerError):
        captioner(chat_server, retries=0).caption(picture(0), {})


def test_an_answer_that_ran_out_of_tokens_keeps_its_whole_sentences(chat_server: ChatServer) -> None:
    chat_server.script = [lambda: completion("A woman.\n\nShe smiles. She has long bl", finish="length")]
    assert captioner(chat_server).caption(picture(0), {}).text == "A woman. She smiles."


def test_a_server_that_hangs_or_is_not_there_gives_no_answer(chat_server: ChatServer) -> None:
    chat_server.answers_before_the_gate = 0
    with pytest.raises(NoAnswerError, match="timed out"):
        captioner(chat_server, timeout=0.3, retries=0).caption(picture(0), {})
    chat_server.gate.set()  # only now does the server answer
    with pytest.raises(NoAnswerError):
        EndpointCaptioner(Endpoint("http://127.0.0.1:9/v1", "m", retries=0)).caption(picture(0), {})


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_ends_the_run_at_once(chat_server: ChatServer, status: int) -> None:
    chat_server.script = [lambda: error(status, "no")]
    with pytest.raises(CaptionError, match="check base URL") as raised:
        captioner(chat_server).caption(picture(0), {})
    assert not isinstance(raised.value, NoAnswerError)
    assert chat_server.pictures.total() == 1


def test_models_that_know_the_limit_under_another_name_are_asked_under_it(chat_server: ChatServer) -> None:
    chat_server.script = [lambda: error(400, "unsupported_parameter", "max_tokens")]
    asked = captioner(chat_server)
    assert isinstance(asked.caption(picture(0), {}), Caption)
    assert chat_server.bodies[1]["max_completion_tokens"] == 200
    asked.caption(picture(1), {})
    assert "max_tokens" not in chat_server.bodies[2]


def test_the_rate_counts_repeated_requests_too(chat_server: ChatServer) -> None:
    chat_server.script = [lambda: error(500, "broken", retry_after_ms="1")] * 2
    asked = captioner(chat_server, requests_per_minute=300)
    started = time.monotonic()
    asked.caption(picture(0), {})
    asked.caption(picture(1), {})
    assert chat_server.pictures.total() == 4
    assert time.monotonic() - started >= 3 * 60 / 300


def test_a_server_elsewhere_needs_a_key(monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(SettingsError, match="OPENAI_API_KEY"):
        EndpointCaptioner(Endpoint("https://api.example/v1", "m"))
