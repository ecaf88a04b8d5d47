"""What officers enter: supervision, permits, returns, zones and authorisations."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from .almanac import BEGIN_S, DAY_S, END_S, local_text
from .people import PersonPlan, stream
from .script import Fact, Paper, Script

__all__ = ["announcement", "approver", "authorisations", "permit", "report_back", "zone_paper"]


def announcement(plan: PersonPlan) -> Paper:
    """The person is announced: as the period begins, or when supervision does."""
    begin, end = plan.supervised
    # Registries are sent in order of ids, some hundred a second.
    received = max(BEGIN_S + plan.role.number // 500, begin + 9 * 3600 if begin > BEGIN_S else 0)
    return Paper(
        received,
        {
            "type": "supervisee",
            "supervisee_id": plan.supervisee_id,
            "district": plan.district,
            "street": plan.street,
            "level": plan.level,
            "from": local_text(begin),
            "until": local_text(end),
            "received": local_text(received),
        },
    )


def approver(rng: np.random.Generator, days: float) -> str:
    """Who approved a leave of so many days: mostly the right one; "" where it was not entered."""
    drawn = rng.random()
    if drawn < 0.04:
        return ""
    right = "street" if days <= 7 else "district" if days <= 30 else "city"
    if drawn < 0.08 and right == "district":
        return "street"
    return right


def permit(
    plan: PersonPlan,
    number: int,
    kind: str,
    from_s: int,
    until_s: int,
    destinations: list[str],
    received_s: int,
    approved_by: str,
) -> Paper:
    """A leave or standing permit is granted, or replaced."""
    event: dict[str, Any] = {
        "type": "permit",
        "supervisee_id": plan.supervisee_id,
        "permit_id": f"L-{plan.supervisee_id[3:]}-{number}",
        "kind": kind,
        "from": local_text(from_s),
        "until": _until_text(until_s),
        "destinations": destinations,
        "status": "granted",
        "received": local_text(received_s),
    }
    if approved_by:
        event["approved_by"] = approved_by
    return Paper(int(received_s), event)


def report_back(plan: PersonPlan, number: int, time_s: int) -> Paper:
    """The person reports back from a leave (销假)."""
    event: dict[str, Any] = {
        "type": "return",
        "supervisee_id": plan.supervisee_id,
        "permit_id": f"L-{plan.supervisee_id[3:]}-{number}",
        "time": local_text(time_s),
        "received": local_text(time_s + 20),
    }
    return Paper(time_s + 20, event)


def approval_facts(found: Script) -> list[Fact]:
    """Leaves that somebody not entitled to approved, or nobody named did."""
    facts = []
    for paper in found.papers:
        event = paper.event
        if event["type"] != "permit" or event["kind"] != "leave":
            continue
        days = _days(event["from"], event["until"])
        given = event.get("approved_by")
        if days <= 7 and given:
            continue
        if given and (given != "street" or days <= 7):
            continue
        note = "no approver entered" if not given else "street office, over 7 days"
        facts.append(Fact("approval", paper.received_s, None, "", note=f"{note}: {days:.1f} days"))
    return facts


def authorisations(plan: PersonPlan) -> tuple[list[Paper], list[Fact]]:
    """The authorisation of a wristband: three months; extended in time, mostly."""
    if not plan.role.band:
        return [], []
    rng = stream(plan, 2)
    papers, facts = [], []
    lapses = plan.role.story == "authorisation_lapsed"
    drawn = rng.random()
    if lapses or drawn < 0.18:
        until_s = BEGIN_S + int(rng.integers(3, 22)) * DAY_S
    else:
        until_s = END_S + int(rng.integers(2, 65)) * DAY_S
    from_s = until_s - 91 * DAY_S
    ground_of = int(rng.integers(1, 6))
    papers.append(_authorisation(plan, ground_of, from_s, until_s, BEGIN_S + 30))
    if lapses:
        facts.append(Fact("authorisation", until_s, None, "wristband", note="not extended"))
    elif until_s < END_S:
        received = max(BEGIN_S + 3600, int(until_s - rng.uniform(0.5, 9) * DAY_S))
        papers.append(_authorisation(plan, ground_of, from_s, until_s + 90 * DAY_S, received))
    return papers, facts


def _authorisation(
    plan: PersonPlan, ground_of: int, from_s: int, until_s: int, received_s: int
) -> Paper:
    event: dict[str, Any] = {
        "type": "authorisation",
        "supervisee_id": plan.supervisee_id,
        "authorisation_id": f"A-{plan.supervisee_id[3:]}",
        "ground": ground_of,
        "from": local_text(from_s),
        "until": local_text(until_s),
        "status": "granted",
        "received": local_text(received_s),
    }
    return Paper(received_s, event)


def zone_paper(plan: PersonPlan, found: Script) -> list[Paper]:
    """The person's own zone, if there is one: from before the period until after it."""
    if found.zone is None:
        return []
    kind, (lon, lat), radius_m = found.zone
    received = BEGIN_S + 60 + plan.role.number % 500
    event: dict[str, Any] = {
        "type": "zone",
        "supervisee_id": plan.supervisee_id,
        "zone_id": f"Z-{plan.supervisee_id[3:]}",
        "kind": kind,
        "datum": "wgs84",
        "circle": {"lon": round(lon, 6), "lat": round(lat, 6), "radius_m": radius_m},
        "from": "2024-01-01T00:00:00+08:00",
        "until": "2024-12-31T24:00:00+08:00",
        "status": "set",
        "received": local_text(received),
    }
    if kind == "curfew":
        event["schedule"] = [{"days": [1, 2, 3, 4, 5, 6, 7], "from": "22:00", "until": "06:00"}]
    return [Paper(received, event)]


def _until_text(time_s: int) -> str:
    """Leaves end at 24:00, as officers write it."""
    text = local_text(time_s)
    if text[11:19] == "00:00:00":
        return local_text(time_s - 1)[:11] + "24:00:00+08:00"
    return text


def _days(from_text: str, until_text: str) -> float:
    """Length of a leave as written."""
    whole = until_text.replace("T24:00:00", "T00:00:00")
    end = datetime.fromisoformat(whole) + timedelta(days=int(whole != until_text))
    return (end - datetime.fromisoformat(from_text)).total_seconds() / DAY_S
