"""What is going to happen to one person: trips, papers, and what befalls the devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .ground import Point
from .travel import Trip

__all__ = ["Fact", "Outing", "Paper", "Script", "Spell"]


@dataclass(frozen=True)
class Fact:
    """One true fact; times in POSIX s, None where there is no end within the period."""

    kind: str
    since_s: int
    until_s: int | None
    device: str
    breach: bool = False
    note: str = ""


@dataclass(frozen=True)
class Outing:
    """Something that must happen in the daily life: be at a spot for a while."""

    depart_s: float
    spot: Point
    stay_s: float


@dataclass(frozen=True)
class Paper:
    """An event that an officer enters, and when it arrives."""

    received_s: int
    event: dict[str, Any]


@dataclass(frozen=True)
class Spell:
    """A time in which something is so."""

    from_s: float
    until_s: float
    what: str = ""


@dataclass
class Script:
    """Everything about a person's festival that is not ordinary."""

    trips: list[Trip] = field(default_factory=list)
    outings: list[Outing] = field(default_factory=list)
    papers: list[Paper] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    phone_off: list[Spell] = field(default_factory=list)  # what: "told" when power:"off" is sent
    starve: Spell | None = None  # no charging from `from_s` on until dead for `until_s` seconds
    strap_open: list[Spell] = field(default_factory=list)
    case_open: list[Spell] = field(default_factory=list)
    phone_at_home: list[Spell] = field(default_factory=list)
    faked: list[Spell] = field(default_factory=list)  # what: mock, teleport, frozen, disagree
    latest_hour: float = 24.5  # at home by then in ordinary life
    works_across: bool = False  # workdays are trips
    idle: list[Spell] = field(default_factory=list)  # no ordinary outings begin in these
    zone: tuple[str, Point, float] | None = None  # kind, centre, radius m
    breach: bool = False
    permitted: bool = False  # the trips happen under a permit
    overdue: tuple[int, int | None] | None = None  # the end of the leave; when an extension came
