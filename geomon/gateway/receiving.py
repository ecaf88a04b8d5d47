"""The bodies of requests, received within limits.

What has come in counts against one limit, that of all connections together, from its first byte
until the request is answered, and so does what is unpacked of it: ten thousand slow senders cannot
fill the memory, however little each of them sends. What is only announced counts for nothing: or a
few who announce much and send nothing would keep everybody out. And no one address may hold more
than its share.
"""

from __future__ import annotations

import asyncio
import zlib

from aiohttp import StreamReader, web

from geomon.errors import GeomonError, Refusal
from geomon.gateway.limits import network_of
from geomon.gateway.registry import NotAdmitted

__all__ = ["Full", "Place", "Receiving", "TooSlow"]

_CHUNK_BYTES = 64 << 10
#: Of all that may be half received one address may hold this part.
_SHARE = 4
_PACKED = ("gzip", "x-gzip", "deflate")
#: Has zlib tell a head of gzip from its own.
_ANY_HEAD = 32


class Full(GeomonError):  # noqa: N818  (not an error of the program: come again later)
    """Too much is being received at the moment."""


class TooSlow(GeomonError):  # noqa: N818  (likewise)
    """A body did not come in whole in time."""


class Receiving:
    """Receives bodies of at most `most_body` bytes, `most_bytes` at a time, each in `within_s`."""

    def __init__(self, most_body: int, most_bytes: int, within_s: float) -> None:
        self.most_body, self.within_s = most_body, within_s
        self._most_bytes = most_bytes
        self._share_bytes = max(most_body, most_bytes // _SHARE)
        self._bytes = 0
        self._of: dict[str, int] = {}  # bytes by address

    @property
    def bytes(self) -> int:
        """How much is held now."""
        return self._bytes

    def place(self, request: web.BaseRequest) -> Place:
        """Give a place for a body, which is held while the context lasts.

        Raises `NotAdmitted` (too_large) when it says that it is too large for any.
        """
        size = request.content_length
        if size is not None and size > self.most_body:
            raise NotAdmitted("too_large")
        return Place(self, request)

    def take(self, address: str, size: int) -> None:
        """Count bytes that have come in. Raises `Full` when there are too many."""
        held = self._of.get(address, 0) + size
        if self._bytes + size > self._most_bytes or held > self._share_bytes:
            raise Full
        self._bytes += size
        self._of[address] = held

    def leave(self, address: str, size: int) -> None:
        """Count them no more."""
        self._bytes -= size
        left = self._of.pop(address) - size
        if left:
            self._of[address] = left


class Place:
    """The place of one body. (A generator as context would cost as much as reading the body.)"""

    __slots__ = ("_address", "_receiving", "_request", "_size")

    def __init__(self, receiving: Receiving, request: web.BaseRequest) -> None:
        self._receiving, self._request = receiving, request
        self._address = network_of(request.remote or "")
        self._size = 0

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        if self._size:
            self._receiving.leave(self._address, self._size)

    async def body(self) -> bytes:
        """Receive the body, unpacked where it is packed.

        Raises `NotAdmitted` (too_large), `TooSlow`, `Full`, or `Refusal` when it breaks off.
        """
        body = await self._packed()
        if self._request.headers.get("Content-Encoding", "").lower() not in _PACKED:
            return body
        body = _unpacked(body, self._receiving.most_body)
        self._take(len(body))
        return body

    async def _packed(self) -> bytes:
        content, receiving = self._request.content, self._receiving
        if content.is_eof() and content.exception() is None:
            # Nearly always: it came with the head. This is half as much work as the way below.
            if content.total_bytes > receiving.most_body:
                raise NotAdmitted("too_large")
            body = await content.readany()
            self._take(len(body))
            return body
        try:
            return await asyncio.wait_for(self._read(content), receiving.within_s)
        except asyncio.TimeoutError:
            raise TooSlow from None

    def _take(self, size: int) -> None:
        self._receiving.take(self._address, size)
        self._size += size

    async def _read(self, content: StreamReader) -> bytes:
        chunks = []
        while chunk := await self._chunk(content):
            if self._size + len(chunk) > self._receiving.most_body:
                raise NotAdmitted("too_large")
            self._take(len(chunk))
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _chunk(self, content: StreamReader) -> bytes:
        try:
            return await content.read(_CHUNK_BYTES)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # aiohttp has many kinds: of a bad chunk, of an end
            raise Refusal("bad_length", type(error).__name__) from None


def _unpacked(body: bytes, most: int) -> bytes:
    """Unpack a whole body. (aiohttp would do it as it comes: a megabyte a kilobyte, uncounted.)

    Raises `NotAdmitted` (too_large), `Refusal` when it is not whole.
    """
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | _ANY_HEAD)
    try:
        found = unpacking.decompress(body, most + 1)
    except zlib.error as error:
        raise Refusal("bad_length", f"packed: {error}") from None
    if len(found) > most:
        raise NotAdmitted("too_large")
    if not unpacking.eof or unpacking.unused_data:
        raise Refusal("bad_length", "packed, and not one whole")
    return found
