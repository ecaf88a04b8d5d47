"""Where people live and work in Shenzhen, and by which ways one leaves it (WGS-84).

Centres are the 73 built-up sub-districts, good to some hundred metres; people are spread about
them.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["AIRPORT", "CENTRES", "DISTRICT_WEIGHTS", "GATES", "HUMEN", "STATIONS", "Centre", "Gate"]


class Centre(NamedTuple):
    """A built-up place: its sub-district (街道), district, position and weight in the district."""

    street: str
    district: str
    lon: float
    lat: float


class Gate(NamedTuple):
    """A way across the boundary: from a point inside straight to one outside."""

    name: str
    kind: str  # road (rail lines leave by the same corridors), port (Hong Kong)
    inside: tuple[float, float]
    outside: tuple[float, float]


#: Inhabitants in 10,000 by district, seventh census 2020; Dapeng is part of Longgang here.
DISTRICT_WEIGHTS = {
    "440303": 114.4,
    "440304": 155.3,
    "440305": 179.6,
    "440306": 447.7,
    "440307": 413.5,
    "440308": 21.4,
    "440309": 252.9,
    "440310": 55.1,
    "440311": 109.5,
}

_TABLE = """
440303 桂园 114.110 22.546, 黄贝 114.134 22.546, 东门 114.121 22.548, 翠竹 114.128 22.561
440303 南湖 114.117 22.541
440303 笋岗 114.105 22.562, 东湖 114.148 22.556, 莲塘 114.168 22.567, 东晓 114.128 22.578
440303 清水河 114.105 22.575
440304 南园 114.095 22.540, 园岭 114.096 22.556, 福田 114.066 22.532, 沙头 114.030 22.529
440304 香蜜湖 114.030 22.545
440304 梅林 114.050 22.570, 莲花 114.057 22.560, 华富 114.075 22.553, 福保 114.050 22.524
440304 华强北 114.085 22.547
440305 南头 113.925 22.545, 南山 113.925 22.527, 沙河 113.985 22.542, 蛇口 113.917 22.492
440305 招商 113.922 22.499
440305 粤海 113.942 22.525, 桃源 113.985 22.570, 西丽 113.953 22.583
440306 新安 113.890 22.565, 西乡 113.868 22.585, 航城 113.845 22.625, 福永 113.825 22.675
440306 福海 113.810 22.690
440306 沙井 113.822 22.728, 新桥 113.840 22.730, 松岗 113.843 22.770, 燕罗 113.850 22.800
440306 石岩 113.930 22.683
440307 平湖 114.125 22.690, 坂田 114.065 22.635, 布吉 114.120 22.605, 南湾 114.145 22.635
440307 横岗 114.200 22.645
440307 园山 114.215 22.635, 龙城 114.240 22.715, 龙岗 114.265 22.735, 宝龙 114.290 22.705
440307 坪地 114.305 22.765
440307 吉华 114.105 22.625, 葵涌 114.415 22.635, 大鹏 114.475 22.595, 南澳 114.485 22.545
440308 沙头角 114.230 22.560, 海山 114.235 22.565, 盐田 114.270 22.590, 梅沙 114.305 22.600
440309 观湖 114.055 22.700, 民治 114.030 22.620, 龙华 114.020 22.660, 大浪 113.995 22.680
440309 福城 114.030 22.715
440309 观澜 114.065 22.725
440310 坪山 114.345 22.695, 马峦 114.340 22.675, 碧岭 114.285 22.670, 石井 114.385 22.690
440310 坑梓 114.385 22.745
440310 龙田 114.365 22.745
440311 公明 113.895 22.785, 光明 113.940 22.750, 马田 113.885 22.770, 新湖 113.940 22.785
440311 凤凰 113.935 22.730
440311 玉塘 113.905 22.735
"""


def _centres() -> tuple[Centre, ...]:
    found = []
    for line in _TABLE.strip().splitlines():
        district, rest = line.split(" ", 1)
        for entry in rest.split(", "):
            street, lon, lat = entry.split()
            found.append(Centre(f"{street}街道", district, float(lon), float(lat)))
    return tuple(found)


CENTRES = _centres()

#: Each crosses the boundary exactly once; a test of `Ground` holds it.
GATES = (
    Gate("Chang'an", "road", (113.838, 22.785), (113.800, 22.815)),
    Gate("Huangjiang", "road", (113.940, 22.790), (113.985, 22.875)),
    Gate("Dalang", "road", (113.960, 22.770), (113.950, 22.880)),
    Gate("Tangxia", "road", (114.065, 22.730), (114.075, 22.800)),
    Gate("Fenggang", "road", (114.125, 22.700), (114.145, 22.745)),
    Gate("Xinxu", "road", (114.305, 22.765), (114.320, 22.850)),
    Gate("Huiyang", "road", (114.385, 22.745), (114.460, 22.790)),
    Gate("Daya Bay", "road", (114.385, 22.690), (114.470, 22.700)),
    Gate("Xiachong", "road", (114.415, 22.645), (114.500, 22.690)),
    Gate("Lo Wu", "port", (114.1128, 22.5345), (114.1135, 22.5240)),
    Gate("Huanggang", "port", (114.066, 22.524), (114.068, 22.506)),
)

#: Railway stations from which people go home.
STATIONS = {
    "Shenzhen North": (114.0293, 22.6093),
    "Futian": (114.0557, 22.5385),
    "Shenzhen East": (114.1195, 22.6025),
    "Pingshan": (114.3280, 22.7050),
}

#: Terminal 3 of Bao'an airport.
AIRPORT = (113.8105, 22.6395)

#: West end of the bridge over the Pearl River.
HUMEN = (113.5900, 22.7850)
