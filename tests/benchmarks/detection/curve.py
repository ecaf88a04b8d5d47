"""The plot: false alarms against delay, a mark for each detector and a line for each family."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from .summary import Figures, Limit

__all__ = ["draw"]

_OURS = "geomon"


def draw(found: Sequence[Figures], limits: Sequence[Limit], path: Path, title: str) -> None:
    """Draw detectors into a picture; who misses half has no finite median and is not in the first.

    No false alarm at all is drawn at half of one in the time watched. With `limits`, a third part
    shows what geomon's delay is at each reporting interval.
    """
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    floor = 0.5 / max(f.years for f in found)
    families: dict[str, list[Figures]] = {}
    for f in found:
        families.setdefault(f.name, []).append(f)
    columns = 3 if limits else 2
    figure, axes = plt.subplots(1, columns, figsize=(6 * columns, 5.5), layout="constrained")
    colours = plt.get_cmap("tab10")
    for axis, of, what in (
        (axes[0], lambda f: f.median_s / 60, "median delay, minutes (missed: endless)"),
        (axes[1], lambda f: 100 * f.share_missed, "departures missed, %"),
    ):
        for number, (name, members) in enumerate(families.items()):
            _line(axis, members, of, floor, name, colours(number % 10))
        axis.set(yscale="log", xlabel=what, ylabel="false alarms a person-year")
        axis.grid(visible=True, which="both", alpha=0.2)
    axes[0].set_xscale("log")
    axes[0].legend(fontsize=8)
    if limits:
        _intervals(axes[2], limits)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _intervals(axis: Any, limits: Sequence[Limit]) -> None:
    every_min = [limit.every_s / 60 for limit in limits]
    for label, style, values in (
        ("geomon, 95 in 100", "o--", [limit.own.p95_s for limit in limits]),
        ("geomon, median", "o-", [limit.own.median_s for limit in limits]),
        ("first fix outside, median", "s:", [limit.first.median_s for limit in limits]),
    ):
        told = [(x, v / 60) for x, v in zip(every_min, values, strict=True) if isfinite(v)]
        axis.plot([x for x, _ in told], [v for _, v in told], style, label=label, markersize=5)
    axis.set(xscale="log", yscale="log", xlabel="a fix every, minutes", ylabel="delay, minutes")
    axis.grid(visible=True, which="both", alpha=0.2)
    axis.legend(fontsize=8)


def _line(axis: Any, members: Sequence[Figures], of: Any, floor: float, name: str, c: Any) -> None:
    shown = [f for f in members if isfinite(of(f))]
    x = [of(f) for f in shown]
    y = [max(f.false_a_year, floor) for f in shown]
    bold = name == _OURS
    axis.plot(x, y, "o-" if bold else "s--", color="black" if bold else c, label=name, markersize=5)
    for f, at_x, at_y in zip(shown, x, y, strict=True):
        at = {"fontsize": 6, "xytext": (3, 3), "textcoords": "offset points"}
        axis.annotate(f.setting, (at_x, at_y), **at)
