"""The picture as one PNG, for a report or a chat: what the page shows at first, without its hands.

Drawn with matplotlib (extra `geomon[demo]`), on its own figure and the Agg canvas: no display, no
global state of pyplot. Where no Chinese font is installed the labels are in Latin letters only: a
row of empty boxes is worse than an English word.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shapely.geometry.base import BaseGeometry

from geomon.errors import UnavailableError, UserError
from geomon.picture.chart import INK, Chart, filling
from geomon.picture.legend import STANDINGS, colour_of, english, kind_label, reason_label
from geomon.picture.scene import (
    ABSENCES,
    CHINA_TIME,
    Episode,
    Frame,
    Place,
    Scene,
    outlines,
    scene_of,
)
from geomon.picture.track import Story

__all__ = ["draw_png"]

WIDTH_IN, DOTS_AN_INCH = 15.0, 100
ROW_IN = 0.24
SOFT = "#5d6975"
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
    heights = [6.15 + strip for strip in strips]
    with _fonts(family):
        figure = Figure(figsize=(WIDTH_IN, sum(heights)), dpi=DOTS_AN_INCH, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        parts = figure.subfigures(len(scenes), 1, height_ratios=heights, squeeze=False)
        for part, scene, height, strip in zip(parts[:, 0], scenes, heights, strips, strict=True):
            drawing = _Drawing(part, scene, words, height_in=height, strip_in=strip)
            drawing.head()
            drawing.map(city_geometry, districts, places)
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


@contextmanager
def _fonts(family: str | None) -> Iterator[None]:
    from matplotlib import rc_context  # noqa: PLC0415

    # DejaVu comes with matplotlib; the second family is asked for what the first does not have.
    families = ["DejaVu Sans", *([family] if family else [])]
    # Most Chinese fonts have no bold face; matplotlib would tell the duty officer so, on stderr.
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with rc_context({"font.family": families, "font.size": 9.0}):
            yield
    finally:
        log.setLevel(level)


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

    def short(self, adcode: str) -> str:
        return english(adcode) or adcode

    def place(self, adcode: str) -> str:
        latin = english(adcode)
        if self._chinese:
            return " ".join(filter(None, (self._names.get(adcode, ""), latin))) or adcode
        return latin or f"{english(adcode[:2] + '0000')} {adcode}".strip()


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
            f"{_count(len(story.track), 'position')}   {_count(len(scene.episodes), 'alert')}   "
            f"times {CHINA_TIME}, positions WGS-84",
            color=SOFT,
        )

    def map(self, city: BaseGeometry, districts: Sequence[Place], places: Sequence[Place]) -> None:
        """Draw the city's map, and the whole journey in a corner of it where it went far."""
        width, height, side, tall = 9.9, 5.0, 1.75, 2.3
        scene = self.scene
        far = scene.journey is not None
        box = filling(scene.frame, width / height, free_left=0.1 if far else 0.0)
        corner = None
        if far:  # the part of the map that lies under the inset, where no label is to be
            west = box.west + (box.east - box.west) * (side + 0.15) / width
            north = box.south + (box.north - box.south) * (tall + 0.15) / height
            corner = Frame(box.west, box.south, west, north)
        ground = outlines(city, places, box, scene.journey)
        chart = Chart(self._axes(0.2, 0.7, width, height), box, width, self.words.place)
        chart.ground(ground, city, covered=corner)
        chart.districts(districts)
        chart.boundary(city)
        chart.track(scene)
        chart.marks(scene)
        chart.scale()
        if scene.journey is not None:
            axes = self._axes(0.3, 0.7 + height - tall - 0.1, side, tall)
            wide = filling(scene.journey, side / tall)
            inset = Chart(axes, wide, side, self.words.short, small=True)
            inset.ground(ground, city)
            inset.boundary(city)
            inset.track(scene)
            inset.marks(scene)
        self._legend()

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
        # Tall cards while they fit, and then for absences alone: of others one line an alert.
        tall = [e for e in episodes if len(episodes) <= 4 or e.kind in ABSENCES][:4]
        brief = [e for e in episodes if e not in tall]
        most = MOST_ROWS - 3 * len(tall)
        shown = brief if len(brief) <= most else brief[: max(most - 1, 0)]
        top = 0.0
        for episode in (*tall, *shown):
            self._card(axes, episode, top, roomy=episode in tall)
            top += 1.25 if episode in tall else 0.4
        if len(shown) < len(brief):
            axes.text(0.3, top + 0.2, f"and {len(brief) - len(shown)} more", color=SOFT)

    def _card(self, axes: Any, episode: Episode, top: float, *, roomy: bool) -> None:
        from matplotlib.patches import Rectangle  # noqa: PLC0415

        words, colour = self.words, colour_of(episode.kind)
        until = "–" if episode.is_moment else words.both("still open", "未结束")
        if episode.until is not None:
            until = f"{_clock(episode.until)}  ({_lasting(episode.until - episode.since)})"
        height = 1.16 if roomy else 0.34
        axes.add_patch(Rectangle((0, top), 0.05, height, color=colour, lw=0))
        kind = f"{episode.number}   {words.both(*kind_label(episode.kind))}"
        heading: dict[str, Any] = {"weight": "bold", "color": colour, "va": "center"}
        axes.text(0.15, top + 0.15, kind, size=10 if roomy else 8.5, **heading)
        if not roomy:
            term = "" if episode.is_moment else f" – {until}"
            line = f"{_clock(episode.since)}{term}   {reason_label(episode.reason)[0]}"
            axes.text(0.15, top + 0.3, line, size=6.5, color=INK, va="center")
            return
        axes.text(4.4, top + 0.15, episode.severity, ha="right", va="center", size=8, color=SOFT)
        reason = reason_label(episode.reason)[0]
        if episode.place:
            reason += f" ({words.place(episode.place)})"
        if episode.closed_reason:
            reason += f"\n→ {reason_label(episode.closed_reason)[0]}"
        late = _lasting(episode.detected - episode.since)
        rows = (
            (words.both("since", "起"), _clock(episode.since)),
            (words.both("until", "止"), until),
            (words.both("detected", "发现"), f"{_clock(episode.detected)}  (+{late})"),
            (words.both("reason", "原因"), reason),
        )
        for index, (label, value) in enumerate(rows):
            y = top + 0.36 + index * 0.19
            axes.text(0.15, y, label, color=SOFT, va="center", size=8)
            first = y - 0.06 if "\n" in value else y
            axes.text(1.0, first, value, color=INK, va="top" if "\n" in value else "center", size=8)

    def timeline(self) -> None:
        """Draw the bars: standing of the positions, leaves, and a row for each kind of alert."""
        scene, words = self.scene, self.words
        axes = self._axes(1.75, self.height_in - self.strip_in - 0.02, 13.0, self.strip_in - 0.45)
        by_weight = sorted(scene.episodes, key=lambda e: e.kind not in ABSENCES)
        kinds = list(dict.fromkeys(e.kind for e in by_weight))
        labels = [words.both("position", "位置")]
        if scene.leaves:
            labels.append(words.both("leave", "外出"))
        first = len(labels)
        labels += [words.both(*kind_label(kind)) for kind in kinds]

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
            row, colour = first + kinds.index(episode.kind), colour_of(episode.kind)
            if episode.is_moment:
                axes.plot([episode.since], [row], marker="D", ms=5, color=colour, zorder=3)
                continue
            # Taken back by later evidence: it was said, so it is shown, but hollow.
            inner = "white" if episode.is_withdrawn else colour
            style = {"color": inner, "edgecolor": colour, "alpha": 1.0 if episode.until else 0.65}
            bar(row, episode.since, episode.until or scene.until, **style)
            axes.text(
                episode.since, row, f"{episode.number} ", size=7.5, weight="bold", color=colour,
                ha="right", va="center", clip_on=True,
            )  # fmt: skip
        axes.set_yticks(range(len(labels)), labels, size=8)
        axes.set_ylim(len(labels) - 0.45, -0.55)
        axes.set_xlim(scene.start, scene.until)
        ticks = _ticks(scene.start, scene.until)
        midnight = all(f"{tick:%H%M}" == "0000" for tick in ticks)
        axes.set_xticks(
            ticks, [f"{tick:%m-%d}" if midnight else f"{tick:%d. %H:%M}" for tick in ticks]
        )
        axes.tick_params(length=0, labelsize=8, colors=INK)
        axes.grid(axis="x", color="#e3e7eb", lw=0.7)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_visible(False)


def _ticks(start: datetime, until: datetime) -> list[datetime]:
    """Return round moments of China time, at most 14 of them."""
    hours = next(
        (h for h in (1, 3, 6, 12, 24, 48, 96, 168) if (until - start) / 14 < timedelta(hours=h)),
        720,
    )
    first = start.astimezone(CHINA_TIME).replace(hour=0, minute=0, second=0, microsecond=0)
    step = timedelta(hours=hours)
    moments = (first + i * step for i in range(int((until - first) / step) + 1))
    return [moment for moment in moments if moment >= start]


def _clock(time: datetime) -> str:
    return time.astimezone(CHINA_TIME).strftime("%Y-%m-%d %H:%M")


def _day(time: datetime) -> str:
    return time.astimezone(CHINA_TIME).strftime("%Y-%m-%d")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _lasting(length: timedelta) -> str:
    minutes = length.total_seconds() / 60
    if abs(minutes) < 1:
        return f"{length.total_seconds():.0f} s"
    if abs(minutes) < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 2880 else f"{minutes / 1440:.1f} days"
