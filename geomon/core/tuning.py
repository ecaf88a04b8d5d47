"""How readily a belief turns: the thresholds, in nats. What they are for is told in `belief.py`."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CEILING", "CITY", "SURE", "Tuning"]

CEILING = 3.5  # 97 %: more certainty would only delay the next turn
SURE = 3.0  # 95 %


class Tuning(NamedTuple):
    """How readily a belief turns, nats; the city's is the standard."""

    ceiling: float = CEILING
    sure: float = SURE
    doubtful: bool = True  # weak evidence of having left is doubted
    second: float = 2.0  # left to be said by another, after a first position by WiFi or cell

    @classmethod
    def asking(cls, evidence_nats: float) -> Tuning:
        """Give one that asks for so much evidence before someone surely inside has left."""
        ceiling = evidence_nats * CEILING / (CEILING + SURE)
        return cls(ceiling, evidence_nats - ceiling)


CITY = Tuning()
