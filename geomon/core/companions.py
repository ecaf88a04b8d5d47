"""Phone and wristband of one person, which ought to be in one place (人机分离).

Only positions taken at about the same time are compared, and what either device may have moved
between them is taken off, like the errors of both. Cells say too little here. Apart is what stays
apart: the first pair begins it, and a later one, after as long as the plan allows, tells it.
"""

from __future__ import annotations

from collections.abc import Iterator

from geomon.alerts import iso_utc
from geomon.core.contact import BAND, PHONE, band_is_expected, open_episode
from geomon.core.geodesy import apart_m
from geomon.core.person import LastFix, Pairing, Person
from geomon.core.rules import Rules, Wanted, in_supervision, supervised_until_s
from geomon.core.signs import add_sign
from geomon.core.spoofing import GNSS

__all__ = ["PAIR_S", "compare_devices", "separation_deadlines", "separations"]

#: Positions further apart in time are not compared.
PAIR_S = 150
#: Errors are beyond a stated 68 % radius often enough; beyond twice that seldom.
_ERRORS = 2.0
_DRIFT_MPS = 1.5  # somebody on foot, whose last two positions do not show it
_GOOD_M = 100.0
#: Together a moment ago and now so far apart: faster than two trains that meet.
_PARTING_MPS, _PARTING_M = 120.0, 5_000.0
#: A wristband not expected and not heard of for so long lies in a drawer.
_TAKEN_OFF_S = 24 * 3600
#: Compared so long ago, devices were apart another time. Less than the above, or what ended with a
#: band taken off would go on under its old name when the band is worn again.
_ANEW_S = 12 * 3600


def compare_devices(person: Person, which: int, rules: Rules) -> None:
    """Compare the newest positions of both devices, after `which` of them sent one."""
    new, other = person.devices[which].fix, person.devices[1 - which].fix
    if new is None or other is None or abs(new.time_s - other.time_s) > PAIR_S:
        return
    between_s = abs(new.time_s - other.time_s)
    speed_mps = max(device.speed_mps for device in person.devices) + _DRIFT_MPS
    distance_m = apart_m(new.lon, new.lat, other.lon, other.lat)
    unsure_m = _ERRORS * (new.accuracy_m + other.accuracy_m) + speed_mps * between_s
    known, time_s = person.pairing, max(new.time_s, other.time_s)
    if time_s - known.last_s > _ANEW_S:
        known = Pairing(known.together_s)
    apart_limit_m = rules.plan(person.profile).apart_m
    least_m = distance_m - unsure_m
    if least_m > apart_limit_m:
        parted_m = known.parted_m
        if not known.apart_s:
            parted_m = round(least_m) if _is_impossible(person, new, other, least_m) else 0.0
        elif parted_m and least_m > _PARTING_M and time_s > known.last_s:
            # Still so far apart: it was no single position thrown off.
            facts = (("distance_m", parted_m), ("together", iso_utc(known.together_s)))
            add_sign(person, "spoofing", "devices_disagree", known.apart_s, which, facts)
        person.pairing = Pairing(
            known.together_s,
            known.apart_s or time_s,
            max(known.last_s, time_s),
            round(distance_m),
            parted_m,
        )
    elif distance_m <= apart_limit_m and time_s > known.last_s:
        person.pairing = Pairing(together_s=time_s)


def _is_impossible(person: Person, a: LastFix, b: LastFix, least_m: float) -> bool:
    """Say whether devices parted faster than anybody can part them: then one of them is lying."""
    together_s = person.pairing.together_s
    good = all(fix.source == GNSS and fix.accuracy_m <= _GOOD_M for fix in (a, b))
    between_s = max(a.time_s, b.time_s) - together_s
    return bool(together_s) and good and least_m > max(_PARTING_M, _PARTING_MPS * between_s)


def separations(person: Person, rules: Rules) -> Iterator[Wanted]:
    """Give what there is to say of phone and wristband at the person's clock."""
    known = person.pairing
    if not known.last_s and not known.together_s:
        return  # never compared
    said = open_episode(person, "separation")
    supervised = in_supervision(person, person.clock_s)
    if said:
        reason, until_s = "", 0
        if not supervised:
            reason, until_s = "supervision_ended", supervised_until_s(person)
        elif not known.apart_s:
            # A device's clock may be some minutes ahead.
            reason, until_s = "together_again", min(known.together_s, person.clock_s)
        elif _is_taken_off(person):
            reason, until_s = "taken_off", person.devices[BAND].heard_s
        until_s = max(until_s, said.since_s) if reason else 0
        yield Wanted(
            *("separation", said.since_s, until_s, said.reason, reason),
            severity="medium",
            detail=_detail(person),
        )
    elif (
        supervised
        and known.apart_s
        and known.last_s - known.apart_s >= rules.plan(person.profile).apart_s
        and person.clock_s - known.last_s <= _ANEW_S
    ):
        yield Wanted("separation", known.apart_s, 0, "devices_apart", "", detail=_detail(person))


def separation_deadlines(person: Person) -> Iterator[int]:
    """Give the time from which a wristband may count as taken off."""
    if open_episode(person, "separation"):
        yield person.devices[BAND].heard_s + _TAKEN_OFF_S


def _is_taken_off(person: Person) -> bool:
    silent_s = person.clock_s - person.devices[BAND].heard_s
    return silent_s >= _TAKEN_OFF_S and not band_is_expected(person)


def _detail(person: Person) -> tuple[tuple[str, float | str], ...]:
    found: list[tuple[str, float | str]] = []
    if person.pairing.distance_m:
        found.append(("distance_m", person.pairing.distance_m))
    for which, name in ((PHONE, "phone"), (BAND, "wristband")):
        fix = person.devices[which].fix
        if fix:
            found += [
                (f"{name}_lon", fix.lon),
                (f"{name}_lat", fix.lat),
                (f"{name}_time", iso_utc(fix.time_s)),
            ]
    return tuple(found)
