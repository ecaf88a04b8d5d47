"""Fixes sorted by time, however many there are."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from operator import attrgetter
from typing import IO

import msgspec

from geomon.tracks.trackfix import TrackFix

__all__ = ["in_time_order"]

#: Fixes held in memory at once: about 150 MB.
RUN_LENGTH = 250_000
_BLOCK_LENGTH = 1_000

_time = attrgetter("time")
_decoder = msgspec.msgpack.Decoder(list[TrackFix])


def in_time_order(fixes: Iterable[TrackFix], *, run_length: int = RUN_LENGTH) -> Iterator[TrackFix]:
    """`fixes` by ascending time; those of the same time keep the order they came in.

    More than `run_length` of them are sorted in runs on disk and merged. The runs lie in unnamed
    files that vanish with the process: tracks of people must not be left behind in /tmp.
    """
    arriving = iter(fixes)
    with ExitStack() as stack:
        runs: list[IO[bytes]] = []
        while run := list(islice(arriving, run_length)):
            run.sort(key=_time)
            if not runs and len(run) < run_length:
                yield from run
                return
            runs.append(stack.enter_context(tempfile.TemporaryFile(prefix="geomon-")))
            _write(run, runs[-1])
        # heapq.merge is stable: of equal times the earlier run, that is the earlier arrival, wins.
        yield from heapq.merge(*(_read(run_file) for run_file in runs), key=_time)


def _write(run: list[TrackFix], run_file: IO[bytes]) -> None:
    for first in range(0, len(run), _BLOCK_LENGTH):
        block = msgspec.msgpack.encode(run[first : first + _BLOCK_LENGTH])
        run_file.write(len(block).to_bytes(4, "big"))
        run_file.write(block)
    run_file.seek(0)


def _read(run_file: IO[bytes]) -> Iterator[TrackFix]:
    while size := run_file.read(4):
        yield from _decoder.decode(run_file.read(int.from_bytes(size, "big")))
