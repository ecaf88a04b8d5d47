"""What batches consist of, as it is counted while they are taken in."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
import numpy as np
from everykind import everything

from geomon.core.person import Person
from geomon.core.step import TooLate, step
from geomon.intake import Intake, Raw
from geomon.replay import Replay
from geomon.settings import Settings, rules_from
from geomon.stream.census import count_open, open_kinds
from geomon.stream.record import Stamp, seal
from geomon.stream.roll import Roll
from geomon.tally import Tally
from geomon.zones.index import ZoneIndex

NOON_S = 1_707_796_800  # 2024-02-13T12:00:00+08:00


def fix(time: str, source: str | None = "gnss", **more: Any) -> dict[str, Any]:
    of_source = {"source": source} if source else {}
    return {"time": f"2024-02-13T{time}+08:00", "lon": 113.93, "lat": 22.75, **of_source, **more}


def upload(*fixes: dict[str, Any], **more: Any) -> bytes:
    return msgspec.json.encode(
        {
            **{"type": "upload", "supervisee_id": "SZ-1", "device_id": "d", "device": "phone"},
            **{"datum": "wgs84", "received": "2024-02-13T12:00:00+08:00", "fixes": fixes},
            **more,
        }
    )


def taken(zones: ZoneIndex, *lines: bytes) -> Any:
    tally = Tally()
    Intake(zones, tally).take([Raw(line, f"test:{n}") for n, line in enumerate(lines)])
    return tally.take()


def test_messages_are_counted_by_type_and_those_unread_apart(zones: ZoneIndex) -> None:
    clock = {"type": "clock", "supervisee_id": "SZ-1", "received": "2024-02-13T12:00:00Z"}
    counted = taken(zones, upload(), upload(fix("11:59:00")), msgspec.json.encode(clock), b"{")
    assert counted.events == {"upload": 2, "clock": 1, "unread": 1}


def test_fixes_are_counted_by_source_and_outcome(zones: ZoneIndex) -> None:
    counted = taken(
        zones,
        upload(fix("11:59:00"), fix("11:58:00", "wifi"), fix("11:57:00", None)),
        upload(fix("11:59:00", "cell", mock=True), fix("13:00:00", "cell"), {"lon": 1}),
        upload(fix("11:59:00", "wifi"), datum="mars"),
        upload(fix("11:59:00", "wifi"), datum=None),
    )
    assert counted.fixes == {
        ("gnss", "accepted"): 1,
        ("wifi", "accepted"): 1,
        ("unknown", "accepted"): 1,
        ("cell", "faked_position"): 1,
        ("cell", "fix_in_future"): 1,
        ("unread", "missing_field"): 1,
        ("wifi", "datum_unknown"): 1,
        ("wifi", "datum_undeclared"): 1,
    }


def test_lateness_is_arrival_less_the_time_of_the_fix(zones: ZoneIndex) -> None:
    counted = taken(
        zones,
        upload(fix("11:59:00"), fix("06:00:00")),
        upload(fix("11:59:30"), received=None),  # when this one arrived nobody knows
    )
    assert np.concatenate(counted.lateness_s).tolist() == [60, 6 * 3600]


def test_the_broker_s_time_is_the_arrival_where_the_upload_names_none(zones: ZoneIndex) -> None:
    tally = Tally()
    line = upload(fix("11:59:30"), received=None)
    Intake(zones, tally).take([Raw(line, "events/0/1", b"SZ-1", NOON_S)])
    assert np.concatenate(tally.take().lateness_s).tolist() == [30]


def test_what_the_core_finds_too_late_is_not_accepted_after_all(zones: ZoneIndex) -> None:
    tally, rules = Tally(), rules_from(Settings())
    intake = Intake(zones, tally)
    old = [fix("09:00:00", "wifi"), fix("11:59:00"), fix("09:10:00", "cell")]
    for each in (old[0], old[2]):
        each["time"] = each["time"].replace("02-13", "02-10")
    (arrival,), _ = intake.take([Raw(upload(*old), "test:1")])
    _, outcomes = step(Person("SZ-1"), arrival.event, rules)
    (late,) = [outcome for outcome in outcomes if isinstance(outcome, TooLate)]
    assert late[0] == 2
    intake.count(late, arrival.event)
    assert +tally.take().fixes == {
        ("gnss", "accepted"): 1,
        ("wifi", "too_late"): 1,
        ("cell", "too_late"): 1,
    }


def test_what_was_taken_is_counted_once(zones: ZoneIndex) -> None:
    tally = Tally()
    Intake(zones, tally).take([Raw(upload(fix("11:59:00")), "test:1")])
    assert tally.take().events == {"upload": 1}
    nothing = tally.take()
    assert (nothing.events, nothing.fixes, nothing.lateness_s) == ({}, {}, [])


def test_without_a_tally_the_same_comes_out(zones: ZoneIndex) -> None:
    batch = [*everything(), Raw(upload(fix("11:59:00"), {"lon": 1}), "test:1")]
    with_it, without = Intake(zones, Tally()).take(batch), Intake(zones).take(batch)
    assert [a.supervisee_id for a in with_it[0]] == [a.supervisee_id for a in without[0]]
    assert with_it[1] == without[1]


# -- open episodes --------------------------------------------------------------------------------


def test_open_episodes_are_counted_among_states_and_records_alike(zones: ZoneIndex) -> None:
    """A state lies there as its record until its person is met."""
    replay = Replay(Intake(zones), rules_from(Settings()))
    opened: Counter[str] = Counter()
    for alert in replay.feed(everything()):
        opened[alert["data"]["kind"]] += {"opened": 1, "closed": -1}.get(alert["data"]["phase"], 0)
    assert len(+opened) > 3
    rolls = {0: Roll(), 5: Roll()}
    for number, (whose, person) in enumerate(sorted(replay.people.items())):
        record = seal(person, Stamp(1, 1), 0)
        assert open_kinds(record) == open_kinds(person)
        rolls[number % 2 * 5].people[whose] = record if number % 3 else person
    counted, spent_s = asyncio.run(count_open(rolls))
    assert counted == +opened
    assert spent_s > 0
