"""geomon's own JSON for phones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from readings import NOON, PHONE, only, position, refused

from geomon.gateway import native
from geomon.gateway.registry import NotAdmitted
from geomon.gateway.reports import Position, Report

UPLOAD: dict[str, Any] = {
    "type": "upload",
    "supervisee_id": "SZ-0001",
    "device_id": "phone-3",
    "device": "phone",
    "datum": "gcj02",
    "battery_pct": 71,
    "strap": "closed",
    "stored": True,
    "seq": 12,
    "fixes": [
        {"time": "2024-02-13T12:00:00+08:00", "lon": 114.0579, "lat": 22.5431, "source": "gnss"}
    ],
}


def read_own(body: bytes) -> list[Report]:
    items = native.read(body)
    assert native.speaker(items, "phone-3") == "phone-3"
    return native.reports_of(items, PHONE)


def test_the_contracts_own_example_is_an_upload() -> None:
    report = only(read_own(json.dumps(UPLOAD).encode()))
    assert position(report) == Position(NOON, 114.0579, 22.5431, "gnss")
    assert (report.datum, report.battery_pct, report.seq) == ("gcj02", 71, 12)
    assert (report.strap, report.stored) == ("closed", True)


def test_a_list_and_lines_are_many_uploads() -> None:
    line = json.dumps(UPLOAD)
    assert len(read_own(f"[{line},{line}]".encode())) == 2
    assert len(read_own(f"{line}\n{line}\r\n\n{line}\n".encode())) == 3


def test_a_line_that_is_torn_is_refused_alone() -> None:
    line = json.dumps(UPLOAD)
    good, torn = read_own(f"{line}\n{line[:-9]}\n".encode())
    assert position(good)
    assert refused(torn) == "broken_json"


def test_a_bad_fix_is_refused_alone_with_its_place() -> None:
    fixes = [*UPLOAD["fixes"], {"time": "noon", "lon": 1, "lat": 2}, {"lon": 1, "lat": 2}]
    report = only(read_own(json.dumps({**UPLOAD, "fixes": fixes}).encode()))
    assert len(report.positions) == 1
    assert [(part.reason, part.fix) for part in report.refused] == [
        ("bad_time", 1),
        ("missing_field", 2),
    ]


def test_a_fix_that_is_not_finite_is_refused_alone() -> None:
    good = UPLOAD["fixes"][0]
    fixes = [{"lon": 1}, {**good, "lat": float("nan")}, good, {**good, "speed_mps": 1e999}]
    report = only(read_own(json.dumps({**UPLOAD, "fixes": fixes}).encode()))
    assert len(report.positions) == 1
    assert [(part.reason, part.fix) for part in report.refused] == [
        ("missing_field", 0),
        ("not_finite", 1),
        ("not_finite", 3),
    ]


def test_nobody_speaks_for_another_person_or_device() -> None:
    items = native.read(json.dumps({**UPLOAD, "supervisee_id": "SZ-0002"}).encode())
    with pytest.raises(NotAdmitted, match="another person"):
        native.reports_of(items, PHONE)
    with pytest.raises(NotAdmitted, match="another device"):
        native.speaker(items, "phone-4")
    two = json.dumps([UPLOAD, {**UPLOAD, "device_id": "phone-4"}]).encode()
    with pytest.raises(NotAdmitted, match="another device"):
        native.speaker(native.read(two))


def test_a_check_in_may_stand_among_uploads() -> None:
    told_at = {"type": "check_in", "time": "2024-02-13T12:00:00+08:00", "verified": True}
    _, checked = read_own(json.dumps([UPLOAD, told_at]).encode())
    assert checked.check_in is not None
    assert (checked.check_in.time, checked.check_in.verified) == (NOON, True)


def test_a_paper_is_not_taken_from_a_device() -> None:
    paper = {"type": "return", "permit_id": "L-88", "time": "2024-02-13T12:00:00+08:00"}
    assert refused(only(read_own(json.dumps(paper).encode()))) == "unknown_type"
