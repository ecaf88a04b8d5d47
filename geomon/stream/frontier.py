"""How far the events have been read: in which partitions there is nothing left to judge.

Only there may deadlines fall due by the time of day. Where messages wait, the time that has come is
the time of the last one judged: a worker that was down for an hour must not call a leave overdue
while the message that the person is back waits to be read. Nor may one that was frozen for an hour,
so only what the broker has just said counts.
"""

from __future__ import annotations

from faust.types import TP

from geomon.stream.desk import Desk
from geomon.stream.inbox import Inbox
from geomon.stream.roll import Roll
from geomon.stream.transport import Consumer
from geomon.wallclock import now_s

__all__ = ["Frontier"]

#: Older than this, what the broker last said about a partition's end says nothing about now.
_STALE_S = 5.0


class Frontier:
    """Tells which of the partitions in hand have been judged to their end."""

    def __init__(self, desk: Desk, inbox: Inbox) -> None:
        self._desk = desk
        self._inbox = inbox
        self._quiet: dict[int, tuple[int, int]] = {}  # partition -> its end, and what was judged

    async def read_to_end(self, consumer: Consumer) -> set[int]:
        """Give the partitions of which every message there is has been judged.

        One that moves away meanwhile is not among them: nothing is known of its end any more.
        """
        ready = set()
        for tp in consumer.events():
            roll = self._desk.rolls.get(tp.partition)
            end, committed = consumer.highwater(tp), consumer.committed(tp)
            if roll is None or end is None or committed is None:
                continue
            if now_s() - consumer.fetched_s(tp) > _STALE_S:
                continue
            # Before the first message since the assignment, what had been committed counts.
            read = max(roll.ledger.done + 1, committed)
            if read >= end or await self._is_read_to(tp, end, roll, consumer):
                ready.add(tp.partition)
        return ready

    async def _is_read_to(self, tp: TP, end: int, roll: Roll, consumer: Consumer) -> bool:
        """Say whether what is left before the end is no messages.

        A sender's transactions leave marks that take offsets. But what was just fetched is on its
        way here for a moment, and may have been thrown away because partitions moved. So it is
        fetched once more, and if nothing comes of it there is nothing.
        """
        quiet = self._quiet.pop(tp.partition, None)
        if len(self._inbox) or (await consumer.position(tp) or 0) < end:
            return False
        found = (end, roll.ledger.done)
        self._quiet[tp.partition] = found
        if found != quiet:
            await consumer.look_again(tp)
        return found == quiet
