"""The table of people: Faust's, as far as changelog and recovery go.

Faust gives a table its changelog topic, assigns the changelog's partitions together with those of
the events, and reads them back before a partition's events are given out. What it reads goes to the
desk; what is written goes by the outbox. A stock table does neither well: it sends a change to the
partition of the *current event*, which in a batch is the last one taken and in a timer none at all,
so other people's states would be lost on recovery; it sends them one by one; and after every
rebalance it reads everything again, also for partitions that never moved.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import faust

from geomon.errors import StateError

__all__ = ["PeopleTable"]

log = logging.getLogger(__name__)


class PeopleTable(faust.Table[bytes, bytes]):
    """The changelog of the people, on Faust's side."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self.failure: StateError | None = None
        self.on_record: Callable[[int, bytes, bytes | None], None] = lambda *_: None
        self.on_recovered: Callable[[], Awaitable[None]] = _nothing
        self._read: dict[int, int] = {}  # partition -> offset up to which all is known here
        self._end: dict[int, int] = {}  # partition -> newest offset that was seen

    def take_in(self, partition: int, records: Iterable[Any]) -> None:
        """Take in a piece of changelog (`key`, `value`, `offset`), in its order.

        A record that cannot be gone on with is not an exception here, where Faust would log and
        forget it: it is kept in `failure`, for whoever waits for the end of the recovery.
        """
        read = self._read.get(partition, -1)
        for record in records:
            if record.offset > read:
                read = record.offset
                try:
                    self.on_record(partition, record.key, record.value)
                except (StateError, UnicodeDecodeError) as error:
                    self.failure = self.failure or StateError(f"{self.changelog_name}: {error}")
        self._read[partition] = read
        self._end[partition] = max(read, self._end.get(partition, -1))

    @property
    def changelog_name(self) -> str:
        """The name of the changelog topic."""
        return str(self.changelog_topic.get_topic_name())

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Take in what Faust itself has read of the changelog."""
        for event in batch:
            self.take_in(event.message.partition, [event.message])

    def reads_on(self, partition: int) -> int:
        """Give the offset of the record that is not known yet."""
        return self._read.get(partition, -1) + 1

    def persisted_offset(self, tp: Any) -> int | None:
        """Tell Faust from where on it need not read again."""
        return self._read.get(tp.partition)

    def wrote(self, partition: int, offset: int, count: int) -> bool:
        """Note that `count` records of ours stand in the changelog from `offset` on.

        False = somebody else has written to the partition since we last did. Only what follows on
        what is known becomes known; what lies between has to be read.
        """
        followed = offset == self._end.get(partition, -1) + 1
        if offset == self._read.get(partition, -1) + 1:
            self._read[partition] = offset + count - 1
        self._end[partition] = offset + count - 1
        return followed

    def hold(self, partitions: Iterable[int]) -> None:
        """Forget what is known of partitions that moved away."""
        kept = set(partitions)
        self._read = {p: offset for p, offset in self._read.items() if p in kept}
        self._end = {p: offset for p, offset in self._end.items() if p in kept}

    async def on_recovery_completed(self, active_tps: set[Any], standby_tps: set[Any]) -> None:
        """Say that the states of the partitions now held are complete."""
        await super().on_recovery_completed(active_tps, standby_tps)
        await self.on_recovered()


async def _nothing() -> None:
    """Nobody waits for the end of a recovery."""
