"""Fixes of a recorded track → upload events of the contract.

The order in which fixes come is the order in which they arrive: an upload leaves with its last
fix. `received` is left out, so that the newest time inside an upload stands for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from geomon.errors import UserError
from geomon.tracks.trackfix import TrackFix

__all__ = ["DATUMS", "DEVICES", "MOST_FIXES", "SOURCES", "Carrier", "uploads"]

DATUMS = ("wgs84", "gcj02", "bd09")
DEVICES = ("phone", "wristband")
SOURCES = ("gnss", "wifi", "cell", "unknown")
#: The contract's limit on the fixes of one upload.
MOST_FIXES = 1_000
#: What `geomon.events` takes for an id: ids become parts of keys, which are split at / and #.
_ID_CHARACTER = r"[^\s/#\x00-\x1f\x7f]"
_MOST_ID_CHARACTERS = 64


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """Who carried what: all that a track does not say of itself.

    `person` carries a track without ids; in one with ids each id, after `person_prefix`, is a
    person. `device_id` is `DEVICE-PERSON` where it is None. `source` holds where the track names
    none.
    """

    datum: str
    device: str = "phone"
    person: str | None = None
    person_prefix: str = ""
    device_id: str | None = None
    source: str = "unknown"

    def check_ids(self) -> None:
        """Raise `UserError` where what was given makes ids that no event may have."""
        ids = {"person": self.person, "person prefix": self.person_prefix or None}
        ids["device id"] = self.device_id
        if self.person is not None:
            ids["device id"] = self.device_of(self.person)
        for name, text in ids.items():
            if text is not None and not _id_pattern(_MOST_ID_CHARACTERS).fullmatch(text):
                raise UserError(f"{name}: an id has 1 to 64 characters, no spaces, slashes or #")

    @property
    def id_pattern(self) -> re.Pattern[str]:
        """What an id in a track must match so that the ids made of it are allowed."""
        return _id_pattern(_MOST_ID_CHARACTERS - len(self.device_of(self.person_prefix)))

    def device_of(self, person: str) -> str:
        """The `device_id` of what `person` carries."""
        return self.device_id or f"{self.device}-{person}"

    def person_of(self, track_id: str | None) -> str:
        """The `supervisee_id` of a fix; raises `UserError` where nobody was named."""
        if track_id is not None:
            return self.person_prefix + track_id
        if self.person is None:
            raise UserError("the track has no ids and no person was given (--person)")
        return self.person


def _id_pattern(most: int) -> re.Pattern[str]:
    return re.compile(f"{_ID_CHARACTER}{{1,{max(most, 1)}}}")


class _Fix(msgspec.Struct, omit_defaults=True):
    time: datetime
    lon: float
    lat: float
    accuracy_m: float | None = None
    source: str = "unknown"
    speed_mps: float | None = None
    heading_deg: float | None = None
    altitude_m: float | None = None


class _Upload(msgspec.Struct, tag_field="type", tag="upload"):
    supervisee_id: str
    device_id: str
    device: str
    datum: str
    fixes: list[_Fix]


def uploads(
    fixes: Iterable[TrackFix], carrier: Carrier, *, fixes_per_upload: int = 1
) -> Iterator[bytes]:
    """Upload events, each one JSON object without a line end.

    Every person's fixes are gathered until there are `fixes_per_upload` of them (1 to 1,000); what
    is left at the end goes out in the order in which it began to gather.
    """
    if not 1 <= fixes_per_upload <= MOST_FIXES:
        raise UserError(f"fixes per upload: {fixes_per_upload} is not between 1 and {MOST_FIXES}")
    encode = msgspec.json.Encoder().encode
    waiting: dict[str | None, list[_Fix]] = {}
    for fix in fixes:
        gathered = waiting.setdefault(fix.track_id, [])
        gathered.append(_fix(fix, carrier))
        if len(gathered) == fixes_per_upload:
            yield encode(_upload(fix.track_id, waiting.pop(fix.track_id), carrier))
    for track_id, gathered in waiting.items():
        yield encode(_upload(track_id, gathered, carrier))


def _fix(fix: TrackFix, carrier: Carrier) -> _Fix:
    return _Fix(
        fix.time,
        fix.lon,
        fix.lat,
        fix.accuracy_m,
        fix.source or carrier.source,
        fix.speed_mps,
        fix.heading_deg,
        fix.altitude_m,
    )


def _upload(track_id: str | None, fixes: list[_Fix], carrier: Carrier) -> _Upload:
    person = carrier.person_of(track_id)
    return _Upload(person, carrier.device_of(person), carrier.device, carrier.datum, fixes)
