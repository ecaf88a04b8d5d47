"""What batches of messages consist of, counted as they are taken in.

Counts are kept until somebody takes them, so that what was judged and had to be thrown away again
(partitions moved meanwhile) need not be told. A fix costs a part of an array operation here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geomon import events
from geomon.core.evidence import SOURCES
from geomon.fixes import Clues, Columns

__all__ = ["ACCEPTED", "UNREAD", "Counted", "Tally"]

#: The outcome of a fix that was let in.
ACCEPTED = "accepted"
#: The type of a message, or the source of a fix, that could not be read.
UNREAD = "unread"

_NAMES = [source.name for source in SOURCES]


class Counted(NamedTuple):
    """What was counted: messages by type, fixes by source and outcome, and how late each was."""

    events: Counter[str]
    fixes: Counter[tuple[str, str]]
    lateness_s: list[NDArray[np.int64]]


class Tally:
    """Counts what one `Intake` takes in."""

    def __init__(self) -> None:
        self._counted = Counted(Counter(), Counter(), [])

    def take(self) -> Counted:
        """Give what was counted since the last call, and begin anew."""
        counted, self._counted = self._counted, Counted(Counter(), Counter(), [])
        return counted

    def count_events(self, decoded: Sequence[events.Event], unread: int) -> None:
        """Count messages by type, and those that could not be decoded."""
        by_type = Counter(map(type, decoded))
        for name, kind in events.TYPES.items():
            if kind in by_type:
                self._counted.events[name] += by_type[kind]
        if unread:
            self._counted.events[UNREAD] += unread

    def count_refused(self, refused: Iterable[tuple[str, str]]) -> None:
        """Count fixes that were refused: (source, or "" where it was not read; reason)."""
        for source, reason in refused:
            self._counted.fixes[source or UNREAD, reason] += 1

    def count_fixes(self, columns: Columns, arrived_s: NDArray[np.int64]) -> None:
        """Count fixes let in; `arrived_s` of each, 0 where it is not known."""
        for name, count in zip(
            _NAMES, np.bincount(columns.source, minlength=len(_NAMES)).tolist(), strict=True
        ):
            if count:
                self._counted.fixes[name, ACCEPTED] += count
        known = arrived_s > 0
        late_s = arrived_s - columns.time_s
        self._counted.lateness_s.append(late_s if known.all() else late_s[known])

    def count_too_late(self, clues: Clues, number: int) -> None:
        """Count as too late the oldest fixes of an upload that were counted as let in."""
        columns = clues.batch.columns
        part = slice(clues.begin, clues.end)
        oldest = np.argsort(columns.time_s[part], kind="stable")[:number]
        for source in columns.source[part][oldest].tolist():
            self._counted.fixes[_NAMES[source], ACCEPTED] -= 1
            self._counted.fixes[_NAMES[source], "too_late"] += 1
