"""When states are written: by age, but not in a heap; what was told, at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from geomon.core.person import Person
from geomon.intake import Intake
from geomon.settings import Settings, rules_from
from geomon.stream.checkpoint import Checkpoint
from geomon.stream.desk import Desk
from geomon.zones.index import ZoneIndex

PEOPLE, AFTER_S = 60_000, 60.0


class Changelog:
    """Stands for outbox and table: it counts the states that are written, a round an entry."""

    changelog_name = "people"

    def __init__(self) -> None:
        self.rounds: list[int] = []

    async def write(self, _: str, __: int, records: list[Any]) -> list[tuple[int, int]]:
        self.rounds.append(len(records) - 1)  # the last one is the marker
        return [(0, len(records))]

    def wrote(self, *_: int) -> bool:
        return True


def test_states_that_get_old_together_are_written_over_half_of_the_time_that_they_may_wait(
    zones: ZoneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_000.0
    clock = SimpleNamespace(monotonic=lambda: now_s)
    monkeypatch.setattr("geomon.stream.checkpoint.time", clock)
    desk = Desk(Intake(zones), rules_from(Settings()))
    desk.hold({0})
    roll = desk.rolls[0]
    roll.is_admitted = True
    changelog: Any = Changelog()
    writing = Checkpoint(desk, changelog, changelog, asyncio.Lock(), AFTER_S)
    for offset in range(PEOPLE):
        roll.ledger.take(offset, 1_000)
        roll.keep(f"SZ-{offset:05}", Person(f"SZ-{offset:05}"), offset, urgent=False)
    # The first round notes how far the partition has come; nothing is old yet.
    asyncio.run(writing.write(everything=False))
    assert changelog.rounds == []
    now_s += AFTER_S
    for _ in range(32):
        now_s += 1.0
        asyncio.run(writing.write(everything=False))
    assert sum(changelog.rounds) == PEOPLE
    by_second = [count for count in changelog.rounds if count]
    assert len(by_second) > 14, "in many rounds, each of which is short"
    assert max(by_second) <= 4_000

    roll.keep("SZ-00007", Person("SZ-00007"), PEOPLE, urgent=True)
    roll.keep("SZ-00008", Person("SZ-00008"), PEOPLE, urgent=False)
    changelog.rounds.clear()
    asyncio.run(writing.write(everything=False))
    assert changelog.rounds == [1], "what was told, at once; nobody else"
    asyncio.run(writing.write(everything=True))
    assert changelog.rounds == [1, 1], "at an end, whatever has changed"
