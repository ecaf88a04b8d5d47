"""A track file on disk or standard input, plain or gzip, as a stream of its content."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from geomon.errors import TrackError

__all__ = ["TrackFile", "decoded", "open_track"]

_BUFFER_BYTES = 1 << 18
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class TrackFile:
    """An open track: `stream` is its decompressed content, `name` what to call it in talk."""

    name: str
    stream: BinaryIO
    _raw: io.FileIO | None = None

    @property
    def bytes_read(self) -> int:
        """How far the reading has come in the file on disk; 0 for pipes."""
        return self._raw.tell() if self._raw is not None else 0


@contextmanager
def open_track(path: Path) -> Iterator[TrackFile]:
    """Open the track at `path` (`-` is standard input) for reading, seeing by itself if it is gzip.

    Raises `TrackError` where it cannot be opened.
    """
    with ExitStack() as stack:
        raw: io.FileIO | None = None
        if str(path) == "-":
            name = "standard input"
            plain = cast("io.BufferedReader", sys.stdin.buffer)
        else:
            name = str(path)
            try:
                raw = stack.enter_context(path.open("rb", buffering=0))
            except OSError as error:
                raise TrackError(f"{name}: {error.strerror or error}") from None
            plain = stack.enter_context(io.BufferedReader(raw, _BUFFER_BYTES))
        stream: BinaryIO = plain
        try:
            begin = plain.peek(2)[:2]
        except OSError as error:
            raise TrackError(f"{name}: {error.strerror or error}") from None
        # By content, not by name: a download often loses or keeps a `.gz` that is not true.
        if begin == _GZIP_MAGIC:
            packed = stack.enter_context(gzip.GzipFile(fileobj=plain, mode="rb"))
            stream = stack.enter_context(
                io.BufferedReader(cast("io.RawIOBase", packed), _BUFFER_BYTES)
            )
        yield TrackFile(name, stream, raw if raw is not None and raw.seekable() else None)


@contextmanager
def decoded(
    stream: BinaryIO, encoding: str, newline: str | None = None
) -> Iterator[io.TextIOWrapper]:
    """`stream` as text for a while; it stays open and its owner's.

    What is not in `encoding` is replaced: one broken byte in a column that nobody reads must not
    end the reading. Numbers and times made of such bytes fail by themselves.
    """
    text = io.TextIOWrapper(
        cast("io.BufferedReader", stream), encoding=encoding, errors="replace", newline=newline
    )
    try:
        yield text
    finally:
        # Left attached, the wrapper would close the stream when it is collected.
        text.detach()
