"""What the law allows next: it is proposed, with what it rests on, and people decide."""

from __future__ import annotations

import pytest
from timeline import CHINA, Story, moment, text

from geomon.alerts import episode_id
from geomon.core.law import month_later_s

LEFT = "opened leave_city since 13 09:00 (outside_without_leave)"
EPISODE = episode_id("SZ-0001", "leave_city", moment("13 09:00"))


def gone(until: str = "10:00", *, kinds: tuple[str, ...] = ("leave_city",)) -> Story:
    """Somebody who left at 09:00 on the 13th without leave, and is seen outside from then on."""
    story = Story(device="phone", kinds=kinds)
    story.stay("08:00", "09:00", every_s=600)
    story.stay("09:00", until, 30_000, every_s=600)
    return story


def test_from_the_first_hour_an_admonition_may_be_proposed() -> None:
    story = gone()
    assert story.told() == [LEFT]
    alert = story.alerts[0]
    assert alert.out_since_s == moment("09:00")
    assert alert.proposal == ("admonition", "out_of_supervision", (EPISODE,))


def test_the_clock_runs_without_another_event_after_ten_days_and_after_a_month() -> None:
    story = gone()
    story.clock("03-20 00:00")
    assert story.told() == [
        LEFT,
        "updated leave_city since 13 09:00 (proposal)",
        "updated leave_city since 13 09:00 (proposal)",
    ]
    ten_days, month = story.alerts[1:]
    assert text(ten_days.detected_s) == "23 09:00:01", "more than ten days, not ten"
    assert ten_days.proposal == ("warning", "over_10_days", (EPISODE,))
    assert text(month.detected_s) == "03-13 09:00:01"
    assert month.proposal == ("revocation", "over_one_month", (EPISODE,))
    assert month.out_since_s == moment("09:00")


def test_back_on_the_tenth_day_is_still_for_an_admonition() -> None:
    story = gone("23 08:30")
    story.stay("23 08:30", "23 10:00", every_s=600)
    assert [a.phase for a in story.alerts] == ["opened", "closed"]
    assert story.alerts[1].proposal == ("admonition", "out_of_supervision", (EPISODE,))


def test_back_after_ten_days_the_closing_says_what_it_came_to() -> None:
    story = gone("24 09:00")
    story.stay("24 09:00", "24 10:00", every_s=600)
    assert [a.proposal[:2] for a in story.alerts] == [
        ("admonition", "out_of_supervision"),
        ("warning", "over_10_days"),
        ("warning", "over_10_days"),
    ]
    assert story.alerts[-1].phase == "closed"


def test_the_clock_of_an_overdue_return_begins_with_the_end_of_the_leave() -> None:
    story = Story(device="phone", kinds={"overdue_return"})
    story.leave("08:00", "09:00", "15 00:00")
    story.stay("08:00", "09:00", every_s=600)
    story.stay("09:00", "15 02:00", 30_000, every_s=600)
    story.clock("25 01:00")
    assert [(a.phase, a.reason, a.out_since_s) for a in story.alerts] == [
        ("opened", "outside_after_leave", moment("15 00:00")),
        ("updated", "proposal", moment("15 00:00")),
    ]
    assert text(story.alerts[1].detected_s) == "25 00:00:01"


def test_the_clock_of_lost_contact_begins_when_last_heard() -> None:
    story = Story(device="phone", kinds={"lost_contact"})
    story.heartbeat("13 08:00")
    story.clock("03-14 00:00")
    assert [(text(a.detected_s), *a.proposal[:2]) for a in story.alerts] == [
        ("13 20:00", "", ""),
        ("15 08:00", "admonition", "out_of_supervision"),
        ("23 08:00:01", "warning", "over_10_days"),
        ("03-13 08:00:01", "revocation", "over_one_month"),
    ]
    assert {a.out_since_s for a in story.alerts[1:]} == {moment("08:00")}


# Measures taken before.


def test_after_one_admonition_another_may_be_proposed() -> None:
    story = Story(device="phone")
    story.sanction("05 10:00", "admonition", "P-1")
    story.stay("08:00", "09:00", every_s=600)
    story.stay("09:00", "10:00", 30_000, every_s=600)
    assert story.alerts[0].proposal[:2] == ("admonition", "out_of_supervision")


def test_two_admonitions_not_corrected() -> None:
    story = Story(device="phone")
    story.sanction("05 10:00", "admonition", "P-1")
    story.sanction("08 10:00", "admonition", "P-2")
    story.stay("08:00", "09:00", every_s=600)
    story.stay("09:00", "10:00", 30_000, every_s=600)
    assert story.alerts[0].proposal == ("warning", "two_admonitions", (EPISODE, "P-1", "P-2"))


def test_the_second_admonition_during_the_breach_is_an_update() -> None:
    story = gone()
    story.sanction("13 12:00", "admonition", "P-1")
    assert len(story.told()) == 1
    story.sanction("14 12:00", "admonition", "P-2")
    assert story.told()[1:] == ["updated leave_city since 13 09:00 (proposal)"]
    update = story.alerts[1]
    assert text(update.detected_s) == "14 12:00"
    assert update.proposal == ("warning", "two_admonitions", (EPISODE, "P-1", "P-2"))


def test_the_second_warning_is_for_revocation() -> None:
    story = gone()
    story.sanction("13 12:00", "warning", "P-1")
    assert len(story.told()) == 1
    story.sanction("14 12:00", "warning", "P-2")
    update = story.alerts[1]
    assert update.proposal == ("revocation", "two_warnings", (EPISODE, "P-1", "P-2"))
    story.clock("24 09:00")
    assert len(story.told()) == 2, "a warning is no graver than what may be proposed already"


def test_the_same_sanction_again_is_one() -> None:
    story = gone()
    story.sanction("13 12:00", "admonition", "P-1")
    story.sanction("13 12:00", "admonition", "P-1")
    assert len(story.told()) == 1


def test_a_month_is_graver_than_two_admonitions() -> None:
    story = gone()
    story.sanction("13 12:00", "admonition", "P-1")
    story.sanction("13 13:00", "admonition", "P-2")
    story.clock("03-14 00:00")
    assert [a.proposal[1] for a in story.alerts][-1] == "over_one_month"


@pytest.mark.parametrize("kind", ["tamper", "low_battery", "no_fix"])
def test_what_is_no_breach_of_the_law_proposes_nothing(kind: str) -> None:
    story = Story(device="phone", kinds={kind})
    story.sanction("05 10:00", "warning", "P-1")
    story.sanction("08 10:00", "warning", "P-2")
    story.heartbeat("08:00", battery_pct=1, flags=4)
    story.heartbeats("08:10", "15:00", every_s=600)
    assert [a.proposal for a in story.alerts] == [("", "", ())]


# Months as the law counts them.


@pytest.mark.parametrize(
    ("since", "later"),
    [
        ("01-13 09:00", "02-13 09:00"),
        ("01-31 09:00", "02-29 09:00"),
        ("02-29 09:00", "03-29 09:00"),
        ("03-31 00:00", "04-30 00:00"),
        ("05-31 23:59", "06-30 23:59"),
    ],
)
def test_a_month_ends_on_the_same_day_or_the_last(since: str, later: str) -> None:
    offset = CHINA.utcoffset(None)
    assert offset is not None
    assert month_later_s(moment(since), int(offset.total_seconds())) == moment(later)
