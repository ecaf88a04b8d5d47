"""What goes out: kinds, reasons and severities with their labels, and how alerts are named.

An alert's id is `<supervisee>/<kind>/<since>#<number>`: made of what was decided alone, so the same
input gives the same ids on any machine and after any crash, and a repeat can be told from news.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import NamedTuple

__all__ = [
    "KINDS",
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
    "supervision_ended": ("supervision ended", "矫正期满或解除"),
    "withdrawn": ("evidence that arrived later shows it was wrong", "后到数据表明告警有误，撤回"),
}


def iso_utc(time_s: int) -> str:
    """Write POSIX seconds as UTC with whole seconds: 2024-02-13T01:30:00Z."""
    return datetime.fromtimestamp(time_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def episode_id(supervisee_id: str, kind: str, since_s: int) -> str:
    """Name an episode."""
    return f"{supervisee_id}/{kind}/{iso_utc(since_s)}"
