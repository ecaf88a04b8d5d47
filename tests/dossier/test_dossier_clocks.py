"""What runs at the end of a dossier: what is open, and what falls due next."""

from __future__ import annotations

from typing import Any

from oneperson import (
    DONGGUAN,
    HENAN,
    authorisation,
    check_in,
    check_in_plan,
    clock,
    composed,
    leave,
    said,
    sanction,
    supervised,
    upload,
    uploads,
)

from geomon.dossier import Dossier
from geomon.zones.index import ZoneIndex

STEP = ("about", "time_s", "due_s", "action", "ground")


def clocks(dossier: Dossier, name: str, *fields: str) -> list[tuple[Any, ...]]:
    return [row[1:] for row in said(dossier, "clock", "clock", *fields) if row[0] == name]


def gone(zones: ZoneIndex, end: str, *more: dict[str, Any]) -> Dossier:
    """Someone who left on the first of February at ten, and is heard from Dongguan ever since."""
    return composed(
        zones,
        [
            supervised("01-01 00:00"),
            *more,
            *uploads("01-31 20:00", "02-01 10:00", every_min=20),
            *uploads("02-01 10:00", "03-05 00:00", DONGGUAN, every_min=120),
        ],
        end=end,
    )


def test_the_next_step_of_the_law_and_when_it_falls_due(zones: ZoneIndex) -> None:
    left = "SZ-0001/leave_city/2024-02-01T02:00:00Z"
    soon = gone(zones, "02-03 10:00")
    assert clocks(soon, "out_of_supervision", *STEP) == [
        (left, "02-01 10:00", "02-11 10:00", "warning", "over_10_days")
    ]
    ((age_s, left_s),) = clocks(soon, "out_of_supervision", "age_s", "left_s")
    assert (age_s, left_s) == (2 * 86_400, 8 * 86_400 + 1)
    later = gone(zones, "02-12 00:00")
    assert clocks(later, "out_of_supervision", *STEP) == [
        (left, "02-01 10:00", "03-01 10:00", "revocation", "over_one_month")
    ]
    last = gone(zones, "03-04 00:00")
    assert clocks(last, "out_of_supervision", *STEP) == [(left, "02-01 10:00", "", None, None)]


def test_what_may_be_proposed_already_stands_with_the_open_episode(zones: ZoneIndex) -> None:
    fields = ("about", "kind", "severity", "action", "ground")
    absent = [
        row
        for row in clocks(gone(zones, "02-12 00:00"), "open_episode", *fields)
        if row[1] == "leave_city"
    ]
    left = "SZ-0001/leave_city/2024-02-01T02:00:00Z"
    assert absent == [(left, "leave_city", "critical", "warning", "over_10_days")]


def test_no_lesser_step_falls_due_after_a_graver_one(zones: ZoneIndex) -> None:
    """Two warnings: revocation may be proposed from the first day; nothing is left to come."""
    warned = (sanction("01-10 09:00", "W-1", "warning"), sanction("01-20 09:00", "W-2", "warning"))
    dossier = gone(zones, "02-02 10:00", *warned)
    assert [row[2:] for row in clocks(dossier, "out_of_supervision", *STEP)] == [("", None, None)]


def test_when_silence_will_be_lost_contact_and_then_out_of_supervision(zones: ZoneIndex) -> None:
    events = [supervised("01-01 00:00", level="strict"), upload("02-01 08:00")]
    quiet = composed(zones, [*events, clock("02-01 10:00")])
    assert clocks(quiet, "lost_contact", "about", "time_s", "due_s") == [
        ("phone", "02-01 08:00", "02-01 12:00")
    ]
    lost = composed(zones, [*events, clock("02-01 13:00")])
    assert clocks(lost, "lost_contact", "about") == []
    assert clocks(lost, "out_of_supervision", "time_s", "due_s", "action") == [
        ("02-01 08:00", "02-02 08:00", "admonition")
    ]
    out = composed(zones, [*events, clock("02-02 09:00")])
    assert clocks(out, "out_of_supervision", "time_s", "due_s", "action") == [
        ("02-01 08:00", "02-11 08:00", "warning")
    ]


def test_a_wristband_is_missed_sooner_than_the_phone(zones: ZoneIndex) -> None:
    dossier = composed(
        zones,
        [
            supervised("01-01 00:00"),
            authorisation("01-01 00:00", "01-01 00:00", "03-01 00:00"),
            upload("02-01 08:00", device="wristband"),
            upload("02-01 08:20"),
        ],
    )
    assert clocks(dossier, "lost_contact", "about", "due_s") == [("wristband", "02-01 08:30")]
    assert clocks(dossier, "authorisation", "about", "due_s") == [("A-1", "03-01 00:00")]


def test_leaves_that_run_begin_and_are_over_for_less_than_the_grace(zones: ZoneIndex) -> None:
    events = [
        supervised("01-01 00:00"),
        leave("01-20 09:00", "02-01 00:00", "02-03 00:00"),
        leave("01-20 09:00", "02-10 00:00", "02-12 00:00", permit_id="L-2"),
        leave("01-20 09:00", "01-21 00:00", "03-21 00:00", permit_id="P-1", kind="standing"),
        *uploads("02-01 08:00", "02-02 20:00", HENAN, every_min=30),
    ]
    running = composed(zones, events)
    assert clocks(running, "leave", "about", "due_s") == [("L-1", "02-03 00:00")]
    assert clocks(running, "leave_begins", "about", "due_s") == [("L-2", "02-10 00:00")]
    assert clocks(running, "standing_permit", "about", "due_s") == [("P-1", "03-21 00:00")]
    alone = [event for event in events if event.get("permit_id") != "P-1"]
    over = composed(zones, alone, end="02-03 00:30")
    assert clocks(over, "overdue_return", "about", "due_s") == [("L-1", "02-03 01:00")]
    overdue = composed(zones, alone, end="02-03 01:30")
    assert clocks(overdue, "overdue_return", "about") == []
    assert ("overdue_return",) in clocks(overdue, "open_episode", "kind")


def test_the_next_check_in_window(zones: ZoneIndex) -> None:
    events = [
        supervised("02-01 00:00"),
        check_in_plan("02-01 00:01", ("08:00", "09:00")),
        upload("02-01 12:00"),
        upload("02-02 07:00"),
    ]
    fields = ("about", "time_s", "due_s")
    before = composed(zones, events)
    assert clocks(before, "check_in", *fields) == [("owed", "02-02 08:00", "02-02 09:00")]
    during = composed(zones, [*events, check_in("02-02 08:30")])
    assert clocks(during, "check_in", *fields) == [("kept", "02-02 08:00", "02-02 09:00")]
    after = composed(zones, [*events, clock("02-02 09:30")])
    assert clocks(after, "check_in", *fields) == [("owed", "02-03 08:00", "02-03 09:00")]


def test_when_supervision_is_over_only_what_is_open_is_left(zones: ZoneIndex) -> None:
    dossier = composed(
        zones,
        [
            supervised("02-01 00:00", end="02-03 00:00"),
            check_in_plan("02-01 00:01", ("08:00", "09:00")),
            upload("02-01 07:00"),
            clock("02-06 00:00"),
        ],
    )
    assert said(dossier, "clock", "clock", "kind") == [("open_episode", "missed_check_in")]
