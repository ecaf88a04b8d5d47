"""A child process that cannot outlive this one.

The server is the child of a small shell script, the guard, and the guard holds the reading end of
a pipe from this process. However this process ends (a return, an exception, SIGTERM, kill -9), the
kernel closes the writing end, the guard sees the end of file, kills the server and removes the
scratch folder. Linux's "signal me when my parent dies" would have to be set between fork and exec,
which is unsafe beside other threads, follows the thread rather than the process, and could not
remove files.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["Guard"]

_TICK_S = 0.005  # between two looks whether it stands still

# $1 the server's output (appended to), $2 a folder to remove at the end ("" = none), $3 a folder
# to remove when it is empty then, then the command. Standard output carries the server's pid, then
# its end of file says that it is gone. A line on standard input keeps the folders.
SCRIPT = """
log=$1 scratch=$2 above=$3; shift 3
exec 3<&0 </dev/null
"$@" >>"$log" 2>&1 3<&- &
pid=$!
trap 'kill -TERM $pid 2>/dev/null' TERM
echo $pid
{ read -r _ <&3; kill -KILL $pid; } >/dev/null 2>&1 &
watcher=$!
wait $pid; wait $pid
trap '' TERM
kill -KILL $watcher; wait $watcher
exec >/dev/null
read -r _ <&3 && exit
[ -z "$scratch" ] || rm -rf -- "$scratch"
[ -z "$above" ] || rmdir -- "$above"
"""


class Guard:
    """A command that is run at once, its output appended to `log`.

    `scratch`, when given, is removed when the guard is let go of or this process ends; so is
    `above`, which several may share, when nothing else is in it any more.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        scratch: Path | None = None,
        above: Path | None = None,
    ) -> None:
        folders = [str(scratch or ""), str(above or "")]
        self._shell = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", SCRIPT, "geomon-guard", str(log), *folders, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # A Ctrl-C in the terminal goes to its whole process group: in a session of its own the
            # server outlives it until the clients had their chance to finish.
            start_new_session=True,
        )
        assert self._shell.stdout is not None  # noqa: S101
        self.pid = int(self._shell.stdout.readline() or b"0")
        """Process id of the command."""

    def ended(self, timeout_s: float = 0.0) -> bool:
        """Whether the command is gone, waiting for it at most so long."""
        if self._shell.stdin is None or self._shell.stdin.closed:
            return True
        assert self._shell.stdout is not None  # noqa: S101
        poll = select.poll()  # select() fails on descriptors from 1024 on
        poll.register(self._shell.stdout, select.POLLIN | select.POLLHUP)
        return bool(poll.poll(timeout_s * 1000))

    def signal(self, number: signal.Signals) -> None:
        """Send the command a signal; nothing happens when it is gone."""
        if self.pid and not self.ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def freeze(self, timeout_s: float) -> None:
        """Let the command stand still (SIGSTOP); return when it does, or after so long."""
        self.signal(signal.SIGSTOP)
        # The kernel wakes one thread to stop the others: on a busy machine they go on till then.
        deadline = time.monotonic() + timeout_s
        while not _stands_still(self.pid) and time.monotonic() < deadline:
            time.sleep(_TICK_S)

    def let_go(self, *, keep: bool = False) -> None:
        """Kill what still runs; remove the scratch folder unless `keep`; wait until that is done.

        With `keep` the command must have ended.
        """
        shell = self._shell
        assert shell.stdin is not None  # noqa: S101
        assert shell.stdout is not None  # noqa: S101
        if shell.stdin.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            if keep:
                shell.stdin.write(b"keep\n")
            shell.stdin.close()
        shell.wait()
        shell.stdout.close()


def _stands_still(pid: int) -> bool:
    """Say whether every thread of a process is stopped; where that cannot be seen, it is."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            if stat.read_text().rpartition(")")[2].split()[0] != "T":
                return False
    return True
