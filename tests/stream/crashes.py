"""Workers that crash, freeze and come back, around a log and a changelog that live in memory.

    House        what outlives workers: events, changelog, committed offsets, what was told
    Copy         one run of a worker: desk, rolls and ledgers, and the order of the worker's steps
    play         a night of such things, at whose end everything must be as in a replay

Only the owner commits: Kafka refuses it to a copy that was replaced. All else a replaced copy that
does not know it may go on doing: judge, tell, and write states behind those of its successor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import strategies as st

from geomon.cloudevent import cloud_event
from geomon.core.observed import ClockAt, Event
from geomon.core.person import Person, freeze
from geomon.core.rules import Rules
from geomon.core.step import Outcome, step
from geomon.errors import StateError
from geomon.intake import Arrival, Intake, Raw, Rejected
from geomon.replay import Replay
from geomon.stream import desk
from geomon.stream.desk import Desk

__all__ = ["ACTS", "Act", "Copy", "House", "Story", "WrongError", "play", "quick_steps"]

PARTITIONS = (0, 1)
#: Rounds of writing that a change waits for, unless something was told.
AFTER = 3
SIZES = (1, 2, 5, 10, 20, 40, 80, 160)
ALL = 10_000


class WrongError(AssertionError):
    """Something that no crash may bring about."""


class Story:
    """Messages, and what a replay in process makes of them.

    Between the messages stand some that are refused, of which no state knows.
    """

    def __init__(self, intake: Intake, rules: Rules, lines: Iterable[Raw]) -> None:
        self.rules = rules
        self.logs: dict[int, list[Raw]] = {p: [] for p in PARTITIONS}
        for line in lines:
            event = msgspec.json.decode(line.data)
            whose = event["supervisee_id"]
            partition = int(whose[-1]) % len(PARTITIONS)
            log = self.logs[partition]
            junk = [b"{"] if len(log) % 5 == 2 else []
            for data in [*junk, line.data]:
                where = f"events/{partition}/{len(log)}"
                log.append(Raw(data, where, whose.encode(), 0, partition, len(log)))
        refused: list[Rejected] = []
        replay = Replay(intake, rules, refused.append)
        # One log after the other: in each the events of its people stand in their order.
        messages = [raw for log in self.logs.values() for raw in log]
        alerts = [*replay.feed_batch(messages), *replay.finish()]
        self.end_s = replay.end_s + rules.settle_s
        self.told = {alert["id"]: _read(alert) for alert in alerts}
        self.order: dict[str, list[str]] = {}
        for alert in alerts:
            self.order.setdefault(alert["subject"], []).append(alert["id"])
        self.refused = {(r.raw.where, r.reason) for r in refused}
        self.people = replay.people
        taken, refused = intake.take(messages)
        self._taken = {arrival.raw.where: arrival for arrival in taken}
        self._refused: dict[str, list[Rejected]] = {}
        for refusal in refused:
            self._refused.setdefault(refusal.raw.where, []).append(refusal)
        self.heard_s = {where: arrival.event.at_s for where, arrival in self._taken.items()}
        self.zones = intake.zones

    def intake(self) -> Intake:
        """Give an intake that has decoded and placed all of it already: hundreds of nights."""
        return _Remembered(self)

    def arrivals(self, raw: Raw) -> Iterator[Arrival]:
        if found := self._taken.get(raw.where):
            yield Arrival(found.supervisee_id, found.event, raw)

    def refusals(self, raw: Raw) -> Iterator[Rejected]:
        for refusal in self._refused.get(raw.where, ()):
            yield refusal._replace(raw=raw)


class _Remembered(Intake):
    def __init__(self, story: Story) -> None:
        super().__init__(story.zones)
        self._story = story

    def take(self, batch: Sequence[Raw]) -> tuple[list[Arrival], list[Rejected]]:
        story = self._story
        return (
            [arrival for raw in batch for arrival in story.arrivals(raw)],
            [refusal for raw in batch for refusal in story.refusals(raw)],
        )


@contextmanager
def quick_steps() -> Iterator[None]:
    """Let no desk judge the same event of the same person twice: the core is pure, and slow.

    A night takes a tenth of the time, so that ten times as many nights are seen.
    """
    steps: dict[tuple[bytes, object], tuple[Person, list[Outcome]]] = {}
    told: dict[int, tuple[Any, dict[str, Any]]] = {}

    def quick_step(person: Person, event: Event, rules: Rules) -> tuple[Person, list[Outcome]]:
        what = event if isinstance(event, ClockAt) else id(event)
        known = steps.get((freeze(person), what))
        if known is None:
            known = steps[freeze(person), what] = step(person, event, rules)
        return known

    def quick_cloud_event(alert: Any, **options: Any) -> dict[str, Any]:
        # The alert is kept as well, so that nothing else can come to lie at its place.
        known = told.get(id(alert))
        if known is None:
            known = told[id(alert)] = (alert, cloud_event(alert, **options))
        return known[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk, "step", quick_step)
        patch.setattr(desk, "cloud_event", quick_cloud_event)
        yield


class House:
    """What is left when workers crash.

    `skews_s` are the errors of the brokers' clocks: one broker after another leads a partition.
    """

    def __init__(self, story: Story, skews_s: Sequence[int] = (0,)) -> None:
        self.story = story
        self.logs = {p: list(_arrived(story, log, skews_s)) for p, log in story.logs.items()}
        self.changelogs: dict[int, list[tuple[bytes, bytes]]] = {p: [] for p in PARTITIONS}
        self.committed = dict.fromkeys(PARTITIONS, 0)
        self.ends = dict.fromkeys(PARTITIONS, 0)
        """How many messages have arrived."""
        self.told: dict[str, None] = {}
        self.refused: set[tuple[str, str]] = set()
        self.copies: list[Copy] = []
        self.now = 0
        self.owner = self.take_over()

    def take_over(self) -> Copy:
        """Let a new worker take the place of the owner, which does not know it."""
        self.owner = Copy(self)
        self.copies.append(self.owner)
        self.owner.read_on()
        return self.owner

    def crash(self, copy: Copy) -> None:
        """Lose all that a worker has in memory; a new one is started if it was the owner."""
        self.copies.remove(copy)
        if copy is self.owner:
            self.take_over()

    def commit(self) -> None:
        """Commit what the owner calls safe, where it goes further than before."""
        for p, roll in self.owner.desk.rolls.items():
            if roll.ledger.safe > len(self.logs[p]):
                raise WrongError(
                    f"{roll.ledger.safe} of {len(self.logs[p])} messages are committed"
                )
            self.committed[p] = max(self.committed[p], roll.ledger.safe)

    def clean(self) -> None:
        """Compact what the owner has read, if there is nothing that it has to write again."""
        for p, end in self.owner.settled().items():
            changelog = self.changelogs[p]
            last = {key: at for at, (key, _) in enumerate(changelog[:end])}
            # Offsets stay as they are: what is cleaned leaves a gap.
            for at, (key, _) in enumerate(changelog[:end]):
                if key and last[key] > at:
                    changelog[at] = (b"", b"")

    def tell(self, alert: dict[str, Any]) -> None:
        """Take an alert as the sinks do: what was told stays told, and by its id counts once."""
        known = self.story.told.get(alert["id"])
        if known is None:
            raise WrongError(f"nobody should hear of {alert['id']}")
        if _read(alert) != known:
            raise WrongError(f"{alert['id']} is told in other words")
        if alert["id"] not in self.told:
            order = self.story.order[alert["subject"]]
            before = order[: order.index(alert["id"])]
            if missing := [name for name in before if name not in self.told]:
                raise WrongError(f"{alert['id']} is told before {missing}")
            self.told[alert["id"]] = None


def _read(alert: dict[str, Any]) -> Any:
    """Give an alert as it is read: in a state that was written, the number 5 has become 5.0."""
    return msgspec.json.decode(msgspec.json.encode(alert))


def _arrived(story: Story, log: Sequence[Raw], skews_s: Sequence[int]) -> Iterator[Raw]:
    last_s = 0
    for raw in log:
        last_s = max(last_s, story.heard_s.get(raw.where, 0))
        skew_s = skews_s[raw.offset % len(skews_s)]
        yield msgspec.structs.replace(raw, arrived_s=last_s + skew_s)


class Round(NamedTuple):
    """States of a partition that are being written."""

    begun: dict[str, int]
    next_offset: int
    records: list[tuple[bytes, bytes]]


class Copy:
    """One run of a worker."""

    #: The worker's order of steps 2 and 3. The other one is there to be found out.
    tells_first = True

    def __init__(self, house: House) -> None:
        self.desk = Desk(house.story.intake(), house.story.rules)
        self.positions = dict.fromkeys(PARTITIONS, 0)
        self._house = house
        self._read = dict.fromkeys(PARTITIONS, 0)
        self._untold: list[dict[str, Any]] = []
        self._rounds: dict[int, Round] = {}

    def read_on(self, *, settles: bool = True) -> None:
        """Get partitions, perhaps after others had them: read on in changelog and events."""
        self.tell()
        if settles:
            self.write()
            self.begin(everything=True)
            self.write()
        for p, fallen in self._rounds.items():
            self.desk.rolls[p].ledger.fail(fallen.begun)
        self._rounds.clear()
        for p, changelog in self._house.changelogs.items():
            for key, record in changelog[self._read[p] :]:
                if key:
                    self.desk.roll(p).recover(key, record)
            self._read[p] = len(changelog)
        self.desk.hold(PARTITIONS)
        for p, roll in self.desk.rolls.items():
            while roll.meet(self.desk.rules, 2):
                pass
            committed = self.positions[p] = self._house.committed[p]
            if (committed and not roll.marker) or roll.ledger.kept < self._wanted(p):
                raise StateError(f"partition {p} has {roll.ledger.kept} people, {roll.marker}")

    def _wanted(self, partition: int) -> int:
        marker = self.desk.rolls[partition].marker
        return marker.people if marker else 0

    def judge(self, most: int, told: int = ALL) -> None:
        """Judge a batch and tell of it; freeze when `told` alerts are told."""
        self.tell()
        batch: list[Raw] = []
        for p in PARTITIONS:
            at = self.positions[p]
            batch += self._house.logs[p][at : at + most]
            self.positions[p] += len(self._house.logs[p][at : at + most])
            self._house.ends[p] = max(self._house.ends[p], self.positions[p])
        verdict = self.desk.judge(batch)
        self._house.refused |= {(r["where"], r["reason"]) for r in verdict.rejections}
        self._untold += verdict.alerts
        self.tell(told)

    def let_time_come(self, most: int, told: int = ALL) -> None:
        """Let deadlines fall due that are before the next message, where all are judged."""
        self.tell()
        house = self._house
        for p in PARTITIONS:
            if self.positions[p] == house.ends[p]:
                left = house.logs[p][house.ends[p] :]
                heard_s = house.story.heard_s
                times_s = [heard_s[raw.where] for raw in left if raw.where in heard_s]
                time_s = min(times_s, default=house.story.end_s)
                self._untold += self.desk.let_time_come([p], time_s, most).alerts
        self.tell(told)

    def tell(self, most: int = ALL) -> None:
        """Tell what is not told yet."""
        if not self.tells_first and self._untold:
            self._begin(everything=False)
            self._write(ALL)
        for alert in self._untold[:most]:
            self._house.tell(alert)
        del self._untold[:most]

    def begin(self, *, everything: bool) -> None:
        """Begin a round of writing."""
        self.tell()
        self._begin(everything=everything)

    def _begin(self, *, everything: bool) -> None:
        self._house.now += 1
        for p, roll in self.desk.rolls.items():
            ledger = roll.ledger
            due = ledger.all_due() if everything else ledger.due(self._house.now, AFTER, ALL)
            if p not in self._rounds and (due or ledger.next_offset() > ledger.safe):
                begun = ledger.begin(due)
                self._rounds[p] = Round(
                    begun, ledger.next_offset(), roll.records(due, self.desk.rules)
                )

    def write(self, most: int = ALL) -> None:
        """Write records of the rounds that have begun, so many of each."""
        self.tell()
        self._write(most)

    def _write(self, most: int) -> None:
        for p, (begun, next_offset, records) in list(self._rounds.items()):
            changelog = self._house.changelogs[p]
            mine, left = records[:most], records[most:]
            if self._read[p] == len(changelog):
                self._read[p] += len(mine)
            changelog += mine
            if left:
                self._rounds[p] = Round(begun, next_offset, left)
                continue
            del self._rounds[p]
            roll = self.desk.rolls[p]
            roll.ledger.end(begun, next_offset)
            roll.note_marker(next_offset)

    def settled(self) -> dict[int, int]:
        """Give how much of the changelog is read, where all states are written."""
        self.tell()
        return {
            p: self._read[p]
            for p, roll in self.desk.rolls.items()
            if not roll.ledger.waiting and p not in self._rounds
        }

    def people(self) -> dict[str, Person]:
        """Give everybody's state."""
        return {
            whose: roll.person(whose, self.desk.rules)
            for roll in self.desk.rolls.values()
            for whose in roll.everybody()
        }


class Act(NamedTuple):
    """Something that happens in a night: what, to which copy, and how much of it."""

    what: str
    who: int = 0  # 0 the owner, 1 the copy that it replaced, …
    much: int = ALL
    told: int = ALL


def _acts(*whats: str) -> st.SearchStrategy[Act]:
    much = st.sampled_from(SIZES)
    told = st.sampled_from([ALL, ALL, 0, 1, 2])
    return st.builds(Act, st.sampled_from(whats), st.sampled_from([0, 0, 0, 1, 2]), much, told)


#: What may happen in a night; much of it by itself would seldom lead to anything.
ACTS = st.lists(
    st.one_of(
        _acts("judge", "judge", "time").map(lambda act: [act]),
        _acts("begin", "begin all", "write", "write some", "commit").map(lambda act: [act]),
        _acts("crash", "take over", "come back", "hurry back", "clean").map(lambda act: [act]),
        _acts("begin", "begin all").map(lambda act: [act, Act("write", act.who), Act("commit")]),
        _acts("judge").map(lambda act: [act, Act("take over")]),
    ),
    max_size=25,
).map(lambda moves: [act for move in moves for act in move])


def play(story: Story, acts: Sequence[Act], skews_s: Sequence[int] = (0,)) -> House:
    """Play a night, let it come to its end, and compare; raises `WrongError` or `StateError`."""
    house = House(story, skews_s)
    for act in acts:
        _do(house, act)
    _finish(house, house.owner)
    house.commit()
    # Whoever is frozen still wakes last of all, and writes what was true then.
    for copy in [copy for copy in house.copies if copy is not house.owner]:
        copy.begin(everything=True)
        copy.write()
        copy.begin(everything=True)
        copy.write()
    _finish(house, house.take_over())
    return house


def _do(house: House, act: Act) -> None:
    owner_first = [house.owner, *reversed([c for c in house.copies if c is not house.owner])]
    copy = owner_first[act.who % len(owner_first)]
    if act.what == "judge":
        copy.judge(act.much, act.told)
    elif act.what == "time":
        copy.let_time_come(act.much, act.told)
    elif act.what in ("begin", "begin all"):
        copy.begin(everything=act.what == "begin all")
    elif act.what == "write":
        copy.write()
    elif act.what == "write some":
        copy.write(act.much)
    elif act.what == "commit":
        house.commit()
    elif act.what == "crash":
        house.crash(copy)
    elif act.what == "take over":
        house.take_over()
    elif act.what in ("come back", "hurry back"):
        house.owner = copy
        copy.read_on(settles=act.what == "come back")
    else:
        assert act.what == "clean"
        house.clean()


def _finish(house: House, copy: Copy) -> None:
    """Let a copy do all that is left, and compare with the replay."""
    story = house.story
    while any(copy.positions[p] < len(log) for p, log in house.logs.items()):
        copy.judge(160)
    for _ in range(3):
        copy.let_time_come(ALL)
    for _ in range(2):  # what had begun, and what has come since
        copy.begin(everything=True)
        copy.write()
    if missing := story.told.keys() - house.told.keys():
        raise WrongError(f"nobody has heard of {sorted(missing)}")
    if house.refused != story.refused:
        raise WrongError(f"refused are {house.refused}, not {story.refused}")
    people = copy.people()
    if people.keys() != story.people.keys():
        raise WrongError(f"there are {sorted(people)}")
    for whose, person in people.items():
        # Who has nothing due was not looked at: all clocks are led to the end, as the replay does.
        at_the_end, outcomes = step(person, ClockAt(story.end_s), story.rules)
        if outcomes or at_the_end != story.people[whose]:
            raise WrongError(f"{whose} is not as in the replay; {outcomes}")
