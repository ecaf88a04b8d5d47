"""The picture as one HTML file that opens anywhere, offline.

The map is drawn by this package's own small viewer (`viewer.js`) and not by a plotting library: the
page is a tenth of the size, map and timeline move together, and it can be read in an afternoon by
whoever must approve it for a duty room. A Content-Security-Policy forbids the page any network, and
any script but the viewer: movement tracks must not leave the machine through their own picture.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geomon.errors import UserError
from geomon.picture.legend import STANDINGS, colour_of, english, kind_label, level_of, reason_label
from geomon.picture.scene import (
    CHINA_TIME,
    SILENCE,
    Episode,
    Frame,
    Outline,
    Place,
    Scene,
    outlines,
    scene_of,
)
from geomon.picture.sheet import sheet
from geomon.picture.track import Story

__all__ = ["draw_html"]

# 1e-5 degrees is 1.1 m: finer than the boundary and than any fix.
STEPS_A_DEGREE = 100_000


def draw_html(
    stories: Sequence[Story],
    city_geometry: BaseGeometry,
    districts: Sequence[Place],
    places: Sequence[Place],
    path: Path,
    *,
    title: str = "geomon",
) -> None:
    """Write the stories as one page: a tab a case, with its map, timeline and alerts.

    Geometries and positions are WGS-84; times are shown in China time (UTC+8). Needs no network
    and no optional package, neither to write nor to open.

    Raises:
        UserError: there is nothing to draw, or `path` cannot be written.
    """
    if not stories:
        raise UserError("nothing to draw: the recording holds no person")
    scenes = [scene_of(story, city_geometry) for story in stories]
    names = {adcode: name for adcode, name, _ in (*places, *districts)}
    viewer = resources.files("geomon.picture").joinpath("viewer.js").read_text(encoding="utf-8")
    parts = {
        "tabs": "".join(_tab(scene, i) for i, scene in enumerate(scenes)),
        "clock": f"times {CHINA_TIME} · positions WGS-84",
        "cases": "".join(_case(scene, i, names) for i, scene in enumerate(scenes)),
        "legend": _legend(),
        "data": _data(scenes, city_geometry, districts, places, names),
        "script": viewer,
    }
    page = sheet("geomon.picture", title, parts, policy=_policy(viewer))
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def _policy(viewer: str) -> str:
    digest = base64.b64encode(hashlib.sha256(viewer.encode()).digest()).decode()
    return f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'"


def _tab(scene: Scene, index: int) -> str:
    chosen = "true" if index == 0 else "false"
    return (
        f'<button type="button" role="tab" aria-selected="{chosen}">'
        f"{escape(scene.story.title)}</button>"
    )


def _case(scene: Scene, index: int, names: Mapping[str, str]) -> str:
    story = scene.story
    days = f"{_day(scene.start)} – {_day(scene.until)}"
    devices = ", ".join(sorted({p.device for p in story.track})) or "no device"
    alerts = "".join(_alert(e, names) for e in scene.episodes)
    count, told = len(story.track), len(scene.episodes)
    plural = "" if told == 1 else "s"
    return (
        f"<section{' hidden' if index else ''}><h2>{escape(story.title)}</h2>"
        f'<p class="facts"><b>{escape(story.supervisee_id)}</b> · {days} · '
        f"<b>{count:,}</b> positions ({escape(devices)}) · <b>{told}</b> alert{plural}</p>"
        f"{alerts or '<p class=none>No alert in this time. 无告警</p>'}</section>"
    )


def _alert(episode: Episode, names: Mapping[str, str]) -> str:
    label_en, label_zh = kind_label(episode.kind)
    until = '<span class="open">still open 未结束</span>'
    if episode.is_moment:
        until = "–"
    elif episode.until is not None:
        lasted = _lasting(episode.until - episode.since)
        until = f"{_clock(episode.until)} <small>({lasted})</small>"
    rows = [
        ("since 起", _clock(episode.since)),
        ("until 止", until),
        (
            "detected 发现",
            f"{_clock(episode.detected)} "
            f"<small>(+{_lasting(episode.detected - episode.since)})</small>",
        ),
        ("reason 原因", _reason(episode.reason)),
    ]
    if episode.place:
        rows.append(("place 地点", escape(_place(episode.place, names))))
    if episode.closed_reason:
        rows.append(("closed 结束原因", _reason(episode.closed_reason)))
    body = "".join(f"<tr><th scope=row>{head}</th><td>{cell}</td></tr>" for head, cell in rows)
    severity = (
        f'<span class="severity">{escape(episode.severity)}</span>' if episode.severity else ""
    )
    return (
        f'<article class="alert" style="--kind:{colour_of(episode.kind)}" tabindex="0" '
        f'role="button" aria-pressed="false" data-episode="{escape(episode.key)}">'
        f'<h3><span class="badge">{episode.number}</span>{escape(label_zh or label_en)} '
        f"<code>{escape(episode.kind)}</code>{severity}</h3><table>{body}</table></article>"
    )


def _legend() -> str:
    def key(drawing: str, words: str, width: int = 22) -> str:
        svg = f'<svg width="{width}" height="14" aria-hidden="true">{drawing}</svg>'
        return f"<span>{svg}{words}</span>"

    red = STANDINGS[-1].colour
    line = (
        '<line x1="0" y1="7" x2="22" y2="7" stroke="{}" stroke-width="3"/>'
        '<circle cx="11" cy="7" r="3.5" fill="{}"/>'
    )
    disc = '<circle cx="8" cy="7" r="5.5" fill="{}" stroke="{}" stroke-width="2"/>'
    notch = (
        f'<rect width="22" height="14" fill="{red}"/>'
        '<path d="M7 0h8l-4 7z" fill="#fff" stroke="#555" stroke-width=".6"/>'
    )
    parts = [key(line.format(s.colour, s.colour), f"{s.label} {s.label_zh}") for s in STANDINGS]
    parts += [
        key(disc.format(red, red), "alert opened 告警", 16),
        key(disc.format("#fff", red), "closed 结束", 16),
        key(notch, "detected 发现"),
        key('<circle cx="7" cy="7" r="3.5" fill="none" stroke="#858e96"/>', "rough fix 粗略", 14),
    ]
    return "".join(parts)


def _data(
    scenes: Sequence[Scene],
    city: BaseGeometry,
    districts: Sequence[Place],
    places: Sequence[Place],
    names: Mapping[str, str],
) -> str:
    """Return what the viewer draws, as JSON that is safe inside a script element."""
    near, far = scenes[0].frame, None
    for scene in scenes:
        near = _joined(near, scene.frame)
        if scene.journey is not None:
            far = _joined(far or scene.journey, scene.journey)
    ground = outlines(city, places, near, far)
    lone = {o.adcode for o in ground if o.level == "province"} - {
        f"{o.adcode[:2]}0000" for o in ground if o.level == "city"
    }
    for adcode, name, geometry in districts:
        spot = geometry.representative_point()
        ground.append(Outline(adcode, name, "district", geometry, spot.x, spot.y))
    west, south, east, north = city.bounds
    middle = city.representative_point()
    of_city = next(
        (name for code, name, g in places if level_of(code) == "city" and g.contains(middle)), ""
    )
    content = {
        "origin": [(west + east) / 2, (south + north) / 2],
        "offset_s": int(CHINA_TIME.utcoffset(None).total_seconds()),
        "zone": str(CHINA_TIME),
        "silence_s": int(SILENCE.total_seconds()),
        "standings": [{"label": s.label, "zh": s.label_zh, "colour": s.colour} for s in STANDINGS],
        "city": _rings(city),
        "city_name": of_city,
        "ground": [
            {
                "level": o.level,
                "name": o.name,
                "label": _named(o.adcode, o.name),
                "at": [round(o.label_lon, 4), round(o.label_lat, 4)],
                "alone": o.adcode in lone,
                "rings": _rings(o.geometry),
            }
            for o in ground
        ],
        "cases": [_case_data(scene, names) for scene in scenes],
    }
    # "</" would end the script element early; JSON reads the escaped form the same.
    return msgspec.json.encode(content).decode().replace("</", "<\\/")


def _case_data(scene: Scene, names: Mapping[str, str]) -> dict[str, Any]:
    track = scene.track
    devices = sorted({p.device for p in track})
    sources = sorted({p.source for p in track})

    def spot(position: tuple[float, float] | None) -> dict[str, float] | None:
        return None if position is None else {"lon": position[0], "lat": position[1]}

    return {
        "id": scene.story.supervisee_id,
        "time": _deltas([p.time.timestamp() for p in track], 1),
        "lon": _deltas([p.lon for p in track], STEPS_A_DEGREE),
        "lat": _deltas([p.lat for p in track], STEPS_A_DEGREE),
        "accuracy": [None if p.accuracy_m is None else round(p.accuracy_m) for p in track],
        "device": [devices.index(p.device) for p in track],
        "devices": devices,
        "source": [sources.index(p.source) for p in track],
        "sources": sources,
        "standing": "".join(map(str, scene.standing)),
        "firm": "".join("1" if firm else "0" for firm in scene.firm),
        "bars": [[_seconds(b.start), _seconds(b.until), b.standing] for b in scene.bars],
        "leaves": [
            {
                "start": _seconds(leave.start),
                "until": _seconds(leave.until),
                "label": "、".join(_place(code, names) for code in leave.destinations),
            }
            for leave in scene.leaves
        ],
        "episodes": [
            {
                "key": e.key,
                "number": e.number,
                "kind": e.kind,
                "label": kind_label(e.kind)[1],
                "colour": colour_of(e.kind),
                "moment": e.is_moment,
                "withdrawn": e.is_withdrawn,
                "since": _seconds(e.since),
                "detected": _seconds(e.detected),
                "until": None if e.until is None else _seconds(e.until),
                "opened": spot(e.opened_at),
                "closed": spot(e.closed_at),
            }
            for e in scene.episodes
        ],
        "span": [_seconds(scene.start), _seconds(scene.until)],
        "frame": scene.frame,
        "journey": scene.journey,
    }


def _rings(geometry: BaseGeometry) -> list[list[int]]:
    """Return the rings, each as whole steps of lon, lat, every one the difference to the last."""
    rings = []
    for polygon in shapely.get_parts(geometry):
        for ring in (polygon.exterior, *polygon.interiors):
            steps = np.round(shapely.get_coordinates(ring)[:-1] * STEPS_A_DEGREE).astype(np.int64)
            rings.append(np.diff(steps, axis=0, prepend=0).ravel().tolist())
    return rings


def _deltas(values: Sequence[float], steps: int) -> list[int]:
    whole = np.round(np.asarray(values, dtype=np.float64) * steps).astype(np.int64)
    deltas: list[int] = np.diff(whole, prepend=0).tolist()
    return deltas


def _joined(one: Frame, other: Frame) -> Frame:
    return one.holding(np.array([other.west, other.east]), np.array([other.south, other.north]))


def _named(adcode: str, name: str) -> str:
    latin = english(adcode)
    return f"{name} {latin}" if latin else name


def _place(adcode: str, names: Mapping[str, str]) -> str:
    if adcode == "000000":
        return "不限 anywhere"
    return _named(adcode, names[adcode]) if adcode in names else english(adcode) or adcode


def _reason(code: str) -> str:
    words_en, words_zh = reason_label(code)
    return escape(f"{words_zh} {words_en}".strip())


def _clock(time: datetime) -> str:
    return time.astimezone(CHINA_TIME).strftime("%Y-%m-%d %H:%M:%S")


def _day(time: datetime) -> str:
    return time.astimezone(CHINA_TIME).strftime("%Y-%m-%d")


def _seconds(time: datetime) -> int:
    return round(time.timestamp())


def _lasting(length: timedelta) -> str:
    seconds = length.total_seconds()
    for limit, unit, name in ((60, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if abs(seconds) < limit:
            return f"{seconds / unit:.0f} {name}" if unit < 3600 else f"{seconds / unit:.1f} {name}"
    return f"{seconds / 86_400:.1f} days"
