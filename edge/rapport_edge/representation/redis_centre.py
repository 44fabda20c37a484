"""The centre of a fleet: a Redis server that all robots and trainers share.

Keys begin with "rapport:<name>:". "centre" is a hash with the format, "v:<item id>" a vector, "sources" a hash of
source hashes, "version" counts publications. What is put is visible to everybody at once. A server may lose everything
in a restart, and get another encoder's centre of the same name then, so each command asks for the format again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from rapport_edge.representation.addresses import without_password
from rapport_edge.representation.contract import (
    CentreFormat,
    Counts,
    RepresentationCentre,
    Rows,
    check_format,
    check_same,
    checked_items,
)
from rapport_edge.representation.errors import CentreDamagedError, CentreError, CentreFullError
from rapport_edge.representation.keys import Ids, encoded, text_of

#: Items in one command: a server answers commands one after the other, and others want their turn.
_BLOCK: Final = 4096
_FORMAT_FIELDS: Final = ("encoder", "dimension", "storage")
#: Seconds; the address may say others. Without, a server that fell silent would hold a robot for ever.
_TIMEOUTS: Final = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0}


class RedisCentre(RepresentationCentre):
    """Reads and writes; threads may share it, and so may any number of processes."""

    def __init__(self, url: str, encoder: str | None = None) -> None:
        """Connects to an existing centre.

        Args:
            url: "redis://host:port/database?centre=name"; also "rediss://" and "unix://path?centre=name". The name is
                "items" where there is none.
            encoder: digest that it must be of; None takes any.

        Raises:
            CentreError: the server cannot be reached, has no such centre, or it is another encoder's.
        """
        self._redis, self._name = _connect(url)
        self._shown = without_password(url)
        try:
            with _translated(self._shown):
                fields = self._redis.hmget(self._key("centre"), _FORMAT_FIELDS)
            self._format = self._format_of(fields)
            check_same(self._shown, self._format, encoder)
        except BaseException:
            self._redis.close()
            raise

    @classmethod
    def create(cls, url: str, layout: CentreFormat) -> RedisCentre:
        """Connects to a centre that may be new.

        Raises:
            CentreError: as above, or it has another dimension or storage, or the server would evict its items.
        """
        check_format(layout)
        client, name = _connect(url)
        shown = without_password(url)
        with _translated(shown), closing(client):
            _refuse_eviction(client.info("memory"), shown)
            key = f"rapport:{name}:centre"
            with client.pipeline(transaction=True) as commands:
                for field in _FORMAT_FIELDS:
                    commands.hsetnx(key, field, str(getattr(layout, field)))
                commands.execute()
        centre = cls(url, layout.encoder)
        check_same(centre._shown, centre.format, None, layout)
        return centre

    @property
    def format(self) -> CentreFormat:
        """Encoder, dimension and storage."""
        return self._format

    def lookup(self, ids: Ids) -> Rows:
        """The vectors of n items; see `CentreReader`."""
        keys = [self._item_key(text_of(item)) for item in ids]
        found = np.zeros(len(keys), np.bool_)
        vectors = np.zeros((len(keys), self.dimension), np.float32)
        size = self.dimension * self._format.dtype.itemsize
        for start in range(0, len(keys), _BLOCK):
            values = self._ask("mget", keys[start : start + _BLOCK])
            there = [position for position, value in enumerate(values, start) if value is not None]
            content = [value for value in values if value is not None]
            if any(len(value) != size for value in content):
                raise CentreDamagedError(f"{self._shown}: a vector has not {size} bytes; something else wrote it")
            found[there] = True
            vectors[there] = np.frombuffer(b"".join(content), self._format.dtype).reshape(-1, self.dimension)
        return Rows(vectors, found)

    def sources(self, ids: Sequence[str]) -> list[str | None]:
        """What each item was embedded from; see `CentreReader`."""
        if not ids:
            return []
        found = self._ask("hmget", self._key("sources"), [encoded(item) for item in ids])
        return [None if source is None else source.decode() for source in found]

    def put(self, ids: Sequence[str], vectors: ArrayLike, sources: Sequence[str]) -> None:
        """Adds or replaces items; see `RepresentationCentre`. Each thousand or so appears as one."""
        stored = checked_items(ids, vectors, sources, self._format)
        with _translated(self._shown):
            for start in range(0, len(ids), _BLOCK):
                part = slice(start, start + _BLOCK)
                with self._redis.pipeline(transaction=True) as commands:
                    commands.watch(self._key("centre"))
                    self._check(commands.hmget(self._key("centre"), _FORMAT_FIELDS))
                    commands.multi()
                    keys = (self._item_key(item) for item in ids[part])
                    commands.mset(dict(zip(keys, (row.tobytes() for row in stored[part]), strict=True)))
                    commands.hset(self._key("sources"), mapping=dict(zip(ids[part], sources[part], strict=True)))
                    commands.execute()

    def publish(self) -> int:
        """Counts a publication; everybody saw before what was put."""
        return int(self._ask("incr", self._key("version")))

    def counts(self) -> Counts:
        """How full it is."""
        version = self._ask("get", self._key("version"))
        return Counts(int(self._ask("hlen", self._key("sources"))), 0, int(version or 0))

    def close(self) -> None:
        """Lets go of the connections."""
        self._redis.close()

    def _key(self, name: str) -> str:
        return f"rapport:{self._name}:{name}"

    def _item_key(self, item: str) -> bytes:
        return encoded(self._key(f"v:{item}"))

    def _ask(self, command: str, *arguments: Any) -> Any:
        """The answer to a command of a server that still has this centre."""
        with _translated(self._shown), self._redis.pipeline(transaction=True) as commands:
            commands.hmget(self._key("centre"), _FORMAT_FIELDS)
            getattr(commands, command)(*arguments)
            fields, answer = commands.execute()
            self._check(fields)
        return answer

    def _check(self, fields: Sequence[bytes | None]) -> None:
        check_same(self._shown, self._format_of(fields), self.encoder, self._format)

    def _format_of(self, fields: Sequence[bytes | None]) -> CentreFormat:
        texts = [field.decode() for field in fields if field is not None]
        if len(texts) < len(_FORMAT_FIELDS):
            raise CentreError(
                f"{self._shown} has no representation centre of the name {self._name!r}, or lost it in a restart; "
                "embed the items into it"
            )
        try:
            return msgspec.convert(dict(zip(_FORMAT_FIELDS, texts, strict=True)), CentreFormat, strict=False)
        except msgspec.ValidationError as error:
            raise CentreDamagedError(
                f"{self._shown}: {self._name!r} has a format that nobody writes: {error}"
            ) from error


def _connect(url: str) -> tuple[Any, str]:
    try:
        import redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise CentreError(
            "a centre on a Redis server needs the Python package redis: pip install 'rapport-edge[redis]'"
        ) from error
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    name = options.pop("centre", "items")
    # What urlunsplit makes of "unix:///path" is "unix:/path".
    plain = urlunsplit(parts._replace(query="", scheme=""))
    query = f"?{urlencode(options)}" if options else ""
    try:
        address = f"{parts.scheme}:{'' if plain.startswith('//') else '//'}{plain}{query}"
        return redis.Redis.from_url(address, **_TIMEOUTS, retry=Retry(ExponentialBackoff(cap=0.5, base=0.1), 1)), name
    except (ValueError, redis.RedisError) as error:
        raise CentreError(f"{without_password(url)} is no address of a Redis server: {error}") from error


def _refuse_eviction(memory: Mapping[str, Any], shown: str) -> None:
    """Refuses a server that drops items when its memory is full: their sources may stay, so nobody embeds them again.

    The policies volatile-* drop only keys with a time to live, which a centre's have not.
    """
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if memory.get("maxmemory") and policy != "noeviction" and not policy.startswith("volatile-"):
        raise CentreError(
            f"{shown} drops items when its memory is full (maxmemory-policy {policy}); set it to noeviction"
        )


@contextmanager
def _translated(shown: str) -> Iterator[None]:
    """Turns the client's errors into sentences."""
    import redis

    try:
        yield
    except redis.exceptions.OutOfMemoryError as error:
        raise CentreFullError(f"{shown} has no memory left; what was put last is incomplete: put it again") from error
    except redis.WatchError as error:
        raise CentreError(f"{shown} was created anew while it was written; try again") from error
    except redis.exceptions.ReadOnlyError as error:
        raise CentreError(f"{shown} is a replica that only reads; write to its master") from error
    except redis.exceptions.ConnectionError as error:
        raise CentreError(f"{shown} cannot be reached: {error}; is the server running?") from error
    except redis.RedisError as error:
        raise CentreError(f"{shown}: {error}") from error
