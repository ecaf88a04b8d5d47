"""Check-in windows as they were judged: kept, missed, made up for late.

Whether a window was asked for and kept is the core's word: a window is noted when the core has
judged it. What is added is when the person checked in, and what belongs to no window.
"""

from __future__ import annotations

from geomon.core.observed import CheckedIn
from geomon.core.person import Checks
from geomon.dossier.chronicle import Seen
from geomon.dossier.entries import CheckInEntry

__all__ = ["CheckInNotes"]

Window = tuple[int, int]


class CheckInNotes:
    """Takes note of check-ins and of the windows judged."""

    def __init__(self) -> None:
        self._judged: dict[Window, bool] = {}  # window -> kept
        self._done: dict[int, bool] = {}  # time -> verified
        self._open: Window | None = None
        self._clock_s = 0

    def see(self, seen: Seen) -> None:
        """Look at one step."""
        if isinstance(seen.event, CheckedIn):
            event = seen.event
            self._done[event.time_s] = self._done.get(event.time_s, False) or event.verified
        before, after = seen.before.checks, seen.after.checks
        if before.window and before.due_s <= seen.after.clock_s and after.window != before.window:
            self._judge(before.window, before, after)
        self._open, self._clock_s = after.window, seen.after.clock_s

    def entries(self) -> list[CheckInEntry]:
        """Give windows and other check-ins in time order."""
        verified = sorted(time_s for time_s, is_verified in self._done.items() if is_verified)
        windows = sorted(self._judged)
        found: list[CheckInEntry] = []
        used: set[int] = set()
        for at, window in enumerate(windows):
            kept = self._judged[window]
            ends_s = windows[at + 1][0] if at + 1 < len(windows) else self._open_from_s()
            # Late is what comes before the next window opens: from then on it is for that one.
            first, last = (window[0], window[1] + 1) if kept else (window[1], ends_s)
            inside = [t for t in verified if first <= t < last]
            time_s = min(inside, default=0)
            used.update(inside if kept else inside[:1])
            state = "kept" if kept else "late" if time_s else "missed"
            found.append(_entry(window, state, time_s))
        if self._open and self._open[0] <= self._clock_s:
            inside = [t for t in verified if self._open[0] <= t <= self._open[1]]
            used.update(inside)
            found.append(_entry(self._open, "kept" if inside else "open", min(inside, default=0)))
        for time_s, is_verified in self._done.items():
            if time_s not in used:
                state = "extra" if is_verified else "unverified"
                found.append(_entry((time_s, time_s), state, time_s))
        return sorted(found, key=lambda entry: (entry.time_s, entry.until_s))

    def _judge(self, window: Window, before: Checks, after: Checks) -> None:
        if any(window[0] <= time_s <= window[1] for time_s in before.done):
            self._judged[window] = True
        elif after.run and window in after.run.windows:
            self._judged[window] = False
        # Neither: nobody was in supervision then, and nothing was owed.

    def _open_from_s(self) -> int:
        return self._open[0] if self._open else 2**62


def _entry(window: Window, state: str, checked_in_s: int) -> CheckInEntry:
    return CheckInEntry(time_s=window[0], until_s=window[1], state=state, checked_in_s=checked_in_s)
