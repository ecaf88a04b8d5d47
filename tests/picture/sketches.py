"""Stories to draw, small and invented, about a square city."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import shapely

from geomon.picture import Story, TrackPoint, draw_html
from geomon.picture.scene import Scene

__all__ = [
    "CITY",
    "DISTRICTS",
    "DONGGUAN",
    "HENAN",
    "HOME",
    "HOUR",
    "MINUTE",
    "NOON",
    "PLACES",
    "alert",
    "away_for_a_day",
    "contents",
    "drawn",
    "fix",
    "line",
    "permit",
    "sent",
    "size_of",
    "standings",
    "upload",
]

# A made-up city of about 40 by 22 km, its western and eastern half, and the county beside it.
CITY = shapely.box(114.0, 22.5, 114.4, 22.7)
DISTRICTS = [
    ("440304", "福田区", shapely.box(114.0, 22.5, 114.2, 22.7)),
    ("440307", "龙岗区", shapely.box(114.2, 22.5, 114.4, 22.7)),
]
PLACES = [
    ("440000", "广东省", shapely.box(113.0, 22.5, 115.0, 24.0)),
    ("440300", "深圳市", shapely.box(114.0, 22.5, 114.4, 22.7)),
    ("441900", "东莞市", shapely.box(113.5, 22.7, 114.4, 23.2)),
    ("410000", "河南省", shapely.box(111.0, 32.0, 116.0, 36.0)),
]
HOME, DONGGUAN, HENAN = (114.1, 22.6), (113.9, 22.9), (113.6, 34.7)
NOON = datetime(2024, 2, 13, 4, tzinfo=timezone.utc)  # 12:00 in China
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def fix(
    after: timedelta,
    where: tuple[float, float] = HOME,
    *,
    accuracy_m: float | None = 10.0,
    source: str = "gnss",
    device: str = "phone",
) -> TrackPoint:
    return TrackPoint(NOON + after, *where, accuracy_m, source, device)


def alert(
    kind: str,
    phase: str,
    since: datetime,
    *,
    until: datetime | None = None,
    reason: str = "outside_without_leave",
    at: tuple[float, float] | None = DONGGUAN,
    subject: str = "SZ-1",
) -> dict[str, Any]:
    episode = f"{subject}/{kind}/{since:%Y-%m-%dT%H:%M:%SZ}"
    position = None if at is None else {"lon": at[0], "lat": at[1], "accuracy_m": 10}
    detected = (until or since) + 3 * MINUTE
    return {
        "id": f"{episode}#{phase}",
        "type": f"geomon.alert.{phase}",
        "subject": subject,
        "data": {
            "episode": episode,
            "kind": kind,
            "phase": phase,
            "severity": "high",
            "since": since.isoformat(),
            "until": until.isoformat() if until else None,
            "detected": detected.isoformat(),
            "reason": reason,
            "place": "441900",
            "position": position,
        },
    }


def away_for_a_day(title: str = "Case C · 当日往返") -> Story:
    """At home, two hours in Dongguan with an alert, at home again."""
    track = [fix(i * 10 * MINUTE) for i in range(-12, 0)]
    track += [fix(i * 10 * MINUTE, DONGGUAN) for i in range(12)]
    track += [fix(i * 10 * MINUTE) for i in range(12, 24)]
    back = NOON + 2 * HOUR
    alerts = [
        alert("leave_city", "opened", NOON),
        alert("leave_city", "closed", NOON, until=back, reason="returned", at=HOME),
    ]
    return Story(title, "SZ-1", track, [], alerts)


def line(event: dict[str, Any]) -> bytes:
    return json.dumps({"supervisee_id": "SZ-1", **event}).encode()


def upload(*fixes: dict[str, Any], datum: str | None = "wgs84") -> bytes:
    event: dict[str, Any] = {"type": "upload", "device_id": "p", "device": "phone"}
    return line({**event, "fixes": list(fixes)} | ({"datum": datum} if datum else {}))


def sent(time: str, lon: float = 114.1, lat: float = 22.6) -> dict[str, Any]:
    return {"time": f"2024-02-13T{time}+08:00", "lon": lon, "lat": lat, "accuracy_m": 20}


def permit(until: str, **more: Any) -> bytes:
    event = {"type": "permit", "permit_id": "L-1", "kind": "leave", "destinations": ["410000"]}
    return line({**event, "from": "2024-02-03T00:00:00+08:00", "until": until, **more})


def standings(scene: Scene) -> list[int]:
    return [int(code) for code in scene.standing]


def drawn(tmp_path: Path, *stories: Story) -> str:
    path = tmp_path / "picture.html"
    draw_html(stories, CITY, DISTRICTS, PLACES, path, title="geomon demo")
    return path.read_text(encoding="utf-8")


def contents(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def size_of(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
