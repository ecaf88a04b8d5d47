"""Contact with a person's devices: lost contact, no position, low battery.

"Last heard" and "last fix" are different things. Heard is any upload, whatever is in it; a
heartbeat is heard and is no position. What comes late from a memory is heard when it arrives.

A wristband is expected to report by its own plan, whatever a phone says meanwhile: a phone may lie
at home. Where nobody wears one, any device will do.

These kinds speak of arrivals, which come in one order, so they go on from the open episode: what
has been said of them is never taken back, only ended.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from geomon.alerts import iso_utc
from geomon.core.observed import CHARGING, POWER_OFF, Heard, Observed
from geomon.core.permits import end_of
from geomon.core.person import OUTSIDE, Device, Episode, LastFix, Permit, Person
from geomon.core.plans import Plan
from geomon.core.rules import Rules, Wanted, in_supervision, supervised_until_s
from geomon.core.severity import raised

__all__ = [
    "BAND",
    "DEVICES",
    "LIVE_S",
    "LOW",
    "PHONE",
    "band_is_expected",
    "blind_after",
    "contact_deadlines",
    "contacts",
    "in_contact",
    "last_fix",
    "note_heard",
    "open_episode",
]

PHONE, BAND = 0, 1
DEVICES = ("phone", "wristband")
#: A bit of `Device.state` beside those of observed.py: the battery is low.
LOW = 1 << 16
#: A battery is charged again when it has this much more than what is low.
_CHARGED_PCT = 10.0
#: A wristband not heard of for so long has been taken away, whether or not anybody said so.
_FORGOTTEN_S = 30 * 86_400
#: A position that arrives within this time says where the device is now.
LIVE_S = 120
#: Step of a want of position that follows on another. A device whose clock is hours slow sends
#: positions that are old whenever they come, and each would end one and begin the next: so such a
#: one lasts until a position comes that is not late by half of what the plan allows.
_AGAIN = 1
#: Going silent nearer to the line than this ranks higher.
_NEAR_LINE_M = 2_000.0
#: Going silent in the last hours of a leave, too, and shortly after it.
_LEAVE_ENDS_S = 12 * 3600


def open_episode(person: Person, kind: str) -> Episode | None:
    """Give the person's open episode of a kind."""
    return next((e for e in person.episodes if e.kind == kind and not e.until_s), None)


def last_fix(device: Device) -> LastFix | None:
    """Give a device's newest position, from whatever source."""
    return max((f for f in (device.fix, device.cell) if f), default=None)


def in_contact(device: Device, which: int, at_s: int, plan: Plan) -> Device:
    """Give a device after something was heard of it."""
    heard_s = max(device.heard_s, at_s)
    blind_s = device.blind_s
    if device.heard_s:
        # Silence is no reporting without a position, however short of lost contact it stays.
        blind_s += min(heard_s - device.heard_s, plan.no_fix_s[which] // 2)
    return replace(device, heard_s=heard_s, first_s=device.first_s or at_s, blind_s=blind_s)


def blind_after(device: Device, newest_s: int) -> int:
    """Give for how long a device has been blind once a position of that time has arrived."""
    late_s = device.heard_s - newest_s
    return 0 if late_s <= LIVE_S else min(device.blind_s, late_s)


def note_heard(device: Device, event: Heard | Observed, plan: Plan) -> Device:
    """Give a device after an upload: when it was, and what it said of the battery."""
    device = in_contact(device, event.device, event.at_s, plan)
    read_s = event.read_s
    low_s, battery_pct, state = device.low_s, device.battery_pct, device.state
    if event.battery_pct >= 0 and read_s >= device.read_s:
        battery_pct = event.battery_pct
        charging = event.flags & CHARGING
        threshold = plan.battery_pct[event.device]
        state = (state & ~CHARGING) | charging
        if battery_pct < threshold and not charging:
            low_s = low_s or read_s
        elif charging or battery_pct >= threshold + _CHARGED_PCT:
            low_s = 0
        state = (state | LOW) if low_s else (state & ~LOW)
    # Whatever arrives shows that it is on, unless it is the word that it is being switched off.
    off = event.flags & POWER_OFF and read_s >= device.read_s
    state = (state | POWER_OFF) if off else (state & ~POWER_OFF)
    return replace(
        device,
        battery_pct=battery_pct,
        state=state,
        read_s=max(device.read_s, read_s),
        low_s=low_s,
    )


def contacts(person: Person, rules: Rules) -> Iterator[Wanted]:
    """Give what there is to say of contact at the person's clock."""
    if person.devices[PHONE].heard_s or person.devices[BAND].heard_s:
        yield from _lost_contact(person, rules)
        yield from _no_fix(person, rules)
        yield from _low_battery(person)


def contact_deadlines(person: Person, rules: Rules) -> Iterator[int]:
    """Give the time at which silence becomes lost contact, and that out of supervision."""
    plan = rules.plan(person.profile)
    heard_s = _expected_since_s(person)
    if heard_s:
        any_s = max(device.heard_s for device in person.devices)
        yield heard_s + plan.silence_s[_expected(person)]
        yield any_s + plan.silence_s[PHONE]
        yield any_s + plan.out_of_supervision_s
    if person.devices[BAND].heard_s:
        yield from (a.until_s for a in person.authorisations)


def band_is_expected(person: Person) -> bool:
    """Say whether a wristband ought to be heard from: worn, and not ended or long gone."""
    heard_s = person.devices[BAND].heard_s
    if not heard_s or person.clock_s - heard_s > _FORGOTTEN_S:
        return False
    papers = person.authorisations
    # Ordered until then; and one that goes on reporting after that is expected to go on.
    return not papers or any(a.from_s <= person.clock_s < a.until_s for a in papers)


def _expected(person: Person) -> int:
    return BAND if band_is_expected(person) else PHONE


def _expected_since_s(person: Person) -> int:
    """Give when the device that is expected to report was last heard."""
    if band_is_expected(person):
        return person.devices[BAND].heard_s
    return max(device.heard_s for device in person.devices)


def _lost_contact(person: Person, rules: Rules) -> Iterator[Wanted]:
    plan = rules.plan(person.profile)
    said = open_episode(person, "lost_contact")
    heard_s, which = _expected_since_s(person), _expected(person)
    clock_s = person.clock_s
    if said:
        if not in_supervision(person, clock_s):
            yield _ended(said, supervised_until_s(person), "supervision_ended")
            return
        if heard_s > said.since_s:
            yield _ended(said, heard_s, "heard_again")
            said = None
    if said is None and (
        clock_s - heard_s < plan.silence_s[which] or not in_supervision(person, clock_s)
    ):
        return
    device = person.devices[which]
    if which == PHONE and device.heard_s < heard_s:
        device = person.devices[BAND]
    since_s = said.since_s if said else heard_s
    any_s = max(d.heard_s for d in person.devices)
    out = clock_s - any_s >= plan.out_of_supervision_s
    reason, severity = _why_silent(device, plan.battery_pct[which])
    if any_s > since_s and clock_s - any_s < plan.silence_s[PHONE]:
        reason, severity = "wristband_silent", "medium"
    severity = raised(severity, _rank_higher(person, since_s))
    yield Wanted(
        "lost_contact",
        since_s,
        0,
        "out_of_supervision" if out else reason,
        "",
        severity="critical" if out else severity,
        detail=(
            ("device", DEVICES[which]),
            ("last_heard", iso_utc(since_s)),
            *_battery(device),
            *_last_seen(person),
        ),
        ripe_s=since_s + plan.silence_s[which],
        out_since_s=any_s if out else 0,
    )


def _why_silent(device: Device, low_pct: float) -> tuple[str, str]:
    """Tell a battery that died and a device switched off from one that went silent."""
    if device.state & POWER_OFF:
        return "switched_off", "medium"
    dying = 0 <= device.battery_pct <= max(low_pct, 5.0) and not device.state & CHARGING
    return ("battery_died", "low") if dying else ("silent", "medium")


def _rank_higher(person: Person, since_s: int) -> int:
    """Give 1 where silence is worse than usual: by the line, outside, or about a leave's end."""
    fix = max((f for d in person.devices if (f := last_fix(d))), default=None)
    near = fix is not None and -_NEAR_LINE_M < fix.distance_m < _NEAR_LINE_M
    leave = _leave_ending(person.permits, since_s)
    strayed = person.tail.label == OUTSIDE and not any(
        p.from_s <= since_s < end_of(p) for p in person.permits
    )
    return int(near or leave or strayed)


def _leave_ending(permits: tuple[Permit, ...], time_s: int) -> bool:
    return any(
        p.kind == "leave" and not p.returned_s and abs(end_of(p) - time_s) <= _LEAVE_ENDS_S
        for p in permits
    )


def _no_fix(person: Person, rules: Rules) -> Iterator[Wanted]:
    plan = rules.plan(person.profile)
    which = _expected(person)
    device = person.devices[which]
    fix = last_fix(device)
    seen_s = fix.time_s if fix else 0
    said = open_episode(person, "no_fix")
    if said:
        if not in_supervision(person, person.clock_s):
            yield _ended(said, supervised_until_s(person), "supervision_ended")
            return
        if seen_s <= said.since_s or (said.step and device.blind_s >= plan.no_fix_s[which] // 2):
            yield _without_fix(said.since_s, said.ripe_s, device, which, said.step)
            return
        yield _ended(said, min(seen_s, person.clock_s), "fix_again")
    since_s = seen_s or device.first_s
    # Silent, it is lost contact, not a device that has no position.
    if (
        since_s
        and device.blind_s >= plan.no_fix_s[which]
        and person.clock_s - device.heard_s < plan.silence_s[which]
        and in_supervision(person, person.clock_s)
    ):
        again = said is not None or any(
            e.kind == "no_fix" and e.until_s and since_s - e.until_s <= plan.no_fix_s[which]
            for e in person.episodes
        )
        yield _without_fix(since_s, person.clock_s, device, which, _AGAIN if again else 0)


def _without_fix(since_s: int, ripe_s: int, device: Device, which: int, step: int) -> Wanted:
    return Wanted(
        "no_fix",
        since_s,
        0,
        "no_usable_fix",
        "",
        severity="low",
        detail=(
            ("device", DEVICES[which]),
            ("last_fix", iso_utc(fix.time_s) if (fix := last_fix(device)) else None),
            ("last_heard", iso_utc(device.heard_s)),
            *_battery(device),
        ),
        step=step,
        ripe_s=ripe_s,
    )


def _low_battery(person: Person) -> Iterator[Wanted]:
    said = open_episode(person, "low_battery")
    supervised = in_supervision(person, person.clock_s)
    if not any(device.low_s for device in person.devices):
        if said:
            yield _ended(said, person.clock_s, "charged")
        return
    if not supervised:
        if said:
            yield _ended(said, supervised_until_s(person), "supervision_ended")
        return
    which = BAND if person.devices[BAND].low_s else PHONE
    device = person.devices[which]
    yield Wanted(
        "low_battery",
        said.since_s if said else device.low_s,
        0,
        "battery_low",
        "",
        severity="medium" if which == BAND else "low",
        detail=(("device", DEVICES[which]), *_battery(device)),
    )


def _ended(said: Episode, until_s: int, reason: str) -> Wanted:
    return Wanted(
        said.kind,
        said.since_s,
        max(until_s, said.since_s),
        said.reason,
        reason,
        severity=said.severity,
    )


def _battery(device: Device) -> tuple[tuple[str, float | bool], ...]:
    if device.battery_pct < 0:
        return ()
    return (("battery_pct", device.battery_pct), ("charging", bool(device.state & CHARGING)))


def _last_seen(person: Person) -> tuple[tuple[str, str | float], ...]:
    fix = max((f for d in person.devices if (f := last_fix(d))), default=None)
    if fix is None:
        return ()
    return (("last_fix", iso_utc(fix.time_s)), ("distance_outside_m", round(fix.distance_m)))
