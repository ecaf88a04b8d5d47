"""Commands to devices, as they leave and as they are read: requests to report more often.

A command's id is `<supervisee>/report/<device>/<from>`: made of what was decided alone, so one that
comes twice is known to be the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from geomon.alerts import iso_utc
from geomon.errors import Refusal

if TYPE_CHECKING:  # a gateway reads commands, and has no need of what judges
    from geomon.core.requests import Request

__all__ = ["ASK_REASONS", "Command", "command_event", "read_command"]

DATASCHEMA = "urn:geomon:command:1"
_TYPE = "geomon.command.report"

#: Why more positions are asked for. Code: (English, 中文).
ASK_REASONS: Mapping[str, tuple[str, str]] = {
    "turning": ("there is evidence of having left, and not enough yet", "有离开迹象，证据不足"),
    "heading_out": ("making for the line, close to it", "正驶向市界"),
}


class Command(msgspec.Struct, frozen=True, gc=False):
    """A command as a gateway reads it; times are POSIX seconds."""

    command_id: str
    supervisee_id: str
    device: str
    interval_s: int
    from_s: float
    until_s: float


class _Data(msgspec.Struct):
    device: str
    interval_s: int
    from_: datetime = msgspec.field(name="from")
    until: datetime


class _Event(msgspec.Struct):
    id: str
    type: str
    subject: str
    data: _Data


_decoder = msgspec.json.Decoder(_Event)


def command_event(request: Request, *, rules: str) -> dict[str, Any]:
    """Give a request as a CloudEvents 1.0 JSON object; `rules` is the version of the rules."""
    begin = iso_utc(request.from_s)
    return {
        "specversion": "1.0",
        "id": f"{request.supervisee_id}/report/{request.device}/{begin}",
        "source": "/geomon",
        "type": _TYPE,
        "subject": request.supervisee_id,
        "time": begin,
        "datacontenttype": "application/json",
        "dataschema": DATASCHEMA,
        "data": {
            "kind": "report",
            "device": request.device,
            "interval_s": request.interval_s,
            "from": begin,
            "until": iso_utc(request.until_s),
            "reason": request.reason,
            "rules": rules,
        },
    }


def read_command(raw: bytes) -> Command | None:
    """Read a command; None for one of another type. Raises `Refusal` when it cannot be read."""
    try:
        event = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal("wrong_type", str(error)) from None
    if event.type != _TYPE:
        return None
    data = event.data
    if data.from_.tzinfo is None or data.until.tzinfo is None:
        raise Refusal("bad_time")
    return Command(
        event.id,
        event.subject,
        data.device,
        data.interval_s,
        data.from_.timestamp(),
        data.until.timestamp(),
    )
