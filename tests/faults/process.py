"""A worker that is a process: `geomon worker`, as a duty room runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["WorkerProcess"]

RUNNING = "the worker is running"
#: A worker reads zones and settings in two seconds or three; machines for tests are busy.
START_S = 90.0

#: Starts the command; it ends with us, and the clock of its machine is wrong by so many seconds.
LAUNCH = """\
import sys, time
if sys.platform == "linux":
    import ctypes, signal
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
shift_s = float(sys.argv.pop(1))
if shift_s:
    right = time.time
    time.time = lambda: right() + shift_s
from geomon.cli import main
main()
"""


class WorkerProcess:
    """One `geomon worker` with settings from the environment, its output in a file.

    `clock_wrong_s`: how far the clock of its machine is ahead (or behind, below 0).
    """

    #: What is typed after `geomon`, and what it says when it runs.
    words: tuple[str, ...] = ("worker",)
    says = RUNNING

    def __init__(
        self, name: str, folder: Path, settings: Mapping[str, object], *, clock_wrong_s: float = 0.0
    ) -> None:
        self.name = name
        self.home = folder / name
        self.home.mkdir(parents=True, exist_ok=True)
        self._may_end = False
        self._output = self.home / "output"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GEOMON_")}
        environment |= {f"GEOMON_{k.upper()}": str(v) for k, v in settings.items()}
        environment["GEOMON_DATA_DIR"] = str(self.home)
        environment["PYTHONUNBUFFERED"] = "1"
        command = [sys.executable, "-c", LAUNCH, str(clock_wrong_s), *self.words]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                # Away from a settings file that may lie about, and from our terminal's Ctrl-C.
                cwd=self.home,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def gave_up(self) -> bool:
        """Whether it has ended though nobody asked it to."""
        return not (self._may_end or self.alive)

    @property
    def output(self) -> str:
        """All that it has written."""
        return self._output.read_text("utf-8", "replace")

    def until_running(self) -> WorkerProcess:
        """Wait until it says that it runs; raises `AssertionError` when it ends instead."""
        end = time.monotonic() + START_S
        while self.says not in self.output:
            assert self.alive, f"{self.name} ended before it ran:\n{self.output}"
            assert time.monotonic() < end, f"{self.name} does not come up:\n{self.output}"
            time.sleep(0.02)
        return self

    def until_ended(self, patience_s: float = 60.0) -> int:
        """Wait until it has ended; give its exit code."""
        self._may_end = True
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end:\n{self.output}") from None

    def kill(self) -> None:
        """Kill it with -9, and wait until it is gone."""
        self._may_end = True
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Stop it in the middle of whatever it does (SIGSTOP)."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it was (SIGCONT)."""
        self._process.send_signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._may_end = True
        self._process.terminate()

    def stop(self) -> None:
        """Ask it to stop, unless that was done, and wait until it has, with exit code 0."""
        if not self._may_end:
            self.ask_to_stop()
        code = self.until_ended()
        assert code == 0, f"{self.name} ended with {code}:\n{self.output}"
