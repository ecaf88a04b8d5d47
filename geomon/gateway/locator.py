"""Where towers and access points stand, for devices that give nothing else.

Without a locator a report that has only towers is a heartbeat, with the towers kept as they came.
With one, a position may be found: one that something on record says, never a made-up one. It is in
WGS-84, says `cell` or `wifi` as its source, and how exact it is comes from the record.

The one here reads a CSV file with the columns

    kind,id,lon,lat,accuracy_m

where `kind` is `cell` (`id` = MCC-MNC-LAC-CELL, such as 460-0-9365-4611) or `wifi` (`id` = the
BSSID). Another kind of locator is any object with the same `locate`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from geomon.errors import SettingsError
from geomon.gateway.reports import AccessPoint, Position, Tower

__all__ = ["FileLocator", "Locator"]

_COLUMNS = ("kind", "id", "lon", "lat", "accuracy_m")
_BSSID_DIGITS = 12
#: Metres in a degree of latitude; to tell near from far it is exact enough everywhere.
_DEGREE_M = 111_320.0


class Locator(Protocol):
    """Finds where a device is by what it heard."""

    def locate(
        self, towers: Sequence[Tower], access_points: Sequence[AccessPoint], time: datetime
    ) -> Position | None:
        """Give a position in WGS-84 for `time`, or None when nothing heard is on record."""


class _Site(NamedTuple):
    lon: float
    lat: float
    accuracy_m: float


class FileLocator:
    """A locator by a CSV file. Raises `SettingsError` when it cannot be read as one."""

    def __init__(self, path: Path) -> None:
        self._cells: dict[tuple[int, int, int, int], _Site] = {}
        self._points: dict[str, _Site] = {}
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                self._read(csv.DictReader(file), path)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SettingsError(f"{path}: {error}") from None

    def locate(
        self, towers: Sequence[Tower], access_points: Sequence[AccessPoint], time: datetime
    ) -> Position | None:
        """Give the place of the access points on record, else of the most exact tower.

        One access point alone may have moved house with its owner: two must agree.
        """
        points = [site for a in access_points if (site := self._points.get(_bssid(a.bssid)))]
        best = min(points, key=lambda site: site.accuracy_m, default=None)
        if best is not None and any(_agree(best, site) for site in points if site is not best):
            return _position(best, "wifi", time)
        sites = [site for t in towers if (site := self._cells.get((t.mcc, t.mnc, t.lac, t.cell)))]
        nearest = min(sites, key=lambda site: site.accuracy_m, default=None)
        return None if nearest is None else _position(nearest, "cell", time)

    def _read(self, rows: csv.DictReader[str], path: Path) -> None:
        if tuple(rows.fieldnames or ()) != _COLUMNS:
            raise SettingsError(f"{path}: the first line must be {','.join(_COLUMNS)}")
        for row in rows:
            try:
                site = _Site(float(row["lon"]), float(row["lat"]), float(row["accuracy_m"]))
                self._note(row["kind"], row["id"], site)
            except (TypeError, ValueError, AttributeError):
                raise SettingsError(
                    f"{path}:{rows.line_num}: not cell or wifi, an id, lon, lat and accuracy_m"
                ) from None

    def _note(self, kind: str, key: str, site: _Site) -> None:
        if not (
            -180 <= site.lon <= 180 and -90 <= site.lat <= 90 and 0 < site.accuracy_m < math.inf
        ):
            raise ValueError(key)
        if kind == "cell":
            mcc, mnc, lac, cell = map(int, key.split("-"))
            self._cells[mcc, mnc, lac, cell] = site
        elif kind == "wifi" and len(_bssid(key)) == _BSSID_DIGITS:
            self._points[_bssid(key)] = site
        else:
            raise ValueError(key)


def _bssid(text: str) -> str:
    return "".join(c for c in text.lower() if c in "0123456789abcdef")


def _agree(one: _Site, other: _Site) -> bool:
    """Say whether two sites are as near to each other as both say they are exact."""
    north_m = (one.lat - other.lat) * _DEGREE_M
    east_m = (one.lon - other.lon) * _DEGREE_M * math.cos(math.radians(one.lat))
    return math.hypot(north_m, east_m) <= one.accuracy_m + other.accuracy_m


def _position(site: _Site, source: Literal["wifi", "cell"], time: datetime) -> Position:
    return Position(time, site.lon, site.lat, source, site.accuracy_m)
