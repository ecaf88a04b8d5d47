"""The elements of one long array in a JSON file, one at a time.

Location histories of half a gigabyte are one JSON object with one array in it. This finds where
each element of that array begins and ends, and hands it over as bytes for a decoder; everything
else in the file is passed over without being kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import BinaryIO

from geomon.errors import TrackError

__all__ = ["ELEMENT_LIMIT_BYTES", "elements"]

_CHUNK_BYTES = 1 << 18
#: A larger element is not held: a file that never closes a bracket must not fill the memory.
ELEMENT_LIMIT_BYTES = 1 << 26

# A whole string, else a bracket, else a quote whose string goes on beyond the buffer.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]|"', re.DOTALL)
_QUOTE = ord('"')
_OPENING = frozenset(b"{[")


def elements(
    stream: BinaryIO, names: Collection[str], head: bytes = b""
) -> Iterator[tuple[str, bytes]]:
    """Elements of the arrays that stand under `names` in the outermost object of a JSON text.

    Yields (name, element) in the order of the file. `head` is what was already read of `stream`.
    An element that is neither object nor array is yielded together with its neighbours of that
    kind, so that none is lost in silence. Raises `TrackError` where the file is not JSON, ends in
    the middle, or holds none of the arrays.
    """
    scan = _Scan(names)
    yield from scan.feed(head)
    while chunk := stream.read(_CHUNK_BYTES):
        yield from scan.feed(chunk)
    scan.finish()


class _Scan:
    """Where we are in the JSON text, and the piece of it that is still needed."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = {b'"' + name.encode() + b'"': name for name in names}
        self._buffer = b""
        self._scanned = 0  # everything in the buffer before this is dealt with
        self._depth = 0
        self._key = b""  # the last string of the outermost object: before an array, its name
        self._inside: str | None = None  # the name of the array we are in
        self._start: int | None = None  # where the element being read begins
        self._gap = 0  # where the last element ended
        self._seen_json = False
        self._seen_array = False

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """Take more of the text; yield the elements that end in it."""
        self._forget()
        self._buffer += chunk
        for token in _TOKEN.finditer(self._buffer, self._scanned):
            begin, end = token.span()
            first = self._buffer[begin]
            if first == _QUOTE:
                if end - begin == 1:
                    self._scanned = begin  # the string goes on in the next chunk
                    return
                if self._depth == 1:
                    self._key = self._buffer[begin:end]
            elif first in _OPENING:
                yield from self._opened(begin, end)
            else:
                yield from self._closed(begin, end)
        self._scanned = len(self._buffer)

    def finish(self) -> None:
        """Raise `TrackError` where the text that was fed is not whole."""
        if not self._seen_json:
            raise TrackError("it is not JSON")
        if self._depth or self._scanned < len(self._buffer):
            raise TrackError("it ends in the middle of its JSON (cut off?)")
        if not self._seen_array:
            wanted = " or ".join(repr(name) for name in self._names.values())
            raise TrackError(f"it has no list {wanted}")

    def _forget(self) -> None:
        keep = self._scanned
        if self._inside is not None:
            keep = min(keep, self._gap if self._start is None else self._start)
        if len(self._buffer) - keep > ELEMENT_LIMIT_BYTES:
            raise TrackError(f"one record is longer than {ELEMENT_LIMIT_BYTES >> 20} MiB")
        self._buffer = self._buffer[keep:]
        self._scanned -= keep
        self._gap -= keep
        if self._start is not None:
            self._start -= keep

    def _opened(self, begin: int, end: int) -> Iterator[tuple[str, bytes]]:
        self._seen_json = True
        self._depth += 1
        if self._inside is not None and self._depth == 3:
            yield from self._stray(begin)
            self._start = begin
        elif self._depth == 2 and self._buffer[begin:end] == b"[":
            self._inside = self._names.get(self._key)
            self._seen_array |= self._inside is not None
            self._gap = end

    def _closed(self, begin: int, end: int) -> Iterator[tuple[str, bytes]]:
        self._depth -= 1
        if self._depth < 0:
            raise TrackError("it is not JSON: a bracket closes that was never opened")
        if self._inside is None:
            return
        if self._depth == 2:
            yield self._inside, self._buffer[self._start : end]
            self._start, self._gap = None, end
        elif self._depth == 1:
            yield from self._stray(begin)
            self._inside = None

    def _stray(self, end: int) -> Iterator[tuple[str, bytes]]:
        """What stands since the last element besides its comma."""
        stray = self._buffer[self._gap : end].strip(b" \t\r\n,")
        if stray and self._inside is not None:
            yield self._inside, stray
