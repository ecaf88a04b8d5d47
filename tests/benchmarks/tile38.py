"""A Tile38 server of one's own, built by Go in a temporary folder where it is not installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gauges import end

from geomon.errors import UnavailableError

_MODULE = "github.com/tidwall/tile38/cmd/tile38-server"
_BUILD_S, _START_S = 600, 20


def build(folder: Path) -> Path:
    """Give the program: the one on the path, or built anew. Raises `UnavailableError`."""
    if installed := shutil.which("tile38-server"):
        return Path(installed)
    go = shutil.which("go")
    if go is None:
        raise UnavailableError("no tile38-server, and no Go to build one")
    places = {"GOBIN": str(folder / "bin"), "GOPATH": str(folder / "go")}
    try:
        subprocess.run(
            [go, "install", f"{_MODULE}@latest"],
            env={**os.environ, **places, "GOFLAGS": "-modcacherw"},
            check=True,
            capture_output=True,
            text=True,
            timeout=_BUILD_S,
        )
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split()).rpartition(": ")[2]
        raise UnavailableError(f"tile38-server was not built: {said}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"tile38-server was not built: {error}") from None
    return folder / "bin" / "tile38-server"


@contextmanager
def running(program: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Run a server; give its address and its process id. Raises `UnavailableError`."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    address = f"127.0.0.1:{port}"
    with (folder / "tile38.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-h", "127.0.0.1", "-p", str(port), "-d", str(folder / "data")],
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + _START_S
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise UnavailableError("tile38-server did not start")
                time.sleep(0.05)
            yield address, process.pid
        finally:
            end(process)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as door:
            door.sendall(b"*1\r\n$4\r\nPING\r\n")
            return door.recv(16).startswith(b"+PONG")
    except OSError:
        return False
