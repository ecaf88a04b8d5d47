"""Reading recordings for a command: one file after the other, with a bar on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from geomon.cli.output import reading_bar, talk
from geomon.intake import Raw
from geomon.replay import open_recording, read_recording

__all__ = ["lines_of"]

#: Lines between two looks at how far a file has been read.
_LOOK = 2_000


def lines_of(files: Sequence[str], stack: ExitStack) -> Iterator[Raw]:
    """Give the lines of recordings in their order; "-" is standard input.

    All are opened at once, so that a file that is missing is told before any work is done. Raises
    `TrackError` when one cannot be opened.
    """
    opened = [(name, stack.enter_context(open_recording(name))) for name in files]
    return _read(opened, stack)


def _read(opened: Sequence[tuple[str, IO[bytes]]], stack: ExitStack) -> Iterator[Raw]:
    progress = stack.enter_context(reading_bar(shown=talk.is_terminal))
    for name, stream in opened:
        size = Path(name).stat().st_size if name != "-" else None
        task = progress.add_task(Path(name).name, total=size)
        # What has been read of the file itself: of a packed one, its packed bytes.
        told: Callable[[], int] = (getattr(stream, "fileobj", None) or stream).tell
        for number, raw in enumerate(read_recording(stream, name)):
            if size and number % _LOOK == 0:
                progress.update(task, completed=told())
            yield raw
        progress.remove_task(task)
