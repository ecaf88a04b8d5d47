"""The bodies of requests, received within limits.

What is half received counts against one limit, that of all connections together: ten thousand slow
senders cannot fill the memory, however little each of them sends.
"""

from __future__ import annotations

import asyncio

from aiohttp import StreamReader, web

from geomon.errors import GeomonError, Refusal
from geomon.gateway.registry import NotAdmitted

__all__ = ["Full", "Receiving", "TooSlow"]

_CHUNK_BYTES = 64 << 10


class Full(GeomonError):  # noqa: N818  (not an error of the program: come again later)
    """Too much is being received at the moment."""


class TooSlow(GeomonError):  # noqa: N818  (likewise)
    """A body did not come in whole in time."""


class Receiving:
    """Receives bodies of at most `most_body` bytes, `most_bytes` at a time, each in `within_s`."""

    def __init__(self, most_body: int, most_bytes: int, within_s: float) -> None:
        self._most_body, self._most_bytes, self._within_s = most_body, most_bytes, within_s
        self._bytes = 0

    def place(self, request: web.BaseRequest) -> _Place:
        """Hold a place for a body while the context that this gives lasts.

        Raises `Full` when there is none, `NotAdmitted` (too_large) when it is too large for any.
        """
        size = request.content_length
        if size is None:
            size = self._most_body if request.can_read_body else 0
        if size > self._most_body:
            raise NotAdmitted("too_large")
        if self._bytes + size > self._most_bytes:
            raise Full
        self._bytes += size
        return _Place(self, size)

    def leave(self, size: int) -> None:
        """Give back the place of a body."""
        self._bytes -= size

    async def body(self, request: web.BaseRequest) -> bytes:
        """Receive a body, unpacked where it is packed.

        Raises `NotAdmitted` (too_large), `TooSlow`, or `Refusal` when it breaks off.
        """
        content = request.content
        if content.is_eof() and content.exception() is None:
            # Nearly always: it came with the head. This is half as much work as the way below.
            if content.total_bytes > self._most_body:
                raise NotAdmitted("too_large")
            return await content.readany()
        try:
            return await asyncio.wait_for(self._read(content), self._within_s)
        except asyncio.TimeoutError:
            raise TooSlow from None

    async def _read(self, content: StreamReader) -> bytes:
        chunks = []
        left = self._most_body
        while chunk := await self._chunk(content):
            left -= len(chunk)
            if left < 0:  # a small body may unpack into a large one
                raise NotAdmitted("too_large")
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _chunk(self, content: StreamReader) -> bytes:
        try:
            return await content.read(_CHUNK_BYTES)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # aiohttp has many kinds: of a bad chunk, a bad packing, an end
            raise Refusal("bad_length", type(error).__name__) from None


class _Place:
    """The place of one body. (A generator as context would cost as much as reading the body.)"""

    __slots__ = ("_receiving", "_size")

    def __init__(self, receiving: Receiving, size: int) -> None:
        self._receiving, self._size = receiving, size

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._receiving.leave(self._size)
