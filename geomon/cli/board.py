"""The board: alerts as lines of a table that grows, as a duty officer reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import click
from rich.cells import cell_len

from geomon.alerts import KINDS, REASONS
from geomon.cli.output import printable
from geomon.commands import ASK_REASONS

__all__ = ["alert_line", "command_line", "heading"]

BEIJING = timezone(timedelta(hours=8))
COLOURS: Mapping[str, dict[str, Any]] = {
    "info": {"dim": True},
    "low": {"fg": "cyan"},
    "medium": {"fg": "yellow"},
    "high": {"fg": "red"},
    "critical": {"fg": "white", "bg": "red", "bold": True},
}
# Heading and width in cells (a Chinese character takes two); the last column is as wide as it is.
COLUMNS = (
    ("time +08:00", 19),
    ("severity", 8),
    ("phase", 7),
    ("kind", 28),
    ("person", 16),
    ("district", 8),
    ("place", 6),
    ("reason", 0),
)


def heading() -> str:
    """Give the line above the alerts."""
    return click.style(_row([name for name, _ in COLUMNS]), bold=True)


def alert_line(event: Mapping[str, Any]) -> str:
    """Give one alert (CloudEvents form) as a line; `KeyError` or `ValueError` when it is none."""
    data = event["data"]
    decided = datetime.fromisoformat(event["time"].replace("Z", "+00:00")).astimezone(BEIJING)
    kind, reason = data["kind"], data.get("reason") or ""
    severity, phase = data.get("severity") or "", data["phase"]
    cells = [
        decided.strftime("%Y-%m-%d %H:%M:%S"),
        severity,
        phase,
        f"{kind} {KINDS[kind].label_zh}" if kind in KINDS else kind,
        event["subject"],
        data.get("district") or "-",
        data.get("place") or "-",
        f"{reason} {REASONS[reason][1]}" if reason in REASONS else reason,
    ]
    # An ended episode is told without alarm, whatever its severity was.
    return _row(cells, {"fg": "green"} if phase == "closed" else COLOURS.get(severity, {}))


def command_line(event: Mapping[str, Any]) -> str:
    """Give a request to a device as a line among alerts."""
    data = event["data"]
    begin = datetime.fromisoformat(event["time"].replace("Z", "+00:00")).astimezone(BEIJING)
    reason = data["reason"]
    cells = [
        *(begin.strftime("%Y-%m-%d %H:%M:%S"), "-", "asked"),
        f"{data['device']} every {data['interval_s']} s 加密上报",
        *(event["subject"], "-", "-", f"{reason} {ASK_REASONS[reason][1]}"),
    ]
    return _row(cells, {"fg": "cyan"})


def _row(cells: Sequence[str], colour: Mapping[str, Any] | None = None) -> str:
    """One line; `colour` is for the second and third cell. Control characters are made visible."""
    row = []
    for at, (text, (_, width)) in enumerate(zip(cells, COLUMNS, strict=True)):
        shown = printable(text)
        padded = shown + " " * (width - cell_len(shown))
        row.append(click.style(padded, **colour) if colour and at in (1, 2) else padded)
    return "  ".join(row).rstrip()
