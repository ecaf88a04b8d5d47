"""Three absences that made the news, reconstructed as recordings with their expected alerts.

The people, homes and days are invented; only the public outline of each case is kept (who was
supervised where, on which dates, and how it ended). `geomon.cases.script` makes the recordings.

**Case A · Left for the home village without leave · 未经批准离深返回户籍地.** A man supervised in
Futian, reporting by phone (GCJ-02), leaves on 2024-02-05 for the place of his household
registration in Guangxi, stays there over the Spring Festival and is back on 2024-02-21. Expected:
one `leave_city` episode of sixteen days, whatever his phone's gaps and cell fixes suggest.

**Case B · Not back when the leave ended · 请假期满逾期未归.** A woman supervised in Longgang has
leave for Henan until 24:00 on 2024-02-09 and is back only on 2024-02-16. Her phone (BD-09) is
silent in the night when the leave ends, so nothing but a clock can tell. Expected: one
`overdue_return` episode. She is warned, and wears a wristband beside the phone from 2024-02-17.

**Case C · Out and back on one day · 未经批准离深当日返回.** A man supervised in Luohu, living 600 m
from the Hong Kong river border, wears a wristband at one fix a minute. On 2024-02-13 he drives to
Huizhou and returns in the evening; the band's memory of an afternoon out of coverage arrives newest
first. Expected: one `leave_city` episode, none from the river beside his home.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["CASES", "expected", "recording_path"]

CASES: tuple[str, ...] = ("A", "B", "C")

_RECORDINGS = Path(__file__).parent / "recordings"


def recording_path(case: str) -> Path:
    """The recorded events of a case (gzipped NDJSON in order of arrival); KeyError if unknown."""
    if case not in CASES:
        raise KeyError(case)
    return _RECORDINGS / f"{case.lower()}.ndjson.gz"


def expected() -> dict[str, Any]:
    """What really happened, by case: `supervisee_id` and `episodes` (`kind`, `since`, `until`).

    `since` and `until` are RFC 3339 UTC, whole seconds: the moments at which the noise-free path
    crosses the city's boundary, or at which a leave ends. `left_city` is the moment of leaving,
    also where leaving was allowed. `never` lists kinds of alert for which nothing in the case gives
    a cause; kinds in neither list (a dead battery's silence, say) have causes of their own.
    """
    truth: dict[str, Any] = json.loads((_RECORDINGS / "expected.json").read_text("utf-8"))
    return truth
