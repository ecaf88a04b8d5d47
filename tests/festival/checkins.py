"""Check-ins in the plan's windows; some forgotten, some late, some impossible."""

from __future__ import annotations

from geomon.core.plans import check_in_windows

from .almanac import END_S, local_day_number, local_text
from .heard import Heard
from .levels import LEVELS
from .lines import Line
from .people import PersonPlan, stream, watched
from .script import Fact

__all__ = ["SEED", "check_ins"]

#: The seed of the windows in the default settings.
SEED = "geomon"

_FORGETFUL = 0.03  # share of people who forget at all
_FORGETS = 0.045  # of their windows
_LATE = 0.3  # of the forgotten ones are remembered too late
_UNVERIFIED = 0.005  # of check-ins fail once
_SLOW = 0.004  # of check-ins arrive minutes later


def check_ins(plan: PersonPlan, heard: Heard | None) -> tuple[list[Line], list[Fact]]:
    """The check-ins from a phone, and the windows without a valid one."""
    if heard is None or not len(heard.heard_s):
        return [], []
    rng = stream(plan, 6)
    begin_s, end_s = watched(plan)
    level = LEVELS[plan.level]
    forgetful = rng.random() < _FORGETFUL
    first_day = local_day_number(begin_s)
    lines: list[Line] = []
    facts: list[Fact] = []
    for day in range(first_day, local_day_number(end_s - 1) + 1):
        windows = check_in_windows(
            plan.supervisee_id, day, level.check_ins, seed=SEED, utc_offset_s=8 * 3600
        )
        for from_s, until_s in windows:
            if from_s < begin_s + 600 or until_s > end_s:
                continue
            forgets = forgetful and rng.random() < _FORGETS
            share = float(rng.beta(1.3, 3.0))
            late_s = int(until_s + rng.uniform(5, 70) * 60)
            late = bool(rng.random() < _LATE)
            delay_s = int(rng.integers(1, 6))
            owed = day > first_day
            note = "no check-in"
            if not forgets:
                time_s = _possible(heard, from_s, until_s, share)
                if time_s is not None:
                    if rng.random() < _UNVERIFIED:  # the face was not recognised: again
                        lines.append(_line(plan, heard, time_s, time_s + 2, verified=False))
                        time_s = min(time_s + int(rng.integers(20, 120)), until_s - 5)
                    if rng.random() < _SLOW:
                        delay_s = int(rng.uniform(60, 1500))
                    lines.append(_line(plan, heard, time_s, time_s + delay_s))
                    if time_s + delay_s <= until_s + level.grace_s:
                        continue
                    note, late = f"arrived late, {local_text(time_s + delay_s)}", False
                else:
                    note, late = "phone dead, off or out of network", True
            if late and heard.reachable(late_s) and late_s < END_S:
                lines.append(_line(plan, heard, late_s, late_s + delay_s))
                note = f"late check-in {local_text(late_s)}"
            if owed:
                facts.append(Fact("missed_check_in", from_s, until_s, "phone", note=note))
    return lines, facts


def _possible(heard: Heard, from_s: int, until_s: int, share: float) -> int | None:
    """A moment of the window at which the phone works: the wished one, or the next or last."""
    wished = from_s + int(share * (until_s - 60 - from_s))
    tries: list[int] = [wished, *range(wished + 300, until_s - 60, 300), from_s + 30, until_s - 60]
    for time_s in tries:
        if heard.reachable(time_s):
            return time_s
    return None


def _line(
    plan: PersonPlan, heard: Heard, time_s: int, received_s: int, *, verified: bool = True
) -> Line:
    text = (
        f'{{"type":"check_in","supervisee_id":"{plan.supervisee_id}",'
        f'"device_id":"{heard.device_id}","time":"{local_text(time_s)}",'
        f'"verified":{"true" if verified else "false"},'
        f'"received":"{local_text(received_s)}"}}'
    )
    return received_s, text.encode()
