"""Centres to test: of one machine, and on a Redis server that is started here."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from centres import LAYOUT

from rapport_edge.representation import CentreFormat, RepresentationCentre, open_writer


@pytest.fixture(scope="session")
def redis_folder() -> Iterator[Path]:
    """Where the server's socket lies: a socket's path may have no more than 107 bytes, pytest's folders often have."""
    with tempfile.TemporaryDirectory(prefix="rapport-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def redis_server(redis_folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server of this session, which keeps nothing."""
    redis = pytest.importorskip("redis", reason="the Python package redis is not installed")
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    socket = redis_folder / "s"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=socket.parent) as server:
        client = redis.Redis(unix_socket_path=str(socket))
        deadline = time.monotonic() + 60
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                assert server.poll() is None and time.monotonic() < deadline
                time.sleep(0.02)
        yield server
        server.terminate()


@pytest.fixture(scope="session")
def redis_socket(redis_folder: Path, redis_server: subprocess.Popen[bytes]) -> Path:
    """The running server's socket."""
    return redis_folder / "s"


@pytest.fixture
def redis_url(redis_socket: Path) -> str:
    """A server without centres."""
    import redis

    redis.Redis(unix_socket_path=str(redis_socket)).flushall()
    return f"unix://{redis_socket}?centre=films"


@pytest.fixture(params=["embedded", "redis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A place for a centre."""
    return tmp_path / "centre" if request.param == "embedded" else request.getfixturevalue("redis_url")


@pytest.fixture
def create(where: Path | str) -> Iterator[Callable[..., RepresentationCentre]]:
    """Opens the centre there for writing; closed after the test."""
    opened = []

    def open_one(layout: CentreFormat = LAYOUT) -> RepresentationCentre:
        opened.append(open_writer(where, layout))
        return opened[-1]

    yield open_one
    for centre in opened:
        centre.close()
