"""A real Mosquitto for a test, and its clients; skipped where they are missing, but not in CI."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from geomon.embedded.guard import Guard

__all__ = ["Mosquitto", "mosquitto"]

PATIENCE_S = 30.0
#: Debian puts the server where a user's PATH may not look.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def _found(program: str) -> str:
    path = shutil.which(program, path=_PATH)
    if path is None:
        why = f"{program} is missing (Debian: apt-get install mosquitto mosquitto-clients)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"in CI these tests run: {why}")
        pytest.skip(why)
    return path


class Mosquitto:
    """A broker on a free port that writes down all that it does.

    `settings` are lines of mosquitto.conf. Sessions and what waits in them outlive a restart.
    """

    def __init__(self, folder: Path, settings: Sequence[str] = ("allow_anonymous true",)) -> None:
        self._server, self._client = _found("mosquitto"), _found("mosquitto_pub")
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._log, self._conf = folder / "log", folder / "mosquitto.conf"
        lines = [
            "user root",  # as whom it would be started by root, else it may not read its files
            f"listener {self.port} 127.0.0.1",
            "log_dest stderr",
            "log_type all",
            "log_timestamp false",
            "persistence true",
            f"persistence_location {folder}/",
            *settings,
        ]
        self._conf.write_text("\n".join(lines) + "\n", "utf-8")
        self._guard: Guard | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        begun = self.log.count("running")
        self._guard = Guard([self._server, "-c", str(self._conf)], self._log)
        self.until(lambda: self.log.count("running") > begun)

    def stop(self) -> None:
        """Stop it as an administrator does: it writes down its sessions."""
        if self._guard is not None:
            self._guard.signal(signal.SIGTERM)
            assert self._guard.ended(PATIENCE_S), self.log
            self._guard.let_go()
            self._guard = None

    def publish(self, topic: str, *payloads: str, options: Sequence[str] = ("-q", "1")) -> None:
        """Send with Mosquitto's own client; back when the broker has them (with QoS 1)."""
        done = subprocess.run(
            [self._client, "-h", "127.0.0.1", "-p", str(self.port), "-t", topic, "-l", *options],
            input="".join(f"{payload}\n" for payload in payloads),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def sent_to(self, client: str) -> list[int]:
        """Numbers of the messages that it has sent to a client, in order."""
        return self._numbers(f"Sending PUBLISH to {client} (", "m")

    def acknowledged_by(self, client: str) -> list[int]:
        """Numbers of the messages that a client has acknowledged, in order."""
        return self._numbers(f"Received PUBACK from {client} (", "Mid: ")

    def until(self, wanted: object) -> None:
        assert callable(wanted)
        end = time.monotonic() + PATIENCE_S
        while not wanted():
            assert time.monotonic() < end, self.log
            assert self._guard is not None
            assert not self._guard.ended(), self.log
            time.sleep(0.01)

    def _numbers(self, begin: str, mark: str) -> list[int]:
        # "Sending PUBLISH to geomon-a (d0, q1, r0, m7, 'owntracks/jane/phone', ... (80 bytes))"
        # "Received PUBACK from geomon-a (Mid: 7, RC:0)"
        found = []
        for line in self.log.splitlines():
            if line.startswith(begin):
                said = [part.strip() for part in line[len(begin) :].split(",")]
                found += [int(part[len(mark) :]) for part in said if part.startswith(mark)][:1]
        return found


@contextmanager
def mosquitto(
    folder: Path, settings: Sequence[str] = ("allow_anonymous true",)
) -> Iterator[Mosquitto]:
    """Run a broker of the test's own."""
    broker = Mosquitto(folder / "mosquitto", settings)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
