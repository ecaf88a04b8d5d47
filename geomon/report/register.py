"""The people under supervision, from the events that announced them: what a rate is divided by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from geomon.decoding import decode, parse_time
from geomon.errors import Refusal
from geomon.events import Supervisee

__all__ = ["Headcount", "People", "Supervised", "read_register"]

DAY_S = 86_400


class Supervised(NamedTuple):
    """Somebody under supervision in [from_s, until_s)."""

    from_s: int
    until_s: int
    district: str = ""
    street: str = ""
    level: str = ""


class Headcount(NamedTuple):
    """How many people were under supervision in a period, and for how many days together."""

    people: int
    person_days: float


class People(dict[str, Supervised]):
    """People under supervision, by id."""

    def count(self, from_s: int, until_s: int) -> Headcount:
        """Count the people of a period [from_s, until_s); a day only in part counts in part."""
        return self.split(from_s, until_s, lambda _: "").get("", Headcount(0, 0.0))

    def split(
        self, from_s: int, until_s: int, key: Callable[[Supervised], str]
    ) -> dict[str, Headcount]:
        """Count the people of a period group by group; groups without anybody are left out."""
        people: dict[str, int] = {}
        seconds: dict[str, int] = {}
        for person in self.values():
            shared_s = min(person.until_s, until_s) - max(person.from_s, from_s)
            if shared_s > 0:
                group = key(person)
                people[group] = people.get(group, 0) + 1
                seconds[group] = seconds.get(group, 0) + shared_s
        return {g: Headcount(people[g], seconds[g] / DAY_S) for g in people}


def read_register(
    lines: Iterable[Any], on_refused: Callable[[Any, Refusal], None] = lambda _, __: None
) -> People:
    """Read people from recorded events (`geomon.intake.Raw`); other events are passed over.

    Who is announced anew is as the newest announcement says. A line that cannot be read goes to
    `on_refused`, and the rest is read on.
    """
    people = People()
    for raw in lines:
        # A recording is nearly all uploads: only a line with this word can announce anybody.
        if b'"supervisee"' not in raw.data:
            continue
        try:
            event, _ = decode(raw.data)
            if isinstance(event, Supervisee):
                people[event.supervisee_id] = _supervised(event)
        except Refusal as refusal:
            on_refused(raw, refusal)
    return people


def _supervised(event: Supervisee) -> Supervised:
    from_s, until_s = (int(parse_time(text).timestamp()) for text in (event.from_, event.until))
    return Supervised(from_s, until_s, event.district, event.street, event.level)
