"""Replaying at the pace of a recording, or a multiple of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from geomon.events import AwareTime
from geomon.intake import Raw

__all__ = ["paced"]


class _Arrival(msgspec.Struct):
    """Only the field that says when a line arrived."""

    received: AwareTime | None = None


_decoder = msgspec.json.Decoder(_Arrival)


def paced(
    lines: Iterable[Raw],
    speed: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Raw]:
    """Give lines no earlier than their `received` times ask for, `speed` times as fast.

    A line without `received`, or one that arrived before the last, is given at once.
    """
    first_s = begun_s = None
    for line in lines:
        try:
            received = _decoder.decode(line.data).received
        except msgspec.DecodeError:
            received = None
        if received is not None:
            if first_s is None or begun_s is None:
                first_s, begun_s = received.timestamp(), clock()
            ahead_s = (received.timestamp() - first_s) / speed - (clock() - begun_s)
            if ahead_s > 0:
                sleep(ahead_s)
        yield line
