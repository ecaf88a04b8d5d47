"""The map of the PNG: ground, boundary, track and the places where alerts opened and closed.

Longitude and latitude are drawn straight, with an aspect of 1/cos(lat) mid-frame: true to scale in
the middle and, over a city, to one part in a thousand at the edges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geomon.picture.legend import STANDINGS, colour_of
from geomon.picture.scene import SILENCE, Frame, Outline, Place, Scene

__all__ = ["Chart", "filling"]

SEA, LAND, CITY, EDGE, INK = "#dcebf3", "#f7f6f1", "#e9f1fb", "#21476e", "#1d2733"
METRES_A_DEGREE = 111_320  # of latitude, to half a percent anywhere in China


def filling(frame: Frame, shape: float, *, free_left: float = 0.0) -> Frame:
    """Widen a frame until it fills axes of `shape` (width / height) at true scale.

    `free_left` is the share of its width to leave free at the left, for an inset.
    """
    width = (frame.east - frame.west) * (1 + free_left)
    height = (frame.north - frame.south) * frame.aspect
    east, middle = frame.east, (frame.south + frame.north) / 2
    if width / height < shape:
        spare = height * shape - width
        width += spare
        east += spare / 2
    height = width / shape / frame.aspect
    return Frame(east - width, middle - height / 2, east, middle + height / 2)


class Chart:
    """One map on its axes. `place_name` gives the label of an administrative code.

    `small` is an inset: thinner lines, provinces named instead of cities, no single fixes.
    """

    def __init__(
        self,
        axes: Any,
        box: Frame,
        width_in: float,
        place_name: Callable[[str], str],
        *,
        small: bool = False,
    ) -> None:
        self.axes, self.box, self.place_name, self.small = axes, box, place_name, small
        #: Degrees of longitude that one typographic point is wide.
        self.point_deg = (box.east - box.west) / (width_in * 72)
        axes.set_facecolor(SEA)
        axes.set_xlim(box.west, box.east)
        axes.set_ylim(box.south, box.north)
        axes.set_aspect(box.aspect)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color("#8695a4")

    def ground(
        self, ground: Sequence[Outline], city: BaseGeometry, *, covered: Frame | None = None
    ) -> None:
        """Draw the land around; labels keep off the city, the edges and what is `covered`."""
        around = self.box.grown(0.02)
        size = (self.box.east - self.box.west) * (self.box.north - self.box.south)
        margin = 0.12 if self.small else 0.04
        free = shapely.box(*self.box.grown(-margin)).difference(city)
        if covered is not None:
            free = free.difference(shapely.box(*covered.grown(0.1)))
        parents = {f"{o.adcode[:2]}0000" for o in ground if o.level == "city"}
        for outline in ground:
            shape = shapely.clip_by_rect(outline.geometry, *around)
            if shape.is_empty:
                continue
            province = outline.level == "province"
            self._area(shape, facecolor=LAND, edgecolor="none", zorder=1)
            edge = "#a3adb5" if province else "#d3d7d7" if self.small else "#c4cacd"
            self._line(outline.geometry, edge, 0.8 if province else 0.6, zorder=1.5)
            # Near the city a province is background; far away its name is what helps.
            if province != self.small and outline.adcode in parents:
                continue
            if (not province and self.small) or shape.area < 0.02 * size:
                continue
            spot = _roomiest(shapely.make_valid(shape).intersection(free))
            if spot is not None:
                points, ink = (6.0, "#5d6975") if self.small else (8.5, "#7b858e")
                self._label(spot, self.place_name(outline.adcode), points, ink)
        self._area(city, facecolor=CITY, edgecolor="none", zorder=2)

    def districts(self, districts: Sequence[Place]) -> None:
        """Draw and name the districts."""
        for adcode, _, geometry in districts:
            self._line(geometry, "#a9bfd6", 0.7)
            spot = _roomiest(geometry)
            if spot is not None:
                self._label(spot, self.place_name(adcode), 7.5, "#3f6288")

    def boundary(self, city: BaseGeometry) -> None:
        """Draw the line that matters."""
        if not self.small:
            self._line(city, "white", 4.0)
        self._line(city, EDGE, 1.0 if self.small else 1.7)

    def track(self, scene: Scene) -> None:
        """Draw lines through the firm fixes, device by device, and the fixes themselves."""
        from matplotlib.collections import LineCollection  # noqa: PLC0415

        lon = np.array([p.lon for p in scene.track], dtype=np.float64)
        lat = np.array([p.lat for p in scene.track], dtype=np.float64)
        seconds = np.array([p.time.timestamp() for p in scene.track], dtype=np.float64)
        for device in sorted({p.device for p in scene.track}):
            mine = np.array([p.device == device for p in scene.track], dtype=np.bool_)
            at = np.flatnonzero(scene.firm & mine)
            ends = [np.column_stack([lon[i], lat[i]]) for i in (at[:-1], at[1:])]
            steps = np.stack(ends, axis=1)
            # The graver of the two standings: the way out belongs to being out.
            code = np.maximum(scene.standing[at[:-1]], scene.standing[at[1:]])
            silent = np.diff(seconds[at]) > SILENCE.total_seconds()
            for index, standing in enumerate(STANDINGS):
                for dashed in (False, True):
                    lines = LineCollection(
                        list(steps[(code == index) & (silent == dashed)]),
                        colors=standing.colour,
                        linewidths=1.0 if dashed else 1.6,
                        linestyles=(0, (3, 3)) if dashed else "solid",
                        zorder=4 + index / 10,
                    )
                    self.axes.add_collection(lines, autolim=False)
        if self.small:
            return
        for index, standing in enumerate(STANDINGS):
            chosen = scene.standing == index
            colour = standing.colour
            good, rough = chosen & scene.firm, chosen & ~scene.firm
            self.axes.scatter(lon[good], lat[good], s=5, color=colour, lw=0, zorder=5)
            ring: dict[str, Any] = {"fc": "none", "ec": colour, "lw": 0.6, "alpha": 0.4}
            self.axes.scatter(lon[rough], lat[rough], s=9, zorder=3.5, **ring)

    def marks(self, scene: Scene) -> None:
        """Draw where alerts opened (a full disc with the number) and closed (a ring)."""
        box, radius_pt = self.box, 5.5 if self.small else 8.5
        room = 2 * radius_pt * self.point_deg
        taken: list[tuple[float, float]] = []
        for episode in scene.episodes:
            if episode.is_withdrawn:
                continue
            colour = colour_of(episode.kind)
            for spot, opened in ((episode.opened_at, True), (episode.closed_at, False)):
                if spot is None or not box.has(*spot):
                    continue
                x, y = spot
                if not self.small:
                    y += 0.85 * room / box.aspect
                while any(abs(x - a) < room and abs(y - b) < room / box.aspect for a, b in taken):
                    x += 1.05 * room
                taken.append((x, y))
                if not self.small:
                    foot: dict[str, Any] = {"marker": "o", "ms": 4, "mfc": "white"}
                    xs, ys = [spot[0], x], [spot[1], y]
                    self.axes.plot(xs, ys, color=colour, lw=1.2, markevery=[0], zorder=6, **foot)
                self.axes.text(
                    x,
                    y,
                    str(episode.number),
                    size=6 if self.small else 8.5,
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

    def scale(self) -> None:
        """Draw a bar of a round length."""
        box = self.box
        metres_a_degree = METRES_A_DEGREE / box.aspect
        goal_m = (box.east - box.west) * metres_a_degree * 0.13
        power = 10 ** math.floor(math.log10(goal_m))
        length_m = next(f * power for f in (5, 2, 1) if f * power <= goal_m)
        length = length_m / metres_a_degree
        right = box.east - (box.east - box.west) * 0.02
        y = box.south + (box.north - box.south) * 0.03
        bar: dict[str, Any] = {"color": INK, "lw": 2, "solid_capstyle": "butt", "zorder": 8}
        self.axes.plot([right - length, right], [y, y], **bar)
        text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
        above = y + 7 * self.point_deg / box.aspect
        self._label((right - length / 2, above), text, 8, INK)

    def _area(self, shape: BaseGeometry, **style: Any) -> None:
        from matplotlib.patches import PathPatch  # noqa: PLC0415
        from matplotlib.path import Path as Outlines  # noqa: PLC0415

        rings = [
            Outlines(shapely.get_coordinates(ring), closed=True)
            for polygon in shapely.get_parts(shape)
            if polygon.geom_type == "Polygon"
            for ring in (polygon.exterior, *polygon.interiors)
        ]
        if rings:
            # Not add_patch: it measures every vertex to fit the limits, which are set already.
            self.axes.add_artist(PathPatch(Outlines.make_compound_path(*rings), **style))

    def _line(self, shape: BaseGeometry, colour: str, width: float, zorder: float = 2.5) -> None:
        self._area(shape, facecolor="none", edgecolor=colour, linewidth=width, zorder=zorder)

    def _label(self, at: tuple[float, float], text: str, points: float, ink: str) -> None:
        from matplotlib.patheffects import withStroke  # noqa: PLC0415

        halo = withStroke(linewidth=2.0, foreground="white", alpha=0.85)
        middle: dict[str, Any] = {"ha": "center", "va": "center", "clip_on": True, "zorder": 3}
        self.axes.text(*at, text, size=points, color=ink, path_effects=[halo], **middle)


def _roomiest(shape: BaseGeometry) -> tuple[float, float] | None:
    """Return where a label fits best: the point deepest inside the shape's largest part."""
    parts = [p for p in shapely.get_parts(shape) if p.geom_type == "Polygon" and p.area]
    if not parts:
        return None
    largest = max(parts, key=lambda p: p.area)
    centre = shapely.get_point(shapely.maximum_inscribed_circle(largest, tolerance=0.01), 0)
    return centre.x, centre.y
