"""Whatever happens to workers in a night, all is told, once, and known in the end.

Against the in-process replay of the same messages: what is told, in which words and order of each
person, what is refused, and everybody's state. `crashes.py` has the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from crashes import ACTS, Act, Copy, Story, WrongError, play, quick_steps
from everykind import everything
from hypothesis import given, settings
from hypothesis import strategies as st

from geomon.errors import StateError
from geomon.intake import Intake
from geomon.settings import Settings, rules_from
from geomon.stream.ledger import Ledger
from geomon.stream.record import MARKER
from geomon.stream.roll import Roll
from geomon.zones.index import ZoneIndex

#: The brokers' clocks, one broker after another: all right; more than an hour wrong.
RIGHT, WRONG = (0,), (0, -4_000, 4_000)

begin, write, commit = Act("begin"), Act("write"), Act("commit")
everything_written = [Act("begin all"), write]
crash, take_over, clean = Act("crash"), Act("take over"), Act("clean")


def judge(much: int, told: int = 10_000) -> Act:
    return Act("judge", 0, much, told)


@pytest.fixture(scope="module")
def story(zones: ZoneIndex) -> Iterator[Story]:
    """Every type of event and every kind of alert."""
    with quick_steps():
        yield Story(Intake(zones), rules_from(Settings(clock="recording")), everything())


def test_a_night_in_which_nothing_happens(story: Story) -> None:
    assert len(play(story, []).told) == len(story.told) > 50


@settings(max_examples=400, deadline=None)
@given(acts=ACTS, skews_s=st.sampled_from([RIGHT, WRONG]))
def test_any_night_ends_as_a_replay_does(
    story: Story, acts: list[Act], skews_s: tuple[int, ...]
) -> None:
    play(story, acts, skews_s)


# Nights that each need one of the rules. What is told without it is wrong; see below.

TOLD_IN_PART_ONLY = [judge(80, told=1), crash]
WRITTEN_BUT_NOT_COMMITTED = [judge(240), *everything_written, crash]
COMMITTED_WHILE_OTHERS_WAIT = [judge(80), begin, write, commit, crash]
COMMITTED_BEFORE_WRITTEN = [
    *(judge(10), *everything_written, commit),
    *(judge(10), Act("begin all"), commit, crash),
]
FROZEN_AND_WRITES_LATE = [
    *(judge(10), take_over),
    *(judge(40), *everything_written, commit),
    *(Act("begin all", 1), Act("write", 1), crash),
]
CLEANED_BEHIND_ONE_THAT_WRITES_LATE = [
    *FROZEN_AND_WRITES_LATE[:-1],
    *(Act("come back"), *everything_written, clean, crash),
]
ROUND_THAT_DID_NOT_GET_THROUGH = [
    *(judge(80), Act("begin all"), Act("hurry back")),
    *(judge(81), *everything_written, commit, crash),
]
BACK_AFTER_SOMEBODY_ELSE_WROTE_THEM = [
    *(judge(2), take_over),
    *(judge(3), *everything_written, Act("hurry back", 1)),
]
BACK_BEYOND_WHAT_SOMEBODY_ELSE_WROTE = [
    *(judge(2), take_over),
    *(judge(1), *everything_written, Act("hurry back", 1)),
]
LATE_WITH_A_NEWER_MESSAGE_OF_NOBODY = [
    *(judge(2), *everything_written),
    # A refused message, and the broker's clock is ahead; then it is right again.
    *(judge(1), *everything_written, commit),
    *(judge(1), take_over),
    *(judge(2), *everything_written, commit),
    *(Act("begin all", 1), Act("write", 1), crash),
]


def last_record_counts(
    roll: Roll, key: bytes, record: bytes | None, recover: Any = Roll.recover
) -> None:
    if key != MARKER:
        roll.people.pop(key.decode(), None)
    recover(roll, key, record)


def better_states_are_not_written_again(
    roll: Roll, key: bytes, record: bytes | None, recover: Any = Roll.recover
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roll.ledger, "change", lambda *_, **__: None)
        recover(roll, key, record)


def markers_say_no_time(
    roll: Roll, key: bytes, record: bytes | None, recover: Any = Roll.recover
) -> None:
    before_s = roll.ledger.newest_s
    recover(roll, key, record)
    if key == MARKER:
        roll.ledger.newest_s = before_s


def states_judge_what_they_have(roll: Roll, _whose: str, offset: int, arrived_s: int) -> bool:
    return roll.ledger.has_judged(offset, arrived_s)


def all_that_is_judged_is_safe(ledger: Ledger) -> int:
    return ledger.done + 1


def what_is_begun_is_safe(ledger: Ledger, people: Any, begin: Any = Ledger.begin) -> Any:
    begun = begin(ledger, people)
    ledger.safe = max(ledger.safe, ledger.next_offset())
    return begun


def nothing(*_: Any) -> None:
    """What a rule that is not there does."""


Fault = tuple[type, str, Any]
FAULTS: list[tuple[Fault, list[Act], tuple[int, ...]]] = [
    ((Copy, "tells_first", False), TOLD_IN_PART_ONLY, RIGHT),
    ((Roll, "knows", states_judge_what_they_have), WRITTEN_BUT_NOT_COMMITTED, RIGHT),
    ((Ledger, "next_offset", all_that_is_judged_is_safe), COMMITTED_WHILE_OTHERS_WAIT, RIGHT),
    ((Ledger, "begin", what_is_begun_is_safe), COMMITTED_BEFORE_WRITTEN, RIGHT),
    ((Ledger, "fail", nothing), ROUND_THAT_DID_NOT_GET_THROUGH, RIGHT),
    ((Ledger, "found", nothing), BACK_AFTER_SOMEBODY_ELSE_WROTE_THEM, RIGHT),
    ((Ledger, "found", nothing), BACK_BEYOND_WHAT_SOMEBODY_ELSE_WROTE, RIGHT),
    ((Roll, "recover", last_record_counts), FROZEN_AND_WRITES_LATE, RIGHT),
    (
        (Roll, "recover", better_states_are_not_written_again),
        CLEANED_BEHIND_ONE_THAT_WRITES_LATE,
        RIGHT,
    ),
    ((Roll, "recover", markers_say_no_time), LATE_WITH_A_NEWER_MESSAGE_OF_NOBODY, WRONG),
]


def _name(value: object) -> str | None:
    if isinstance(value, tuple) and isinstance(value[0], type):
        how: Callable[..., Any] | bool = value[2]
        return f"{value[0].__name__}.{value[1]}={getattr(how, '__name__', how)}"
    return None


@pytest.mark.parametrize(("fault", "night", "skews_s"), FAULTS, ids=_name)
def test_each_rule_is_needed_in_some_night(
    story: Story,
    fault: Fault,
    night: list[Act],
    skews_s: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All is well; and it is found out when the rule is not there."""
    play(story, night, skews_s)
    monkeypatch.setattr(*fault)
    with pytest.raises((WrongError, StateError)):
        play(story, night, skews_s)


@pytest.mark.parametrize("told", [0, 1, 2])
@pytest.mark.parametrize("much", [1, 5, 20, 80, 160])
def test_a_crash_while_it_is_told(story: Story, much: int, told: int) -> None:
    for at in range(0, 240, 40):
        play(story, [judge(at), *everything_written, commit, judge(much, told), crash])


@pytest.mark.parametrize("some", range(8))
def test_a_crash_in_the_middle_of_a_round(story: Story, some: int) -> None:
    """Some states are written, others and the marker are not."""
    for at in range(0, 240, 40):
        half_written = [Act("begin all"), Act("write some", 0, some)]
        play(story, [judge(at), *half_written, commit, crash, judge(5), *half_written, crash])


def test_workers_that_pass_a_partition_to_one_another(story: Story) -> None:
    """Each judges 20 messages more than the one before it, and writes behind its successors."""
    night: list[Act] = []
    for turn in range(1, 12):
        night += [judge(20 * turn), begin, Act("begin all", 1), Act("write", 1), write]
        night += [commit] if turn % 3 else []
        night += [take_over]
    play(story, night)


def test_two_workers_between_which_a_partition_goes_to_and_fro(story: Story) -> None:
    for back in ("come back", "hurry back"):
        night = [judge(5), take_over]
        for turn in range(20):
            night += [judge(11), begin, *([write] if turn % 3 else []), commit, Act(back, 1)]
        play(story, night)


def test_deadlines_that_were_told_before_a_crash_are_told_once(story: Story) -> None:
    time = Act("time")
    for told in (0, 1, 10_000):
        night = [judge(160), judge(160), Act("time", 0, 3, told), crash]
        play(
            story, [*night, judge(320), time, begin, write, crash, judge(320), time, commit, crash]
        )
