"""What a captioner has answered so far, kept so that nothing is paid for twice."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

from rapport_training.data.captioners.base import Answer, Caption, CaptionError, Refusal

#: Content hash of the picture, digest of the attributes.
Key = tuple[str, str]


def key_of(content: str, attributes: Mapping[str, str]) -> Key:
    """What an answer is kept under: the same picture with other attributes is another question."""
    known = json.dumps(dict(attributes), sort_keys=True).encode()
    return content, hashlib.sha256(known).hexdigest()[:16]


class Ledger:
    """One JSON line per answer, appended and on the disk before the next question; a context manager.

    A line that a crash interrupted is dropped. Captioners may share a ledger: each is told its own answers only.

    Attributes:
        answers: of this captioner, by key.
        spent: sum of the costs in the whole file, of all captioners.

    Args:
        path: the file; made if it is not there.
        identity: the captioner's.

    Raises:
        CaptionError: if another process is writing to it, a line is damaged, or it cannot be opened.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self._path, self._identity = path, identity
        self.answers: dict[Key, Answer] = {}
        self.spent = 0.0
        self._file = _open_locked(path)
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def record(self, key: Key, file: str, answer: Answer) -> None:
        """Keeps an answer.

        Args:
            key: of the question.
            file: name of the picture, for people who read the ledger.
            answer: a caption or a refusal.

        Raises:
            CaptionError: if the disk is full or gone; what was kept before stays.
        """
        said = {"text": answer.text} if isinstance(answer, Caption) else {"refusal": answer.reason}
        line = {
            "content": key[0],
            "attributes": key[1],
            "captioner": self._identity,
            "file": file,
            **said,
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "cost": answer.cost,
        }
        self._append(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self.answers[key] = answer
        self.spent += answer.cost

    def _append(self, line: bytes) -> None:
        end = self._file.tell()
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):  # a later answer must not follow half a line
                self._file.truncate(end)
                self._file.seek(end)
            raise CaptionError(f"cannot write {self._path}: {error}; the answers before this one are kept") from error

    def _read(self) -> None:
        content = self._file.readall()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        self._file.seek(0, os.SEEK_END)
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise CaptionError(
                    f"{self._path}, line {number} is damaged ({error!r}); delete it, and its picture is asked for again"
                ) from error

    def _take(self, line: Mapping[str, Any]) -> None:
        paid = {name: line[name] for name in ("input_tokens", "output_tokens", "cost")}
        self.spent += paid["cost"]
        if line["captioner"] != self._identity:
            return
        answer = Caption(line["text"], **paid) if "text" in line else Refusal(line["refusal"], **paid)
        self.answers[line["content"], line["attributes"]] = answer


def _open_locked(path: Path) -> FileIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Profiles of people: nobody else on this machine needs to read them.
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CaptionError(f"cannot open {path}: {error}") from error
    file = FileIO(handle, "r+b")  # without a buffer: what was refused is not written later after all
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise CaptionError(f"another process is writing to {path}; wait for it or stop it") from error
    return file
