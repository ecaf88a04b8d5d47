"""A command that serves until it is told to stop: its log, its health, its end."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from geomon.errors import UserError
from geomon.settings import strange_variables

if TYPE_CHECKING:
    from geomon.operations.health import Condition

__all__ = ["Service"]


class Service:
    """The process of one service; `name` is its log's."""

    def __init__(self, name: str) -> None:
        self.log = logging.getLogger(name)
        self._as_json = False

    def log_as(self, form: str) -> None:
        """Write a log from here on; `form` is the setting `log_format`. Strange settings first."""
        from geomon.operations import logs  # noqa: PLC0415

        self._as_json = logs.configure(form)
        for said in strange_variables():
            self.log.warning("%s", said)

    def told_to_stop(self) -> asyncio.Event:
        """Give an event that SIGTERM and Ctrl-C set from here on, in place of ending all at once.

        To be called inside of `run`.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        return stop

    def run(self, serve: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `serve` to its end.

        A `UserError` ends it: as the log's last line, when that is JSON, and exit 1; else raised.
        """
        import uvloop  # noqa: PLC0415

        # A crash in native code leaves no traceback; this leaves where each thread was.
        faulthandler.enable()
        uvloop.install()
        try:
            asyncio.run(serve())
        except UserError as error:
            if not self._as_json:
                raise
            # Whoever reads lines of JSON is to find the last one among them.
            self.log.critical("%s", str(error))
            raise SystemExit(1) from None

    async def tell_health(self, stack: AsyncExitStack, address: str, of: Condition) -> None:
        """Serve the health of something until `stack` ends; nowhere when `address` is empty."""
        from geomon.operations.health import HealthServer  # noqa: PLC0415

        if address:
            server = HealthServer(address, of)
            await server.start()
            stack.push_async_callback(server.stop)
            self.log.info("serving %s/healthz, /readyz and /metrics", server.url)
