"""Check-ins (签到): windows that were kept, windows that were missed.

Owed by whoever was announced and has a phone, from the day after both are known. A window is kept
by a verified check-in within it that arrives up to the grace after it. Windows missed one after the
other are one episode; it never closes, because it stays missed: a check-in after the window is
recorded on it, and a new one takes its place when, after a window kept, another is missed.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from geomon.alerts import iso_utc
from geomon.core.contact import PHONE, open_episode
from geomon.core.observed import CheckedIn
from geomon.core.person import Checks, MissedRun, Person
from geomon.core.plans import Window, check_in_windows, local_day
from geomon.core.rules import Rules, Wanted, in_supervision
from geomon.core.schedules import windows_of_day

__all__ = ["check_in", "dispose_run", "judge_windows", "missed_check_ins", "plan_windows"]

#: Windows of a run and check-ins that are remembered.
_MOST_WINDOWS, _MOST_CHECK_INS = 6, 8
#: Earlier runs that are: as many as an officer may be behind, for only a disposal closes them. Of
#: somebody who misses each evening it is a month's.
_MOST_EARLIER = 30
#: Windows missed one after the other that make it grave.
_GRAVE = 6
#: How far a phone's clock may be ahead. More would check in for windows that are still to come.
_AHEAD_S = 300
#: A plan may leave days without a window (weekends, say); none for longer: nobody is asked.
_LOOK_AHEAD_DAYS = 8


def check_in(person: Person, event: CheckedIn) -> None:
    """Take a check-in; one not verified, or dated ahead of its arrival, does not count."""
    if not event.verified or event.time_s > event.at_s + _AHEAD_S:
        return
    checks = person.checks
    done = tuple(sorted({*checks.done, event.time_s}))[-_MOST_CHECK_INS:]
    run = checks.run
    if run and not run.over and not run.late_s and event.time_s >= run.windows[-1][0]:
        waiting = checks.window
        # In a window that is open it may keep that one: it is no late check-in of the one before.
        if waiting is None or event.time_s < waiting[0]:
            run = replace(run, late_s=event.time_s)
    person.checks = replace(checks, done=done, run=run)


def judge_windows(person: Person, rules: Rules) -> None:
    """Judge the windows whose time is over at the person's clock, and find the next one."""
    if not _owes(person):
        return
    while person.checks.window is None or person.checks.due_s <= person.clock_s:
        checks = person.checks
        if checks.window is not None:
            checks = _judge(checks, person, checks.window)
        after_s = checks.window[1] if checks.window else _tomorrow_s(person, rules)
        window = _next_window(person, checks, rules, after_s)
        if window is None:
            person.checks = replace(checks, window=None, due_s=0)
            return
        grace_s = rules.plan(person.profile).check_in_grace_s
        person.checks = replace(checks, window=window, due_s=window.until_s + grace_s)


def plan_windows(
    person: Person, windows: tuple[tuple[int, int, int], ...], from_s: int, until_s: int
) -> None:
    """Give a person windows of their own (none: exempt) for a time, in place of the level's."""
    checks = person.checks
    if (checks.own, checks.own_from_s, checks.own_until_s) == (windows, from_s, until_s):
        return  # said again: today's windows are owed all the same
    person.checks = replace(
        person.checks, window=None, due_s=0, own=windows, own_from_s=from_s, own_until_s=until_s
    )


def missed_check_ins(person: Person) -> Iterator[Wanted]:
    """Give what there is to say of missed windows."""
    said = open_episode(person, "missed_check_in")
    yield from (_missed(run, run.missed) for run in person.checks.earlier if run.disposed_s)
    run = person.checks.run
    if run is None or (run.disposed_s and (said is None or said.since_s != run.since_s)):
        return
    # Of somebody who cannot be reached, lost contact is the news, and not each window besides.
    lost = open_episode(person, "lost_contact")
    # Heard again, it is over, though that is told only now, or the next event told the rest.
    quiet = (
        lost
        # Lost contact ends with supervision, so this is told now, not with the next look.
        and in_supervision(person, person.clock_s)
        and not any(device.heard_s > lost.since_s for device in person.devices)
    )
    again = said and said.since_s == run.since_s and quiet
    yield _missed(run, said.step if said and again else run.missed)


def dispose_run(person: Person, since_s: int, time_s: int) -> bool:
    """Settle a run of missed windows that an officer dealt with; say whether there is one."""
    checks = person.checks
    if checks.run and checks.run.since_s == since_s:
        run = replace(checks.run, disposed_s=checks.run.disposed_s or max(time_s, since_s))
        person.checks = replace(checks, run=run)
        return True
    if any(run.since_s == since_s for run in checks.earlier):
        earlier = (
            replace(run, disposed_s=max(time_s, since_s)) if run.since_s == since_s else run
            for run in checks.earlier
        )
        person.checks = replace(checks, earlier=tuple(earlier))
        return True
    return False


def _missed(run: MissedRun, step: int) -> Wanted:
    # Graver, like news of it, by what has been told: see `quiet` above.
    reason = "missed_again" if step > 1 else "no_check_in"
    return Wanted(
        *("missed_check_in", run.since_s, run.disposed_s),
        *("late_check_in" if run.late_s else reason, "disposed"),
        step=step,
        severity="low" if step <= 1 else "medium" if step < _GRAVE else "high",
        detail=(
            ("missed", run.missed),
            (
                "windows",
                tuple({"from": iso_utc(a), "until": iso_utc(b)} for a, b in run.windows),
            ),
            *((("checked_in", iso_utc(run.late_s)),) if run.late_s else ()),
        ),
    )


def _owes(person: Person) -> bool:
    return person.profile is not None and bool(person.devices[PHONE].heard_s)


def _tomorrow_s(person: Person, rules: Rules) -> int:
    """Give the next local midnight: nobody owes a window of the day on which it became known."""
    day = local_day(person.clock_s, rules.utc_offset_s) + 1
    return day * 86_400 - rules.utc_offset_s


def _judge(checks: Checks, person: Person, window: tuple[int, int]) -> Checks:
    """Say whether the window that is over was kept."""
    from_s, until_s = window
    if not in_supervision(person, from_s):
        return checks
    run = checks.run
    if any(from_s <= time_s <= until_s for time_s in checks.done):
        if run and not run.over:
            run = replace(run, over=True)
        return replace(checks, run=run)
    if run is None or run.over or run.disposed_s:
        if run and not run.disposed_s:
            earlier = (*checks.earlier, run)[-_MOST_EARLIER:]
            checks = replace(checks, earlier=earlier)
        run = MissedRun(from_s, (window,), 1)
    else:
        windows = (*run.windows, window)[-_MOST_WINDOWS:]
        run = MissedRun(run.since_s, windows, run.missed + 1)
    late_s = next((t for t in checks.done if t > until_s), 0)
    return replace(checks, run=replace(run, late_s=late_s))


def _next_window(person: Person, checks: Checks, rules: Rules, after_s: int) -> Window | None:
    """Give the first window that begins at or after a time; None when nobody asks for any.

    It ends after that time: a window without length would follow itself, and judging never end.
    """
    day = local_day(after_s, rules.utc_offset_s)
    for ahead in range(_LOOK_AHEAD_DAYS):
        for window in _windows(person, checks, rules, day + ahead):
            is_later = window.from_s >= after_s and window.until_s > after_s
            if is_later and in_supervision(person, window.from_s):
                return window
    return None


def _windows(person: Person, checks: Checks, rules: Rules, day: int) -> list[Window]:
    noon_s = day * 86_400 + 43_200 - rules.utc_offset_s
    if checks.own is not None and checks.own_from_s <= noon_s < checks.own_until_s:
        return sorted(windows_of_day(checks.own, day, rules.utc_offset_s))
    return list(
        check_in_windows(
            person.supervisee_id,
            day,
            rules.plan(person.profile),
            seed=rules.check_in_seed,
            utc_offset_s=rules.utc_offset_s,
        )
    )
