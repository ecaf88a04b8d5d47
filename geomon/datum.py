"""WGS-84, GCJ-02 and BD-09: the three datums in which Chinese devices report positions.

    WGS-84   what a satellite receiver says; geomon computes in nothing else
    GCJ-02   AMap, Tencent, most Chinese phones' location services: WGS-84 moved by a smooth shift
             of a few hundred metres (571-618 m in Shenzhen)
    BD-09    Baidu: GCJ-02, turned and stretched once more

The GCJ-02 shift is the formula published in 2010 by reverse engineering and used by every map
library since (Krasovsky 1940 ellipsoid, polynomial plus sines about 105 E 35 N); BD-09 is the
formula of Baidu's own early developer notes. Neither has an official public text.

**Where the shift applies.** Inside the usual box (72.004-137.8347 E, 0.8293-55.8271 N) and nowhere
else. Hong Kong, Macau and the countries inside the box are shifted like the mainland. That is what
the location services of AMap, Tencent and Baidu hand to an app in Hong Kong and Macau, and it keeps
the shift continuous across the Shenzhen River: a person walking over the border does not jump by
600 m. A source that is unshifted in Hong Kong (a raw receiver, Google's maps) is WGS-84 and must
declare it.

**The inverse** has no closed form. It is found by fixed-point iteration, which shrinks the error
200 times a step, until the last step is under `STEP_LIMIT_DEG`; what remains is about a micrometre
and everywhere under 0.01 mm (the usual one-step inverse leaves up to 2.3 m). It is the inverse of
this module's forward everywhere, with one unavoidable exception: within about 1 km outside the
box's edge (open sea, Kyrgyzstan: no Chinese ground) a shifted and an unshifted point coincide, and
the shifted one is assumed.

A point's result does not depend on its neighbours in the array.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["DATUMS", "from_wgs84", "to_wgs84"]

Array = NDArray[np.float64]
Value = TypeVar("Value", float, Array)
_Pair = tuple[Any, Any]

DATUMS = ("wgs84", "gcj02", "bd09")

#: The inverse stops when its last step moved a point by less than this (0.1 mm). The next step
#: would be some 200 times shorter, so the remaining error is about a micrometre.
STEP_LIMIT_DEG = 1e-9

_WEST, _EAST, _SOUTH, _NORTH = 72.004, 137.8347, 0.8293, 55.8271

_KRASOVSKY_A_M = 6378245.0
_KRASOVSKY_E2 = 0.00669342162296594323
_RADIANS = math.pi / 180.0

_BD_LON, _BD_LAT = 0.0065, 0.006
_BD_RADIUS, _BD_ANGLE = 2e-5, 3e-6
_BD_WAVES = math.pi * 3000.0 / 180.0

# Below this many points, plain floats beat numpy's fixed cost of about 1 µs an operation.
_FEW = 20
# Blocks whose temporaries stay in the cache: twice as fast as one pass over a long array.
_BLOCK = 4096
# The shift's gradient is below 0.006 everywhere in the box but in a band of a picometre at 105 E
# (the square root there); 600 m * 0.006 ** 4 is about a micrometre. Four steps for everyone, more
# only for a point that still moves.
_STEPS, _MORE_STEPS = 4, 20


class _Maths(NamedTuple):
    """The functions a formula needs, so that each is written once for floats and for arrays."""

    sin: Callable[[Any], Any]
    cos: Callable[[Any], Any]
    sqrt: Callable[[Any], Any]
    where: Callable[[Any, Any, Any], Any]


_ONE = _Maths(math.sin, math.cos, math.sqrt, lambda condition, yes, no: yes if condition else no)
_MANY = _Maths(np.sin, np.cos, np.sqrt, np.where)


def to_wgs84(lon: ArrayLike, lat: ArrayLike, datum: str) -> tuple[Array, Array]:
    """Positions in `datum` as WGS-84.

    `lon`, `lat`: degrees, of one shape (a scalar counts as a shape). Returns two new float64
    arrays of that shape: the inverse of `from_wgs84` to under 0.01 mm. Non-finite values come back
    as they are. Raises ValueError for an unknown datum or unlike shapes.
    """
    return _convert(lon, lat, datum, _gcj02_inverse, _bd09_inverse)


def from_wgs84(lon: ArrayLike, lat: ArrayLike, datum: str) -> tuple[Array, Array]:
    """WGS-84 positions as `datum`; arguments, result and errors as in `to_wgs84`."""
    return _convert(lon, lat, datum, _gcj02_forward, _bd09_forward)


def _convert(
    lon: ArrayLike,
    lat: ArrayLike,
    datum: str,
    gcj02: Callable[[Any, Any, _Maths], _Pair],
    bd09: Callable[[Any, Any, _Maths], _Pair],
) -> tuple[Array, Array]:
    if datum not in DATUMS:
        raise ValueError(f"unknown datum {datum!r}: one of {', '.join(DATUMS)}")
    lon_out = np.array(lon, dtype=np.float64)
    lat_out = np.array(lat, dtype=np.float64)
    if lon_out.shape != lat_out.shape:
        raise ValueError(f"lon has shape {lon_out.shape}, lat {lat_out.shape}")
    if datum == "wgs84" or lon_out.size == 0:
        return lon_out, lat_out
    move = gcj02 if datum == "gcj02" else bd09
    flat_lon, flat_lat = lon_out.reshape(-1), lat_out.reshape(-1)
    if flat_lon.size <= _FEW:
        for i, (x, y) in enumerate(zip(flat_lon.tolist(), flat_lat.tolist(), strict=True)):
            if _near_box(x, y):
                flat_lon[i], flat_lat[i] = move(x, y, _ONE)
        return lon_out, lat_out
    for start in range(0, flat_lon.size, _BLOCK):
        block: Any = slice(start, start + _BLOCK)
        near = _near_box(flat_lon[block], flat_lat[block])
        if not near.all():
            block = start + np.nonzero(near)[0]
        flat_lon[block], flat_lat[block] = move(flat_lon[block], flat_lat[block], _MANY)
    return lon_out, lat_out


def _near_box(lon: Value, lat: Value) -> Any:
    """In the box or within a degree of it: farther away, or no number, there is nothing to move."""
    return (lon >= _WEST - 1) & (lon <= _EAST + 1) & (lat >= _SOUTH - 1) & (lat <= _NORTH + 1)


def _boxed(lon: Value, lat: Value) -> Any:
    return (lon >= _WEST) & (lon <= _EAST) & (lat >= _SOUTH) & (lat <= _NORTH)


def _gcj02_shift(lon: Value, lat: Value, maths: _Maths) -> tuple[Value, Value]:
    """The GCJ-02 shift at a WGS-84 position, in degrees of longitude and latitude.

    The published formula has ten sines, of multiples of pi/60 of the offsets from 105 E 35 N. All
    follow from one sine and cosine for each offset by the multiple-angle identities, which makes
    it three times as fast and changes the result by less than 1e-12 degrees.
    """
    x, y = lon - 105.0, lat - 35.0

    # x: sines of pi x / 30, / 12, / 3, pi x, 2 pi x, 6 pi x
    s, c = maths.sin(x * (math.pi / 60)), maths.cos(x * (math.pi / 60))
    x30, x30c = 2 * s * c, 1 - 2 * s * s
    s, c = s * (3 - 4 * s * s), c * (1 - 4 * s * s)
    x12, x12c = s * x30c + c * x30, c * x30c - s * x30
    s, c = 2 * x12 * x12c, 1 - 2 * x12 * x12
    x3, x3c = 2 * s * c, 1 - 2 * s * s
    x1, x1c = x3 * (3 - 4 * x3 * x3), x3c * (1 - 4 * x3 * x3)
    two = 2 * x1 * x1c
    six = two * (3 - 4 * two * two)

    # y: sines of pi y / 30, / 12, / 3, pi y
    s, c = maths.sin(y * (math.pi / 60)), maths.cos(y * (math.pi / 60))
    y30, y30c = 2 * s * c, 1 - 2 * s * s
    s, c = s * (3 - 4 * s * s), c * (1 - 4 * s * s)
    y12, y12c = s * y30c + c * y30, c * y30c - s * y30
    s, c = 2 * y12 * y12c, 1 - 2 * y12 * y12
    y3 = 2 * s * c
    y1 = y3 * (3 - 4 * y3 * y3)

    root, product = maths.sqrt(abs(x)), 0.1 * x * y
    both = product + (40 / 3) * (six + two)
    # metres on the Krasovsky ellipsoid
    east_m = (300 + x + 2 * y + 0.1 * x * x + 0.1 * root + both) + (
        (40 * x1 + 80 * x3 + 300 * x12 + 600 * x30) / 3
    )
    north_m = (-100 + 2 * x + 3 * y + 0.2 * y * y + 0.2 * root + both) + (
        (40 * y1 + 80 * y3 + 320 * y12 + 640 * y30) / 3
    )

    parallel = maths.cos(lat * _RADIANS)
    bend = 1 - _KRASOVSKY_E2 * (1 - parallel * parallel)
    prime_m = _KRASOVSKY_A_M / maths.sqrt(bend)  # radius of curvature in the prime vertical
    meridian_m = prime_m * (1 - _KRASOVSKY_E2) / bend
    return east_m / (prime_m * parallel * _RADIANS), north_m / (meridian_m * _RADIANS)


def _gcj02_forward(lon: Value, lat: Value, maths: _Maths) -> _Pair:
    inside = _boxed(lon, lat)
    east, north = _gcj02_shift(lon, lat, maths)
    return maths.where(inside, lon + east, lon), maths.where(inside, lat + north, lat)


def _gcj02_solve(lon: Value, lat: Value, maths: _Maths) -> _Pair:
    """The WGS-84 position that the shift carries to a GCJ-02 one, the box left aside."""
    x, y = lon, lat
    step_x, step_y = x, y
    for _ in range(_STEPS):
        east, north = _gcj02_shift(x, y, maths)
        next_x, next_y = lon - east, lat - north
        step_x, step_y = abs(next_x - x), abs(next_y - y)
        x, y = next_x, next_y
    moving = (step_x > STEP_LIMIT_DEG) | (step_y > STEP_LIMIT_DEG)
    if not np.any(moving):
        return x, y
    # Beside 105 E, where the square root has its kink. Points at rest are not touched again, so
    # that a result does not depend on its neighbours.
    rest = np.nonzero(np.atleast_1d(moving))[0]
    xs, ys = np.array(x, ndmin=1), np.array(y, ndmin=1)
    lon_rest, lat_rest = np.atleast_1d(lon)[rest], np.atleast_1d(lat)[rest]
    for _ in range(_MORE_STEPS):
        east, north = _gcj02_shift(xs[rest], ys[rest], _MANY)  # type: ignore[arg-type]
        step = np.maximum(abs(lon_rest - east - xs[rest]), abs(lat_rest - north - ys[rest]))
        xs[rest], ys[rest] = lon_rest - east, lat_rest - north
        if not (step > STEP_LIMIT_DEG).any():
            break
    return (float(xs[0]), float(ys[0])) if isinstance(x, float) else (xs, ys)


def _gcj02_inverse(lon: Value, lat: Value, maths: _Maths) -> _Pair:
    x, y = _gcj02_solve(lon, lat, maths)
    inside = _boxed(x, y)
    return maths.where(inside, x, lon), maths.where(inside, y, lat)


# BD-09 in the complex plane: u = lon + i lat of GCJ-02 is multiplied by (1 + dr / |u|) exp(i da),
# then offset; dr = 2e-5 sin(k lat), da = 3e-6 cos(k lon), k = 3000 pi / 180. With da below 3e-6 its
# cosine is 1 - da^2 / 2 and its sine da (1 - da^2 / 6) to the last bit of a double.


def _bd09_forward(lon: Value, lat: Value, maths: _Maths) -> _Pair:
    inside = _boxed(lon, lat)
    x, y = _gcj02_forward(lon, lat, maths)
    scale = 1 + _BD_RADIUS * maths.sin(y * _BD_WAVES) / maths.sqrt(x * x + y * y)
    angle = _BD_ANGLE * maths.cos(x * _BD_WAVES)
    turn_re, turn_im = 1 - angle * angle / 2, angle * (1 - angle * angle / 6)
    east = scale * (x * turn_re - y * turn_im) + _BD_LON
    north = scale * (x * turn_im + y * turn_re) + _BD_LAT
    return maths.where(inside, east, lon), maths.where(inside, north, lat)


def _bd09_inverse(lon: Value, lat: Value, maths: _Maths) -> _Pair:
    u, v = lon - _BD_LON, lat - _BD_LAT
    radius = maths.sqrt(u * u + v * v)
    x, y = u, v
    # The gradient is below 3e-6 * k * 138 = 0.022 in the box and the first guess is 60 m off, so
    # that six steps leave nothing that a double can hold.
    for _ in range(6):
        stretch = _BD_RADIUS * maths.sin(y * _BD_WAVES)
        scale = 1 - stretch / radius
        angle = _BD_ANGLE * maths.cos(x * _BD_WAVES)
        turn_re, turn_im = 1 - angle * angle / 2, angle * (1 - angle * angle / 6)
        x, y = scale * (u * turn_re + v * turn_im), scale * (v * turn_re - u * turn_im)
    x, y = _gcj02_solve(x, y, maths)
    inside = _boxed(x, y)
    return maths.where(inside, x, lon), maths.where(inside, y, lat)
