"""How a dossier says things to people: local times, lengths, places, labels in two languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone

from geomon.alerts import GROUNDS, KINDS, MEASURES, REASONS, SEVERITIES
from geomon.dossier.clocks import CLOCKS
from geomon.dossier.entries import MARKS
from geomon.picture.legend import english

__all__ = ["LEVELS", "Wording"]

LEVELS = {"loose": ("loose", "宽管"), "normal": ("normal", "普管"), "strict": ("strict", "严管")}
_CHANGES = {
    "granted": ("granted", "批准"),
    "extended": ("extended", "续期"),
    "shortened": ("shortened", "缩短"),
    "changed": ("changed", "变更"),
    "cancelled": ("cancelled", "撤销"),
    "returned": ("returned", "销假"),
    "set": ("set", "设定"),
    "replaced": ("replaced", "变更"),
    "removed": ("removed", "撤销"),
}
_OFFICES = {
    "street": ("street", "司法所"),
    "district": ("district", "区级"),
    "city": ("city", "市级"),
}
_STATES = {
    "open": ("open", "未解除"),
    "closed": ("closed", "已解除"),
    "excused": ("excused", "事后获准"),
    "withdrawn": ("withdrawn", "已撤回"),
    "kept": ("kept", "已签到"),
    "late": ("late", "逾时补签"),
    "missed": ("missed", "未签到"),
    "extra": ("outside any window", "非规定时段"),
    "unverified": ("not verified", "未通过核验"),
    "owed": ("owed", "待签到"),
}
_ZONES = {"exclusion": ("forbidden", "禁止进入"), "curfew": ("to be in", "应在场所")}
_WHERE = {
    "inside": ("inside the city", "市内"),
    "outside": ("outside, no permit", "市外未获批准"),
    "leave": ("outside on a permit", "准假外出"),
    "unknown": ("not known", "不明"),
}
_DEVICES = {"phone": ("phone", "手机"), "wristband": ("wristband", "电子定位装置")}
_TABLES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "action": MEASURES,
    "change": _CHANGES,
    "clock": CLOCKS,
    "device": _DEVICES,
    "ground": GROUNDS,
    "kind": {kind: (known.label_en, known.label_zh) for kind, known in KINDS.items()},
    "level": LEVELS,
    "mark": MARKS,
    "office": _OFFICES,
    "reason": REASONS,
    "severity": SEVERITIES,
    "state": _STATES,
    "where": _WHERE,
    "zone": _ZONES,
}
_BY_CODE = frozenset({"kind", "reason"})


class Wording:
    """Words for one city: `names` of places by adcode, local time by its offset."""

    def __init__(self, names: Mapping[str, str], utc_offset_s: int) -> None:
        self._names = names
        self._zone = timezone(timedelta(seconds=utc_offset_s))
        self.offset = datetime(2000, 1, 1, tzinfo=self._zone).strftime("%z")
        self.offset = f"{self.offset[:3]}:{self.offset[3:]}"

    def time(self, time_s: int) -> str:
        """Write a time in local time; "" for 0."""
        return f"{self._local(time_s):%Y-%m-%d %H:%M}" if time_s else ""

    def day(self, time_s: int) -> str:
        """Write the local day of a time."""
        return f"{self._local(time_s):%Y-%m-%d}"

    def of_day(self, time_s: int) -> str:
        """Write the local time of day; "" for 0."""
        return f"{self._local(time_s):%H:%M}" if time_s else ""

    def span(self, from_s: int, until_s: int) -> str:
        """Write a time from and until; the day once where both are on it."""
        if not until_s:
            return f"{self.time(from_s)} –"
        same = self.day(from_s) == self.day(until_s)
        return f"{self.time(from_s)} – {self.of_day(until_s) if same else self.time(until_s)}"

    def lasting(self, length_s: int) -> str:
        """Write a length of time.

        >>> words = Wording({}, 28_800)
        >>> [words.lasting(s) for s in (45, 600, 20_000, 900_000)]
        ['45 s', '10 min', '5.6 h', '10.4 d']
        """
        if abs(length_s) < 60:
            return f"{length_s} s"
        if abs(length_s) < 7200:
            return f"{length_s / 60:.0f} min"
        if abs(length_s) < 172_800:
            return f"{length_s / 3600:.1f} h"
        return f"{length_s / 86_400:.1f} d"

    def places(self, codes: Iterable[str]) -> str:
        """Write places by name and adcode, no more than people read."""
        shown = [self._place(code) for code in codes]
        if len(shown) > 4:
            shown = [*shown[:2], "…", *shown[-2:]]
        return "、".join(shown)

    def label(self, table: str, code: str | None) -> str:
        """Write a code in Chinese and English; one that is in no table as it is."""
        if not code:
            return ""
        words = _TABLES[table].get(code)
        if words is None:
            return code
        # Kinds and reasons by their codes, as they stand in alerts and on the board.
        return f"{words[1]} {code if table in _BY_CODE else words[0]}"

    def _place(self, code: str) -> str:
        if code == "000000":
            return "不限 anywhere"
        name = self._names.get(code, "") or english(code)
        return f"{name} {code}".strip()

    def _local(self, time_s: int) -> datetime:
        return datetime.fromtimestamp(time_s, self._zone)
