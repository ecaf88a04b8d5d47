"""A crowd of people whose wristbands send what the contract says, seeded, so always the same.

Nearly everybody stays plainly inside, a few metres about a place of their own. A small share
crosses the line for five minutes of every ten: whoever watches tells it twice in these ten minutes.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geomon.datum import from_wgs84
from geomon.zones.index import CITY, NEAR_M, ZoneIndex, zones_for

__all__ = [
    "CROSSING_SHARE",
    "CYCLE_MIN",
    "MINUTE_S",
    "Crowd",
    "Ints",
    "murmur2",
    "partition_of",
    "partitions_of",
    "text_of",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SEED = 20240213
CROSSING_SHARE = 0.005
#: Of each ten minutes a crossing person is five outside, by the fixes' own time.
CYCLE_MIN, AWAY_MIN = 10, 5
MINUTE_S = 60
CHINA = timezone(timedelta(hours=8))
#: Nobody travels further in a minute without being taken for faked.
_CROSSING_MOST_DEGREES = 0.06

_HEAD = (
    b'{"type":"upload","supervisee_id":"SZ-%07d","device_id":"band-%07d","device":"wristband",'
    b'"datum":"%b","received":"%b","battery_pct":%d,"strap":"closed","fixes":['
)
_FIX = b'{"time":"%b","lon":%.6f,"lat":%.6f,"accuracy_m":%d,"source":"gnss","speed_mps":%.1f}'
_ONE = _HEAD + _FIX + b"]}"


class Crowd:
    """The people: where each is inside, where outside, and when; seeded, so always the same."""

    def __init__(
        self,
        people: int,
        zones: ZoneIndex | None = None,
        *,
        crossing: float = CROSSING_SHARE,
        gcj02: float = 0.0,
    ) -> None:
        rng = np.random.default_rng(SEED)
        inside, home, away = _places(zones or zones_for(CITY), rng)
        self.count = people
        chosen = inside[rng.integers(0, len(inside), people)]
        gone = chosen.copy()
        self.crossing = (
            np.arange(people) % max(1, round(1 / crossing)) == 0
            if crossing
            else (np.zeros(people, dtype=bool))
        )
        pair = rng.integers(0, len(home), people)[self.crossing]
        chosen[self.crossing], gone[self.crossing] = home[pair], away[pair]
        self.gcj02 = rng.random(people) < gcj02
        for spot in (chosen, gone):
            shifted = from_wgs84(spot[self.gcj02, 0], spot[self.gcj02, 1], "gcj02")
            spot[self.gcj02] = np.stack(shifted, axis=1)
        self._inside, self._outside = chosen, gone
        self._phase_s = rng.integers(0, CYCLE_MIN * MINUTE_S, people)
        self._rng = rng

    def uploads(
        self, whose: Ints, newest_s: Ints, *, received_s: int, per_upload: int = 1, every_s: int
    ) -> list[bytes]:
        """Give a message for each of these people, with fixes every `every_s` up to `newest_s`."""
        rng, count = self._rng, len(whose)
        back = np.arange(per_upload - 1, -1, -1)
        time_s = newest_s[:, None] - every_s * back
        at_s = (time_s + self._phase_s[whose][:, None]) % (CYCLE_MIN * MINUTE_S)
        away = self.crossing[whose][:, None] & (at_s < AWAY_MIN * MINUTE_S)
        place = np.where(
            away[..., None], self._outside[whose][:, None], self._inside[whose][:, None]
        )
        # The usual error of satellite positions; much the same from one minute to the next.
        place = place + rng.normal(0, 8e-5, (count, 1, 2)) + rng.normal(0, 3e-5, place.shape)
        accuracy_m = rng.integers(4, 30, away.shape)
        speed_mps = rng.integers(0, 20, away.shape) / 10
        battery = (50 + whose % 50).tolist()
        datum = [b"gcj02" if gcj else b"wgs84" for gcj in self.gcj02[whose].tolist()]
        received = text_of(received_s)
        who = whose.tolist()
        if per_upload == 1:
            return [
                _ONE % (w, w, d, received, b, text_of(t), x, y, a, v)
                for w, d, b, t, (x, y), a, v in zip(
                    who,
                    datum,
                    battery,
                    time_s[:, 0].tolist(),
                    place[:, 0].tolist(),
                    accuracy_m[:, 0].tolist(),
                    speed_mps[:, 0].tolist(),
                    strict=True,
                )
            ]
        rows = zip(
            time_s.tolist(), place.tolist(), accuracy_m.tolist(), speed_mps.tolist(), strict=True
        )
        return [
            _HEAD % (w, w, d, received, b)
            + b",".join(
                [_FIX % (text_of(t), x, y, a, v) for t, (x, y), a, v in zip(*row, strict=True)]
            )
            + b"]}"
            for w, d, b, row in zip(who, datum, battery, rows, strict=True)
        ]

    def keys(self, whose: Ints) -> list[bytes]:
        """Give the keys of these people's messages: their ids."""
        return [b"SZ-%07d" % who for who in whose.tolist()]

    def partitions(self, partitions: int) -> Ints:
        """Give the partition of each person."""
        return partitions_of(np.arange(self.count), partitions)


@lru_cache(maxsize=1 << 16)
def text_of(time_s: int) -> bytes:
    """Give a time as a device in China writes it."""
    return datetime.fromtimestamp(time_s, CHINA).isoformat().encode()


def _places(zones: ZoneIndex, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Give places plainly inside, and pairs of one inside and one a short way outside."""
    west, south, east, north = zones.city_geometry.bounds
    lon, lat = rng.uniform(west, east, 100_000), rng.uniform(south, north, 100_000)
    distance_m = zones.classify(lon, lat).distance_m
    spots = np.stack((lon, lat), axis=1)
    inside = spots[distance_m <= -NEAR_M]
    outside = spots[(distance_m > NEAR_M / 2) & (distance_m < NEAR_M)][:1000]
    apart = np.hypot(*(outside[:, None] - inside[None, :5000]).transpose(2, 0, 1))
    nearest = apart.argmin(axis=1)
    close = apart.min(axis=1) < _CROSSING_MOST_DEGREES
    return inside, inside[nearest[close]], outside[close]


# -- which partition -----------------------------------------------------------------------------


def partitions_of(whose: Ints, partitions: int) -> Ints:
    """Give the partition of each person's key, as Kafka's Java client and librdkafka choose it."""
    keys = np.frombuffer(b"".join(b"SZ-%07d" % who for who in whose.tolist()), dtype=np.uint8)
    return murmur2(keys.reshape(len(whose), -1)).astype(np.int64) % partitions


def partition_of(key: bytes, partitions: int) -> int:
    """Give the partition of one key."""
    return int(murmur2(np.frombuffer(key, dtype=np.uint8)[None])[0]) % partitions


def murmur2(keys: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Hash keys of one length (a row a key) as Kafka does, sign bit off.

    For a million keys the loop in Python that clients have takes ten seconds; this, a tenth of one.
    """
    count, length = keys.shape
    m = np.uint32(0x5BD1E995)
    h = np.full(count, 0x9747B28C ^ length, dtype=np.uint32)
    whole = length - length % 4
    for k in keys[:, :whole].copy().view("<u4").T:
        mixed = k * m
        mixed = (mixed ^ (mixed >> np.uint32(24))) * m
        h = (h * m) ^ mixed
    if whole < length:
        for at in range(length - 1, whole - 1, -1):
            h = h ^ (keys[:, at].astype(np.uint32) << np.uint32(8 * (at - whole)))
        h = h * m
    h = (h ^ (h >> np.uint32(13))) * m
    hashed: NDArray[np.uint32] = (h ^ (h >> np.uint32(15))) & np.uint32(0x7FFFFFFF)
    return hashed
