"""A line to a server that can go dead or be cut: a TCP proxy of one's own."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from types import TracebackType
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

__all__ = ["Telephone"]

_BLOCK = 1 << 16
_TICK_S = 0.05


class _End(NamedTuple):
    """One side of a connection: what is read here is written there."""

    here: socket.socket
    there: socket.socket
    is_caller: bool  # whether a caller speaks here


class Telephone:
    """Connects callers of `address` with the server at a URL.

    Stalled, it hands on nothing in either direction, as a firewall that has forgotten a connection;
    mute, it hands on what callers say, and not the answers; cut, it hangs up, and on each new call
    at once, until it is mended.
    """

    def __init__(self, url: str) -> None:
        self._far_end = urlsplit(url)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._door.setblocking(False)
        self.address = "127.0.0.1:{1}".format(*self._door.getsockname())
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._door, selectors.EVENT_READ)
        self._ends: list[_End] = []
        self._stalled = self._mute = self._cut = self._closing = False
        self._thread = threading.Thread(target=self._serve, name="telephone")

    def __enter__(self) -> Telephone:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        self._thread.join()
        self._hang_up()
        self._selector.close()
        self._door.close()

    def stall(self) -> None:
        """Hand on nothing from now on; connections stay."""
        self._stalled = True

    def mute(self) -> None:
        """Swallow the answers from now on."""
        self._mute = True

    def cut(self) -> None:
        """End all connections, and each new one at once."""
        self._cut = True

    def mend(self) -> None:
        """Be a good line again; what a stalled one held back is handed on."""
        self._stalled = self._mute = self._cut = False

    def _serve(self) -> None:
        while not self._closing:
            if self._cut:
                self._hang_up()
            ready = self._selector.select(_TICK_S)
            if self._stalled:
                threading.Event().wait(_TICK_S)
                continue
            for key, _ in ready:
                if key.fileobj is self._door:
                    self._answer()
                else:
                    self._hand_on(key.data)

    def _answer(self) -> None:
        caller, _ = self._door.accept()
        if self._cut:
            caller.close()
            return
        try:
            server = self._call()
        except OSError:
            caller.close()
            return
        for end in (_End(caller, server, True), _End(server, caller, False)):
            end.here.setblocking(True)
            self._ends.append(end)
            self._selector.register(end.here, selectors.EVENT_READ, end)

    def _call(self) -> socket.socket:
        if self._far_end.scheme == "unix":
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(unquote(self._far_end.path))
            except OSError:
                server.close()
                raise
            return server
        return socket.create_connection((self._far_end.hostname, self._far_end.port or 6379))

    def _hand_on(self, end: _End) -> None:
        data = b""
        with contextlib.suppress(OSError):
            data = end.here.recv(_BLOCK)
            if end.is_caller or not self._mute:
                end.there.sendall(data)
        if not data:
            self._hang_up(end)

    def _hang_up(self, only: _End | None = None) -> None:
        kept = []
        for end in self._ends:
            if only is None or end.here in (only.here, only.there):
                self._selector.unregister(end.here)
                end.here.close()
            else:
                kept.append(end)
        self._ends = kept
