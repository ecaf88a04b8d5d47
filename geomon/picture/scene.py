"""What is to be seen of a story, worked out once for the page and for the PNG.

From positions and alerts to standings (inside, away on leave, away while an alert is open), bars of
the timeline, numbered episodes, the frame of the first view and the outlines around it. All
coordinates are WGS-84 degrees, all times aware UTC.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from geomon.errors import UserError
from geomon.picture.legend import level_of
from geomon.picture.track import Leave, Story, TrackPoint

__all__ = [
    "ABSENCES",
    "CHINA_TIME",
    "INSIDE",
    "LEAVE",
    "OPEN_ALERT",
    "UNJUDGED",
    "Bar",
    "Episode",
    "Frame",
    "Outline",
    "Place",
    "Scene",
    "outlines",
    "scene_of",
]

CHINA_TIME = timezone(timedelta(hours=8), "UTC+8")

#: Places to draw: (adcode, name, geometry).
Place = tuple[str, str, BaseGeometry]

# Indexes into legend.STANDINGS.
INSIDE, UNJUDGED, LEAVE, OPEN_ALERT = range(4)

#: A line is drawn through fixes at least this good. Cell fixes of 200 m to 3 km jump across the
#: river border and back; a line through them would show journeys that nobody made.
FIRM_ACCURACY_M = 200.0
#: ... but where nothing better was heard for this long on either side, a rough fix is all there is.
LONELY = timedelta(hours=1)
#: Silence longer than this breaks the bar of the timeline and makes the line on the map dashed.
SILENCE = timedelta(hours=3)
#: Fewer fixes than this outside, without leave or alert, are jitter: on the map, not in the bar.
JITTER_FIXES = 3
#: Being outside while one of these is open is what the alert is about.
ABSENCES = frozenset({"leave_city", "overdue_return", "off_itinerary"})
#: These have a place on the map. Others tell of a device or a paper, wherever the person was last.
PLACED = ABSENCES | {"border_approach", "curfew", "exclusion_zone"}
#: These stay on a moment: the alert never closes by itself and does not mean that something lasts.
MOMENTS = frozenset({"missed_check_in"})
#: Beyond this many degrees from the city a journey is shown in its own, wider view.
NEAR_DEG = 0.9

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]


class Frame(NamedTuple):
    """A view: west, south, east, north."""

    west: float
    south: float
    east: float
    north: float

    def grown(self, share: float) -> Frame:
        """Return the frame with a margin of `share` of its size on every side."""
        dx, dy = (self.east - self.west) * share, (self.north - self.south) * share
        return Frame(self.west - dx, self.south - dy, self.east + dx, self.north + dy)

    def has(self, lon: float, lat: float) -> bool:
        """Say whether a position lies in the view."""
        return self.west < lon < self.east and self.south < lat < self.north

    def holding(self, lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> Frame:
        """Return the smallest frame that holds this one and the positions."""
        if not len(lon):
            return self
        return Frame(
            min(self.west, float(lon.min())),
            min(self.south, float(lat.min())),
            max(self.east, float(lon.max())),
            max(self.north, float(lat.max())),
        )

    @property
    def aspect(self) -> float:
        """How much longer a degree of latitude is than one of longitude, mid-frame: 1/cos(lat)."""
        return 1.0 / math.cos(math.radians((self.south + self.north) / 2))


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of the timeline with one standing."""

    start: datetime
    until: datetime
    standing: int


@dataclass(slots=True)
class Episode:
    """One alert from opening to closing. `number` is its label on map, timeline and table."""

    number: int
    key: str
    kind: str
    severity: str
    since: datetime
    detected: datetime
    reason: str
    place: str
    opened_at: tuple[float, float] | None = None
    until: datetime | None = None
    closed_reason: str = ""
    closed_at: tuple[float, float] | None = None

    @property
    def is_moment(self) -> bool:
        """Whether it marks a moment rather than a stretch of time."""
        return self.kind in MOMENTS and self.until is None

    @property
    def is_withdrawn(self) -> bool:
        """Whether later evidence took it back: still shown, since it was said, but hollow."""
        return self.closed_reason == "withdrawn"


@dataclass(frozen=True, slots=True)
class Outline:
    """One thing of the map's ground with the position of its label."""

    adcode: str
    name: str
    level: str  # "province", "city" or "district"
    geometry: BaseGeometry
    label_lon: float
    label_lat: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A story ready to draw. `standing` and `firm` run along `track`."""

    story: Story
    track: list[TrackPoint]
    standing: Codes
    firm: Flags
    bars: list[Bar]
    leaves: list[Leave]
    episodes: list[Episode]
    start: datetime
    until: datetime
    frame: Frame  # the city and what is near it
    journey: Frame | None  # everything, where that is far more than `frame`


def scene_of(story: Story, city: BaseGeometry, *, most_points: int = 20_000) -> Scene:
    """Work out what is to be seen of a story; tracks above `most_points` are thinned for drawing.

    Standings and bars come from the whole track: thinning changes the drawing, not what it says.
    """
    track = sorted(story.track, key=lambda p: p.time)
    episodes = _episodes(story.alerts)
    start, until = _span(track, story.leaves, episodes)
    lon = np.array([p.lon for p in track], dtype=np.float64)
    lat = np.array([p.lat for p in track], dtype=np.float64)
    shapely.prepare(city)
    firm = _firm(track)
    standing = _standings(track, shapely.contains_xy(city, lon, lat), story.leaves, episodes, until)
    bars = _bars(track, standing, firm)
    kept = _thinned(standing, most_points)

    home = Frame(*city.bounds)
    west, south, east, north = home
    marks = [m for e in episodes for m in (e.opened_at, e.closed_at) if m and not e.is_withdrawn]
    all_lon = np.concatenate([lon[firm], [m[0] for m in marks]])
    all_lat = np.concatenate([lat[firm], [m[1] for m in marks]])
    near = (all_lon > west - NEAR_DEG) & (all_lon < east + NEAR_DEG)
    near &= (all_lat > south - NEAR_DEG) & (all_lat < north + NEAR_DEG)
    frame = home
    if near.all():
        frame = home.holding(all_lon, all_lat)
        journey = None
    else:
        # Gone far: the first view stays with the city and the place of the crossing, the whole way
        # has a view of its own.
        count = int(firm.sum())
        seen = near[count:]
        frame = home.holding(all_lon[count:][seen], all_lat[count:][seen])
        journey = home.holding(all_lon, all_lat).grown(0.08)
    return Scene(
        story=story,
        track=[track[i] for i in kept],
        standing=standing[kept],
        firm=firm[kept],
        bars=bars,
        leaves=sorted(story.leaves),
        episodes=episodes,
        start=start,
        until=until,
        frame=frame.grown(0.06),
        journey=journey,
    )


def outlines(
    city: BaseGeometry, places: Sequence[Place], near: Frame, far: Frame | None
) -> list[Outline]:
    """Choose and simplify the ground around the city: finer in `near`, coarser in `far`.

    The city's own coarse outline is left out, so that it does not peep out beside the true one.
    Provinces come first, so that what is drawn later lies on top.
    """
    near_box = shapely.box(*near.grown(0.5))
    far_box = None if far is None else shapely.box(*far.grown(0.5))
    near_label = shapely.box(*near)
    chosen = []
    for adcode, name, geometry in places:
        if geometry.intersects(near_box):
            tolerance_deg = 0.0006
        elif far_box is not None and geometry.intersects(far_box):
            tolerance_deg = 0.01
        else:
            continue
        if _is_same(geometry, city):
            continue
        shape = geometry.simplify(tolerance_deg)
        # The label belongs to the part that is in view at first.
        visible = shapely.make_valid(shape).intersection(near_label)
        spot = (shape if visible.is_empty or not visible.area else visible).representative_point()
        chosen.append(Outline(adcode, name, level_of(adcode), shape, spot.x, spot.y))
    rank = {"province": 0, "city": 1, "district": 2}
    return sorted(chosen, key=lambda o: (rank[o.level], o.adcode))


def _is_same(one: BaseGeometry, other: BaseGeometry) -> bool:
    ratio = one.area / other.area if other.area else 0.0
    return 0.5 < ratio < 2 and bool(shapely.intersects(other, one.representative_point()))


def _episodes(alerts: Iterable[Mapping[str, Any]]) -> list[Episode]:
    found: dict[str, Episode] = {}
    for alert in alerts:
        data = alert.get("data") or {}
        try:
            key, since = str(data["episode"]), _utc(data["since"])
            detected = _utc(data["detected"])
        except (KeyError, msgspec.ValidationError) as error:
            raise UserError(f"alert {alert.get('id', '?')} cannot be drawn: {error}") from error
        spot = _spot(data.get("position")) if data.get("kind") in PLACED else None
        episode = found.get(key)
        if episode is None:
            episode = found[key] = Episode(
                number=0,
                key=key,
                kind=str(data.get("kind", "")),
                severity=str(data.get("severity") or ""),
                since=since,
                detected=detected,
                reason=str(data.get("reason") or ""),
                place=str(data.get("place") or ""),
                opened_at=spot,
            )
        if data.get("phase") == "closed":
            episode.until = _utc(data.get("until") or data["detected"])
            episode.closed_reason = str(data.get("reason") or "")
            episode.closed_at = spot
        elif data.get("severity"):
            episode.severity = str(data["severity"])
    episodes = sorted(found.values(), key=lambda e: (e.since, e.kind))
    for number, episode in enumerate(episodes, start=1):
        episode.number = number
    return episodes


def _utc(value: object) -> datetime:
    time = msgspec.convert(value, datetime)
    if time.tzinfo is None:
        raise msgspec.ValidationError(f"time {value} has no offset")
    return time.astimezone(timezone.utc)


def _spot(position: object) -> tuple[float, float] | None:
    if not isinstance(position, Mapping):
        return None
    lon, lat = position.get("lon"), position.get("lat")
    if not isinstance(lon, int | float) or not isinstance(lat, int | float):
        return None
    return float(lon), float(lat)


def _span(
    track: Sequence[TrackPoint], leaves: Sequence[Leave], episodes: Sequence[Episode]
) -> tuple[datetime, datetime]:
    times = [p.time for p in (track[0], track[-1])] if track else []
    for episode in episodes:
        times += [episode.since, episode.detected, episode.until or episode.detected]
    if not times:  # nothing happened: the leaves are all there is to show
        times = [t for leave in leaves for t in (leave.start, leave.until)]
    if not times:
        raise UserError("nothing to draw: no position, no alert and no leave")
    start, until = min(times), max(times)
    margin = max((until - start) * 0.015, timedelta(minutes=10))
    return start - margin, until + margin


def _firm(track: Sequence[TrackPoint]) -> Flags:
    """Mark the fixes that a line may pass through, device by device."""
    firm = np.array(
        [
            p.source != "cell" if p.accuracy_m is None else p.accuracy_m <= FIRM_ACCURACY_M
            for p in track
        ],
        dtype=np.bool_,
    )
    seconds = np.array([p.time.timestamp() for p in track], dtype=np.float64)
    for device in {p.device for p in track}:
        mine = np.array([p.device == device for p in track], dtype=np.bool_)
        good = seconds[mine & firm]
        rough = np.flatnonzero(mine & ~firm)
        at = np.searchsorted(good, seconds[rough])
        padded = np.concatenate([[-np.inf], good, [np.inf]])
        alone_s = np.minimum(seconds[rough] - padded[at], padded[at + 1] - seconds[rough])
        firm[rough[alone_s > LONELY.total_seconds()]] = True
    return firm


def _standings(
    track: Sequence[TrackPoint],
    inside: Flags,
    leaves: Sequence[Leave],
    episodes: Sequence[Episode],
    until: datetime,
) -> Codes:
    standing = np.where(inside, INSIDE, UNJUDGED).astype(np.int8)
    seconds = np.array([p.time.timestamp() for p in track], dtype=np.float64)

    def during(start: datetime, end: datetime) -> Flags:
        return np.asarray((seconds >= start.timestamp()) & (seconds <= end.timestamp()) & ~inside)

    for leave in leaves:
        standing[during(leave.start, leave.until)] = LEAVE
    for episode in episodes:
        if episode.kind in ABSENCES and not episode.is_withdrawn:
            standing[during(episode.since, episode.until or until)] = OPEN_ALERT
    return standing


def _bars(track: Sequence[TrackPoint], standing: Codes, firm: Flags) -> list[Bar]:
    seen = [
        (point.time, int(code))
        for point, code, good in zip(track, standing, firm, strict=True)
        if good
    ]
    steady: list[tuple[datetime, int]] = []
    for code, group in groupby(seen, key=lambda pair: pair[1]):
        run = list(group)
        if code != UNJUDGED or len(run) >= JITTER_FIXES:
            steady += run
    bars: list[Bar] = []
    for (before, code), (after, _) in pairwise(steady):
        if after - before > SILENCE:
            continue
        if bars and bars[-1].standing == code and bars[-1].until == before:
            bars[-1] = Bar(bars[-1].start, after, code)
        else:
            bars.append(Bar(before, after, code))
    return bars


def _thinned(standing: Codes, most: int) -> npt.NDArray[np.intp]:
    """Return the indexes to draw: evenly spaced, and both sides of every change of standing."""
    count = len(standing)
    if count <= most:
        return np.arange(count)
    change = np.flatnonzero(np.diff(standing))
    corners = np.unique(np.concatenate([[0], change, change + 1, [count - 1]]))
    if len(corners) > most // 2:  # jitter at the fence makes changes by the thousand
        corners = corners[np.linspace(0, len(corners) - 1, most // 2).astype(np.intp)]
    spaced = np.linspace(0, count - 1, most - len(corners)).astype(np.intp)
    return np.union1d(corners, spaced)
