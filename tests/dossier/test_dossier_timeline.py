"""A person's dossier, as a timeline of what arrives and what is to be read afterwards."""

from __future__ import annotations

import msgspec
import pytest
from oneperson import (
    DONGGUAN,
    HENAN,
    WHO,
    authorisation,
    check_in,
    check_in_plan,
    clock,
    composed,
    disposal,
    leave,
    moment,
    raw,
    returned,
    said,
    sanction,
    supervised,
    text,
    upload,
    uploads,
    zone,
)

from geomon.alerts import iso_utc
from geomon.cases import CASES, expected, recording_path
from geomon.dossier import Dossier, dossier_of
from geomon.dossier.entries import SECTIONS
from geomon.dossier.rows import json_rows
from geomon.intake import Intake, Raw
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.zones.index import ZoneIndex

RULES = rules_from(Settings())


def lines_of(case: str) -> list[Raw]:
    with open_recording(str(recording_path(case))) as stream:
        return list(read_recording(stream, case))


@pytest.fixture(scope="module")
def case_lines() -> dict[str, list[Raw]]:
    return {case: lines_of(case) for case in CASES}


@pytest.fixture(scope="module")
def case_dossiers(zones: ZoneIndex, case_lines: dict[str, list[Raw]]) -> dict[str, Dossier]:
    found = {}
    for case in CASES:
        whose = expected()[case]["supervisee_id"]
        dossier = dossier_of(whose, case_lines[case], Intake(zones), RULES)
        assert dossier is not None
        found[case] = dossier
    return found


# -- the three cases --------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_alerts_are_those_of_a_replay(
    zones: ZoneIndex,
    case: str,
    case_lines: dict[str, list[Raw]],
    case_dossiers: dict[str, Dossier],
) -> None:
    """Walking to each deadline by itself changes neither an id nor a time nor a reason."""
    replay = Replay(Intake(zones), RULES)
    wanted = [*replay.feed(case_lines[case]), *replay.finish()]
    assert len(wanted) > 5
    alerts = said(case_dossiers[case], "alert", "id", "reason", "severity")
    assert alerts == [(a["id"], a["data"]["reason"], a["data"]["severity"]) for a in wanted]
    times = [iso_utc(e.time_s) for e in case_dossiers[case].sections["alert"]]
    assert times == [a["time"] for a in wanted]


def test_case_a_left_for_sixteen_days(case_dossiers: dict[str, Dossier]) -> None:
    dossier = case_dossiers["A"]
    away = [e for e in said(dossier, "presence", "where", "permit_id") if e[0] == "outside"]
    assert away == [("outside", None)]
    (episode,) = [e for e in dossier.sections["episode"] if getattr(e, "kind", "") == "leave_city"]
    row = msgspec.to_builtins(episode)
    assert (row["state"], row["closed_reason"], row["evidence"]) == ("closed", "returned", 8)
    assert row["proposal"]["ground"] == "over_10_days"
    assert row["out_of_supervision_since_s"] == row["time_s"]


def test_case_b_was_on_leave_and_then_was_not(case_dossiers: dict[str, Dossier]) -> None:
    dossier = case_dossiers["B"]
    changes = said(dossier, "leave", "change", "permit_id", "until_s", "days", "late")
    assert changes == [
        ("granted", "L-88", "02-10 00:00", 7, False),
        ("returned", "L-88", "02-10 00:00", 7, True),
    ]
    assert said(dossier, "presence", "where", "permit_id") == [
        ("inside", None),
        ("outside", "L-88"),
        ("outside", None),
        ("inside", None),
    ]
    cut = said(dossier, "presence", "time_s", "until_s")[1:3]
    assert cut[0][1] == cut[1][0] == "02-10 00:00"
    assert said(dossier, "sanction", "time_s", "sanction_id", "kind") == [
        ("02-17 08:55", "W-1", "warning")
    ]
    assert said(dossier, "supervision", "time_s", "level") == [
        ("01-29 00:00", "normal"),
        ("02-17 10:00", "strict"),
    ]


def test_case_c_went_to_huizhou_and_came_back(case_dossiers: dict[str, Dossier]) -> None:
    where = said(case_dossiers["C"], "presence", "where", "places")
    assert where == [("inside", []), ("outside", ["441300"]), ("inside", [])]
    (episode,) = [
        e for e in case_dossiers["C"].sections["episode"] if getattr(e, "kind", "") == "leave_city"
    ]
    cause = msgspec.to_builtins(episode)["cause"]
    assert cause.startswith("SZ-0003/border_approach/")


def test_no_coordinates_are_in_it(case_dossiers: dict[str, Dossier]) -> None:
    for dossier in case_dossiers.values():
        written = b"".join(msgspec.json.encode(row) for row in json_rows(dossier))
        assert b'"lon"' not in written
        assert b"114." not in written
        assert b"22." not in written


# -- papers -----------------------------------------------------------------------------------


def test_a_leave_is_granted_extended_cancelled_and_come_back_from(zones: ZoneIndex) -> None:
    dossier = composed(
        zones,
        [
            supervised("01-01 00:00"),
            leave("02-01 09:00", "02-03 00:00", "02-05 00:00", approved_by="street"),
            leave("02-01 09:05", "02-03 00:00", "02-05 00:00", approved_by="street"),
            leave("02-05 08:00", "02-03 00:00", "02-15 00:00", approved_by="district"),
            returned("02-14 17:00"),
            leave("02-15 10:00", "02-20 00:00", "02-22 00:00", permit_id="L-2"),
            leave("02-16 10:00", "02-20 00:00", "02-21 00:00", permit_id="L-2"),
            leave(
                *("02-17 10:00", "02-20 00:00", "02-21 00:00"), permit_id="L-2", status="cancelled"
            ),
            returned("02-18 10:00", "L-never"),
        ],
    )
    assert said(dossier, "leave", "time_s", "change", "permit_id", "days", "approver", "late") == [
        ("02-01 09:00", "granted", "L-1", 2, "street", False),
        ("02-05 08:00", "extended", "L-1", 12, "district", True),
        ("02-14 17:00", "returned", "L-1", 12, "district", False),
        ("02-15 10:00", "granted", "L-2", 2, "street", False),
        ("02-16 10:00", "shortened", "L-2", 1, "street", False),
        ("02-17 10:00", "cancelled", "L-2", 1, "street", False),
    ]
    assert dossier.person.refused == {"unknown_permit": 1}


def test_orders_standing_permits_and_plans(zones: ZoneIndex) -> None:
    dossier = composed(
        zones,
        [
            supervised("01-01 00:00"),
            leave("01-02 09:00", "01-03 00:00", "03-03 00:00", permit_id="P-1", kind="standing"),
            authorisation("01-05 09:00", "01-06 00:00", "03-06 00:00"),
            authorisation("02-05 09:00", "01-06 00:00", "04-05 00:00"),
            authorisation("02-06 09:00", "01-06 00:00", "04-05 00:00", status="cancelled"),
            check_in_plan("02-07 09:00", ("08:00", "09:30")),
            check_in_plan("02-08 09:00"),
        ],
    )
    assert said(dossier, "standing_permit", "change", "permit_id") == [("granted", "P-1")]
    assert said(dossier, "leave", "change") == []
    assert said(dossier, "authorisation", "time_s", "change", "until_s", "ground") == [
        ("01-05 09:00", "granted", "03-06 00:00", 2),
        ("02-05 09:00", "extended", "04-05 00:00", 2),
        ("02-06 09:00", "cancelled", "04-05 00:00", 2),
    ]
    assert said(dossier, "check_in_plan", "windows") == [(["1-7 08:00-09:30"],), ([],)]


def test_a_zone_is_named_by_its_place(zones: ZoneIndex) -> None:
    week = [{"days": [6, 7], "from": "22:00", "until": "06:00"}]
    dossier = composed(
        zones,
        [
            supervised("01-01 00:00"),
            zone("01-02 09:00"),
            zone("01-03 09:00", schedule=week),
            zone("01-04 09:00", status="removed", circle=None),
        ],
    )
    assert said(dossier, "zone", "change", "place", "radius_m", "schedule") == [
        ("set", "440304", 150.0, []),
        ("replaced", "440304", 150.0, ["6,7 22:00-06:00"]),
        ("removed", "440304", 150.0, ["6,7 22:00-06:00"]),
    ]


def test_a_paper_that_does_not_say_when_it_came_came_at_the_time_before(zones: ZoneIndex) -> None:
    paper = leave("02-01 09:00", "02-03 00:00", "02-05 00:00")
    del paper["received"]
    dossier = composed(zones, [supervised("01-01 00:00"), upload("02-01 08:00"), paper])
    assert said(dossier, "leave", "time_s") == [("02-01 08:00",)]


def test_an_officer_deals_with_a_strap_that_was_opened(zones: ZoneIndex) -> None:
    opened = "SZ-0001/tamper/2024-02-01T01:00:00Z"
    events = [
        supervised("01-01 00:00"),
        upload("02-01 08:00", device="wristband", strap="closed"),
        upload("02-01 09:00", device="wristband", strap="open"),
        disposal("02-01 10:00", opened),
        disposal("02-01 11:00", opened),
    ]
    dossier = composed(zones, events)
    assert said(dossier, "disposal", "episode", "officer", "taken") == [
        (opened, "o-12", True),
        (opened, "o-12", False),
    ]
    (episode,) = [
        e for e in said(dossier, "episode", "episode", "state", "disposal") if e[0] == opened
    ]
    assert episode[1] == "closed"
    assert episode[2] == {
        "time_s": moment("02-01 10:00"),
        "officer": "o-12",
        "reason": "checked",
        "result": "strap replaced",
    }
    assert said(dossier, "device", "device", "strap_open") == [("wristband", True)]


# -- check-ins --------------------------------------------------------------------------------


def test_each_window_is_kept_missed_or_made_up_for(zones: ZoneIndex) -> None:
    dossier = composed(
        zones,
        [
            supervised("02-01 00:00"),
            check_in_plan("02-01 00:01", ("08:00", "09:00"), ("18:00", "19:00")),
            *uploads("02-01 07:00", "02-01 12:00"),
            check_in("02-01 08:30"),  # not owed yet: it became known today
            check_in("02-02 08:10"),
            check_in("02-02 08:20"),
            check_in("02-02 18:30", verified=False),
            check_in("02-02 20:00"),
            check_in("02-02 21:00"),
            *uploads("02-03 06:00", "02-03 08:30"),
            check_in("02-03 08:40"),
        ],
    )
    states = ("time_s", "state", "checked_in_s")
    assert said(dossier, "check_in", *states) == [
        ("02-01 08:30", "extra", "02-01 08:30"),
        ("02-02 08:00", "kept", "02-02 08:10"),
        ("02-02 18:00", "late", "02-02 20:00"),
        ("02-02 18:30", "unverified", "02-02 18:30"),
        ("02-02 21:00", "extra", "02-02 21:00"),
        ("02-03 08:00", "kept", "02-03 08:40"),
    ]


def test_windows_of_a_week_of_silence_are_missed_one_by_one(zones: ZoneIndex) -> None:
    """One event ends the silence: the core judges eight windows in a single step."""
    dossier = composed(
        zones,
        [
            supervised("02-01 00:00"),
            check_in_plan("02-01 00:01", ("08:00", "09:00")),
            upload("02-01 07:00"),
            upload("02-09 12:00"),
        ],
    )
    missed = [f"02-{day:02} 08:00" for day in range(2, 10)]
    assert said(dossier, "check_in", "time_s", "state") == [(day, "missed") for day in missed]


def test_whoever_is_not_supervised_owes_no_window(zones: ZoneIndex) -> None:
    dossier = composed(
        zones,
        [
            supervised("02-01 00:00", end="02-03 00:00"),
            check_in_plan("02-01 00:01", ("08:00", "09:00")),
            upload("02-01 07:00"),
            clock("02-06 00:00"),
        ],
    )
    assert said(dossier, "check_in", "time_s", "state") == [("02-02 08:00", "missed")]


# -- contact and presence ---------------------------------------------------------------------


def test_contact_is_told_by_day_and_silence_in_one_entry(zones: ZoneIndex) -> None:
    late = ["02-01 20:00", "02-01 21:00"]
    dossier = composed(
        zones,
        [
            supervised("02-01 00:00"),
            upload("02-01 08:00"),
            upload("02-01 08:30", None),
            upload("02-02 02:00", taken=late, device="wristband", stored=True),
            upload("02-02 02:01", taken=late, device="wristband", stored=True),  # told again
            upload("02-06 10:00"),
        ],
    )
    fields = ("time_s", "days", "uploads", "fixes", "last_fix_s", "devices")
    assert said(dossier, "contact", *fields) == [
        ("02-01 00:00", 1, 2, 3, "02-01 21:00", ["phone", "wristband"]),
        ("02-02 00:00", 1, 2, 0, "", ["wristband"]),
        ("02-03 00:00", 3, 0, 0, "", []),
        ("02-06 00:00", 1, 1, 1, "02-06 10:00", ["phone"]),
    ]
    silence = [row[0] for row in said(dossier, "contact", "longest_silence_s")]
    assert len(silence) == 4
    longest = [getattr(e, "longest_silence_s") for e in dossier.sections["contact"]]  # noqa: B009
    assert longest == [1800, 17.5 * 3600, 0, 104 * 3600 - 60]
    assert said(dossier, "device", "device", "time_s", "heard_s") == [
        ("phone", "02-01 08:00", "02-06 10:00"),
        ("wristband", "02-02 02:00", "02-02 02:01"),
    ]


def test_first_heard_stays_though_a_device_was_silent_for_long(zones: ZoneIndex) -> None:
    dossier = composed(zones, [upload("02-01 08:00"), upload("02-05 08:00")])
    assert said(dossier, "device", "time_s", "heard_s") == [("02-01 08:00", "02-05 08:00")]


def test_a_position_too_old_says_nothing_of_where_somebody_is(zones: ZoneIndex) -> None:
    dossier = composed(
        zones, [*uploads("02-01 08:00", "02-01 12:00", every_min=5), clock("02-05 12:00")]
    )
    assert said(dossier, "presence", "where", "time_s", "until_s") == [
        ("inside", "02-01 08:00", "02-02 12:00"),
        ("unknown", "02-02 12:00", "02-05 12:00"),
    ]


def test_an_absence_that_late_evidence_unsays_is_not_in_it(zones: ZoneIndex) -> None:
    """The phone was believed in Dongguan; the wristband's memory shows who carried it."""
    hours = [f"02-01 {12 + n // 60:02}:{n % 60:02}" for n in range(0, 180, 2)]
    dossier = composed(
        zones,
        [
            *uploads("02-01 08:00", "02-01 12:00", every_min=5),
            *uploads("02-01 12:00", "02-01 15:00", DONGGUAN, every_min=5),
            upload("02-01 15:10", taken=hours, device="wristband", stored=True),
            clock("02-01 16:00"),
        ],
    )
    assert ("withdrawn",) in said(dossier, "episode", "state")
    assert said(dossier, "presence", "where") == [("inside",)]


# -- the period -------------------------------------------------------------------------------


def a_month(zones: ZoneIndex, *, begin: str = "", end: str = "") -> Dossier:
    return composed(
        zones,
        [
            supervised("01-01 00:00"),
            sanction("01-10 09:00", "S-1"),
            leave("01-20 09:00", "02-01 00:00", "02-10 00:00"),
            *uploads("01-28 00:00", "02-01 08:00"),
            *uploads("02-01 12:00", "02-12 08:00", HENAN),
            *uploads("02-12 12:00", "02-20 00:00"),
        ],
        begin=begin,
        end=end,
    )


def test_as_it_was_then_is_what_had_arrived_then(zones: ZoneIndex) -> None:
    then = a_month(zones, end="02-11 12:00")
    assert text(then.end_s) == "02-11 12:00"
    assert [row[0] for row in said(then, "episode", "kind") if row[0] == "overdue_return"]
    states = dict(said(then, "episode", "kind", "state"))
    assert states["overdue_return"] == "open"
    assert dict(said(a_month(zones), "episode", "kind", "state"))["overdue_return"] == "closed"
    assert all(entry.time_s <= then.end_s for entry in then.sections["alert"])
    assert then.person.events < a_month(zones).person.events


def test_from_leaves_out_what_was_over_before_it(zones: ZoneIndex) -> None:
    dossier = a_month(zones, begin="02-05 00:00")
    assert said(dossier, "sanction", "sanction_id") == []
    assert said(dossier, "leave", "permit_id") == [("L-1",)]  # told before, in force then
    assert said(dossier, "supervision", "level") == [("normal",)]
    assert said(dossier, "contact", "time_s")[0] == ("02-05 00:00",)
    assert len(said(dossier, "presence", "where")) == 3
    assert list(dossier.sections) == list(SECTIONS)


def test_others_are_passed_over_and_a_stranger_has_no_dossier(zones: ZoneIndex) -> None:
    raws = [raw(event) for event in uploads("02-01 08:00", "02-01 12:00")]
    others = [raw(event, "SZ-0002") for event in uploads("02-01 08:00", "02-03 12:00", DONGGUAN)]
    mixed = [r for pair in zip(raws, others, strict=False) for r in pair]
    found = dossier_of(WHO, mixed, Intake(zones), RULES)
    assert found is not None
    assert found.person.events == len(raws)
    assert said(found, "episode", "kind") == []
    assert dossier_of("SZ-0003", mixed, Intake(zones), RULES) is None
