"""The command line: `geomon COMMAND`.

A command group is a module of this folder. Modules are imported when their command is called, so
that `geomon zones where` does not pay for Faust and `geomon watch` does not pay for Shapely.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys

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
    try:
        # Not `cli.main()`: that one turns a broken pipe into exit 1 before we see it.
        with cli.make_context("geomon", sys.argv[1:]) as context:
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except UserError as error:
        click.echo(f"geomon: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output (head, less) went away: the usual end of a pipe, not a failure.
        # What is still in the buffer goes nowhere, or the interpreter complains as it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
