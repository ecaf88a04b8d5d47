"""How stories of leave begin: at home, and perhaps never heard of again."""

from __future__ import annotations

from timeline import Story

__all__ = ["FAR_M", "at_home", "silent_after_leave"]

#: Well outside.
FAR_M = 6_000.0


def at_home(begin: str = "08:00", end: str = "09:00") -> Story:
    """Somebody who is seen at home for a while."""
    story = Story()
    story.stay(begin, end)
    return story


def silent_after_leave() -> Story:
    """Granted leave at home, and never heard from again by the time it is over."""
    story = Story(device="phone")
    story.stay("08:00", "09:00", every_s=600)
    story.leave("08:30", "09:00", "15 00:00")
    story.clock("15 06:00")
    assert story.told() == ["opened overdue_return since 15 00:00 (silent_after_leave)"]
    return story
