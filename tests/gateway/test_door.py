"""The door that everything goes through: what it makes of reports, and of too many of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from harbour import Pier, band
from hypothesis import given, settings
from hypothesis import strategies as st
from reception import run

from geomon.gateway import native, owntracks, traccar
from geomon.gateway.door import Door
from geomon.gateway.limits import Limits
from geomon.gateway.metrics import Metrics
from geomon.gateway.publisher import Busy
from geomon.gateway.registry import Device, Registry
from geomon.gateway.reports import (
    AccessPoint,
    CheckedIn,
    Position,
    RefusedPart,
    Report,
    Tower,
    few_of,
)

NOON = datetime(2024, 2, 13, 12, tzinfo=timezone.utc)
PHONE = Device(device_id="phone-3", supervisee_id="SZ-0001", device="phone", datum="wgs84")


def hours(number: float) -> datetime:
    """A time so many hours after noon."""
    return NOON + timedelta(hours=number)


def place(time: datetime = NOON) -> Position:
    return Position(time, 114.0579, 22.5431, "gnss")


class Town:
    """Knows one tower in Shenzhen and one in Dongguan."""

    def locate(
        self, towers: Sequence[Tower], access_points: Sequence[AccessPoint], time: datetime
    ) -> Position | None:
        del access_points
        for tower in towers:
            if tower.cell in (755, 769):
                return Position(time, 114.0, 22.5 if tower.cell == 755 else 23.0, "cell", 500.0)
        return None


class Porch:
    """A door, and what landed behind it."""

    def __init__(self, **more: Any) -> None:
        self.pier, self.metrics = Pier(), Metrics()
        limits = Limits(device_rate=0, device_burst=1, address_rate=0, address_burst=1)
        self.door = Door(
            Registry(),
            self.pier,  # type: ignore[arg-type]
            limits,
            self.metrics,
            now=hours(1).timestamp,
            **more,
        )

    async def admit(self, *reports: Report, device: Device = PHONE) -> None:
        await self.door.admit(device, reports, protocol="native", raw=b"as it was sent")

    @property
    def events(self) -> list[dict[str, Any]]:
        return [landed for landed in self.pier.landed if "type" in landed]

    @property
    def kept(self) -> list[dict[str, Any]]:
        return [landed for landed in self.pier.landed if "reason" in landed]


# -- many ------------------------------------------------------------------------------------------


def test_a_long_list_goes_some_at_a_time_and_in_order() -> None:
    async def main() -> None:
        porch = Porch()
        porch.pier.holds = True
        sent = asyncio.create_task(
            porch.admit(*(Report(positions=[place()], seq=n) for n in range(1_000)))
        )
        most = 0
        while not sent.done():
            most = max(most, len(porch.pier.waiting))
            if porch.pier.waiting:
                porch.pier.let(0)
            await asyncio.sleep(0)
        await sent
        assert [event["seq"] for event in porch.events] == list(range(1_000))
        assert most <= 200

    run(main)


def test_a_list_that_kafka_has_in_part_is_to_come_again() -> None:
    class Narrow(Pier):
        async def put(self, key: str, value: bytes, *, topic: str = "geomon.events") -> None:
            if len(self.landed) >= 300:
                raise Busy("full")
            await super().put(key, value, topic=topic)

    async def main() -> None:
        porch = Porch()
        porch.door.publisher = porch.pier = Narrow()  # type: ignore[assignment]
        with pytest.raises(Busy):
            await porch.admit(*(Report(positions=[place()], seq=n) for n in range(1_000)))
        assert porch.metrics.value("geomon_gateway_uploads_total", "native", "accepted") in (
            None,
            0,
        )

    run(main)


def test_of_a_list_of_nonsense_some_is_kept_all_is_counted_and_one_sign_of_life_is_told() -> None:
    async def main() -> None:
        porch = Porch()
        bad = [Report(refused=[RefusedPart("wrong_type", "location", n)]) for n in range(5_000)]
        await porch.admit(*bad)
        assert [event["fixes"] for event in porch.events] == [[]]
        assert len(porch.kept) == 20
        assert porch.kept[-1]["detail"] == "location (and 4,980 parts after it)"
        assert porch.metrics.value("geomon_gateway_rejections_total", "wrong_type") == 5_000
        await porch.admit(*bad, Report(positions=[place()]))
        assert [len(event["fixes"]) for event in porch.events] == [0, 1]

    run(main)


def test_few_that_are_refused_are_kept_as_they_are() -> None:
    parts = [RefusedPart("bad_time", "", n) for n in range(20)]
    assert few_of(parts) == parts
    assert [part.fix for part in few_of([*parts, *parts])] == list(range(20))


@pytest.mark.parametrize(
    "read",
    [
        native.read,
        lambda raw: native.read(raw.replace(b"1", b'{"fixes":[]}')),
        lambda raw: native.read(raw[1:-1].replace(b",", b"\n")),
        owntracks.reports_of,
        lambda raw: traccar.reports_of(traccar.read(b'{"location":' + raw + b"}")),
    ],
)
def test_more_than_any_device_sends_at_a_time_is_refused_as_a_whole(read: Any) -> None:
    many = json.dumps([1] * 10_001, separators=(",", ":")).encode()
    with pytest.raises(Exception, match="too_many_fixes: a list of 10,001"):
        read(many)


# -- defects ---------------------------------------------------------------------------------------


def test_a_report_that_cannot_be_written_is_kept_with_that_and_the_others_are_taken() -> None:
    """Or a phone that sends it again would meet it again, and nothing behind it would come."""

    async def main() -> None:
        porch = Porch()
        defect = Report(signs=["\ud83d"])
        await porch.admit(defect, Report(positions=[place()]))
        assert [len(event["fixes"]) for event in porch.events] == [1]
        assert [(k["reason"], k["detail"]) for k in porch.kept] == [
            ("internal_error", "UnicodeEncodeError")
        ]

    run(main)


any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(categories=None, exclude_categories=()), max_size=8)
    | st.sampled_from(["9999-12-31T24:00:00+08:00", "0001-01-01T00:00:00+14:00", "\ud83d"]),
    lambda some: (
        st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_a_phone_says_it_is_taken_or_refused_with_a_reason(data: st.DataObject) -> None:
    said = {
        name: data.draw(any_json, name)
        for name in (
            "timestamp",
            "time",
            "tst",
            "event",
            "extras",
            "fixes",
            "wifi",
            "cells",
            "datum",
        )
    }
    location = {**said, "_type": "location", "coords": {"latitude": 22.5, "longitude": 114.0}}
    native_own = {**said, "device_id": PHONE.device_id, "device_signs": [said["event"]]}

    async def main() -> None:
        porch = Porch()
        raw = json.dumps({"location": [location]}).encode()
        await porch.admit(*traccar.reports_of(traccar.read(raw)))
        raw = json.dumps({**location, "lat": 22.5, "lon": 114.0}).encode()
        await porch.admit(*owntracks.reports_of(raw))
        await porch.admit(*native.reports_of(native.read(json.dumps(native_own).encode()), PHONE))
        assert not [k for k in porch.kept if k["reason"] == "internal_error"]

    run(main)


# -- whose it is -----------------------------------------------------------------------------------


def test_what_a_handed_on_device_has_of_the_person_before_is_not_told_of_the_next() -> None:
    async def main() -> None:
        porch = Porch()
        handed_on = band(from_s=hours(0).timestamp(), until_s=hours(9).timestamp())
        times = [hours(-8), hours(-0.01), hours(0), hours(0.5)]
        await porch.admit(Report(positions=list(map(place, times)), stored=True), device=handed_on)
        (event,) = porch.events
        assert [fix["time"] for fix in event["fixes"]] == [
            "2024-02-13T12:00:00Z",
            "2024-02-13T12:30:00Z",
        ]
        assert [(k["reason"], k["fix"]) for k in porch.kept] == [
            ("not_its_time", 0),
            ("not_its_time", 1),
        ]

    run(main)


def test_a_check_in_of_the_person_before_is_nobodys() -> None:
    async def main() -> None:
        porch = Porch()
        since = band(from_s=hours(0).timestamp())
        await porch.admit(Report(check_in=CheckedIn(hours(-1), verified=True)), device=since)
        assert [event["type"] for event in porch.events] == ["upload"]
        assert [k["reason"] for k in porch.kept] == ["not_its_time"]

    run(main)


# -- where it was heard ----------------------------------------------------------------------------


def tower(cell: int, time: datetime | None = None) -> Tower:
    return Tower(460, 0, 9365, cell, "lte", time=time)


def test_towers_that_were_heard_at_different_times_are_different_places() -> None:
    async def main() -> None:
        porch = Porch(locator=Town())
        towers = [tower(755, hours(0)), tower(769, hours(-6)), tower(1, hours(-6)), tower(1)]
        await porch.admit(Report(towers=towers, stored=False))
        (event,) = porch.events
        assert [(fix["time"], fix["lat"]) for fix in event["fixes"]] == [
            ("2024-02-13T06:00:00Z", 23.0),
            ("2024-02-13T12:00:00Z", 22.5),
        ]
        assert event["datum"] == "wgs84"

    run(main)


@pytest.mark.parametrize(("stored", "fixes"), [(False, 1), (True, 0)])
def test_a_tower_without_a_time_is_of_now_but_not_from_memory(stored: bool, fixes: int) -> None:
    async def main() -> None:
        porch = Porch(locator=Town())
        await porch.admit(Report(towers=[tower(769)], stored=stored))
        (event,) = porch.events
        assert len(event["fixes"]) == fixes
        assert event["cells"]

    run(main)
