"""The gateway's TLS, with a certificate that is renewed while it runs."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from geomon.errors import SettingsError
from geomon.gateway.feed import stop
from geomon.settings import Settings

__all__ = ["Tls"]

#: Certificates are renewed weeks before they end: there is no hurry.
_LOOK_S = 10.0
_log = logging.getLogger("geomon.gateway")


class Tls:
    """The TLS that the settings ask for. Raises `SettingsError` when its files cannot be used.

    The files are read again when they have changed, into the same context: connections from then on
    see the new certificate. Files that cannot be used change nothing.
    """

    def __init__(self, settings: Settings, *, look_s: float = _LOOK_S) -> None:
        self.context: ssl.SSLContext | None = None
        self._task: asyncio.Task[None] | None = None
        self._look_s = look_s
        self._cert, self._key = settings.gateway_tls_cert, settings.gateway_tls_key
        self._stamp = self._look()
        if self._cert:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._read_into(context)
            self.context = context
        elif self._key:
            raise SettingsError("gateway_tls_key needs gateway_tls_cert")

    async def start(self) -> None:
        """Follow the files."""
        if self.context is not None:
            self._task = asyncio.create_task(self._follow(self.context), name="tls")

    async def stop(self) -> None:
        """Follow them no more."""
        await stop(self._task)

    def _read_into(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._cert, self._key or None)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"gateway_tls_cert {self._cert}: {error.strerror or error}"
            ) from None

    async def _follow(self, context: ssl.SSLContext) -> None:
        told = ""
        while True:
            await asyncio.sleep(self._look_s)
            stamp = self._look()
            if stamp == self._stamp:
                continue
            try:
                # Apart from the one in use: a pair that does not fit would leave that with half.
                self._read_into(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
                self._read_into(context)
            except SettingsError as error:
                # Perhaps the key is still to be written: it is looked at again.
                if str(error) != told:
                    told = str(error)
                    _log.error("the certificate stays as it was: %s", told)
                continue
            self._stamp, told = stamp, ""
            _log.info("the certificate was read again")

    def _look(self) -> list[tuple[int, int, int]]:
        found = []
        for path in filter(None, (self._cert, self._key)):
            try:
                file = Path(path).stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((file.st_mtime_ns, file.st_size, file.st_ino))
        return found
