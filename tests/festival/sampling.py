"""The whole city, or some of it with everything rare in proportion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .people import PersonPlan, person
from .recording import recording
from .roles import BREACHES, CITY_PEOPLE, Role, deal

__all__ = ["city", "record_all", "sample", "sample_plans"]


def city(seed: int = 1, people: int = CITY_PEOPLE) -> list[PersonPlan]:
    """The plans of everybody in a city of so many people."""
    return [person(seed, role) for role in deal(seed, people)]


def sample_plans(n: int, seed: int = 1, people: int = CITY_PEOPLE) -> list[PersonPlan]:
    """The plans of `n` of the city's people: all breaches, of each other part its share.

    Each other part is there at least once, as far as `n` allows; everybody's lines are those of the
    whole city.
    """
    roles = deal(seed, people)
    rng = np.random.default_rng([seed, n, 0x73616D])
    by_story: dict[str, list[Role]] = {}
    for role in roles:
        story = role.story or ("band" if role.band else "")
        by_story.setdefault(story, []).append(role)
    chosen: list[Role] = []
    for story in sorted(s for s in by_story if s):
        there = by_story[story]
        number = 1 if story in BREACHES else max(1, round(len(there) * n / people))
        picked = rng.choice(len(there), size=min(number, len(there)), replace=False)
        chosen += [there[i] for i in sorted(picked.tolist())]
    if n < len(BREACHES):
        raise ValueError(f"a sample has at least {len(BREACHES)} people")
    if len(chosen) > n:  # few people: breaches first, then what is rarest
        chosen.sort(key=lambda r: (r.story not in BREACHES, len(by_story.get(r.story, ()))))
        chosen = chosen[:n]
    plain = by_story.get("", [])
    rest = rng.choice(len(plain), size=min(n - len(chosen), len(plain)), replace=False)
    chosen += [plain[i] for i in rest.tolist()]
    return [person(seed, role) for role in sorted(chosen)]


def record_all(plans: Iterable[PersonPlan]) -> tuple[list[bytes], list[dict[str, Any]]]:
    """The lines of several people in order of arrival, and the facts about them."""
    arrivals: list[tuple[int, int, int, bytes]] = []
    truth: list[dict[str, Any]] = []
    for plan in plans:
        made = recording(plan)
        truth += made.truth
        arrivals += [(at, plan.role.number, n, line) for n, (at, line) in enumerate(made.lines)]
    arrivals.sort()
    return [line for _, _, _, line in arrivals], truth


def sample(
    n: int, seed: int = 1, people: int = CITY_PEOPLE
) -> tuple[list[bytes], list[dict[str, Any]]]:
    """A sample's lines in order of arrival, and the truth about it."""
    return record_all(sample_plans(n, seed, people))
