"""The command line: `geomon COMMAND`.

A command group is a module of this folder. Modules are imported when their command is called, so
that `geomon zones where` does not pay for Faust and `geomon watch` does not pay for Shapely.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import logging
import os
import sys
from typing import IO, cast

import click

from geomon import __version__
from geomon.errors import UserError

__all__ = ["cli", "main"]

# command -> (module, attribute)
COMMANDS = {
    "bench": ("geomon.cli.bench", "bench"),
    "config": ("geomon.cli.config", "config"),
    "convert": ("geomon.cli.convert", "convert"),
    "demo": ("geomon.cli.demo", "demo"),
    "dev": ("geomon.cli.dev", "dev"),
    "doctor": ("geomon.cli.doctor", "doctor"),
    "dossier": ("geomon.cli.dossier", "dossier"),
    "explain": ("geomon.cli.explain", "explain"),
    "gateway": ("geomon.cli.gateway", "gateway"),
    "replay": ("geomon.cli.replay", "replay"),
    "report": ("geomon.cli.report", "report"),
    "restore": ("geomon.cli.restore", "restore"),
    "topics": ("geomon.cli.topics", "topics"),
    "watch": ("geomon.cli.watch", "watch"),
    "worker": ("geomon.cli.worker", "worker"),
    "zones": ("geomon.cli.zones", "zones"),
}

#: What becomes of output without a name: a disk that is full, a quota, a terminal that hung up, a
#: stream that was closed.
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="geomon")
def cli() -> None:
    """Watch positions of supervised people against a city's boundary (社区矫正电子定位)."""


def main() -> None:
    """Run the command line; a mistake of its user is one line and exit 1 (2 for wrong usage)."""
    # A library's complaint beside our own line would be one line too many; `geomon worker`, which
    # runs long enough to have a log, sets one up.
    logging.getLogger().addHandler(logging.NullHandler())
    _stand_in_for_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without 中文 shows a name in escapes; it is no reason to show nothing.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output (head, less) went away: the usual end of a pipe, not a failure.
        code = 0
        _drop_output()
    except OSError as error:
        code = 1
        said = _of_file(error)
        if not said:
            raise
        _complain(said)
        _drop_output()
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Run a command, tell in a line what ended it, and give the exit code."""
    try:
        # Not `cli.main()`: that one turns a broken pipe into exit 1 before we see it.
        with cli.make_context("geomon", arguments) as context:
            cli.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show()
        return error.exit_code
    except UserError as error:
        _complain(str(error))
        return 1
    return 0


def _complain(text: str) -> None:
    # Where nobody reads complaints the exit code still says it.
    with contextlib.suppress(OSError):
        click.echo(f"geomon: {text}", err=True)


def _of_file(error: OSError) -> str:
    """Say what is wrong with a file somebody named, or with our output; empty = neither."""
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return f"cannot write: {error.strerror}" if error.errno in CANNOT_WRITE else ""


def _stand_in_for_closed() -> None:
    """Open what we were started without (`>&-`); Python has None there.

    On the null device, the wrong way round: input that is asked for and output that would be lost
    fail as a full disk does, and who needs neither runs. And no file opened later takes the number
    of a standard stream, so that a child's talk cannot end up in it.
    """
    if cast(IO[str] | None, sys.stdin) is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_WRONLY), "r")
    if cast(IO[str] | None, sys.stdout) is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if cast(IO[str] | None, sys.stderr) is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _drop_output() -> None:
    # What is still in the buffer goes nowhere, or the interpreter complains as it exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
