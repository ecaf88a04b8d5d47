"""Words and colours of the picture. A colour means one thing, on the map and in the timeline."""

from __future__ import annotations

from dataclasses import dataclass

from geomon.alerts import KINDS, REASONS

__all__ = [
    "STANDINGS",
    "Standing",
    "colour_of",
    "english",
    "kind_label",
    "level_of",
    "reason_label",
]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a position stands to the city and the permits: its code, labels and colour."""

    code: str
    label: str
    label_zh: str
    colour: str


# The blue, green and vermilion of Okabe and Ito: told apart with every common colour blindness.
# The order is that of concern: a line between two fixes takes the colour of the graver one.
STANDINGS = (
    Standing("inside", "inside the city", "市内", "#0b6db0"),
    Standing("unjudged", "outside, no alert", "市外未报警", "#858e96"),
    Standing("leave", "away on leave", "准假外出", "#00946c"),
    Standing("alert", "away, alert open", "告警期间在外", "#d1341b"),
)


# Reds for being away, violet for silence, the rest apart from both; white figures stay readable.
_COLOURS = {
    "leave_city": "#d1341b",
    "overdue_return": "#c2410c",
    "off_itinerary": "#d97706",
    "lost_contact": "#6d3fc4",
    "no_fix": "#9a86d6",
    "missed_check_in": "#66707a",
    "tamper": "#b3144f",
    "separation": "#0b7285",
    "low_battery": "#8a7400",
    "spoofing": "#a62fb8",
    "exclusion_zone": "#8c1138",
    "curfew": "#1b4f9c",
    "border_approach": "#b98900",
}


def colour_of(kind: str) -> str:
    """Return the colour of a kind of alert; dark grey for one that has none of its own."""
    return _COLOURS.get(kind, "#444c54")


def kind_label(kind: str) -> tuple[str, str]:
    """Return a kind's English and Chinese label; a kind not in the table keeps its code."""
    known = KINDS.get(kind)
    return (known.label_en, known.label_zh) if known else (kind.replace("_", " "), "")


def reason_label(reason: str) -> tuple[str, str]:
    """Return a reason's English and Chinese words; a reason not in the table keeps its code."""
    return REASONS.get(reason, (reason.replace("_", " "), ""))


def level_of(adcode: str) -> str:
    """Return "province", "city" or "district" by the zeros at the end of an administrative code."""
    if adcode.endswith("0000"):
        return "province"
    return "city" if adcode.endswith("00") else "district"


# For pictures on machines without a Chinese font, and beside the Chinese for readers without it.
_ENGLISH = {
    "000000": "anywhere",
    "440300": "Shenzhen",
    "440303": "Luohu",
    "440304": "Futian",
    "440305": "Nanshan",
    "440306": "Bao'an",
    "440307": "Longgang",
    "440308": "Yantian",
    "440309": "Longhua",
    "440310": "Pingshan",
    "440311": "Guangming",
    "440100": "Guangzhou",
    "440200": "Shaoguan",
    "440400": "Zhuhai",
    "440500": "Shantou",
    "440600": "Foshan",
    "440700": "Jiangmen",
    "440800": "Zhanjiang",
    "440900": "Maoming",
    "441200": "Zhaoqing",
    "441300": "Huizhou",
    "441400": "Meizhou",
    "441500": "Shanwei",
    "441600": "Heyuan",
    "441700": "Yangjiang",
    "441800": "Qingyuan",
    "441900": "Dongguan",
    "442000": "Zhongshan",
    "445100": "Chaozhou",
    "445200": "Jieyang",
    "445300": "Yunfu",
    "110000": "Beijing",
    "120000": "Tianjin",
    "130000": "Hebei",
    "140000": "Shanxi",
    "150000": "Inner Mongolia",
    "210000": "Liaoning",
    "220000": "Jilin",
    "230000": "Heilongjiang",
    "310000": "Shanghai",
    "320000": "Jiangsu",
    "330000": "Zhejiang",
    "340000": "Anhui",
    "350000": "Fujian",
    "360000": "Jiangxi",
    "370000": "Shandong",
    "410000": "Henan",
    "420000": "Hubei",
    "430000": "Hunan",
    "440000": "Guangdong",
    "450000": "Guangxi",
    "460000": "Hainan",
    "500000": "Chongqing",
    "510000": "Sichuan",
    "520000": "Guizhou",
    "530000": "Yunnan",
    "540000": "Tibet",
    "610000": "Shaanxi",
    "620000": "Gansu",
    "630000": "Qinghai",
    "640000": "Ningxia",
    "650000": "Xinjiang",
    "710000": "Taiwan",
    "810000": "Hong Kong",
    "820000": "Macau",
}


def english(adcode: str) -> str:
    """Return a place's name in Latin letters, or "" where none is kept here."""
    return _ENGLISH.get(adcode, "")
