"""What a period comes to, told as timelines of a holiday: 02-09 to 02-18."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from duty import at, episode, festival, log

from geomon.report import Figures, People, Supervised, decode_alert, summarise


def total(*episodes: list[dict[str, Any]], **options: Any) -> Figures:
    return summarise(log(*episodes), *festival, **options).total


def people_in(figures: Figures, category: str) -> list[str]:
    return [breach.supervisee_id for breach in figures.breaches[category]]


# -- breaches ---------------------------------------------------------------------------------


def test_fifteen_absences_as_the_city_reported_them() -> None:
    left = [
        episode(f"SZ-{n}", "leave_city", f"02-1{n} 08:00", f"opened 02-1{n} 08:05")
        for n in range(8)
    ]
    late = [
        episode(f"SZ-2{n}", "overdue_return", f"02-1{n} 00:00", f"opened 02-1{n} 01:00")
        for n in range(6)
    ]
    out = episode(
        *("SZ-30", "lost_contact", "02-10 08:00", "opened 02-10 20:00"),
        "updated 02-12 20:00 out_of_supervision",
    )
    found = total(*left, *late, out)
    assert people_in(found, "left_without_leave") == [f"SZ-{n}" for n in range(8)]
    assert people_in(found, "not_returned") == [f"SZ-2{n}" for n in range(6)]
    assert people_in(found, "out_of_supervision") == ["SZ-30"]
    assert found.breaching == 15


def test_a_person_counts_once_by_what_began_first() -> None:
    found = total(
        episode("SZ-1", "leave_city", "02-13 08:00", "opened 02-13 08:05"),
        episode("SZ-1", "overdue_return", "02-10 00:00", "opened 02-10 01:00"),
        episode("SZ-1", "leave_city", "02-15 08:00", "opened 02-15 08:05"),
    )
    assert (people_in(found, "left_without_leave"), found.breaching) == ([], 1)
    [breach] = found.breaches["not_returned"]
    assert [further.since_s for further in breach.further] == [at("02-13 08:00"), at("02-15 08:00")]


@pytest.mark.parametrize("excuse", ["withdrawn", "permitted", "extended"])
def test_what_was_wrong_or_excused_afterwards_is_no_breach(excuse: str) -> None:
    """Told only after the holiday, and still: what happened is judged by all that is known."""
    found = total(
        episode(
            *("SZ-1", "leave_city", "02-13 08:00", "opened 02-13 08:05"),
            f"closed 02-25 10:00 {excuse} @02-13 08:00",
        )
    )
    assert found.breaching == 0
    assert found.excused == {excuse: 1}


def test_closed_and_opened_again_is_a_breach() -> None:
    steps = ("opened 02-13 08:05", "closed 02-13 09:00 withdrawn", "opened 02-13 10:00")
    found = total(episode("SZ-1", "leave_city", "02-13 08:00", *steps))
    assert people_in(found, "left_without_leave") == ["SZ-1"]
    assert not found.excused


@pytest.mark.parametrize(
    ("since", "ended", "counts"),
    [
        ("02-05 08:00", "02-08 23:00", False),  # over before it
        ("02-05 08:00", "02-09 00:00", False),  # as it began
        ("02-05 08:00", "02-09 00:01", True),  # reached into it
        ("02-05 08:00", "", True),  # still going on
        ("02-17 23:59", "", True),  # its last minute
        ("02-18 00:00", "", False),  # the end is not in it
    ],
)
def test_an_episode_counts_when_it_overlaps_the_period(
    since: str, ended: str, counts: bool
) -> None:
    steps = [f"opened {since}", *([f"closed 02-20 08:00 returned @{ended}"] if ended else [])]
    assert total(episode("SZ-1", "leave_city", since, *steps)).breaching == counts


def test_silence_is_a_breach_from_the_moment_it_is_called_one() -> None:
    silent = episode("SZ-1", "lost_contact", "02-10 08:00", "opened 02-10 20:00")
    assert total(silent).breaching == 0
    late = episode(
        *("SZ-1", "lost_contact", "02-16 08:00", "opened 02-16 20:00"),
        *("updated 02-18 20:00 out_of_supervision", "closed 02-19 08:00 heard_again"),
    )
    assert total(late).breaching == 0, "within the holiday it was silence"
    after = summarise(late, at("02-18"), at("02-20")).total
    assert people_in(after, "out_of_supervision") == ["SZ-1"]


# -- alarms and delays ------------------------------------------------------------------------


def test_an_alarm_is_the_first_opening_of_an_episode_and_no_repeat() -> None:
    steps = ("opened 02-13 08:05", "updated 02-13 09:00", "closed 02-14 09:00 returned")
    again = episode("SZ-1", "leave_city", "02-13 08:00", *steps, "opened 02-15 09:00")
    found = summarise([*again, *again[::-1]], *festival)
    assert found.total.alarms == {"leave_city": 1}
    assert (found.alerts, found.duplicates) == (4, 4)


def test_an_alarm_belongs_to_the_time_it_was_raised_in() -> None:
    """It was the duty room's work then, whenever the thing itself began."""
    before = episode("SZ-1", "leave_city", "02-08 23:00", "opened 02-08 23:05")
    within = episode("SZ-2", "leave_city", "02-08 23:58", "opened 02-09 00:03")
    after = episode("SZ-3", "leave_city", "02-17 23:58", "opened 02-18 00:00")
    found = total(before, within, after)
    assert found.alarms.total() == 1
    assert found.breaching == 3, "but each of them was away during the holiday"


def test_a_notice_is_no_alarm() -> None:
    found = total(episode("SZ-1", "permit_expiry", "02-10 08:00", "opened 02-10 08:00"))
    assert (found.alarms, found.notices) == ({}, {"permit_expiry": 1})
    assert not found.open_cases
    assert [case.kind for case in found.open_notices] == ["permit_expiry"]


def test_withdrawn_alarms_are_alarms_and_their_share_is_told() -> None:
    good = [episode(f"SZ-{n}", "leave_city", "02-13 08:00", "opened 02-13 08:05") for n in range(3)]
    wrong = episode(
        *("SZ-9", "leave_city", "02-13 08:00", "opened 02-13 08:05"),
        "closed 02-13 09:05 withdrawn @02-13 08:00",
    )
    found = total(*good, wrong)
    assert found.alarms == {"leave_city": 4}
    assert found.withdrawn == {"leave_city": 1}
    assert found.withdrawn_share == 0.25
    assert found.closings == {"withdrawn": 1}
    assert Figures().withdrawn_share is None


def test_delays_are_median_and_the_95th_of_a_hundred_that_were_seen() -> None:
    alarms = [
        episode(
            f"SZ-{n}", "leave_city", "02-13 08:00", f"opened 02-13 {8 + n // 60:02}:{n % 60:02}"
        )
        for n in range(1, 101)
    ]
    assert total(*alarms).delay("leave_city") == (100, 50.5 * 60, 95 * 60)
    assert total(*alarms).delay("overdue_return") is None


def test_rates_need_the_number_of_people() -> None:
    alarm = episode("SZ-1", "leave_city", "02-13 08:00", "opened 02-13 08:05")
    assert total(alarm).alarms_a_person_day is None
    assert total(alarm, people=100).alarms_a_person_day == 1 / 900


# -- check-ins --------------------------------------------------------------------------------


def missed(person: str, *windows: str, steps: tuple[str, ...] = ("opened 02-10 09:10",)) -> Any:
    day = "2024-02-10T"
    detail = {"windows": [{"from": f"{day}{w}+08:00", "until": f"{day}{w}+08:00"} for w in windows]}
    return episode(person, "missed_check_in", "02-10 09:00", *steps, detail=detail)


def test_people_with_a_missed_check_in_and_the_windows_they_missed() -> None:
    found = total(missed("SZ-1", "09:00:00", "15:00:00"), missed("SZ-2", "09:00:00"), people=50)
    assert found.missed == {"SZ-1": 2, "SZ-2": 1}
    assert (found.missed_windows, found.missed_share) == (3, 0.04)


def test_a_window_told_of_twice_was_missed_once() -> None:
    steps = ("opened 02-10 09:10", "updated 02-10 15:10 missed_again")
    assert total(missed("SZ-1", "09:00:00", "15:00:00", steps=steps)).missed_windows == 2


def test_where_windows_are_not_named_each_alert_of_a_miss_is_one() -> None:
    steps = (
        *("opened 02-10 09:10", "updated 02-10 12:00 late_check_in"),
        *("updated 02-11 09:10 missed_again", "updated 02-12 10:00 still_open"),
    )
    found = total(episode("SZ-1", "missed_check_in", "02-10 09:00", *steps))
    assert (found.missed_windows, found.late_check_ins) == (2, 1)


def test_a_late_check_in_may_tell_of_the_miss_as_well() -> None:
    steps = ("opened 02-10 09:10", "updated 02-10 15:10 late_check_in")
    told = missed("SZ-1", "09:00:00", "15:00:00", steps=steps)
    told[0]["data"]["detail"] = {"windows": told[1]["data"]["detail"]["windows"][:1]}
    found = total(told)
    assert (found.missed_windows, found.late_check_ins) == (2, 1)


def test_of_the_runs_of_misses_of_a_person_the_newest_is_open() -> None:
    """The log never closes the ones before it."""
    runs = [
        episode("SZ-1", "missed_check_in", f"02-{day} 09:00", f"opened 02-{day} 09:10")
        for day in (10, 15, 12)
    ]
    found = total(*runs, episode("SZ-2", "missed_check_in", "02-11 09:00", "opened 02-11 09:10"))
    assert [(c.supervisee_id, c.since_s) for c in found.open_cases] == [
        ("SZ-2", at("02-11 09:00")),
        ("SZ-1", at("02-15 09:00")),
    ]


def test_a_miss_that_was_withdrawn_was_none() -> None:
    steps = ("opened 02-10 09:10", "closed 02-10 20:00 withdrawn")
    assert total(missed("SZ-1", "09:00:00", steps=steps)).missed_windows == 0


# -- open at the end --------------------------------------------------------------------------


def test_open_cases_are_those_the_duty_room_saw_at_the_end() -> None:
    proposal = {"action": "admonition", "ground": "out_of_supervision", "evidence": ["e"]}
    away = episode(
        *("SZ-1", "leave_city", "02-13 08:00", "opened 02-13 08:05"),
        "closed 02-20 09:00 withdrawn @02-13 08:00",
        severity="medium",
        proposal=proposal,
    )
    back = episode(
        *("SZ-2", "leave_city", "02-13 08:00", "opened 02-13 08:05"),
        "closed 02-17 09:00 returned @02-17 08:00",
    )
    unknown = episode("SZ-3", "leave_city", "02-17 23:00", "opened 02-18 00:00")
    grave = episode("SZ-4", "leave_city", "02-17 12:00", "opened 02-17 12:05", severity="critical")
    found = total(away, back, unknown, grave)
    assert [(c.supervisee_id, c.severity) for c in found.open_cases] == [
        ("SZ-4", "critical"),
        ("SZ-1", "medium"),
    ]
    assert found.open_cases[1].age_s == at("02-18") - at("02-13 08:00")
    assert found.open_cases[1].later == "withdrawn"
    [proposed] = found.proposals
    assert proposed.proposal is not None
    assert proposed.proposal.action == "admonition"


def test_a_case_is_as_grave_as_its_newest_alert_by_then() -> None:
    opened = episode("SZ-1", "leave_city", "02-13 08:00", "opened 02-13 08:05", severity="medium")
    steps = ("opened 02-13 08:05", "updated 02-16 08:05 still_open", "updated 02-19 08:05")
    raised = episode("SZ-1", "leave_city", "02-13 08:00", *steps, severity="high")
    raised[2]["data"]["severity"] = "critical"
    assert [c.severity for c in total(opened, raised[1:]).open_cases] == ["high"]


def test_an_episode_whose_beginning_was_trimmed_is_a_case_but_no_alarm() -> None:
    steps = ("opened 02-05 08:05", "updated 02-12 08:05 still_open")
    found = total(episode("SZ-1", "leave_city", "02-05 08:00", *steps)[1:])
    assert not found.alarms
    assert len(found.open_cases) == found.breaching == 1
    again = ("opened 02-05 08:05", "closed 02-06 08:00 returned", "opened 02-12 08:05")
    assert not total(episode("SZ-1", "leave_city", "02-05 08:00", *again)[2:]).alarms


# -- groups and people ------------------------------------------------------------------------

REGISTER = People(
    {
        "SZ-1": Supervised(at("01-01"), at("12-31"), "440304", "莲花街道", "strict"),
        "SZ-2": Supervised(at("02-15"), at("12-31"), "440304", "香蜜湖街道", "normal"),
        "SZ-3": Supervised(at("01-01"), at("02-09 12:00"), "440303", "南湖街道", "loose"),
        "SZ-4": Supervised(at("03-01"), at("12-31"), "440305", "粤海街道", "loose"),
    }
)


def test_person_days_are_those_under_supervision_to_the_hour() -> None:
    found = total(people=REGISTER)
    assert (found.people, found.person_days) == (3, 9 + 3 + 0.5)


def test_groups_have_their_own_people_and_those_without_an_alert_stand_too() -> None:
    alarm = episode("SZ-1", "leave_city", "02-13 08:00", "opened 02-13 08:05", district="440304")
    groups = summarise(alarm, *festival, REGISTER, by="district").groups
    assert list(groups) == ["440303", "440304"]
    assert [g.alarms_a_person_day for g in groups.values()] == [0, 1 / 12]
    assert [g.breaching for g in groups.values()] == [0, 1]


def test_what_an_alert_does_not_say_of_its_person_the_register_does() -> None:
    alarms = [
        episode(f"SZ-{n}", "leave_city", "02-13 08:00", "opened 02-13 08:05") for n in (1, 2, 7)
    ]
    groups = summarise(log(*alarms), *festival, REGISTER, by="level").groups
    assert {key: g.alarms.total() for key, g in groups.items()} == {
        **{"loose": 0, "normal": 1, "strict": 1},
        "": 1,
    }
    assert list(groups) == ["loose", "normal", "strict", ""]


def test_by_kind_every_kind_is_divided_by_all_people() -> None:
    alarms = [
        episode("SZ-1", "overdue_return", "02-13 08:00", "opened 02-13 09:00"),
        episode("SZ-1", "leave_city", "02-14 08:00", "opened 02-14 08:05"),
    ]
    report = summarise(log(*alarms), *festival, 100, by="kind")
    assert list(report.groups) == ["leave_city", "overdue_return"]
    assert [g.alarms_a_person_day for g in report.groups.values()] == [1 / 900, 1 / 900]
    # One person, one breach: in the group of what began first.
    assert [g.breaching for g in report.groups.values()] == [0, 1]


def test_the_groups_add_up_to_the_total() -> None:
    draw = random.Random(7)  # noqa: S311
    kinds = ("leave_city", "overdue_return", "lost_contact", "missed_check_in")
    alarms = [
        episode(
            *(f"SZ-{draw.randrange(60)}", draw.choice(kinds), f"02-{day:02} {hour:02}:00"),
            *(
                f"opened 02-{day:02} {hour:02}:30",
                f"updated 02-{day + 2:02} 00:00 out_of_supervision",
            ),
            *([f"closed 02-{day + 3:02} 00:00 {reason}"] if reason else []),
            district=draw.choice(("440303", "440304", None)),
        )
        for day, hour, reason in (
            (draw.randrange(7, 19), draw.randrange(24), draw.choice(("", "returned", "withdrawn")))
            for _ in range(400)
        )
    ]
    for by in ("district", "kind", "level"):
        report = summarise(log(*alarms), *festival, by=by)
        groups = report.groups.values()
        for figure in ("breaching", "missed_windows"):
            assert sum(getattr(g, figure) for g in groups) == getattr(report.total, figure), by
        for counter in ("alarms", "withdrawn", "excused", "closings"):
            added = sum((getattr(g, counter) for g in groups), start=type(report.total.alarms)())
            assert added == getattr(report.total, counter), by
        assert sum(len(g.open_cases) for g in groups) == len(report.total.open_cases), by
        assert report.total.breaching
        assert report.total.withdrawn


def test_any_order_of_the_log_gives_the_same_report() -> None:
    alarms = log(
        *(
            episode(f"SZ-{n % 7}", "leave_city", f"02-{n:02} 08:00", f"opened 02-{n:02} 09:00",
                    f"closed 02-{n + 1:02} 09:00 returned", district=f"44030{n % 4}")
            for n in range(8, 20)
        )
    )  # fmt: skip
    wanted = summarise(alarms, *festival, by="district")
    for seed in range(20):
        shuffled = random.Random(seed).sample(alarms, len(alarms))  # noqa: S311
        assert summarise(shuffled, *festival, by="district") == wanted


def test_decoded_lines_and_dictionaries_are_the_same_alerts() -> None:
    alarms = log(
        missed("SZ-1", "09:00:00"),
        episode(
            "SZ-2", "leave_city", "02-13 08:00", "opened 02-13 08:05", proposal={"action": "x"}
        ),
    )
    decoded = [decode_alert(msgspec.json.encode(alarm)) for alarm in alarms]
    assert summarise(decoded, *festival) == summarise(alarms, *festival)


# -- the period -------------------------------------------------------------------------------


def test_without_a_period_it_is_from_first_alert_to_last() -> None:
    steps = ("opened 02-13 08:05", "closed 02-14 09:00 returned")
    found = summarise(episode("SZ-1", "leave_city", "02-13 08:00", *steps))
    assert (found.from_s, found.until_s) == (at("02-13 08:05"), at("02-14 09:00") + 1)
    assert found.total.alarms.total() == found.total.closings.total() == 1


def test_a_period_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        summarise([], at("02-10"), at("02-10"))
    with pytest.raises(ValueError, match="no alert, and no period"):
        summarise([])
    with pytest.raises(ValueError, match="not one of"):
        summarise([], *festival, by="sex")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": "SZ-1/other/2024-02-13T00:00:00Z#1"}, "not a number of its episode"),
        ({"id": "SZ-1#0"}, "not a number of its episode"),
        ({"subject": 7}, "Expected `str`"),
        ({"time": "yesterday"}, "RFC3339"),
        ({"data": {}}, "missing required field"),
    ],
)
def test_what_is_no_alert_is_told_in_one_line(change: dict[str, Any], told: str) -> None:
    [alarm] = episode("SZ-1", "leave_city", "02-13 08:00", "opened 02-13 08:05")
    with pytest.raises(ValueError, match=told) as caught:
        summarise([alarm | change], *festival)
    assert "\n" not in str(caught.value)
