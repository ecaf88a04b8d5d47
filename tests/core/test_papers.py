"""Papers that want an officer's eye: orders, standing permits, who may approve which leave."""

from __future__ import annotations

import pytest
from timeline import HOME_M, Story, moment, text

from geomon.alerts import KINDS, iso_utc


def announced(kind: str, *, device: str = "wristband", until: str = "12-31 00:00") -> Story:
    story = Story(device=device, kinds={kind})
    story.supervised("01 08:00", "01-01 00:00", until)
    return story


def ordered(end: str = "20 00:00") -> Story:
    """Somebody who wears a wristband by an order until the 20th."""
    story = announced("authorisation")
    story.authorise("01 08:00", "01-01 00:00", end)
    story.stay("01 09:00", "01 10:00", every_s=600)
    return story


def test_they_are_notices_and_no_alarms() -> None:
    assert {name for name, kind in KINDS.items() if kind.notice} == {
        "authorisation",
        "permit_expiry",
        "approval",
    }


# Orders to wear a wristband.


def test_an_order_that_runs_out_is_told_seven_days_ahead() -> None:
    story = ordered()
    story.clock("12 23:59:59")
    assert story.told() == []
    story.clock("13 00:00")
    assert story.told() == ["opened authorisation since 13 00:00 (authorisation_expiring)"]
    alert = story.alerts[0]
    assert (alert.severity, text(alert.detected_s)) == ("info", "13 00:00")
    assert dict(alert.detail) == {
        "authorisation_id": "A-1",
        "ground": 1,
        "until": iso_utc(moment("20 00:00")),
    }


def test_an_extension_settles_it() -> None:
    story = ordered()
    story.clock("15 09:00")
    story.authorise("15 10:00", "01-01 00:00", "05-20 00:00")
    assert story.told()[1:] == ["closed authorisation since 13 00:00 until 15 10:00 (settled)"]
    story.stay("15 10:00", "28 10:00", every_s=3_600)
    assert len(story.told()) == 2
    story.clock("05-14 00:00")
    assert story.told()[2:] == ["opened authorisation since 05-13 00:00 (authorisation_expiring)"]


def test_a_following_order_of_its_own_settles_it_too() -> None:
    story = ordered()
    story.authorise("05 10:00", "20 00:00", "05-20 00:00", paper="A-2")
    story.stay("05 10:00", "28 10:00", every_s=3_600)
    assert story.told() == []


def test_a_gap_between_two_orders_is_no_following_order() -> None:
    story = ordered()
    story.authorise("05 10:00", "22 00:00", "05-20 00:00", paper="A-2")
    story.clock("13 00:00")
    assert story.told() == ["opened authorisation since 13 00:00 (authorisation_expiring)"]
    story.stay("20 00:10", "23 00:00", every_s=3_600)
    assert story.told()[1:] == [
        "closed authorisation since 13 00:00 until 20 00:00 (settled)",
        "opened authorisation since 20 00:10 (no_authorisation)",
        "closed authorisation since 20 00:10 until 22 00:00 (settled)",
    ]


@pytest.mark.parametrize("unasked", [False, True])
def test_positions_after_the_order_has_run_out_are_flagged(unasked: bool) -> None:
    """Whether or not the order's end was looked at by the clock before they came."""
    story = ordered()
    story.stay("19 23:00", "20 00:00", every_s=600)
    if unasked:
        story.clock("20 00:00")
    story.stay("20 00:10", "20 06:00", every_s=600)
    assert story.told()[1:] == [
        "closed authorisation since 13 00:00 until 20 00:00 (settled)",
        "opened authorisation since 20 00:10 (no_authorisation)",
    ]
    assert (story.alerts[2].severity, text(story.alerts[2].detected_s)) == ("low", "20 00:10:05")


def test_a_band_that_was_taken_off_in_time_is_not_flagged() -> None:
    story = ordered()
    story.stay("13 09:00", "19 18:00", every_s=3_600)
    story.clock("25 00:00")
    assert story.told()[1:] == ["closed authorisation since 13 00:00 until 20 00:00 (settled)"]


def test_a_band_that_was_taken_off_late_is_flagged_until_a_day_after_its_last_position() -> None:
    story = ordered()
    story.stay("19 23:00", "20 06:00", every_s=600)
    story.stay("20 06:00", "25 06:00", every_s=3_600, device="phone")
    assert story.told()[2:] == [
        "opened authorisation since 20 00:00 (no_authorisation)",
        "closed authorisation since 20 00:00 until 21 05:50 (settled)",
    ]


def test_a_heartbeat_is_no_position_taken_without_an_order() -> None:
    story = ordered()
    story.stay("13 09:00", "19 18:00", every_s=3_600)
    story.heartbeats("20 01:00", "20 12:00", every_s=600)
    assert [a.reason for a in story.alerts if a.reason == "no_authorisation"] == []


def test_a_band_that_nobody_ordered() -> None:
    story = announced("authorisation")
    story.fix("13 09:00", HOME_M)
    story.stay("13 09:10", "14 09:00", every_s=600)
    assert story.told() == ["opened authorisation since 13 09:00 (no_authorisation)"]
    assert story.alerts[0].detail == ()
    story.authorise("14 10:00", "14 10:00", "05-14 10:00")
    assert story.told()[1:] == ["closed authorisation since 13 09:00 until 14 10:00 (settled)"]


def test_an_order_that_is_cancelled_ends_when_that_arrives() -> None:
    story = announced("authorisation")
    story.authorise("01 08:00", "01-01 00:00", "03-30 00:00")
    story.stay("13 09:00", "13 10:00", every_s=600)
    story.authorise("13 10:00", "01-01 00:00", "03-30 00:00", cancelled=True)
    story.authorise("13 10:20", "01-01 00:00", "03-30 00:00", cancelled=True)
    assert story.told() == [], "no position since"
    story.stay("13 10:30", "13 12:00", every_s=600)
    assert story.told() == ["opened authorisation since 13 10:30 (no_authorisation)"]


@pytest.mark.parametrize(("end", "told"), [("05-13 00:00", 0), ("05-20 00:00", 1)])
def test_an_order_for_more_than_three_months_is_told(end: str, told: int) -> None:
    story = announced("authorisation")
    story.authorise("12 08:00", "13 00:00", end)
    story.stay("13 09:00", "13 12:00", every_s=600)
    assert [a.reason for a in story.alerts] == ["over_three_months"] * told


def test_an_extension_counts_from_where_the_order_ended() -> None:
    story = announced("authorisation")
    story.authorise("01 08:00", "01-01 00:00", "03-30 00:00")
    story.authorise("13 08:00", "01-01 00:00", "06-28 00:00")
    story.stay("13 09:00", "13 12:00", every_s=600)
    assert story.told() == []


def test_a_phone_needs_no_order() -> None:
    story = announced("authorisation", device="phone")
    story.stay("13 09:00", "15 09:00", every_s=1_800)
    assert story.told() == []


def test_of_somebody_never_announced_no_papers_are_known() -> None:
    story = Story(kinds={"authorisation"})
    story.stay("13 09:00", "13 12:00")
    assert story.told() == []


# Standing permits.


def test_a_standing_permit_that_runs_out_is_told_seven_days_ahead() -> None:
    story = announced("permit_expiry")
    story.leave("01 09:00", "01 00:00", "20 00:00", permit_id="S-1", kind="standing")
    story.clock("12 23:59:59")
    assert story.told() == []
    story.clock("25 00:00")
    assert story.told() == [
        "opened permit_expiry since 13 00:00 (permit_expiring)",
        "closed permit_expiry since 13 00:00 until 20 00:00 (settled)",
    ]
    opened = story.alerts[0]
    assert (opened.severity, opened.permit_id) == ("info", "S-1")
    assert text(opened.detected_s) == "13 00:00"
    assert dict(opened.detail) == {"until": iso_utc(moment("20 00:00"))}


@pytest.mark.parametrize("permit_id", ["S-1", "S-2"])
def test_one_that_is_prolonged_or_followed_is_not_told_any_more(permit_id: str) -> None:
    story = announced("permit_expiry")
    story.leave("01 09:00", "01 00:00", "20 00:00", permit_id="S-1", kind="standing")
    story.leave("15 09:00", "10 00:00", "05-20 00:00", permit_id=permit_id, kind="standing")
    story.clock("25 00:00")
    assert story.told() == [
        "opened permit_expiry since 13 00:00 (permit_expiring)",
        "closed permit_expiry since 13 00:00 until 15 09:00 (settled)",
    ]


def test_one_that_is_cut_short_is_told_under_the_name_it_has() -> None:
    story = announced("permit_expiry")
    story.leave("01 09:00", "01 00:00", "20 00:00", permit_id="S-1", kind="standing")
    story.clock("14 12:00")
    story.leave("14 13:00", "01 00:00", "19 00:00", permit_id="S-1", kind="standing")
    story.clock("25 00:00")
    assert story.told() == [
        "opened permit_expiry since 13 00:00 (permit_expiring)",
        "closed permit_expiry since 13 00:00 until 19 00:00 (settled)",
    ]


def test_another_that_takes_its_place_while_it_is_told_leaves_one_open() -> None:
    """Both end on one day, and the one entered later began earlier."""
    story = announced("permit_expiry")
    story.leave("14 09:00", "14 00:00", "20 00:00", permit_id="S-1", kind="standing")
    story.leave("15 09:00", "01 00:00", "20 00:00", permit_id="S-2", kind="standing")
    story.clock("25 00:00")
    assert story.told() == [
        "opened permit_expiry since 14 00:00 (permit_expiring)",
        "closed permit_expiry since 14 00:00 until 20 00:00 (settled)",
    ]


def test_a_leave_that_ends_is_no_standing_permit() -> None:
    story = announced("permit_expiry")
    story.leave("01 09:00", "01 00:00", "20 00:00")
    story.clock("25 00:00")
    assert story.told() == []


# Who approves a leave.


@pytest.mark.parametrize(
    ("begin", "end", "by", "reason", "approver"),
    [
        ("14 00:00", "21 00:00", "street", "", ""),
        ("14 00:00", "21 00:00", "", "", ""),
        ("14 00:00", "21 00:01", "street", "over_7_days", "district"),
        ("14 00:00", "22 00:00", "", "over_7_days", "district"),
        ("14 00:00", "22 00:00", "district", "", ""),
        ("14 00:00", "03-15 00:00", "district", "", ""),
        ("14 00:00", "03-15 00:01", "district", "over_30_days", "city"),
        ("14 00:00", "03-20 00:00", "street", "over_30_days", "city"),
        ("14 00:00", "03-20 00:00", "city", "", ""),
    ],
)
def test_a_long_leave_is_for_a_higher_level(
    begin: str, end: str, by: str, reason: str, approver: str
) -> None:
    story = announced("approval", device="phone")
    story.leave("13 09:00", begin, end, approved_by=by)
    if not reason:
        assert story.told() == []
        return
    assert story.told() == [f"opened approval since 13 09:00 ({reason})"]
    alert = story.alerts[0]
    assert (alert.permit_id, alert.severity) == ("L-1", "low")
    assert dict(alert.detail) == {"approver": approver, "approved_by": by or None}


def test_more_than_thirty_days_within_two_months() -> None:
    """Four leaves of eight days: the fourth brings it to 32."""
    story = announced("approval", device="phone")
    for n, begin in enumerate(["02-02", "02-14", "02-26"]):
        end = {"02-02": "02-10", "02-14": "02-22", "02-26": "03-05"}[begin]
        story.leave(
            f"{begin} 00:00",
            f"{begin} 00:00",
            f"{end} 00:00",
            permit_id=f"L-{n}",
            approved_by="district",
        )
        story.back(f"{end} 00:00", f"L-{n}")
    assert story.told() == []
    story.leave(
        "03-06 09:00", "03-10 00:00", "03-18 00:00", permit_id="L-9", approved_by="district"
    )
    assert story.told() == ["opened approval since 03-06 09:00 (over_30_days_in_two_months)"]
    assert dict(story.alerts[0].detail)["approver"] == "city"


def test_who_came_back_early_spent_fewer_days() -> None:
    story = announced("approval", device="phone")
    for n, (begin, end, back) in enumerate(
        [("02-02", "02-10", "02-05"), ("02-14", "02-22", "02-17"), ("02-26", "03-05", "03-01")]
    ):
        story.leave(
            f"{begin} 00:00",
            f"{begin} 00:00",
            f"{end} 00:00",
            permit_id=f"L-{n}",
            approved_by="district",
        )
        story.back(f"{back} 00:00", f"L-{n}")
    story.leave(
        "03-06 09:00", "03-10 00:00", "03-18 00:00", permit_id="L-9", approved_by="district"
    )
    assert story.told() == []


def test_leaves_longer_ago_than_two_months_do_not_count() -> None:
    story = announced("approval", device="phone")
    story.leave("02 00:00", "02 00:00", "03-02 00:00", permit_id="L-0", approved_by="district")
    story.leave("03-02 09:00", "05-10 00:00", "05-18 00:00", approved_by="district")
    assert story.told() == []


def test_the_right_approval_that_comes_afterwards_settles_it() -> None:
    story = announced("approval", device="phone")
    story.leave("13 09:00", "14 00:00", "24 00:00", approved_by="street")
    story.leave("13 15:00", "14 00:00", "24 00:00", approved_by="district")
    assert story.told()[1:] == ["closed approval since 13 09:00 until 13 15:00 (settled)"]


def test_a_leave_cut_short_settles_it() -> None:
    story = announced("approval", device="phone")
    story.leave("13 09:00", "14 00:00", "24 00:00", approved_by="street")
    story.leave("13 15:00", "14 00:00", "24 00:00", cancelled=True)
    assert story.told()[1:] == ["closed approval since 13 09:00 until 13 15:00 (settled)"]


def test_an_extension_beyond_what_the_street_may_grant_is_told() -> None:
    story = announced("approval", device="phone")
    story.leave("13 09:00", "14 00:00", "20 00:00", approved_by="street")
    assert story.told() == []
    story.leave("19 09:00", "14 00:00", "24 00:00", approved_by="street")
    assert story.told() == ["opened approval since 19 09:00 (over_7_days)"]


def test_notices_end_with_supervision() -> None:
    story = announced("approval", device="phone", until="16 00:00")
    story.leave("13 09:00", "14 00:00", "24 00:00", approved_by="street")
    story.clock("17 00:00")
    assert story.told()[1:] == ["closed approval since 13 09:00 until 16 00:00 (supervision_ended)"]


def test_papers_that_arrive_again_change_nothing() -> None:
    story = Story(kinds={"authorisation", "permit_expiry", "approval"})
    for _ in range(2):
        story.supervised("01 08:00", "01-01 00:00", "12-31 00:00")
        story.authorise("01 08:00", "01-01 00:00", "20 00:00")
        story.leave("01 08:00", "01 00:00", "20 00:00", permit_id="S-1", kind="standing")
        story.leave("01 08:00", "02 00:00", "12 00:00", approved_by="street")
    story.stay("01 09:00", "01 10:00", every_s=600)
    story.clock("14 00:00")
    assert story.told() == [
        "opened approval since 01 08:00 (over_7_days)",
        "closed approval since 01 08:00 until 12 00:00 (settled)",
        "opened authorisation since 13 00:00 (authorisation_expiring)",
        "opened permit_expiry since 13 00:00 (permit_expiring)",
    ]
