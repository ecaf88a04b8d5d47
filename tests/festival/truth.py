"""What really happened: facts from the noise-free path, from scripts, and from what was heard."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .almanac import BEGIN_S, END_S, day_start, utc_text
from .ground import KX_M, KY_M, ground
from .heard import Heard
from .levels import LEVELS
from .people import PersonPlan, watched
from .script import Fact, Script
from .track import Track, crossings

__all__ = ["absences", "facts_of", "record_of"]

Floats = NDArray[np.float64]
_H = 3600
# Apart by more than this, messages are no company of heartbeats (phone, wristband).
_HEARTBEAT_S = (2 * _H, 300)


def absences(track: Track) -> list[tuple[int, int | None]]:
    """When the true path lies outside the city within the period."""
    inside = ground().zones.classify
    found = crossings(track, lambda x, y: inside(x, y).inside, BEGIN_S, END_S)
    spells: list[tuple[int, int | None]] = []
    for time_s, now_inside in found:
        if not now_inside:
            spells.append((time_s, None))
        elif spells:
            spells[-1] = (spells[-1][0], time_s)
    return spells


def facts_of(plan: PersonPlan, script: Script, track: Track, heard: list[Heard]) -> list[Fact]:
    """All facts about a person that follow from path, script and devices."""
    facts = list(script.facts)
    for device in heard:
        facts += device.facts
    facts += _away(plan, script, track)
    facts += _zone(plan, script, track)
    facts += _separations(plan, script, track)
    facts += _silences(plan, script, heard)
    return facts


def record_of(plan: PersonPlan, fact: Fact) -> dict[str, Any]:
    """A fact as it is written."""
    return {
        "supervisee_id": plan.supervisee_id,
        "kind": fact.kind,
        "since": utc_text(fact.since_s),
        "until": utc_text(fact.until_s),
        "device": fact.device or None,
        "breach": fact.breach,
        "note": fact.note,
    }


def _away(plan: PersonPlan, script: Script, track: Track) -> list[Fact]:
    spells = absences(track)
    device = "wristband" if plan.role.band else "phone"
    story = plan.role.story
    if script.breach and not script.permitted:
        return [Fact("leave_city", a, b, device, breach=True, note=story) for a, b in spells]
    if story == "leave_astray":
        return [Fact("off_itinerary", a, b, device, note="in another province") for a, b in spells]
    if not spells or script.overdue is None:
        return []
    end_s, granted_s = script.overdue
    since, until = spells[-1]
    if since >= end_s or (until is not None and until <= end_s):
        return []
    if granted_s is not None:
        note = f"cured: extension granted {utc_text(granted_s)}, back {utc_text(until)}"
        return [Fact("overdue_return", end_s, granted_s, device, note=note)]
    return [Fact("overdue_return", end_s, until, device, breach=True, note=story)]


def _zone(plan: PersonPlan, script: Script, track: Track) -> list[Fact]:
    if script.zone is None:
        return []
    kind, (lon, lat), radius_m = script.zone

    def near(x: Floats, y: Floats) -> NDArray[np.bool_]:
        return np.hypot((x - lon) * KX_M, (y - lat) * KY_M) < radius_m

    device = "wristband" if plan.role.band else "phone"
    begin_s, end_s = watched(plan)
    if kind == "exclusion":
        spells = _spells(crossings(track, near, begin_s, end_s), value=True)
        return [Fact("exclusion_zone", a, b, device, note=plan.role.story) for a, b in spells]
    facts = []
    grace = LEVELS[plan.level].curfew_grace_s
    for day in range(-1, 24):
        since, until = max(begin_s, day_start(day) + 22 * _H), min(end_s, day_start(day) + 30 * _H)
        if until <= since:
            continue
        place = track.at(np.array([since]))
        away_at_once = not bool(near(place.lon, place.lat)[0])
        changes = crossings(track, near, since, until)
        if away_at_once:
            changes = [(since, False), *changes]
        for a, b in _spells(changes, value=False):
            end = until if b is None else b
            if end - a > grace:
                facts.append(Fact("curfew", a, end, device, note="away from home"))
    return facts


def _separations(plan: PersonPlan, script: Script, track: Track) -> list[Fact]:
    lon, lat = plan.home

    def far(x: Floats, y: Floats) -> NDArray[np.bool_]:
        return np.hypot((x - lon) * KX_M, (y - lat) * KY_M) > 500.0

    facts = []
    for spell in script.phone_at_home:
        changes = crossings(track, far, int(spell.from_s), int(spell.until_s))
        for a, b in _spells(changes, value=True):
            end = int(spell.until_s) if b is None else b
            if end - a > LEVELS[plan.level].apart_s:
                facts.append(Fact("separation", a, end, "wristband", note="phone left at home"))
    return facts


def _spells(changes: list[tuple[int, bool]], *, value: bool) -> list[tuple[int, int | None]]:
    """The times in which a statement has a value, from its changes."""
    spells: list[tuple[int, int | None]] = []
    for time_s, now in changes:
        if now == value:
            spells.append((time_s, None))
        elif spells:
            spells[-1] = (spells[-1][0], time_s)
    return spells


def _silences(plan: PersonPlan, script: Script, heard: list[Heard]) -> list[Fact]:
    """Nothing heard from a device for longer than its plan allows; or heard, but no position."""
    level = LEVELS[plan.level]
    begin_s, end_s = watched(plan)
    facts = []
    for device in heard:
        n = 0 if device.device == "phone" else 1
        others = [h.heard_s for h in heard if h is not device]
        for a, b in _gaps(device.heard_s, begin_s, end_s, level.silence_s[n]):
            gone = plan.role.story == "gone"
            note = _cause(device, a, b)
            stop = end_s if b is None else b
            if any(np.searchsorted(o, stop) - np.searchsorted(o, a) > 1 for o in others):
                note += "; other device heard"
            if gone:
                facts.append(
                    Fact("out_of_supervision", a, b, device.device, breach=True, note=note)
                )
            facts.append(Fact("lost_contact", a, b, device.device, note=note))
        for a, b in _gaps(device.fix_heard_s, begin_s, end_s, level.no_fix_s[n]):
            stop = end_s if b is None else b
            between = device.heard_s[(device.heard_s > a) & (device.heard_s < stop)]
            # Nothing heard is another matter: heartbeats must fill the time without a position.
            apart = np.diff(between, prepend=a)
            if np.minimum(apart, _HEARTBEAT_S[n]).sum() > level.no_fix_s[n]:
                facts.append(Fact("no_fix", a, b, device.device))
    return facts


def _gaps(
    heard_s: NDArray[np.int64], begin_s: int, end_s: int, limit_s: int
) -> list[tuple[int, int | None]]:
    times = np.concatenate([[begin_s], heard_s[heard_s < end_s], [end_s]])
    wide = np.flatnonzero(np.diff(times) > limit_s)
    return [
        (int(times[i]), int(times[i + 1]) if i + 2 < len(times) else None) for i in wide.tolist()
    ]


def _cause(device: Heard, from_s: int, until_s: int | None) -> str:
    """Which of the device's own spells accounts for most of a silence."""
    until = END_S if until_s is None else until_s
    best, most = "", 0.0
    for spell in device.silent:
        part = min(until, spell.until_s) - max(from_s, spell.from_s)
        if part > most:
            best, most = spell.what or "battery dead", part
    named = {
        "told": "switched off",
        "untold": "switched off or gone, not told",
        "oldest": "out of network",
        "newest": "out of network",
        "killed": "app killed",
    }
    return named.get(best, best or "sparse reports")


def longest_silence_s(heard: Heard, begin_s: int, end_s: int) -> int:
    """The longest time without a word."""
    times = np.concatenate([[begin_s], heard.heard_s[heard.heard_s < end_s], [end_s]])
    return int(np.diff(times).max())
