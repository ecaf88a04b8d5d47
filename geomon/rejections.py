"""What was refused, in the form that is kept: one JSON object a refusal."""

from __future__ import annotations

from typing import Any

from geomon.events import REASONS
from geomon.intake import Rejected

__all__ = ["rejection_record"]

#: As much of the message as helps to find its sender's mistake.
_SHOWN_BYTES = 4_096


def rejection_record(rejected: Rejected) -> dict[str, Any]:
    """Give a refusal with its reason, where it came from and the message itself, cut if long."""
    data = rejected.raw.data
    return {
        "reason": rejected.reason,
        "meaning": REASONS[rejected.reason][0],
        "detail": rejected.detail or None,
        "supervisee_id": rejected.supervisee_id or None,
        "fix": rejected.fix if rejected.fix >= 0 else None,
        "where": rejected.raw.where,
        "bytes": len(data),
        "message": data[:_SHOWN_BYTES].decode("utf-8", "replace"),
    }
