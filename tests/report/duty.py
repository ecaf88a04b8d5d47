"""Alerts as a duty room has them, told in local time: `alert("SZ-0001", "02-09 08:00", ...)`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from geomon.alerts import iso_utc

__all__ = ["at", "episode", "festival", "log"]


def at(text: str) -> int:
    """A moment of 2024 in the city's time: "02-09" or "02-09 08:00"."""
    day, _, clock = text.partition(" ")
    return int(datetime.fromisoformat(f"2024-{day}T{clock or '00:00'}:00+08:00").timestamp())


#: The holiday: [02-09, 02-18).
festival = (at("02-09"), at("02-18"))


def episode(person: str, kind: str, since: str, *steps: str, **data: Any) -> list[dict[str, Any]]:
    """The alerts of one episode; a step is "opened 02-09 08:05" with a reason behind it, if any.

    A `closed` step may say when it ended: "closed 02-12 10:05 returned @02-12 10:00".
    """
    name = f"{person}/{kind}/{iso_utc(at(since))}"
    alerts = []
    for number, step in enumerate(steps, 1):
        told, _, ended = step.partition(" @")
        phase, day, clock, *reason = told.split()
        alerts.append(
            {
                "specversion": "1.0",
                "id": f"{name}#{number}",
                "type": f"geomon.alert.{phase}",
                "subject": person,
                "time": iso_utc(at(f"{day} {clock}")),
                "data": {
                    "episode": name,
                    "kind": kind,
                    "phase": phase,
                    "severity": "high",
                    "since": iso_utc(at(since)),
                    "detected": iso_utc(at(f"{day} {clock}")),
                    "until": iso_utc(at(ended)) if ended else None,
                    "reason": reason[0] if reason else "outside_without_leave",
                    **data,
                },
            }
        )
    return alerts


def log(*episodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The alerts of several episodes in the order they were decided in."""
    alerts = [alert for alerts in episodes for alert in alerts]
    return sorted(alerts, key=lambda alert: str(alert["time"]))
