"""Alerts in the form in which they leave: CloudEvents 1.0, JSON."""

from __future__ import annotations

from typing import Any

from geomon.alerts import episode_id, iso_utc
from geomon.core.episodes import Alert
from geomon.core.person import Clue, LastFix
from geomon.zones.index import NEAR_M, ZoneIndex

__all__ = ["cloud_event", "exact"]

DATASCHEMA = "urn:geomon:alert:1"


def cloud_event(
    alert: Alert, *, rules: str, zones: ZoneIndex, detected_s: int | None = None
) -> dict[str, Any]:
    """Give an alert as a CloudEvents 1.0 JSON object.

    `rules` is the version of the rules, `zones` what the fixes were placed by. `detected_s` is when
    the system decided; left out, it is the person's own clock (in a replay).
    """
    evidence = [exact(clue, zones) for clue in alert.evidence]
    episode = episode_id(alert.supervisee_id, alert.kind, alert.since_s)
    detected = iso_utc(alert.detected_s if detected_s is None else detected_s)
    data: dict[str, Any] = {
        "episode": episode,
        "kind": alert.kind,
        "phase": alert.phase,
        "severity": alert.severity,
        "district": alert.district or None,
        "street": alert.street or None,
        "level": alert.level or None,
        "since": iso_utc(alert.since_s),
        "until": iso_utc(alert.until_s) if alert.until_s else None,
        "detected": detected,
        "reason": alert.reason,
        "confidence": alert.confidence,
        "place": alert.place or None,
        "permit_id": alert.permit_id or None,
        "replaces": (
            episode_id(alert.supervisee_id, alert.kind, alert.replaces_since_s)
            if alert.replaces_since_s
            else None
        ),
        "cause": _cause(alert),
        "out_of_supervision_since": iso_utc(alert.out_since_s) if alert.out_since_s else None,
        "proposal": _proposal(alert),
        "detail": dict(alert.detail),
        "position": _position(evidence[-1]) if evidence else _last(alert.last),
        "evidence": [_as_received(clue) for clue in evidence],
        "rules": rules,
        "zones": zones.version,
    }
    return {
        "specversion": "1.0",
        "id": f"{episode}#{alert.number}",
        "source": "/geomon",
        "type": f"geomon.alert.{alert.phase}",
        "subject": alert.supervisee_id,
        "time": detected,
        "datacontenttype": "application/json",
        "dataschema": DATASCHEMA,
        "data": data,
    }


def _cause(alert: Alert) -> str | None:
    if not alert.cause:
        return None
    kind, _, since_s = alert.cause.partition("/")
    return episode_id(alert.supervisee_id, kind, int(since_s))


def _proposal(alert: Alert) -> dict[str, Any] | None:
    action, ground, rests_on = alert.proposal
    return {"action": action, "ground": ground, "evidence": list(rests_on)} if action else None


def exact(clue: Clue, zones: ZoneIndex) -> Clue:
    """Measure far distances, which judging needs no better than from below."""
    if abs(clue.distance_m) < NEAR_M:
        return clue
    distance_m = zones.boundary_distance_m(clue.lon_wgs84, clue.lat_wgs84)
    return clue._replace(distance_m=round(distance_m, 1))


def _position(clue: Clue) -> dict[str, Any]:
    """Give the newest deciding fix in WGS-84."""
    return {
        "lon": clue.lon_wgs84,
        "lat": clue.lat_wgs84,
        "accuracy_m": clue.accuracy_m,
        "time": iso_utc(clue.time_s),
        "distance_outside_m": clue.distance_m,
    }


def _last(fix: LastFix | None) -> dict[str, Any] | None:
    """Give where the person was last, for kinds that no fix decides."""
    if fix is None:
        return None
    return {
        "lon": fix.lon,
        "lat": fix.lat,
        "accuracy_m": fix.accuracy_m,
        "time": iso_utc(fix.time_s),
        "distance_outside_m": fix.distance_m,
    }


def _as_received(clue: Clue) -> dict[str, Any]:
    """Give a fix as it was received, and what it was worth (nats, positive = outside)."""
    return {
        "time": iso_utc(clue.time_s),
        "lon": clue.lon,
        "lat": clue.lat,
        "datum": clue.datum,
        "accuracy_m": clue.accuracy_m,
        "source": clue.source,
        "device": clue.device,
        "distance_outside_m": clue.distance_m,
        "weight": clue.weight,
        "place": clue.place or None,
    }
