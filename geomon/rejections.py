"""What was refused, in the form that is kept: one JSON object a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geomon.refusals import REASONS

if TYPE_CHECKING:  # the gateway, which writes refusals as well, has no need of the intake
    from geomon.intake import Rejected

__all__ = ["record_of", "rejection_record"]

#: As much of the message as helps to find its sender's mistake.
_SHOWN_BYTES = 4_096


def rejection_record(rejected: Rejected) -> dict[str, Any]:
    """Give a refusal with its reason, where it came from and the message itself, cut if long."""
    return record_of(
        rejected.reason,
        rejected.detail,
        rejected.raw.data,
        where=rejected.raw.where,
        supervisee_id=rejected.supervisee_id,
        fix=rejected.fix,
    )


def record_of(
    reason: str,
    detail: str,
    data: bytes,
    *,
    where: str,
    supervisee_id: str = "",
    fix: int = -1,
) -> dict[str, Any]:
    """Give the same of a message that is not the worker's; `fix` -1 is all of it."""
    return {
        "reason": reason,
        "meaning": REASONS[reason][0],
        "detail": detail or None,
        "supervisee_id": supervisee_id or None,
        "fix": fix if fix >= 0 else None,
        "where": where,
        "bytes": len(data),
        "message": data[:_SHOWN_BYTES].decode("utf-8", "replace"),
    }
