"""A server that speaks OpenAI's chat completions protocol, with whatever bad day a test gives it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np

#: What a request is answered with: status, headers, body.
Reply = tuple[int, dict[str, str], bytes]


class ChatServer(ThreadingHTTPServer):
    """Answers with a profile that names the picture's hash, unless `script` says otherwise for the next requests.

    Attributes:
        answers_before_the_gate: so many requests are answered at once; later ones wait until `gate` is set.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Callable[[], Reply]] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.pictures: Counter[str] = Counter()
        self.answers_before_the_gate: float = math.inf
        self.gate = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed hangs up."""


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sent = body["messages"][1]["content"][1]["image_url"]["url"]
        digest = hashlib.sha256(base64.b64decode(sent.partition(",")[2])).hexdigest()
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.headers.append({name.casefold(): value for name, value in self.headers.items()})
            self.server.pictures[digest] += 1
            reply = self.server.script.pop(0) if self.server.script else None
            waits = len(self.server.bodies) > self.server.answers_before_the_gate
        if waits:
            self.server.gate.wait(100)
        status, headers, content = reply() if reply else completion(f"A person known as {digest[:8]}.")
        assert self.path == "/v1/chat/completions"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: object) -> None:
        pass


def completion(text: str | None, finish: str = "stop", refusal: str | None = None, **more: Any) -> Reply:
    message = {"role": "assistant", "content": text, "refusal": refusal}
    usage = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    head = {"id": "c", "object": "chat.completion", "created": 0, "model": "m"}
    return answer(200, {**head, "choices": choices, "usage": usage, **more})


def answer(status: int, document: Any, **headers: str) -> Reply:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/json", **named}, body


def error(status: int, code: str, param: str | None = None, **headers: str) -> Reply:
    return answer(status, {"error": {"message": f"no: {code}", "code": code, "param": param}}, **headers)


def picture(number: int) -> bytes:
    """A small JPEG file, another one for each number."""
    pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()
