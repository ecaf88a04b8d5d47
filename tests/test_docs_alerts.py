"""The reference says of events, refusals and alerts what they are, and of nothing else."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from pages import REFERENCE, code

from geomon import alerts, events, refusals
from geomon.cases import recording_path
from geomon.cloudevent import cloud_event
from geomon.commands import ASK_REASONS, command_event
from geomon.core.episodes import Alert
from geomon.core.evidence import SOURCES
from geomon.core.person import Clue
from geomon.core.requests import Request
from geomon.core.rules import Rules, Wanted
from geomon.core.severity import RANKS, escalated
from geomon.intake import Intake, Raw, Rejected
from geomon.rejections import rejection_record
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.zones.index import ZoneIndex

EVENT_TYPES = {str(kind.__struct_config__.tag): kind for kind in typing.get_args(events.Event)}


def fields_of(struct: type[msgspec.Struct]) -> dict[str, bool]:
    """The fields of an event as they are written, and whether each is required."""
    return {f.encode_name: f.required for f in msgspec.structs.fields(struct)}


def test_every_field_of_every_event_is_in_the_reference() -> None:
    common = {field: "required" in row[1] for field, row in REFERENCE["Events in"].keyed().items()}
    assert common == {"type": True, "supervisee_id": True, "received": False}
    for kind, struct in EVENT_TYPES.items():
        tables = REFERENCE[kind].tables
        documented = {code(r[0]): "required" in r[1] for r in (tables[0] if tables else [])}
        of_its_own = {k: v for k, v in fields_of(struct).items() if k not in common}
        assert documented == of_its_own, kind
    for kind, table, struct in (
        ("upload", 1, events.Fix),
        ("zone", 1, events.Circle),
        ("zone", 2, events.Weekly),
    ):
        parts = {f: "required" in row[1] for f, row in REFERENCE[kind].keyed(table).items()}
        assert parts == fields_of(struct)


def test_no_event_is_in_the_reference_that_does_not_exist() -> None:
    headings = list(REFERENCE)
    between = headings[headings.index("Events in") + 1 : headings.index("Refusals")]
    assert set(between) == set(EVENT_TYPES)


def test_limits_of_events_are_those_of_the_reference() -> None:
    text = REFERENCE["Events in"].text
    assert f"{events.MAX_BYTES:,} bytes" in text
    assert f"{events.MAX_FIXES:,}\nfixes" in text
    accuracy = REFERENCE["upload"].keyed(1)["accuracy_m"][2]
    for source in SOURCES:
        assert f"{source.default_accuracy_m:,.0f} ({source.name})" in accuracy


def labelled(section: str) -> dict[str, tuple[str, ...]]:
    """A table of codes with their words in English and Chinese."""
    return {key: tuple(row[1:3]) for key, row in REFERENCE[section].keyed().items()}


def test_every_refusal_is_in_the_reference_with_its_words() -> None:
    assert labelled("Refusals") == dict(refusals.REASONS)


def test_every_field_of_a_refusal_is_in_the_reference() -> None:
    record = rejection_record(Rejected(Raw(b"{", "somewhere:1"), "broken_json", ""))
    assert list(REFERENCE["Refusals"].keyed(1)) == list(record)


def test_every_kind_is_in_the_reference_with_its_words() -> None:
    assert labelled("Kinds") == {k: (v.label_en, v.label_zh) for k, v in alerts.KINDS.items()}
    for kind, row in REFERENCE["Kinds"].keyed().items():
        assert row[5] == alerts.KINDS[kind].meaning
        assert ("(notice)" in row[0]) == alerts.KINDS[kind].notice
        assert re.split(r"[;:, ]", row[3])[0] in alerts.SEVERITIES


def test_how_far_age_lifts_a_kind_is_in_the_reference() -> None:
    ages = Rules(escalate_s=tuple(range(1, len(RANKS))))
    for kind, row in REFERENCE["Kinds"].keyed().items():
        begun = Wanted(kind, 1, 0, "", "", severity=RANKS[0])
        lifted = escalated(begun, 1_000, ages).severity
        assert row[4] == (lifted if lifted != RANKS[0] else ""), kind


@pytest.mark.parametrize(
    ("section", "table"),
    [
        ("Phases", alerts.PHASES),
        ("Severities", alerts.SEVERITIES),
        ("Reasons", alerts.REASONS),
        ("Measures", alerts.MEASURES),
        ("Grounds", alerts.GROUNDS),
    ],
)
def test_every_code_of_an_alert_is_in_the_reference(
    section: str, table: Mapping[str, tuple[str, str]]
) -> None:
    assert labelled(section) == dict(table)


def test_every_field_of_an_alert_is_in_the_reference(zones: ZoneIndex) -> None:
    clue = Clue(1, 114.0, 22.0, "wgs84", 10.0, "gnss", "phone", 1.0, 1.0, 114.0, 22.0, "441900")
    alert = Alert(
        *("opened", "SZ-1", "leave_city", 1, 0, 1, 1, "outside_without_leave", "high"),
        *(0.9, "441900", "", "440304", "", (clue,), 0),
        proposal=("admonition", "out_of_supervision", ("SZ-1/leave_city/1970-01-01T00:00:01Z",)),
    )
    event = cloud_event(alert, rules="r", zones=zones)
    page = REFERENCE["Alerts out"]
    assert list(page.keyed(0)) == list(event)
    assert list(page.keyed(1)) == list(event["data"])
    assert list(page.keyed(2)) == list(event["data"]["position"])
    assert list(page.keyed(3)) == list(event["data"]["evidence"][0])
    proposal = re.findall(r"`(\w+)`", page.keyed(1)["proposal"][1])
    assert proposal == list(event["data"]["proposal"])


def test_every_field_and_reason_of_a_command_is_in_the_reference() -> None:
    event = command_event(Request("SZ-1", "phone", 60, 1, 2, "turning"), rules="r")
    assert labelled("Commands out") == dict(ASK_REASONS)
    assert list(REFERENCE["Commands out"].keyed(1)) == list(event["data"])


def test_every_reason_of_an_update_exists() -> None:
    assert set(REFERENCE["Updates"].keyed()) <= set(alerts.REASONS)


def test_every_member_of_detail_is_in_the_reference(zones: ZoneIndex) -> None:
    """Of each kind what its alerts have, as recordings of everything that can happen show it."""
    seen: dict[str, set[str]] = {}
    replay = Replay(Intake(zones), rules_from(Settings()))
    for case in ("A", "B", "C"):
        with open_recording(str(recording_path(case))) as recording:
            told = list(replay.feed(read_recording(recording, case)))
        for alert in told:
            seen.setdefault(alert["data"]["kind"], set()).update(alert["data"]["detail"])
    for number, happened in enumerate(EVERYTHING):
        whose = f"SZ-{1000 + number}"
        lines = [msgspec.json.encode({"supervisee_id": whose, **event}) for event in happened]
        told = list(replay.feed(Raw(line, f"{whose}:{n}") for n, line in enumerate(lines)))
        assert told, happened
        for alert in told:
            seen.setdefault(alert["data"]["kind"], set()).update(alert["data"]["detail"])
    documented = {
        kind: {name for name in re.findall(r"`(\w+)`", row[1]) if name not in alerts.REASONS}
        for kind, row in REFERENCE["Detail"].keyed().items()
    }
    # A window's own members stand in brackets behind `windows`.
    documented["missed_check_in"] -= {"from", "until"}
    assert documented == seen


HOME, ELSEWHERE, DONGGUAN = (114.0545, 22.5445), (114.0845, 22.5745), (113.7437, 23.0227)
TERM = {"from": "2024-01-01T00:00:00+08:00", "until": "2024-12-31T24:00:00+08:00"}


def at(when: str) -> str:
    """Write a time of 2024-02-13, or of another day of that month: "15 09:00"."""
    day, time = when.split() if " " in when else ("13", when)
    return f"2024-02-{day}T{time}:00+08:00"


def event(kind: str, when: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "received": at(when), **fields}


def seen(
    when: str, where: tuple[float, float] = HOME, device: str = "phone", **more: Any
) -> dict[str, Any]:
    """Write an upload of one satellite position, 10 m good; `cell` and `mock` are the fix's."""
    source, accuracy_m = ("cell", 500) if more.pop("cell", False) else ("gnss", 10)
    fix = {"time": at(when), "lon": where[0], "lat": where[1], "source": source}
    fix |= {"accuracy_m": accuracy_m, "mock": more.pop("mock", None)}
    of = {"device": device, "device_id": device, "datum": "wgs84", "fixes": [fix]}
    return event("upload", when, **of, **more)


def heard(when: str, **more: Any) -> dict[str, Any]:
    return event("upload", when, device="phone", device_id="phone", fixes=[], **more)


ANNOUNCED = event("supervisee", "01 00:00", level="strict", **TERM)
ZONE = {"datum": "wgs84", **TERM}

#: What each kind of alert follows from, a person each.
EVERYTHING: list[list[dict[str, Any]]] = [
    [  # a battery that runs down, a phone without positions, silence, and a day's check-ins missed
        ANNOUNCED,
        seen("08:00", battery_pct=4),
        *[heard(f"{hour:02}:00", battery_pct=4) for hour in range(9, 13)],
        event("check_in", "14 23:30", device_id="phone", time=at("14 23:30"), verified=True),
    ],
    [  # a strap opened and closed, under an order that runs out
        ANNOUNCED,
        event("authorisation", "01 00:00", authorisation_id="A-1", ground=1, **TERM)
        | {"until": at("16 00:00")},
        seen("09:00", device="wristband", strap="open"),
        seen("09:10", device="wristband", strap="closed"),
    ],
    [seen("09:00", mock=True)],
    [seen("09:00"), seen("09:05", (117.0, 25.0)), seen("09:10", (117.0, 25.0001))],
    [seen(f"{9 + quarter // 4:02}:{quarter % 4 * 15:02}") for quarter in range(12)],
    [  # phone and wristband parted faster than anybody can, and stay apart
        *[seen("09:00", device=device) for device in ("phone", "wristband")],
        *[
            seen(f"09:{minute:02}", where, device)
            for minute in range(1, 60)
            for device, where in (("phone", (114.3, 22.7)), ("wristband", HOME))
        ],
    ],
    [  # satellites and cells that contradict each other
        upload
        for minute in ("00", "10", "20", "30", "40")
        for upload in (seen(f"09:{minute}"), seen(f"09:{minute[0]}5", (115.5, 24.0), cell=True))
    ],
    [  # inside a forbidden zone, away from the named place
        event("zone", "08:00", zone_id="Z-1", kind="exclusion", **ZONE)
        | {"circle": {"lon": HOME[0], "lat": HOME[1], "radius_m": 300}},
        event("zone", "08:00", zone_id="Z-2", kind="curfew", **ZONE)
        | {"circle": {"lon": ELSEWHERE[0], "lat": ELSEWHERE[1], "radius_m": 300}},
        *[seen(f"09:{minute:02}", device="wristband") for minute in range(0, 60, 5)],
    ],
    [  # a standing permit that runs out, a leave that the street may not approve, and strayed from
        ANNOUNCED,
        event("permit", "09:00", permit_id="S-1", kind="standing", destinations=["441900"], **TERM)
        | {"until": at("15 00:00")},
        event("permit", "09:00", permit_id="L-1", kind="leave", destinations=["410000"], **TERM)
        | {"from": at("15 00:00"), "approved_by": "street"},
        *[seen(f"{16 + hour // 24} {hour % 24:02}:00", DONGGUAN) for hour in range(48)],
    ],
]
