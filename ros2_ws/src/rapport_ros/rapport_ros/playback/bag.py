"""Images out of rosbag2 recordings (sqlite3 or mcap), with their stamps and at their pace."""

from __future__ import annotations

import sqlite3
import struct
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from rapport_ros.playback.frames import (
    CompressedPicture,
    FrameSource,
    Picture,
    RawPicture,
    SourceError,
    SourceFrame,
    Transport,
)

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
SUFFIXES = frozenset({".db3", ".mcap"})

#: What rosbags lets through from damaged files, beside its own errors.
_DAMAGED = (AnyReaderError, OSError, sqlite3.Error, struct.error, ValueError, KeyError, IndexError, AssertionError)


class BagSource(FrameSource):
    """One image topic of a recording.

    Args:
        path: the recording's folder, or one of its files.
        topic: which image topic; "" takes the one with most messages, colour before depth.
        rate: frames per second; None keeps the recorded pace.
    """

    def __init__(self, path: Path, topic: str = "", rate: float | None = None) -> None:
        self._path = path
        self._rate = rate
        with self._open() as reader:
            chosen = _choose(path, reader.connections, topic)
            self._topic, self._type, self._count = chosen.topic, chosen.msgtype, chosen.msgcount
        self._description = f"{path}, {self._count} images on {self._topic}"

    @property
    def description(self) -> str:
        """What is played."""
        return self._description

    @property
    def length(self) -> int | None:
        """Messages on the topic."""
        return self._count

    @property
    def transport(self) -> Transport:
        """As recorded."""
        return "compressed" if self._type == COMPRESSED else "raw"

    def frames(self) -> Iterator[SourceFrame]:
        """The topic's messages in the order of the recording."""
        with self._open() as reader:
            wanted = [item for item in reader.connections if (item.topic, item.msgtype) == (self._topic, self._type)]
            first: int | None = None
            for number, (_, recorded, data) in enumerate(reader.messages(wanted)):
                first = recorded if first is None else first
                due = number / self._rate if self._rate else (recorded - first) / 1e9
                message: Any = reader.deserialize(data, self._type)
                stamp = message.header.stamp
                stamp_ns = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
                yield SourceFrame(_picture(message, self._type), due, stamp_ns or None, str(message.header.frame_id))

    @contextmanager
    def _open(self) -> Iterator[AnyReader]:
        """An open reader; whatever goes wrong while it is used is said with the recording's path."""
        reason = _obstacle(self._path)
        if reason:
            raise SourceError(f"{self._path}: {reason}")
        try:
            # Recordings made before Jazzy carry no message definitions.
            with AnyReader([self._path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
                yield reader
        except _DAMAGED as error:
            raise SourceError(f"{self._path}: this recording cannot be read: {error}") from error


def is_bag(path: Path) -> bool:
    """Whether a path looks like a rosbag2 recording."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or any(file.suffix in SUFFIXES for file in path.iterdir())
    return path.suffix in SUFFIXES


def _obstacle(path: Path) -> str:
    """Why a folder is no whole recording; empty when it seems to be one."""
    if path.is_dir() and not (path / "metadata.yaml").exists():
        files = sorted(file.name for file in path.iterdir() if file.suffix in SUFFIXES)
        return f"a recording without metadata.yaml; name one of its files ({', '.join(files)}), or run ros2 bag reindex"
    return ""


def _choose(path: Path, connections: list[Connection], topic: str) -> Connection:
    images = [item for item in connections if item.msgtype in (RAW, COMPRESSED)]
    if topic:
        images = [item for item in images if item.topic == topic]
    with_messages = [item for item in images if item.msgcount > 0]
    if not with_messages:
        wanted = f"no images on {topic}" if topic else "no images in this recording"
        found = ", ".join(sorted(f"{item.topic} ({item.msgtype}, {item.msgcount})" for item in connections))
        raise SourceError(f"{path}: {wanted}; its topics are: {found or 'none'}")
    return max(with_messages, key=lambda item: ("depth" not in item.topic.lower(), item.msgcount))


def _picture(message: Any, kind: str) -> Picture:
    data = array("B", np.asarray(message.data, dtype=np.uint8).tobytes())
    if kind == COMPRESSED:
        return CompressedPicture(data, str(message.format))
    return RawPicture(
        data,
        str(message.encoding),
        int(message.width),
        int(message.height),
        int(message.step),
        bool(message.is_bigendian),
    )
