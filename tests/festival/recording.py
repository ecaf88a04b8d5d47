"""One person's recording: the path lived, the devices heard, the papers, and the truth of it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from .almanac import END_S, local_text
from .band import band
from .checkins import check_ins
from .ground import KX_M, KY_M
from .heard import Heard
from .life import live
from .lines import Line
from .papers import announcement, approval_facts, authorisations, zone_paper
from .people import PersonPlan, watched
from .phone import phone
from .script import Script
from .stories import script
from .track import Track
from .truth import facts_of, longest_silence_s, record_of

__all__ = ["Lived", "Recording", "lived", "record", "recording"]

#: Nobody is silent for longer whose silence is not part of the story.
LONGEST_SILENCE_S = 19 * 3600
_KEEPS_AWAY_M = 400.0


class Lived(NamedTuple):
    """What was to happen, and the true path."""

    script: Script
    track: Track


class Recording(NamedTuple):
    """Lines in order of arrival, and the facts."""

    lines: list[Line]
    truth: list[dict[str, Any]]


def lived(plan: PersonPlan) -> Lived:
    """The script and the true path of a person."""
    for attempt in range(60):
        found = script(plan, attempt)
        track = live(plan, found)
        if found.zone is None or found.zone[0] != "exclusion" or _keeps_away(found, track):
            return Lived(found, track)
    raise RuntimeError(f"no place to keep {plan.supervisee_id} away from")


def record(plan: PersonPlan) -> list[Line]:
    """The person's events as (arrival, line), in order of arrival."""
    return recording(plan).lines


def recording(plan: PersonPlan) -> Recording:
    """The person's events and the truth about them."""
    found, track = lived(plan)
    heard: list[Heard] = []
    if plan.role.phone:
        heard.append(_phone(plan, found, track))
    if plan.role.band:
        heard.append(band(plan, found, track))
    made, missed = check_ins(plan, heard[0] if plan.role.phone else None)
    if made:
        heard[0].heard_s = np.sort(np.append(heard[0].heard_s, [t for t, _ in made]))
    facts = facts_of(plan, found, track, heard) + missed
    authorised, lapsed = authorisations(plan)
    facts += lapsed + approval_facts(found)
    papers = [announcement(plan), *found.papers, *authorised, *zone_paper(plan, found)]
    lines: list[Line] = [
        (p.received_s, json.dumps(p.event, ensure_ascii=False, separators=(",", ":")).encode())
        for p in papers
    ]
    for device in heard:
        lines += device.lines
    lines += made
    end_s = watched(plan)[1]
    lines = [line for line in lines if line[0] < (END_S if end_s >= END_S else end_s + 3600)]
    # Stable: what arrives in the same second stays in the order in which it was sent.
    lines.sort(key=lambda line: line[0])
    clock = {"type": "clock", "supervisee_id": plan.supervisee_id, "received": local_text(END_S)}
    lines.append((END_S, json.dumps(clock, separators=(",", ":")).encode()))
    facts.sort(key=lambda fact: (fact.since_s, fact.kind, fact.device))
    return Recording(lines, [record_of(plan, fact) for fact in facts])


def _phone(plan: PersonPlan, found: Script, track: Track) -> Heard:
    heard = phone(plan, found, track)
    silent_by_story = bool(found.phone_off and not plan.switches_off) or found.starve is not None
    if not silent_by_story and longest_silence_s(heard, *watched(plan)) > LONGEST_SILENCE_S:
        heard = phone(plan, found, track, calm=True)
    return heard


def _keeps_away(found: Script, track: Track) -> bool:
    """Whether the path enters a forbidden place only where the story says so."""
    if found.zone is None:
        return True
    _, (lon, lat), radius_m = found.zone
    times = np.arange(track.times[0], track.times[-1], 15.0)
    for outing in found.outings:  # the forbidden visit, with its ways there and back
        times = times[
            (times < outing.depart_s - 60) | (times > outing.depart_s + outing.stay_s + 3 * 3600)
        ]
    place = track.at(times)
    far = np.hypot((place.lon - lon) * KX_M, (place.lat - lat) * KY_M)
    return bool(far.min() > radius_m + _KEEPS_AWAY_M)
