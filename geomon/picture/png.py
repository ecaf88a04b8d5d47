"""The picture as one PNG, for a report or a chat: what the page shows at first, without its hands.

Drawn with matplotlib (extra `geomon[demo]`), on its own figure and the Agg canvas: no display, no
global state of pyplot. Where no Chinese font is installed the labels are in Latin letters only: a
row of empty boxes is worse than an English word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geomon.errors import UnavailableError, UserError
from geomon.picture.legend import STANDINGS, english, kind_style
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
from geomon.picture.track import Story

__all__ = ["draw_png"]

WIDTH_IN, DOTS_AN_INCH = 15.0, 100
ROW_IN = 0.24
SEA, LAND, CITY, EDGE, INK, SOFT = "#dcebf3", "#f7f6f1", "#e9f1fb", "#21476e", "#1d2733", "#5d6975"
#: A picture with more alerts than this in its table would be all table; the page lists them all.
MOST_ROWS = 12

# Families with Chinese glyphs, as found on Linux, Windows and macOS; the first one installed wins.
_CHINESE_FAMILIES = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Noto Sans CJK JP",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "SimHei",
    "PingFang SC",
    "Heiti SC",
    "Hiragino Sans GB",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)
_CHINESE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef、。]+")


def draw_png(
    stories: Sequence[Story],
    city_geometry: BaseGeometry,
    districts: Sequence[Place],
    places: Sequence[Place],
    path: Path,
) -> None:
    """Write the stories into one PNG, one below the other: map, table of alerts, timeline.

    Geometries and positions are WGS-84; times are shown in China time (UTC+8).

    Raises:
        UnavailableError: matplotlib is not installed.
        UserError: there is nothing to draw, or `path` cannot be written.
    """
    if not stories:
        raise UserError("nothing to draw: the recording holds no person")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise UnavailableError(
            "a PNG needs matplotlib: pip install 'geomon[demo]' (the HTML page does not)"
        ) from error
    scenes = [scene_of(story, city_geometry) for story in stories]
    names = {adcode: name for adcode, name, _ in (*places, *districts)}
    family = _chinese_family()
    words = _Words(chinese=family is not None, names=names)
    strips = [_strip_rows(scene) * ROW_IN + 0.55 for scene in scenes]
    heights = [6.4 + strip for strip in strips]
    with _fonts(family):
        figure = Figure(figsize=(WIDTH_IN, sum(heights)), dpi=DOTS_AN_INCH, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        parts = np.atleast_1d(figure.subfigures(len(scenes), 1, height_ratios=heights))
        for part, scene, height, strip in zip(parts, scenes, heights, strips, strict=True):
            drawing = _Drawing(part, scene, words, height_in=height, strip_in=strip)
            drawing.head()
            drawing.maps(city_geometry, districts, places)
            drawing.table()
            drawing.timeline()
        try:
            canvas.print_figure(path, dpi=DOTS_AN_INCH, format="png")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error


def _chinese_family() -> str | None:
    from matplotlib import font_manager  # noqa: PLC0415

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((family for family in _CHINESE_FAMILIES if family in installed), None)


def _fonts(family: str | None) -> AbstractContextManager[None]:
    from matplotlib import rc_context  # noqa: PLC0415

    # DejaVu comes with matplotlib; the second family is asked for what the first does not have.
    context: AbstractContextManager[None] = rc_context(
        {"font.family": ["DejaVu Sans", *([family] if family else [])], "font.size": 9.0}
    )
    return context


class _Words:
    """Labels in both languages, or in Latin letters alone where nothing else can be drawn."""

    def __init__(self, *, chinese: bool, names: Mapping[str, str]) -> None:
        self._chinese, self._names = chinese, names

    def plain(self, text: str) -> str:
        # A dollar sign would start a formula.
        text = text.replace("$", r"\$")
        return text if self._chinese else " ".join(_CHINESE.sub(" ", text).split())

    def both(self, latin: str, chinese: str) -> str:
        return f"{latin} {chinese}".strip() if self._chinese else latin

    def place(self, adcode: str) -> str:
        latin = english(adcode)
        if self._chinese:
            return " ".join(filter(None, (self._names.get(adcode, ""), latin))) or adcode
        return latin or adcode


def _strip_rows(scene: Scene) -> int:
    return 1 + bool(scene.leaves) + len({e.kind for e in scene.episodes})


class _Drawing:
    """One story on its part of the figure. Axes are placed in inches, from the top left."""

    def __init__(
        self, part: Any, scene: Scene, words: _Words, *, height_in: float, strip_in: float
    ) -> None:
        self.part, self.scene, self.words = part, scene, words
        self.height_in, self.strip_in = height_in, strip_in

    def _axes(self, left: float, top: float, width: float, height: float) -> Any:
        return self.part.add_axes(
            (
                left / WIDTH_IN,
                1 - (top + height) / self.height_in,
                width / WIDTH_IN,
                height / self.height_in,
            )
        )

    def head(self) -> None:
        """Write the title, and under it who, when and how much."""
        story, scene = self.scene.story, self.scene
        top = 1 - 0.32 / self.height_in
        self.part.text(
            0.2 / WIDTH_IN, top, self.words.plain(story.title), size=15, weight="bold", color=INK
        )
        self.part.text(
            0.2 / WIDTH_IN,
            1 - 0.55 / self.height_in,
            f"{story.supervisee_id}   {_day(scene.start)} – {_day(scene.until)}   "
            f"{len(story.track):,} positions   {len(scene.episodes)} alerts   "
            f"times {CHINA_TIME}, positions WGS-84",
            color=SOFT,
        )

    def maps(self, city: BaseGeometry, districts: Sequence[Place], places: Sequence[Place]) -> None:
        """Draw the city's map, and the whole journey in a corner of it where it went far."""
        width, height = 9.9, 5.0
        scene = self.scene
        box = _filling(scene.frame, width / height, shift=0.1 if scene.journey else 0.0)
        axes = self._axes(0.2, 0.7, width, height)
        ground = outlines(city, places, box, scene.journey)
        self._ground(axes, box, city, ground, small=False)
        for adcode, _, geometry in districts:
            self._edge(axes, geometry, "#a9bfd6", 0.7)
            spot = geometry.representative_point()
            self._label(axes, spot.x, spot.y, self.words.place(adcode), 7.5, "#3f6288")
        self._edge(axes, city, "white", 4.0)
        self._edge(axes, city, EDGE, 1.7)
        self._track(axes, small=False)
        self._marks(axes, box, width, small=False)
        self._scale(axes, box)
        if scene.journey is not None:
            side, tall = 1.75, 2.3
            inset = self._axes(0.3, 0.7 + height - tall - 0.1, side, tall)
            wide = _filling(scene.journey, side / tall)
            self._ground(inset, wide, city, ground, small=True)
            self._edge(inset, city, EDGE, 1.0)
            self._track(inset, small=True)
            self._marks(inset, wide, side, small=True)
        self._legend()

    def _ground(
        self, axes: Any, box: Frame, city: BaseGeometry, ground: Sequence[Outline], *, small: bool
    ) -> None:
        axes.set_facecolor(SEA)
        axes.set_xlim(box.west, box.east)
        axes.set_ylim(box.south, box.north)
        # True scale: a degree of latitude is 1/cos(lat) times as long as one of longitude.
        axes.set_aspect(box.aspect)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color("#8695a4")
        around = box.grown(0.02)
        view = shapely.box(*box)
        parents = {f"{o.adcode[:2]}0000" for o in ground if o.level == "city"}
        for outline in ground:
            shape = shapely.clip_by_rect(outline.geometry, *around)
            if shape.is_empty:
                continue
            province = outline.level == "province"
            axes.add_patch(_patch(shape, facecolor=LAND, edgecolor="none", zorder=1))
            edge = "#a3adb5" if province else "#d3d7d7" if small else "#c4cacd"
            self._edge(axes, outline.geometry, edge, 0.8 if province else 0.6, zorder=1.5)
            # Inside the city's view a province is background; far away its name is what helps.
            if province != small and outline.adcode in parents:
                continue
            if (not province and small) or shape.area < 0.02 * view.area:
                continue
            visible = shapely.make_valid(shape).difference(city)
            if not visible.is_empty:
                spot = visible.representative_point()
                label = self.words.place(outline.adcode)
                size, colour = (6, SOFT) if small else (8.5, "#7b858e")
                self._label(axes, spot.x, spot.y, label, size, colour)
        axes.add_patch(_patch(city, facecolor=CITY, edgecolor="none", zorder=2))

    def _edge(
        self, axes: Any, shape: BaseGeometry, colour: str, width: float, zorder: float = 2.5
    ) -> None:
        axes.add_patch(
            _patch(shape, facecolor="none", edgecolor=colour, linewidth=width, zorder=zorder)
        )

    def _label(self, axes: Any, lon: float, lat: float, text: str, size: float, ink: str) -> None:
        axes.text(
            lon,
            lat,
            text,
            size=size,
            color=ink,
            ha="center",
            va="center",
            zorder=3,
            clip_on=True,
            path_effects=_halo(2.0),
        )

    def _track(self, axes: Any, *, small: bool) -> None:
        from matplotlib.collections import LineCollection  # noqa: PLC0415

        scene = self.scene
        lon = np.array([p.lon for p in scene.track])
        lat = np.array([p.lat for p in scene.track])
        seconds = np.array([p.time.timestamp() for p in scene.track])
        firm = scene.firm
        for device in sorted({p.device for p in scene.track}):
            at = np.flatnonzero(firm & np.array([p.device == device for p in scene.track]))
            steps = np.stack(
                [np.column_stack([lon[i], lat[i]]) for i in (at[:-1], at[1:])], axis=1
            )
            code = np.maximum(scene.standing[at[:-1]], scene.standing[at[1:]])
            silent = np.diff(seconds[at]) > SILENCE.total_seconds()
            for index, standing in enumerate(STANDINGS):
                for dashed in (False, True):
                    chosen = steps[(code == index) & (silent == dashed)]
                    lines = LineCollection(
                        list(chosen),
                        colors=standing.colour,
                        linewidths=1.0 if dashed else 1.6,
                        linestyles=(0, (3, 3)) if dashed else "solid",
                        zorder=4 + index / 10,
                    )
                    axes.add_collection(lines, autolim=False)
        if small:
            return
        for index, standing in enumerate(STANDINGS):
            mine = scene.standing == index
            axes.scatter(
                lon[mine & firm], lat[mine & firm], s=5, color=standing.colour, lw=0, zorder=5
            )
            rough = mine & ~firm
            axes.scatter(
                lon[rough], lat[rough], s=9, fc="none", ec=standing.colour, lw=0.6, alpha=0.4,
                zorder=3.5,
            )  # fmt: skip

    def _marks(self, axes: Any, box: Frame, width_in: float, *, small: bool) -> None:
        """Draw where alerts opened (a full disc with the number) and closed (a ring)."""
        radius_pt = 5.5 if small else 8.5
        point = (box.east - box.west) / (width_in * 72)  # degrees of longitude a point
        taken: list[tuple[float, float]] = []
        for episode in self.scene.episodes:
            colour = kind_style(episode.kind).colour
            for spot, opened in ((episode.opened_at, True), (episode.closed_at, False)):
                if spot is None or not (
                    box.west < spot[0] < box.east and box.south < spot[1] < box.north
                ):
                    continue
                x = spot[0]
                y = spot[1] + (0 if small else 1.7 * radius_pt * point / box.aspect)
                room = 2 * radius_pt * point
                while any(
                    abs(x - a) < room and abs(y - b) < room / box.aspect for a, b in taken
                ):
                    x += room * 1.05
                taken.append((x, y))
                if not small:
                    axes.plot(
                        [spot[0], x], [spot[1], y], color=colour, lw=1.2, marker="o", ms=4,
                        mfc="white", markevery=[0], zorder=6,
                    )  # fmt: skip
                axes.text(
                    x,
                    y,
                    str(episode.number),
                    size=6 if small else 8.5,
                    weight="bold",
                    color="white" if opened else colour,
                    ha="center",
                    va="center_baseline",
                    zorder=7,
                    bbox={
                        "boxstyle": "circle,pad=0.28",
                        "facecolor": colour if opened else "white",
                        "edgecolor": colour,
                        "linewidth": 1.5,
                    },
                )

    def _scale(self, axes: Any, box: Frame) -> None:
        metres_a_degree = 111_320 * math.cos(math.radians((box.south + box.north) / 2))
        goal_m = (box.east - box.west) * metres_a_degree * 0.13
        power = 10 ** math.floor(math.log10(goal_m))
        length_m = next(f * power for f in (5, 2, 1) if f * power <= goal_m)
        length = length_m / metres_a_degree
        right = box.east - (box.east - box.west) * 0.02
        y = box.south + (box.north - box.south) * 0.03
        axes.plot([right - length, right], [y, y], color=INK, lw=2, solid_capstyle="butt", zorder=8)
        text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
        axes.annotate(
            text,
            (right - length / 2, y),
            (0, 3),
            textcoords="offset points",
            ha="center",
            size=8,
            color=INK,
            path_effects=_halo(2.0),
            zorder=8,
        )

    def _legend(self) -> None:
        from matplotlib.lines import Line2D  # noqa: PLC0415

        both = self.words.both
        keys = [
            Line2D([], [], color=s.colour, lw=2, marker="o", ms=4, label=both(s.label, s.label_zh))
            for s in STANDINGS
        ]
        disc: dict[str, Any] = {"lw": 0, "marker": "o", "ms": 8, "mec": STANDINGS[-1].colour}
        keys += [
            Line2D([], [], mfc=STANDINGS[-1].colour, label=both("opened", "告警"), **disc),
            Line2D([], [], mfc="white", mew=1.6, label=both("closed", "结束"), **disc),
            Line2D([], [], color=SOFT, ls=(0, (3, 2)), label=both("silent 3 h or more", "无位置")),
            Line2D(
                [], [], lw=0, marker="o", ms=4, mfc="none", mec=SOFT,
                label=both("rough fix", "粗略"),
            ),
        ]  # fmt: skip
        self.part.legend(
            handles=keys,
            loc="upper left",
            bbox_to_anchor=(0.1 / WIDTH_IN, 1 - 5.72 / self.height_in),
            ncols=len(keys),
            frameon=False,
            fontsize=7.8,
            columnspacing=1.3,
            handlelength=1.7,
            handletextpad=0.5,
            labelcolor=INK,
        )

    def table(self) -> None:
        """Write the alerts beside the map: kind, since, until, detected, reason."""
        axes = self._axes(10.3, 0.7, 4.5, 5.0)
        axes.set_axis_off()
        axes.set_xlim(0, 4.5)
        axes.set_ylim(5.0, 0)
        episodes = self.scene.episodes
        if not episodes:
            axes.text(0, 0.2, self.words.both("no alert in this time", "无告警"), color=SOFT)
            return
        # Tall cards while they fit, then one line an alert.
        roomy = len(episodes) <= 4
        shown = episodes if len(episodes) <= MOST_ROWS else episodes[: MOST_ROWS - 1]
        step = 1.24 if roomy else 0.4
        for index, episode in enumerate(shown):
            self._card(axes, episode, index * step, roomy=roomy)
        if len(shown) < len(episodes):
            left = len(episodes) - len(shown)
            axes.text(0.3, len(shown) * step + 0.2, f"and {left} more", color=SOFT)

    def _card(self, axes: Any, episode: Episode, top: float, *, roomy: bool) -> None:
        from matplotlib.patches import Rectangle  # noqa: PLC0415

        style, words = kind_style(episode.kind), self.words
        until = "–" if episode.is_moment else words.both("still open", "未结束")
        if episode.until is not None:
            until = f"{_clock(episode.until)}  ({_lasting(episode.until - episode.since)})"
        height = 1.14 if roomy else 0.34
        axes.add_patch(Rectangle((0, top), 0.05, height, color=style.colour, lw=0))
        kind = words.both(episode.kind.replace("_", " "), style.label_zh)
        axes.text(
            0.15, top + 0.15, f"{episode.number}   {kind}", weight="bold", color=style.colour,
            va="center", size=10 if roomy else 8.5,
        )  # fmt: skip
        if not roomy:
            span = f"{_clock(episode.since)} – {until}"
            axes.text(0.15, top + 0.3, f"{span}   {episode.reason}", size=6.5, color=INK, va="center")
            return
        axes.text(4.4, top + 0.15, episode.severity, ha="right", va="center", size=8, color=SOFT)
        reason = episode.reason.replace("_", " ")
        if episode.place:
            reason += f"  ({words.place(episode.place)})"
        if episode.closed_reason:
            reason += f"  → {episode.closed_reason.replace('_', ' ')}"
        late = _lasting(episode.detected - episode.since)
        rows = (
            (words.both("since", "起"), _clock(episode.since)),
            (words.both("until", "止"), until),
            (words.both("detected", "发现"), f"{_clock(episode.detected)}  (+{late})"),
            (words.both("reason", "原因"), reason),
        )
        for index, (label, value) in enumerate(rows):
            y = top + 0.38 + index * 0.205
            axes.text(0.15, y, label, color=SOFT, va="center", size=8)
            axes.text(1.15, y, value, color=INK, va="center", size=8)

    def timeline(self) -> None:
        """Draw the bars: standing of the positions, leaves, and a row for each kind of alert."""
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

        scene, words = self.scene, self.words
        axes = self._axes(1.75, self.height_in - self.strip_in - 0.02, 13.0, self.strip_in - 0.45)
        kinds = list(dict.fromkeys(e.kind for e in scene.episodes))
        labels = [words.both("position", "位置")]
        if scene.leaves:
            labels.append(words.both("leave", "外出"))
        first = len(labels)
        labels += [words.both(kind.replace("_", " "), kind_style(kind).label_zh) for kind in kinds]

        def bar(row: int, start: datetime, until: datetime, **style: Any) -> None:
            start, until = max(start, scene.start), min(until, scene.until)
            if start < until:
                axes.barh(row, until - start, 0.64, start, **style)

        bar(0, scene.start, scene.until, color="#eceff2", zorder=1)
        for stretch in scene.bars:
            colour = STANDINGS[stretch.standing].colour
            bar(0, stretch.start, stretch.until, color=colour, zorder=2)
        for leave in scene.leaves:
            bar(1, leave.start, leave.until, color="#bfe5d6", edgecolor="#00946c", zorder=2)
            where = ", ".join(words.place(code) for code in leave.destinations)
            axes.text(
                max(leave.start, scene.start), 1, f" {where}", size=7.5, va="center",
                color="#00553e", clip_on=True, zorder=3,
            )  # fmt: skip
        for episode in scene.episodes:
            row, colour = first + kinds.index(episode.kind), kind_style(episode.kind).colour
            if episode.is_moment:
                axes.plot([episode.since], [row], marker="D", ms=5, color=colour, zorder=3)
                continue
            fade = 1.0 if episode.until else 0.65
            bar(row, episode.since, episode.until or scene.until, color=colour, alpha=fade)
            axes.text(
                episode.since, row, f"{episode.number} ", size=7.5, weight="bold", color=colour,
                ha="right", va="center", clip_on=True,
            )  # fmt: skip
        axes.set_yticks(range(len(labels)), labels, size=8)
        axes.set_ylim(len(labels) - 0.45, -0.55)
        axes.set_xlim(scene.start, scene.until)
        locator = AutoDateLocator(tz=CHINA_TIME, minticks=8, maxticks=16)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=CHINA_TIME))
        axes.tick_params(length=0, labelsize=8, colors=INK)
        axes.grid(axis="x", color="#e3e7eb", lw=0.7)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_visible(False)


def _filling(frame: Frame, shape: float, shift: float = 0.0) -> Frame:
    """Widen a frame until it fills an axes of `shape` (width/height) at true scale.

    `shift` leaves that share of the width free at the left, for an inset.
    """
    width = (frame.east - frame.west) * (1 + shift)
    height = (frame.north - frame.south) * frame.aspect
    east, middle = frame.east, (frame.south + frame.north) / 2
    if width / height < shape:
        spare = height * shape - width
        width += spare
        east += spare / 2
    height = width / shape / frame.aspect
    return Frame(east - width, middle - height / 2, east, middle + height / 2)


def _patch(shape: BaseGeometry, **style: Any) -> Any:
    from matplotlib.patches import PathPatch  # noqa: PLC0415
    from matplotlib.path import Path as Outline  # noqa: PLC0415

    rings = [
        Outline(shapely.get_coordinates(ring), closed=True)
        for polygon in shapely.get_parts(shape)
        if polygon.geom_type == "Polygon"
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    return PathPatch(Outline.make_compound_path(*rings), **style)


def _halo(width: float) -> list[Any]:
    from matplotlib.patheffects import withStroke  # noqa: PLC0415

    return [withStroke(linewidth=width, foreground="white", alpha=0.85)]


def _clock(time: datetime) -> str:
    return time.astimezone(CHINA_TIME).strftime("%Y-%m-%d %H:%M")


def _day(time: datetime) -> str:
    return time.astimezone(CHINA_TIME).strftime("%Y-%m-%d")


def _lasting(length: timedelta) -> str:
    minutes = length.total_seconds() / 60
    if abs(minutes) < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 2880 else f"{minutes / 1440:.1f} days"
