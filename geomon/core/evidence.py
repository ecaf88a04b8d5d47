"""What one fix is worth: from distance to the boundary, accuracy and source to a weight.

A measured position lies `distance_m` outside the boundary (negative: inside). The error of a
position along the line across the boundary is a mixture of four things:

    core       what the device claims: about normal, 68 % of positions within `accuracy_m`
    stray      multipath, reflections, a neighbour's access point: more than is claimed
    gross      a wrong cell, a wrong access point, a cold start: kilometres
    anywhere   an access point that moved across the country: no distance makes it less likely

so the chance that the true position is outside is F(distance), F being the mixture's distribution
function, and the weight of the fix is its log-odds, ln(F / (1 - F)), in nats: 0 on the line, +3 for
20 to 1, and never beyond +-LIMIT. A cell fix two kilometres out is worth 2.5, a satellite fix
500 m out 4.8, one 20 km out 8. What that means for belief is in `belief.py`.

The core is logistic with the scale that fits the normal distribution (sigma / 1.702, largest
difference 0.0095), because it has a closed form and, welcome here, a heavier tail. In two
dimensions 68 % of normal errors lie within 1.51 sigma (Rayleigh: sqrt(-2 ln 0.32)). The boundary
itself is off by a median of 13 m against the mapped river border.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DEEP",
    "DEEP_WEIGHT",
    "DEFAULT_ACCURACY_M",
    "LIMIT",
    "PLAIN",
    "PLAIN_WEIGHT",
    "SINGLE",
    "SOURCES",
    "SOURCE_CODE",
    "grade",
    "weigh",
]


class Source(NamedTuple):
    """How positions of one source err."""

    name: str
    default_accuracy_m: float  # when the fix states none
    stray_share: float
    stray_scale_m: float
    gross_share: float
    gross_scale_m: float
    anywhere_share: float  # errors that know no distance
    correlation_s: float  # errors closer in time than this are largely the same error


#: Satellite: 13 % of urban fixes err by tens of metres more than claimed (street canyons); gross
#: errors are rare. WiFi: access points move house, and take their old address along to wherever in
#: the country that is; so no single WiFi fix turns a belief. Cell: the serving tower may stand
#: across the river, and stays wrong for as long as the phone stays on it: hence the half hour.
SOURCES = (
    Source("gnss", 15.0, 0.13, 100.0, 0.02, 3_000.0, 0.0, 120.0),
    Source("wifi", 60.0, 0.20, 150.0, 0.05, 5_000.0, 0.01, 600.0),
    Source("cell", 1_000.0, 0.35, 1_000.0, 0.15, 4_000.0, 0.01, 1_800.0),
    Source("unknown", 50.0, 0.15, 100.0, 0.05, 3_000.0, 0.0, 300.0),
)
SOURCE_CODE = {source.name: code for code, source in enumerate(SOURCES)}
DEFAULT_ACCURACY_M = np.array([source.default_accuracy_m for source in SOURCES])

#: No single fix says more than this (3,000 to 1): beyond it the model itself is the doubt.
LIMIT = 8.0

#: Fixes that are plainly or deeply inside are not kept singly, only as minutes: at these weights.
PLAIN_WEIGHT, DEEP_WEIGHT = -3.5, -6.5
SINGLE, PLAIN, DEEP = 0, 1, 2

#: A phone that does not say where a position is from, and claims so little, has it by satellite:
#: nothing else gives that.
_SATELLITE, _UNKNOWN, _SATELLITE_M = SOURCE_CODE["gnss"], SOURCE_CODE["unknown"], 20.0

_SIGMA_PER_R68 = 1 / 1.51
_LOGISTIC_PER_SIGMA = 1 / 1.702
_BOUNDARY_SIGMA_M = 13.0

_STRAY_SHARE = np.array([source.stray_share for source in SOURCES])
_STRAY_SCALE_M = np.array([source.stray_scale_m for source in SOURCES])
_GROSS_SHARE = np.array([source.gross_share for source in SOURCES])
_ANYWHERE_SHARE = np.array([source.anywhere_share for source in SOURCES])
_GROSS_SCALE_M = np.array([source.gross_scale_m for source in SOURCES])


def weigh(
    distance_m: NDArray[np.float64], accuracy_m: NDArray[np.float64], source: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Weigh fixes: log-odds in nats that the true position is outside, within +-LIMIT.

    `distance_m` positive outside the boundary; `accuracy_m` the radius at 68 %; `source` indices
    into SOURCES. Rounded to hundredths, so that the last bit of a CPU's exp() decides nothing.
    """
    source = np.where((source == _UNKNOWN) & (accuracy_m <= _SATELLITE_M), _SATELLITE, source)
    far = np.abs(distance_m)
    sigma_m = np.hypot(accuracy_m * _SIGMA_PER_R68, _BOUNDARY_SIGMA_M)
    stray, gross = _STRAY_SHARE[source], _GROSS_SHARE[source]
    anywhere = _ANYWHERE_SHARE[source]
    # The chance that the error is large enough to have carried the position across the line.
    wrong = (
        (1.0 - stray - gross - anywhere)
        / (1.0 + np.exp(np.minimum(far / (sigma_m * _LOGISTIC_PER_SIGMA), 700.0)))
        + 0.5 * stray * np.exp(-far / _STRAY_SCALE_M[source])
        + 0.5 * gross * np.exp(-far / _GROSS_SCALE_M[source])
        + 0.5 * anywhere
    )
    size = np.minimum(np.log1p(-wrong) - np.log(wrong), LIMIT)
    rounded: NDArray[np.float64] = np.round(np.copysign(size, distance_m), 2)
    return rounded


def grade(weight: NDArray[np.float64]) -> NDArray[np.int8]:
    """Sort weights into SINGLE (kept as they are), PLAIN and DEEP (kept as minutes inside)."""
    grades: NDArray[np.int8] = (weight <= PLAIN_WEIGHT).astype(np.int8)
    grades += weight <= DEEP_WEIGHT
    return grades
