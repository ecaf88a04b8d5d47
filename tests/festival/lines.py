"""Uploads as text. Written by hand and not by a JSON encoder: some 18 million lines are made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geomon.datum import from_wgs84

from .almanac import BEGIN_S, CLOCK_TEXT, DAY_S, DAY_TEXT, local_index
from .noise import NONE, SOURCES, Measured

__all__ = ["Line", "fix_texts", "time_texts"]

#: When an event arrives, and its line.
Line = tuple[int, bytes]


def time_texts(times: NDArray[np.int64]) -> list[str]:
    """RFC 3339 in China time of many whole seconds."""
    first, _ = local_index(BEGIN_S)
    day, second = np.divmod(times - BEGIN_S, DAY_S)
    return [
        DAY_TEXT[d] + CLOCK_TEXT[s]
        for d, s in zip((day + first).tolist(), second.tolist(), strict=True)
    ]


def fix_texts(measured: Measured, datum: str, mock: NDArray[np.bool_] | None = None) -> list[str]:
    """Each measurement as the JSON object of a fix; "" for one that found no position."""
    lon, lat = from_wgs84(measured.lon, measured.lat, datum)
    texts = [
        f'{{"time":"{t}","lon":{x:.6f},"lat":{y:.6f},"accuracy_m":{a},"source":"{SOURCES[s]}"'
        + (f',"speed_mps":{v:.1f}}}' if v >= 0 else "}")
        if s != NONE
        else ""
        for t, x, y, a, s, v in zip(
            time_texts(measured.times),
            lon.tolist(),
            lat.tolist(),
            measured.accuracy_m.tolist(),
            measured.source.tolist(),
            measured.speed_mps.tolist(),
            strict=True,
        )
    ]
    if mock is not None:
        for i in np.flatnonzero(mock).tolist():
            if texts[i]:
                texts[i] = texts[i][:-1] + ',"mock":true}'
    return texts
