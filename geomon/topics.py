"""The names of the Kafka topics."""

from __future__ import annotations

__all__ = ["ALERTS", "EVENTS", "PEOPLE", "REJECTED", "changelog_of"]

EVENTS = "geomon.events"
ALERTS = "geomon.alerts"
REJECTED = "geomon.rejected"

#: Name of the table that keeps the people's states.
PEOPLE = "people"


def changelog_of(app_id: str) -> str:
    """Name the topic that keeps the people's states of one consumer group."""
    return f"{app_id}-{PEOPLE}-changelog"
