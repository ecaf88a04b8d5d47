"""The table of people: supervisee_id -> frozen state, with its changelog topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import faust

__all__ = ["PeopleTable"]


class PeopleTable(faust.Table[bytes, bytes]):
    """A table whose writes name the partition themselves.

    A stock table sends a change to the partition of the *current event*. In a batch that is the
    last event taken, and in a timer there is none, so other people's states would go to the wrong
    changelog partition and be lost on recovery. Here each person's state goes where the person's
    events came from.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self.partition_of: dict[bytes, int] = {}
        self.on_recovered: Callable[[], None] = lambda: None

    def partition_for_key(self, key: bytes) -> int:
        """Give the partition that this person's events come from."""
        return self.partition_of[key]

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Take in a piece of changelog during recovery, and learn whose partition is whose."""
        events = list(batch)
        for event in events:
            self.partition_of[event.key] = event.message.partition
        super().apply_changelog_batch(events)

    async def on_recovery_completed(self, active_tps: set[Any], standby_tps: set[Any]) -> None:
        """Say that the states of the partitions now held are complete."""
        await super().on_recovery_completed(active_tps, standby_tps)
        self.on_recovered()

    def held(self, partitions: set[int]) -> list[bytes]:
        """Give the keys that belong to these partitions.

        The in-memory store keeps what other partitions left behind when they moved away; nobody
        here may judge those people.
        """
        return [key for key in self.data if self.partition_of.get(key) in partitions]
