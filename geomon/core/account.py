"""The account of a belief: each fix behind it, what it says alone and what was counted of it.

It is made afterwards, for whoever asks, and by `take` itself: the history that is kept of a person
is folded once more, a piece of evidence at a time. What was *counted* of a piece is how far the
log-odds moved beyond what time alone had done to them. Why less was counted than the fix weighs is
found by asking `take` again, with nothing that stands against the fix (a wristband gave it, the one
before it had pointed the other way …), and then with each of these things alone: what lowers it was
why.

So nothing of the filter is written down a second time here, and an account cannot say other than
what was believed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from math import exp
from typing import NamedTuple

from geomon.core.belief import faded, is_settled_inside, take
from geomon.core.contact import DEVICES
from geomon.core.history import Item, item_of, walk
from geomon.core.person import INSIDE, OUTSIDE, UNKNOWN, Belief, Clue, Mark, Person
from geomon.core.tuning import CITY, Tuning

__all__ = ["LABELS", "WHY", "Entry", "account", "deciding", "probability"]

LABELS: Mapping[int, str] = {UNKNOWN: "unknown", INSIDE: "inside", OUTSIDE: "outside"}

#: Why less was counted than a fix says alone. Code: (English, 中文).
WHY: Mapping[str, tuple[str, str]] = {
    "not_asked": ("a wristband reports, and the phone is not asked", "定位装置在线，不采信手机"),
    "out_of_reach": ("nobody gets so far in the time", "时间内不可能到达"),
    "doubtful": ("weak evidence of having left, of somebody believed inside", "离开证据不足"),
    "same_access_point": ("WiFi had said the same place before", "与先前WiFi定位相同"),
    "ghost": ("said there before, and contradicted since", "此前出现过并已被否定的同一位置"),
    "alone": ("WiFi or a cell never decides alone", "WiFi或基站定位不能单独认定"),
    "repeated": ("largely the error of the fix before it", "与前一定位误差相关"),
    "ceiling": ("belief is as sure as it may become", "置信已达上限"),
    "minute": ("plainly inside: a minute, whatever the fix says beyond it", "明显在内，按分钟计"),
}

#: Of these, why it was not taken at all, and why less of it was.
_NOT_TAKEN = ("not_asked", "out_of_reach")
_LOWERED = ("doubtful", "same_access_point", "ghost", "repeated", "alone", "ceiling")
#: What of a belief can stand against a fix, and how it is when it does not.
_STANDS_AGAINST: Mapping[str, Mapping[str, object]] = {
    "out_of_reach": {"inside_s": 0},
    "same_access_point": {"wifi_s": 0},
    "ghost": {"ghosts": (), "sightings": ()},
    "repeated": {"leaning": 0},
}

#: Differences below this are rounding.
_SAME = 0.005
#: Nothing is too sure, and nothing needs a second.
_NO_CEILING, _NO_SECOND = 1e3, -1e3
#: A history's pieces are kept one a minute, device and side: None is plainly inside.
_Key = tuple[int, int, bool | None]


class Entry(NamedTuple):
    """One line of an account. Weights and log-odds in nats, positive = outside.

    `clue` is the fix; None for what is carried over from before the horizon (`fixes` 0), and for a
    stretch in which nothing changed, which ends at `until_s`.
    """

    time_s: int
    until_s: int
    fixes: int  # received in that minute, or that stretch: one a minute is looked at
    minutes: int
    clue: Clue | None
    weight: float  # of the fix alone
    counted: float
    log_odds: float  # after it
    label: int  # likewise
    why: tuple[str, ...] = ()  # codes of WHY
    is_settled: bool = False  # as sure as may be before and after, and it says the same


def probability(log_odds: float) -> float:
    """Give the probability of being outside."""
    return 1 / (1 + exp(-log_odds))


def account(person: Person, clues: Iterable[Clue], tuning: Tuning = CITY) -> list[Entry]:
    """Give all that the belief about the city rests on at the person's clock, in time order.

    `clues` are the fixes that have arrived, of whatever time; the person's state has not all that
    is known of them.
    """
    belief = copy(person.base)
    entries = []
    if belief.at_s:
        entries.append(
            Entry(belief.at_s, belief.at_s, 0, 0, None, 0.0, 0.0, belief.log_odds, belief.label)
        )
    received = _by_minute(clues)
    for entry in walk(person.inside, person.origin_min, person.marks):
        for item in [entry] if isinstance(entry, Mark) else entry.items():
            entries.append(_take(belief, item, received[_key_of(item)], tuning))
    return entries


def deciding(entries: Sequence[Entry]) -> list[Entry]:
    """Give the end of an account that decided: what followed the last stretch without change.

    Each stretch is one line. Where the account ends in one, what led to it is there, too.
    """
    merged = list(_stretches(entries))
    last = next((n for n in range(len(merged) - 2, -1, -1) if merged[n].is_settled), 0)
    return merged[last:]


def _take(belief: Belief, item: Item | Mark, received: set[Clue], tuning: Tuning) -> Entry:
    """Take a piece of evidence into `belief`, and give the line about it."""
    clue = _clue_of(item, received)
    kept = item.weight / 100 if isinstance(item, Mark) else item.weight
    weight = clue.weight if clue else kept
    before = copy(belief)
    take(belief, item, tuning)
    counted = _moved(before, belief, item)
    why = [] if abs(counted) >= abs(kept) - _SAME else list(_why(before, item, tuning))
    if abs(weight) > abs(kept) + _SAME:
        why.append("minute")
    settled = _side(before, tuning)
    return Entry(
        clue.time_s if clue else item.time_s,
        clue.time_s if clue else item.time_s,
        max(len(received), 1),
        1,
        clue,
        weight,
        round(counted, 2),
        belief.log_odds,
        belief.label,
        tuple(why),
        settled != 0 and settled == _side(belief, tuning) and weight * settled > 0,
    )


def _side(belief: Belief, tuning: Tuning) -> int:
    """Give -1 or 1 where belief is inside or outside as surely as may be, else 0."""
    if is_settled_inside(belief, tuning):
        return -1
    sure = belief.label == OUTSIDE and not belief.turn_s and belief.log_odds >= tuning.ceiling
    return int(sure)


def _moved(before: Belief, after: Belief, item: Item | Mark) -> float:
    """Give how far a piece of evidence moved the log-odds, beyond what time alone did."""
    if after.at_s == before.at_s:
        return after.log_odds - before.log_odds
    if not before.at_s:
        return after.log_odds - before.log_odds
    weight = item.weight / 100 if isinstance(item, Mark) else item.weight
    return after.log_odds - faded(before.log_odds, item.time_s - before.at_s, weight)


def _why(before: Belief, item: Item | Mark, tuning: Tuning) -> Iterator[str]:
    """Give what kept a piece of evidence from counting in full."""
    free = _counted(before, item, tuning, "")

    def lowers(word: str) -> bool:
        return _counted(before, item, tuning, word) < free - _SAME

    for word in _NOT_TAKEN:
        if lowers(word):
            yield word
            return
    yield from filter(lowers, _LOWERED)


def _counted(before: Belief, item: Item | Mark, tuning: Tuning, word: str) -> float:
    """Give what would have been counted had nothing stood against it but what `word` says."""
    other = copy(before)
    for of, fields in _STANDS_AGAINST.items():
        if of != word:
            for name, value in fields.items():
                setattr(other, name, value)
    if word != "doubtful" and other.label == INSIDE:
        other.label = UNKNOWN
    free = tuning._replace(
        ceiling=tuning.ceiling if word == "ceiling" else _NO_CEILING,
        second=tuning.second if word == "alone" and before.leaning <= 0 else _NO_SECOND,
    )
    taken = item if word == "not_asked" else item._replace(device=1)
    after = copy(other)
    take(after, taken, free)
    return abs(_moved(other, after, taken))


def _by_minute(clues: Iterable[Clue]) -> defaultdict[_Key, set[Clue]]:
    received: defaultdict[_Key, set[Clue]] = defaultdict(set)
    for clue in clues:
        received[_key_of(item_of(clue, DEVICES.index(clue.device)))].add(clue)
    return received


def _key_of(item: Item | Mark) -> _Key:
    side = item.weight > 0 if isinstance(item, Mark) else None
    return item.time_s // 60, item.device, side


def _clue_of(item: Item | Mark, received: set[Clue]) -> Clue | None:
    """Give the fix that stands for a minute: of a mark itself, else the one that says most."""
    if isinstance(item, Mark):
        return min((c for c in received if item_of(c, item.device) == item), default=None)
    return min(received, key=lambda clue: (clue.weight, clue), default=None)


def _stretches(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Give the entries with those that follow each other without any change in one."""
    held: list[Entry] = []
    for entry in entries:
        if held and not (entry.is_settled and entry.label == held[0].label):
            yield _merged(held)
            held = []
        if entry.is_settled:
            held.append(entry)
        else:
            yield entry
    if held:
        yield _merged(held)


def _merged(held: list[Entry]) -> Entry:
    if len(held) == 1:
        return held[0]
    last = held[-1]
    return Entry(
        *(held[0].time_s, last.until_s, sum(entry.fixes for entry in held)),
        len({entry.time_s // 60 for entry in held}),
        *(None, 0.0, round(sum(entry.counted for entry in held), 2)),
        *(last.log_odds, last.label, ()),
        is_settled=True,
    )
