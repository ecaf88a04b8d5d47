"""A dossier as JSON: one object an entry.

`{"section": ..., "time": ..., ...}`: the fields of the section's entry, times RFC 3339 in UTC under
their names without `_s`, null where nothing is known; lengths in seconds keep their `_s`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from geomon.alerts import iso_utc
from geomon.dossier.entries import LENGTHS, Dossier, Entry

__all__ = ["json_rows"]


def json_rows(dossier: Dossier) -> Iterator[dict[str, Any]]:
    """Give the entries in the order of the sections."""
    for section, entries in dossier.sections.items():
        for entry in entries:
            yield {"section": section, **_row(entry)}


def _row(entry: Entry) -> dict[str, Any]:
    return {key: _value(name, getattr(entry, name)) for name, key in _names(type(entry))}


@cache
def _names(kind: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """Give the fields of an entry, and what each is called on the way out."""
    return tuple(
        (f.name, f.name.removesuffix("_s") if _is_time(f.name) else f.name)
        for f in msgspec.structs.fields(kind)
    )


def _is_time(name: str) -> bool:
    return name.endswith("_s") and name not in LENGTHS


def _value(name: str, value: Any) -> Any:
    if _is_time(name):
        return iso_utc(value) if value else None
    if isinstance(value, dict):
        return {
            key.removesuffix("_s") if _is_time(key) else key: _value(key, inner)
            for key, inner in value.items()
        }
    return value
