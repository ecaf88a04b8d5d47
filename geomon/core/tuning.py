"""How readily a belief turns: the thresholds, in nats. What they are for is told in `belief.py`."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

__all__ = ["CEILING", "CITY", "DOUBT", "SURE", "Tuning"]

CEILING = 3.5  # 97 %: more certainty would only delay the next turn
SURE = 3.0  # 95 %
DOUBT = 2.0  # 88 %: evidence of having left does not count; from twice as much, 98 %, in full
SECOND = 2.0

#: Who asks for less evidence than this would rather be told of much that is nothing: doubts shrink
#: along with what is asked for, by its root (at half a nat one satellite fix 11 m beyond the line
#: is enough that claims 10 m, or 18 m that claims 30), those of cells more slowly. Then a first
#: position by WiFi or cell decides when nothing has pointed inside for so long: it may be the only
#: one of a whole absence.
_DOUBTED_FROM_NATS = 3.0
_ALONE_S = 1_800.0
_NEVER_S = float("inf")


class Tuning(NamedTuple):
    """How readily a belief turns, nats; the city's is the standard."""

    ceiling: float = CEILING
    sure: float = SURE
    doubtful: bool = True  # weak evidence of having left is doubted
    doubt: float = DOUBT  # up to here it does not count, from twice as much on in full
    doubt_of_cells: float = DOUBT
    second: float = SECOND  # left to be said by another, after a first position by WiFi or cell
    alone_s: float = _NEVER_S  # but not when nothing has pointed inside for so long

    @classmethod
    def asking(cls, evidence_nats: float) -> Tuning:
        """Give one that asks for so much evidence before someone surely inside has left."""
        ceiling = evidence_nats * CEILING / (CEILING + SURE)
        part = min(evidence_nats / _DOUBTED_FROM_NATS, 1.0)
        doubted = sqrt(part)
        return cls(
            ceiling,
            evidence_nats - ceiling,
            doubt=DOUBT * doubted,
            doubt_of_cells=DOUBT * sqrt(doubted),
            second=SECOND * part,
            alone_s=_ALONE_S * part / (1 - part) if part < 1 else _NEVER_S,
        )


CITY = Tuning()
