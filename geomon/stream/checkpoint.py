"""States to the changelog, a round at a time.

A round takes, in one partition after the other, the states that are due, and a marker behind them
that counts the people there must be. It begins between two batches, so that nothing is written of
which the alerts are not told; while it is under way, judging goes on.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import time
from contextlib import suppress

from geomon.stream.desk import Desk
from geomon.stream.outbox import Outbox
from geomon.stream.people import PeopleTable
from geomon.stream.roll import Roll

__all__ = ["Checkpoint"]

log = logging.getLogger(__name__)

_ROUND_S = 1.0
#: States that are old enough, written in one round of a partition: to make bytes of more would hold
#: up judging.
_MOST = 4_000
#: So many a second at least are written of those that are old enough.
_LEAST = 500
_ALL = sys.maxsize


class Checkpoint:
    """Writes the states of the desk's people when they are due.

    `judging` is the lock that is held while something is judged and not told yet.
    """

    def __init__(
        self, desk: Desk, people: PeopleTable, outbox: Outbox, judging: asyncio.Lock, after_s: float
    ) -> None:
        self.written = 0
        """How many states have been written."""
        self._desk = desk
        self._people = people
        self._outbox = outbox
        self._judging = judging
        self._after_s = after_s
        self._last_s = time.monotonic()
        self._round = asyncio.Lock()
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Have a round soon: something has been told, and its state should be written at once."""
        self._asked.set()

    async def next_round(self) -> None:
        """Wait for the time of a round, and write what is due. Raises aiokafka's errors."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._asked.wait(), _ROUND_S)
        self._asked.clear()
        await self.write(everything=False)

    async def write(self, *, everything: bool) -> None:
        """Write the states that are due, or all that have changed. Raises aiokafka's errors."""
        async with self._round:
            now_s = time.monotonic()
            since_s, self._last_s = now_s - self._last_s, now_s
            for partition, roll in list(self._desk.rolls.items()):
                # One partition after the other: bytes of them all would hold up judging for long.
                async with self._judging:
                    if self._desk.rolls.get(partition) is not roll or not roll.is_admitted:
                        continue
                    most = _ALL if everything else self._share(len(roll.people), since_s)
                    begun = self._begin(roll, now_s, most)
                if begun is not None:
                    await self._write(partition, roll, begun)

    def _share(self, people: int, since_s: float) -> int:
        """Give how many states a round may write that are old enough.

        After a start, or a busy hour, everybody's state gets old enough at once. In a heap they
        would take all time there is from judging; so they are spread over half of the time that
        they may wait.
        """
        a_second = max(_LEAST, 2 * people / self._after_s) if self._after_s else _MOST
        return min(math.ceil(a_second * since_s), _MOST)

    def _begin(self, roll: Roll, now_s: float, most: int) -> _Begun | None:
        ledger = roll.ledger
        due = ledger.all_due() if most == _ALL else ledger.due(now_s, self._after_s, most)
        if not due and ledger.next_offset() <= ledger.safe:
            return None
        begun = ledger.begin(due)
        next_offset = ledger.next_offset()
        return begun, next_offset, roll.records(due, self._desk.rules)

    async def _write(self, partition: int, roll: Roll, begun: _Begun) -> None:
        people, next_offset, records = begun
        try:
            topic = self._people.changelog_name
            for offset, count in await self._outbox.write(topic, partition, records):
                if not self._people.wrote(partition, offset, count):
                    # A worker that does not know that it has been replaced, or a write of ours that
                    # was thought lost. Its states must not be the last ones, or cleaning the topic
                    # would leave them alone.
                    log.warning("%s/%d: all states are written again", topic, partition)
                    roll.repeat_all()
        except BaseException:
            roll.ledger.fail(people)
            raise
        # Only now may these messages be committed: a state that is not in the changelog is lost
        # with this process.
        roll.ledger.end(people, next_offset)
        roll.note_marker(next_offset)
        self.written += len(people)


#: What was due and since which message; where a successor would read on; the records.
_Begun = tuple[dict[str, int], int, list[tuple[bytes, bytes]]]
