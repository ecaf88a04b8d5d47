"""What the core is told of the settings: the rules, with a version, and the plan of each level."""

from __future__ import annotations

import hashlib

import msgspec

from geomon.core.plans import LEVELS, Plan
from geomon.core.rules import Rules
from geomon.settings.table import Settings

__all__ = ["rules_from"]

#: Raise it when the way of judging changes, so that alerts tell which way judged them.
_JUDGING = 4


def rules_from(settings: Settings) -> Rules:
    """Give the core's rules; their version changes with every setting that can change a verdict."""
    loose, normal, strict = (_plan(settings, level) for level in range(len(LEVELS)))
    rules = Rules(
        plans=(loose, normal, strict),
        horizon_s=round(settings.horizon_h * 3600),
        evidence_nats=settings.evidence_nats,
        settle_s=settings.settle_s,
        belief_ttl_s=round(settings.belief_ttl_h * 3600),
        travel_allowance_s=round(settings.travel_allowance_h * 3600),
        standing_allowance_s=round(settings.standing_allowance_h * 3600),
        escalate_s=tuple(round(age_h * 3600) for age_h in sorted(settings.escalate_after_h)),
        notice_s=round(settings.notice_days * 86_400),
        check_in_seed=settings.check_in_seed,
        utc_offset_s=round(settings.utc_offset_h * 3600),
    )
    digest = hashlib.sha256(msgspec.json.encode(rules)).hexdigest()
    return msgspec.structs.replace(rules, version=f"{_JUDGING}-{digest[:8]}")


def _plan(settings: Settings, level: int) -> Plan:
    """Give the plan of a level (its place in LEVELS)."""

    def seconds(name: str, unit_s: int = 60) -> int:
        values: list[float] = getattr(settings, name)
        return round(values[level] * unit_s)

    return Plan(
        report_s=(seconds("phone_report_min"), seconds("band_report_min")),
        silence_s=(seconds("phone_silence_min"), seconds("band_silence_min")),
        no_fix_s=(seconds("phone_no_fix_min"), seconds("band_no_fix_min")),
        battery_pct=(settings.phone_battery_pct[level], settings.band_battery_pct[level]),
        apart_m=settings.apart_m[level],
        apart_s=seconds("apart_min"),
        check_ins=round(settings.check_ins[level]),
        check_in_from_s=seconds("check_in_from_h", 3600),
        check_in_until_s=seconds("check_in_until_h", 3600),
        check_in_window_s=seconds("check_in_window_min"),
        check_in_grace_s=seconds("check_in_grace_min"),
        curfew_grace_s=seconds("curfew_grace_min"),
        overdue_grace_s=seconds("overdue_grace_min"),
        out_of_supervision_s=seconds("out_of_supervision_h", 3600),
        ask_interval_s=seconds("ask_interval_s", 1),
        ask_for_s=seconds("ask_for_min"),
        asks=round(settings.asks_a_day[level]),
    )
