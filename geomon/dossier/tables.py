"""A dossier as tables for people: the same on a terminal and on the page.

Windows that were kept and alerts that are on record are counted, not listed: JSON has them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from geomon.core.papers import APPROVERS
from geomon.dossier.entries import SECTIONS, Dossier, EpisodeEntry
from geomon.dossier.record import posix
from geomon.dossier.wording import Wording

__all__ = ["Table", "notes", "tables"]

Row = dict[str, str]


class Table(NamedTuple):
    """One section: its title and rows of the same columns; `left_out` rows were too many."""

    section: str
    title: str
    rows: Sequence[Mapping[str, str]]
    left_out: int = 0

    @property
    def columns(self) -> list[str]:
        """The columns that have something in them."""
        return [c for c in self.rows[0] if any(row[c] for row in self.rows)] if self.rows else []


def tables(dossier: Dossier, words: Wording, *, most: int) -> Iterator[Table]:
    """Give the sections that have something in them; of each the newest `most` rows."""
    for section, (label_en, label_zh) in SECTIONS.items():
        entries = dossier.sections[section]
        if section == "person":
            rows = _person_rows(dossier, words)
        else:
            rows = [_ROWS[section](entry, words) for entry in entries if _is_listed(section, entry)]
        title = f"{label_zh} {label_en}"
        if section == "check_in" and entries:
            counts = Counter(words.label("state", getattr(e, "state", "")) for e in entries)
            title += ": " + ", ".join(f"{n} {state}" for state, n in counts.most_common())
        elif section == "alert":
            title = "仅在一方的告警 Alerts on one side alone"
        if rows or (section == "check_in" and entries):
            yield Table(section, title, rows[-most:], max(len(rows) - most, 0))


def _person_rows(dossier: Dossier, words: Wording) -> list[Row]:
    """Give who it is about as pairs."""
    p = dossier.person
    begin_s = dossier.from_s or p.time_s
    sources = p.sources
    if len(sources) > 3:
        sources = [sources[0], f"… {len(sources) - 2} more …", sources[-1]]
    refused = ", ".join(f"{n} {reason}" for reason, n in p.refused.items())
    pairs = [
        ("人员 person", p.supervisee_id),
        ("时段 from – until", words.span(begin_s, p.until_s) + f" {words.offset}"),
        ("级别 level", words.label("level", p.level)),
        ("辖区 of", " ".join(filter(None, [p.district and words.places([p.district]), p.street]))),
        ("消息 events, positions", f"{p.events:,}, {p.fixes:,}"),
        ("告警 alerts, episodes, open", f"{p.alerts:,}, {p.episodes:,}, {p.open:,}"),
        ("拒收 refused", refused),
        ("来源 from", "; ".join(sources)),
    ]
    return [{"field 项目": name, "value 内容": value} for name, value in pairs if value]


def notes(dossier: Dossier) -> Iterator[str]:
    """Give what must be known to read a dossier right."""
    yield (
        "个人敏感信息，仅限执法目的使用，注意保密。 Sensitive personal information: for the "
        "purpose of supervision alone; who looks at it is to be on record."
    )
    if any(e.proposal for e in dossier.sections["episode"] if isinstance(e, EpisodeEntry)):
        yield ("处置建议由系统按时限提示，由人员决定。 Measures are proposed; people decide.")


def _is_listed(section: str, entry: Any) -> bool:
    if section == "check_in":
        return bool(entry.state != "kept")
    if section == "alert":
        return entry.record not in (None, "on_record")
    return True


def _clock(e: Any, words: Wording) -> Row:
    left = ""
    if e.left_s is not None:
        left = words.lasting(e.left_s) if e.left_s > 0 else f"{words.lasting(-e.left_s)} ago 已过"
    about = e.about
    if e.clock == "supervision":
        about = words.label("level", about)
    elif e.clock == "check_in":
        about = words.label("state", about)
    elif e.clock == "lost_contact":
        about = words.label("device", about)
    then = words.label("action", e.action)
    if e.ground:
        then += f" ({words.label('ground', e.ground)})"
    return {
        "clock 时限": words.label("clock", e.clock),
        "about 对象": about,
        "severity 等级": words.label("severity", e.severity),
        "since 起": words.time(e.time_s),
        "age 已历时": words.lasting(e.age_s) if e.age_s else "",
        "due 到期": words.time(e.due_s),
        "left 剩余": left,
        "measure 可提请": then,
    }


def _supervision(e: Any, words: Wording) -> Row:
    return {
        "told 登记": words.time(e.time_s),
        "from – until 矫正期限": f"{words.day(e.from_s)} – {words.time(e.until_s)}",
        "level 级别": words.label("level", e.level),
        "of 辖区": f"{words.places([e.district]) if e.district else ''} {e.street}".strip(),
    }


def _permit(e: Any, words: Wording) -> Row:
    late = " 事后 afterwards" if e.late else ""
    by = words.label("office", e.approved_by)
    # A return or a cancellation asks nobody's approval; nor is one below the street office.
    asks = e.change in {"granted", "extended", "changed"} and e.approver != APPROVERS[0]
    below = asks and (
        not e.approved_by or APPROVERS.index(e.approved_by) < APPROVERS.index(e.approver)
    )
    needs = f" (应由 for {words.label('office', e.approver)})" if below else ""
    return {
        "time 时间": words.time(e.time_s),
        "permit 编号": e.permit_id,
        "what 事项": words.label("change", e.change) + late,
        "from – until 起止": words.span(e.from_s, e.until_s),
        "days 天数": str(e.days),
        "to 目的地": words.places(e.destinations),
        "approved by 审批": by + needs,
    }


def _order(e: Any, words: Wording) -> Row:
    return {
        "time 时间": words.time(e.time_s),
        "order 编号": e.authorisation_id,
        "what 事项": words.label("change", e.change),
        "ground 法定情形": str(e.ground),
        "from – until 起止": words.span(e.from_s, e.until_s),
    }


def _zone(e: Any, words: Wording) -> Row:
    return {
        "time 时间": words.time(e.time_s),
        "zone 编号": e.zone_id,
        "what 事项": words.label("change", e.change),
        "kind 类别": words.label("zone", e.kind),
        "place 地点": words.places([e.place]) if e.place else "",
        "radius 半径": f"{e.radius_m:,.0f} m" if e.radius_m else "",
        "hours 时段": "; ".join(e.schedule) or "always 全天",
        "from – until 起止": words.span(e.from_s, e.until_s),
    }


def _plan(e: Any, words: Wording) -> Row:
    return {
        "time 时间": words.time(e.time_s),
        "windows 签到时段": "; ".join(e.windows) or "exempt 免签",
        "from – until 起止": words.span(e.from_s, e.until_s),
    }


def _sanction(e: Any, words: Wording) -> Row:
    return {
        "time 时间": words.time(e.time_s),
        "sanction 编号": e.sanction_id,
        "kind 类别": words.label("action", e.kind),
        "episode 告警": e.episode or "",
    }


def _disposal(e: Any, words: Wording) -> Row:
    return {
        "time 时间": words.time(e.time_s),
        "episode 告警": e.episode,
        "officer 处置人": e.officer,
        "reason 原因": e.reason,
        "result 结果": e.result + ("" if e.taken else " (无此未结告警 none such was open)"),
    }


def _episode(e: Any, words: Wording) -> Row:
    reason = words.label("reason", e.reason)
    if e.closed_reason:
        reason += f" → {words.label('reason', e.closed_reason)}"
    done = []
    if e.proposal:
        done.append(f"可提请 {words.label('action', e.proposal['action'])}")
    if e.disposal:
        done.append(f"处置 {e.disposal['officer']}: {e.disposal['result']}")
    until = words.time(e.until_s)
    if e.state != "closed":
        until = f"{until} {words.label('state', e.state)}".strip()
    return {
        "since 起": words.time(e.time_s),
        "until 止": until,
        "kind 种类": words.label("kind", e.kind),
        "severity 等级": words.label("severity", e.severity),
        "reason 原因": reason,
        "place 地点": words.places([e.place]) if e.place else "",
        "evidence 证据": str(e.evidence),
        "follows 起因": _cause(e.cause, words),
        "measure 处置": "; ".join(done),
        "record 记录": words.label("mark", e.record),
    }


def _cause(episode: str | None, words: Wording) -> str:
    """Write the episode that another follows from by its kind and, in local time, its beginning."""
    if not episode:
        return ""
    name, _, since = episode.rpartition("/")
    return f"{words.label('kind', name.rpartition('/')[2])} {words.time(posix(since))}"


def _alert(e: Any, words: Wording) -> Row:
    return {
        "decided 判定": words.time(e.time_s),
        "alert 告警": e.id,
        "reason 原因": words.label("reason", e.reason),
        "record 记录": words.label("mark", e.record),
    }


def _presence(e: Any, words: Wording) -> Row:
    return {
        "from – until 起止": words.span(e.time_s, e.until_s),
        "for 历时": words.lasting(e.until_s - e.time_s),
        "where 位置": words.label("where", "leave" if e.permit_id else e.where),
        "permit 许可": e.permit_id or "",
        "places 地点": words.places(e.places),
    }


def _check_in(e: Any, words: Wording) -> Row:
    window = words.span(e.time_s, e.until_s) if e.until_s > e.time_s else ""
    return {
        "window 时段": window,
        "state 状态": words.label("state", "owed" if e.state == "open" else e.state),
        "checked in 签到": words.time(e.checked_in_s),
    }


def _device(e: Any, words: Wording) -> Row:
    states = [
        "switched off 已关机" if e.switched_off else "",
        "strap open 断带" if e.strap_open else "",
        "charging 充电" if e.charging else "",
    ]
    return {
        "device 设备": words.label("device", e.device),
        "first heard 首次上报": words.time(e.time_s),
        "last heard 最近上报": words.time(e.heard_s),
        "last position 最近定位": words.time(e.fix_s),
        "battery 电量": "" if e.battery_pct is None else f"{e.battery_pct:.0f} %",
        "state 状态": ", ".join(filter(None, states)),
    }


def _contact(e: Any, words: Wording) -> Row:
    day = words.day(e.time_s)
    if e.days > 1:
        day += f" – {words.day(e.until_s - 1)} ({e.days} d)"
    return {
        "day 日期": day,
        "uploads 上报": f"{e.uploads:,}",
        "positions 定位": f"{e.fixes:,}",
        "devices 设备": ", ".join(e.devices),
        "first 首次": words.of_day(e.first_heard_s),
        "last 末次": words.of_day(e.last_heard_s),
        "last position 末次定位": words.of_day(e.last_fix_s),
        "longest silence 最长无上报": (
            words.lasting(e.longest_silence_s) if e.longest_silence_s else ""
        ),
    }


_ROWS: Mapping[str, Callable[[Any, Wording], Row]] = {
    "clock": _clock,
    "supervision": _supervision,
    "leave": _permit,
    "standing_permit": _permit,
    "authorisation": _order,
    "zone": _zone,
    "check_in_plan": _plan,
    "sanction": _sanction,
    "disposal": _disposal,
    "episode": _episode,
    "alert": _alert,
    "presence": _presence,
    "check_in": _check_in,
    "device": _device,
    "contact": _contact,
}
