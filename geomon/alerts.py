"""What goes out: kinds, reasons and severities with their labels, and how alerts are named.

An alert's id is `<supervisee>/<kind>/<since>#<number>`: made of what was decided alone, so the same
input gives the same ids on any machine and after any crash, and a repeat can be told from news.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import NamedTuple

__all__ = [
    "GROUNDS",
    "KINDS",
    "MEASURES",
    "PHASES",
    "REASONS",
    "SEVERITIES",
    "Kind",
    "episode_id",
    "iso_utc",
]


class Kind(NamedTuple):
    """A kind of alert."""

    label_en: str
    label_zh: str
    meaning: str
    notice: bool = False  # about papers: no alarm, and not counted as one


KINDS: Mapping[str, Kind] = {
    "leave_city": Kind(
        "left the city", "违规离深", "believed outside the city with no leave or permit in force"
    ),
    "overdue_return": Kind(
        "overdue return",
        "逾期未归",
        "a leave has ended, the grace is over, and the person is not believed inside",
    ),
    "off_itinerary": Kind(
        "off itinerary",
        "偏离外出目的地",
        "on leave, outside the city and every approved destination beyond the travel allowance",
    ),
    "lost_contact": Kind(
        "lost contact", "失联", "nothing heard from a device for longer than the plan allows"
    ),
    "no_fix": Kind(
        "no position",
        "无定位",
        "heard from, but no usable position for longer than the plan allows",
    ),
    "missed_check_in": Kind(
        "missed check-in", "未签到", "a check-in window closed without a valid check-in"
    ),
    "tamper": Kind("tampering", "拆卸/断带", "the strap or the case of a device was opened"),
    "separation": Kind(
        "devices apart",
        "人机分离",
        "phone and wristband believed apart for longer than the plan allows",
    ),
    "low_battery": Kind("low battery", "低电量", "below the plan's threshold and not charging"),
    "spoofing": Kind(
        "faked position",
        "虚拟定位",
        "positions said to be faked, or that contradict each other as no error does",
    ),
    "exclusion_zone": Kind(
        "in a forbidden zone", "进入禁止区域", "believed inside a forbidden zone, by its schedule"
    ),
    "curfew": Kind(
        "not at the named place",
        "未在规定地点",
        "the schedule names a place and the person is believed elsewhere",
    ),
    "border_approach": Kind(
        "nearing the line",
        "接近边界",
        "believed inside but heading out close to the line, and no leave (a hint)",
    ),
    "authorisation": Kind(
        "wristband order",
        "电子定位授权",
        "the order to wear a wristband runs out within a week, or positions come without one",
        notice=True,
    ),
    "permit_expiry": Kind(
        "standing permit ends",
        "经常性许可到期",
        "a standing permit runs out within a week and no other follows",
        notice=True,
    ),
    "approval": Kind(
        "leave above its approver",
        "审批权限",
        "a leave is longer than the level that approved it may grant",
        notice=True,
    ),
}

PHASES: Mapping[str, tuple[str, str]] = {
    "opened": ("opened", "告警"),
    "updated": ("updated", "更新"),
    "closed": ("closed", "解除"),
}

SEVERITIES: Mapping[str, tuple[str, str]] = {
    "info": ("information", "提示"),
    "low": ("low", "低"),
    "medium": ("medium", "中"),
    "high": ("high", "高"),
    "critical": ("critical", "紧急"),
}

#: Why an alert is told. Opening reasons first, closing reasons after.
REASONS: Mapping[str, tuple[str, str]] = {
    "outside_without_leave": ("outside the city, and no permit covers it", "未经批准离开本市"),
    "outside_after_leave": ("outside the city after the leave ended", "假期届满仍在市外"),
    "silent_after_leave": ("the leave ended and nothing recent was heard", "假期届满且无近期定位"),
    "outside_destinations": ("outside every approved destination", "不在批准的目的地"),
    "returned": ("believed inside the city again", "已回到本市"),
    "permitted": ("a permit covers it", "已获批准"),
    "extended": ("an extension or another permit covers it", "已获续假"),
    "at_destination": ("in an approved destination", "已在批准的目的地"),
    "leave_ended": ("the leave ended: an overdue return takes over", "假期届满，转为逾期未归"),
    "elsewhere_after_leave": (
        "the leave ended, and the person is where it was not for",
        "假期届满且在批准目的地以外",
    ),
    "silent": ("nothing is heard, and nothing explains it", "无任何上报"),
    "battery_died": ("nothing is heard; the battery was almost empty", "电量耗尽后失联"),
    "switched_off": ("nothing is heard; the device was switched off", "关机后失联"),
    "wristband_silent": ("the wristband is silent, the phone is not", "定位装置失联，手机仍在线"),
    "out_of_supervision": (
        "contact lost for so long that it counts as out of supervision",
        "失联超过规定时限，列为脱管",
    ),
    "no_usable_fix": ("the device reports, but no usable position", "有上报但无有效定位"),
    "no_check_in": ("the window closed without a valid check-in", "规定时段内未签到"),
    "missed_again": ("the next window was missed too", "再次未签到"),
    "late_check_in": ("checked in, but after the window", "逾时补签"),
    "strap_opened": ("the strap was opened", "腕带被打开"),
    "case_opened": ("the case was opened", "外壳被打开"),
    "cleared_by_itself": ("it was undone; an officer has still to look", "已自行恢复，仍须处置"),
    "devices_apart": ("phone and wristband are in different places", "手机与定位装置不在一处"),
    "battery_low": ("the battery is low", "电量低"),
    "mock_location": ("the phone says that its position is faked", "手机报告模拟定位"),
    "impossible_speed": ("faster than anybody travels", "位移速度不可能"),
    "frozen_position": ("the very same position for hours", "坐标长时间完全不变"),
    "devices_disagree": (
        "phone and wristband parted faster than anybody can part them",
        "手机与定位装置位置矛盾",
    ),
    "cells_disagree": ("satellites and cells tell different places", "卫星定位与基站定位矛盾"),
    "in_forbidden_zone": ("inside a forbidden zone", "位于禁止区域内"),
    "away_from_place": ("away from where the schedule says to be", "不在规定地点"),
    "heading_out": ("making for the line, close to it", "正驶向市界"),
    "authorisation_expiring": ("the order ends within a week", "授权一周内到期"),
    "no_authorisation": ("positions, and no order in force", "无有效授权仍有定位"),
    "over_three_months": ("the order is for more than three months", "授权一次超过三个月"),
    "permit_expiring": ("the permit ends within a week", "许可一周内到期"),
    "over_7_days": ("longer than 7 days: for the district to approve", "超过7日，应由区级审批"),
    "over_30_days": ("longer than 30 days: for the city to approve", "超过30日，应由市级审批"),
    "over_30_days_in_two_months": (
        "more than 30 days within two months: for the city to approve",
        "两个月内累计超过30日，应由市级审批",
    ),
    "still_open": ("it has lasted: graver with age", "持续未解除，级别上调"),
    "proposal": ("another measure may now be proposed", "可提请更进一步处置"),
    "supervision_ended": ("supervision ended", "矫正期满或解除"),
    "level_changed": ("not more than the new level allows", "监管级别变更，未超出新级别限度"),
    "heard_again": ("heard from again", "恢复联系"),
    "fix_again": ("a usable position again", "恢复定位"),
    "charged": ("charged again", "已充电"),
    "together_again": ("phone and wristband are together again", "手机与定位装置已在一处"),
    "taken_off": ("the wristband is not worn any more", "已不再佩戴定位装置"),
    "disposed": ("an officer dealt with it", "已处置"),
    "left_zone": ("believed outside the zone again", "已离开禁止区域"),
    "back_in_place": ("believed at the named place again", "已回到规定地点"),
    "window_ended": ("the schedule's window ended", "规定时段结束"),
    "zone_removed": ("the zone is not in force any more", "区域已撤销"),
    "away_again": ("away from the line again, or nothing followed", "已远离边界"),
    "left_city": ("the person left: that is told by itself", "已离开本市，另行告警"),
    "settled": ("the paper is in order again, or not needed any more", "手续已补齐或不再需要"),
    "withdrawn": ("evidence that arrived later shows it was wrong", "后到数据表明告警有误，撤回"),
}


#: What may be proposed (never decided), and on what ground.
MEASURES: Mapping[str, tuple[str, str]] = {
    "admonition": ("admonition", "训诫"),
    "warning": ("warning", "警告"),
    "revocation": ("revocation", "撤销缓刑、假释等"),
}
GROUNDS: Mapping[str, tuple[str, str]] = {
    "out_of_supervision": ("out of supervision for up to 10 days", "脱离监管十日以内"),
    "over_10_days": ("out of supervision for more than 10 days", "脱离监管超过十日"),
    "over_one_month": ("out of supervision for more than one month", "脱离监管超过一个月"),
    "two_admonitions": ("two admonitions, not corrected", "两次训诫仍不改正"),
    "two_warnings": ("two warnings, not corrected", "两次警告仍不改正"),
}


def iso_utc(time_s: int) -> str:
    """Write POSIX seconds as UTC with whole seconds: 2024-02-13T01:30:00Z."""
    return datetime.fromtimestamp(time_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def episode_id(supervisee_id: str, kind: str, since_s: int) -> str:
    """Name an episode."""
    return f"{supervisee_id}/{kind}/{iso_utc(since_s)}"
