"""From the bytes of many messages to events for the core, or refusals with their reasons.

    bytes ─► decode (events) ─► check ─► WGS-84 (datum) ─► place (zones) ─► weigh (core)

Messages are taken in batches, because checks, datum and geometry cost a tenth when done for
thousands of fixes at once. Nothing here depends on what came before, so a batch may be cut
anywhere: the worker, a replay and a benchmark all come through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from geomon import decoding, events
from geomon.core.evidence import DEEP, SINGLE, grade, weigh
from geomon.core.observed import (
    CASE_CLOSED,
    CASE_OPEN,
    CHARGING,
    MOCK,
    ODD,
    POWER_OFF,
    STRAP_CLOSED,
    STRAP_OPEN,
    Event,
    Heard,
    Observed,
)
from geomon.core.step import TooLate
from geomon.datum import to_wgs84
from geomon.errors import Refusal
from geomon.fixes import (
    Clues,
    Columns,
    Placed,
    columns_of,
    jumps_in,
    newest_in,
    trouble_in,
)
from geomon.paperwork import AHEAD_S, DATUMS, paper
from geomon.tally import Tally
from geomon.zones.index import ZoneIndex

__all__ = ["Arrival", "Intake", "Raw", "Rejected"]

_DEVICES = {"phone": 0, "wristband": 1}

_DAY_S = 86_400


class Raw(msgspec.Struct, frozen=True, gc=False):
    """One message or line as it came: where from, and what is known of it besides its bytes."""

    data: bytes
    where: str  # "topic/partition/offset" or "file:line"
    key: bytes | None = None  # the message's key; None = not a message
    arrived_s: int = 0  # when the broker had it; 0 = not known
    partition: int = 0
    offset: int = -1
    arrived_ms: int = 0  # the same as `arrived_s`, in milliseconds


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """An event for the core, and whose it is."""

    supervisee_id: str
    event: Event
    raw: Raw


class Rejected(NamedTuple):
    """An event, or one fix of it, that was refused."""

    raw: Raw
    reason: str
    detail: str
    supervisee_id: str = ""
    fix: int = -1  # its place in the upload as sent; -1 = the whole event
    source: str = ""  # of the fix, where it could be read


# What comes by the thousand and lives as long as a batch is of kinds that Python's collector of
# cycles does not look at (gc=False; they hold none): it would take a third of the time.


class _Decoded(msgspec.Struct, frozen=True, gc=False):
    """A message that can be understood, and the fixes of it that could not."""

    raw: Raw
    event: events.Event
    refused: Sequence[decoding.RefusedFix]


class _Pending(msgspec.Struct, frozen=True, gc=False):
    """An upload whose fixes are in the columns, after those of the one before it."""

    slot: int  # its place among the arrivals
    upload: events.Upload
    raw: Raw
    received_s: int  # 0 = not said
    datum: str  # of its fixes, a name that `to_wgs84` knows
    sent_at: Sequence[int]  # the place of each of its fixes in the upload as sent
    mocked: bool = False  # it had positions that the device says are faked


class Intake:
    """Decodes, checks and places batches of messages against one city's zones.

    With a `tally`, what batches consist of is counted there. Canaries concern nobody: they go to
    `canaries`, which whoever takes batches empties.
    """

    def __init__(self, zones: ZoneIndex, tally: Tally | None = None) -> None:
        self.zones = zones
        self.tally = tally
        self.canaries: list[tuple[Raw, events.Canary]] = []

    def take(self, batch: Sequence[Raw]) -> tuple[list[Arrival], list[Rejected]]:
        """Take a batch; give its events in the same order, and what was refused of it likewise."""
        arrivals: list[Arrival | None] = []
        rejected: list[Rejected] = []
        pending: list[_Pending] = []
        fixes: list[events.Fix] = []
        decoded = _decode(batch, rejected)
        times_s = decoding.posix_s([d.event.received or events.EPOCH for d in decoded])
        for message, received_s in zip(decoded, times_s, strict=True):
            raw, event, refused = message.raw, message.event, message.refused
            if raw.arrived_s and received_s > raw.arrived_s + _DAY_S:
                rejected.append(Rejected(raw, "arrival_in_future", "", event.supervisee_id))
                continue
            whose = event.supervisee_id
            if refused:
                rejected += [Rejected(raw, r.reason, r.detail, whose, r.at) for r in refused]
            if isinstance(event, events.Upload) and event.fixes:
                left = len(event.fixes)
                sent_at = _sent_at(left, refused) if refused else range(left)
                datum = DATUMS.get(event.datum) if isinstance(event.datum, str) else None
                if datum:
                    pending.append(_Pending(len(arrivals), event, raw, received_s, datum, sent_at))
                    fixes += event.fixes
                    arrivals.append(None)
                    continue
                reason = "datum_undeclared" if event.datum is None else "datum_unknown"
                rejected += [
                    Rejected(raw, reason, "", whose, at, fix.source)
                    for at, fix in zip(sent_at, event.fixes, strict=True)
                ]
            elif isinstance(event, events.Canary):
                self.canaries.append((raw, event))
                continue
            elif isinstance(event, events.Device):
                continue  # for gateways; who speaks for whom is no matter of judging
            arrivals.append(_arrival(event, raw, received_s, rejected, mocked=_is_mocked(event)))
        if fixes:
            self._place(fixes, pending, arrivals, rejected)
        if rejected:
            # Found stage by stage; told in the order of the messages, however batches were cut.
            place = {id(raw): number for number, raw in enumerate(batch)}
            rejected.sort(key=lambda r: (place[id(r.raw)], r.fix))
        if self.tally is not None:
            self.tally.count_events([d.event for d in decoded], len(batch) - len(decoded))
            self.tally.count_refused((r.source, r.reason) for r in rejected if r.fix >= 0)
        return [arrival for arrival in arrivals if arrival is not None], rejected

    def count(self, outcome: object, event: Event) -> None:
        """Count what the core would not judge of an event that was let in."""
        if self.tally is not None and isinstance(outcome, TooLate) and isinstance(event, Observed):
            assert isinstance(event.clues, Clues)  # noqa: S101  (as `take` made it)
            self.tally.count_too_late(event.clues, outcome[0])

    def _place(
        self,
        fixes: list[events.Fix],
        pending: list[_Pending],
        arrivals: list[Arrival | None],
        rejected: list[Rejected],
    ) -> None:
        """Check, convert, place and weigh all fixes of a batch, and fill in their arrivals."""
        columns = columns_of(fixes)
        counts = np.array([len(p.sent_at) for p in pending])
        latest_s = np.array([_latest_s(p.raw, p.received_s) for p in pending], dtype=np.int64)
        trouble = trouble_in(columns, np.repeat(latest_s, counts))
        if trouble:
            columns, pending = _leave_out(trouble, columns, pending, arrivals, rejected)
            if not pending:
                return
            counts = np.array([len(p.sent_at) for p in pending])
        if self.tally is not None:
            arrived_s = [p.received_s or p.raw.arrived_s for p in pending]
            self.tally.count_fixes(columns, np.repeat(np.array(arrived_s), counts))
        lon, lat = _in_wgs84(columns, pending, counts)
        distance_m = self.zones.classify(lon, lat).distance_m
        weight = weigh(distance_m, columns.accuracy_m, columns.source)
        grades = grade(weight)
        single = grades == SINGLE
        places = self._places(lon, lat, np.flatnonzero(single & (distance_m > 0)))
        placed = Placed(columns, lon, lat, distance_m, weight, places)
        plain = (columns.time_s // 60 * 2 + (grades == DEEP)).tolist()
        ends = np.cumsum(counts)
        begins = ends - counts
        newest = np.maximum.reduceat(columns.time_s, begins)
        for p, begin, end, singles, oldest_s, newest_s, last, jumped in zip(
            pending,
            begins.tolist(),
            ends.tolist(),
            np.add.reduceat(single, begins, dtype=np.intp).tolist(),
            np.minimum.reduceat(columns.time_s, begins).tolist(),
            newest.tolist(),
            newest_in(placed, begins, newest, counts),
            jumps_in(placed, begins).tolist(),
            strict=True,
        ):
            upload = p.upload
            at_s = p.received_s or newest_s
            observed = Observed(
                at_s,
                _DEVICES[upload.device],
                [] if singles else plain[begin:end],
                singles,
                end - begin,
                oldest_s,
                newest_s,
                upload.stored,
                Clues(placed, upload, begin, end),
                last,
                newest_s if upload.stored else at_s,
                *_battery_and_flags(upload, p.mocked),
            )
            if jumped:
                observed = msgspec.structs.replace(observed, flags=observed.flags | ODD)
            arrivals[p.slot] = Arrival(upload.supervisee_id, observed, p.raw)

    def _places(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64], at: NDArray[np.intp]
    ) -> dict[int, str]:
        """Name the places of some fixes, by their index in the batch."""
        if not len(at):
            return {}
        return dict(zip(at.tolist(), self.zones.places(lon[at], lat[at]), strict=True))


def _decode(batch: Sequence[Raw], rejected: list[Rejected]) -> list[_Decoded]:
    """Decode messages; what can be refused without regard to time is refused here."""
    decoded: list[_Decoded] = []
    for raw in batch:
        try:
            event, refused = decoding.decode(raw.data)
            if raw.key is not None and raw.key != event.supervisee_id.encode():
                # Another key means another partition: two workers would each know half of this
                # person.
                rejected.append(Rejected(raw, "key_mismatch", ""))
            else:
                decoded.append(_Decoded(raw, event, refused or ()))
        except Refusal as refusal:
            rejected.append(Rejected(raw, refusal.reason, refusal.detail))
    return decoded


def _sent_at(left: int, refused: Sequence[decoding.RefusedFix]) -> Sequence[int]:
    """Give the places in the upload as sent of the fixes that decoding left in it."""
    missing = {r.at for r in refused}
    return [at for at in range(left + len(missing)) if at not in missing]


def _leave_out(
    trouble: dict[int, str],
    columns: Columns,
    pending: list[_Pending],
    arrivals: list[Arrival | None],
    rejected: list[Rejected],
) -> tuple[Columns, list[_Pending]]:
    """Take refused fixes out of the columns; an upload without any left is still heard from."""
    kept: list[_Pending] = []
    good: list[int] = []
    begin = 0
    for p in pending:
        left = []
        mocked = False
        for at, sent_at in enumerate(p.sent_at, begin):
            if at in trouble:
                mocked |= trouble[at] == "faked_position"
                whose, of = p.upload.supervisee_id, columns.fixes[at].source
                rejected.append(Rejected(p.raw, trouble[at], "", whose, sent_at, of))
            else:
                good.append(at)
                left.append(sent_at)
        begin += len(p.sent_at)
        if left:
            kept.append(msgspec.structs.replace(p, sent_at=left, mocked=mocked))
        else:
            arrivals[p.slot] = _arrival(p.upload, p.raw, p.received_s, rejected, mocked=mocked)
    fixes = [columns.fixes[at] for at in good]
    _, time_s, lon, lat, accuracy_m, source = columns
    left_over = Columns(fixes, time_s[good], lon[good], lat[good], accuracy_m[good], source[good])
    return left_over, kept


def _in_wgs84(
    columns: Columns, pending: list[_Pending], counts: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    names = [p.datum for p in pending]
    lon, lat = columns.lon, columns.lat
    others = set(names) - {"wgs84"}
    if not others:
        return lon, lat
    lon, lat = lon.copy(), lat.copy()
    for name in others:
        at = np.repeat(np.array([other == name for other in names]), counts)
        lon[at], lat[at] = to_wgs84(lon[at], lat[at], name)
    return lon, lat


def _latest_s(raw: Raw, received_s: int) -> int:
    """Latest time that a fix may have."""
    arrived_s = received_s or raw.arrived_s
    return arrived_s + AHEAD_S if arrived_s else events.LAST_S


def _arrival(
    event: events.Event,
    raw: Raw,
    received_s: int,
    rejected: list[Rejected],
    *,
    mocked: bool = False,
) -> Arrival | None:
    """Give the arrival of an event that brings no position, or refuse it."""
    try:
        if isinstance(event, events.Upload):
            taken: Event = _heartbeat(event, raw, received_s, mocked=mocked)
        else:
            taken = paper(event, received_s, raw.arrived_s)
        return Arrival(event.supervisee_id, taken, raw)
    except Refusal as refusal:
        rejected.append(Rejected(raw, refusal.reason, refusal.detail, event.supervisee_id))
        return None


def _is_mocked(event: events.Event) -> bool:
    """Say whether a device says that positions are faked, whatever they are worth otherwise."""
    return isinstance(event, events.Upload) and any(fix.mock is True for fix in event.fixes)


def _heartbeat(upload: events.Upload, raw: Raw, received_s: int, *, mocked: bool) -> Heard:
    """Give what is left of an upload without a usable position; `received_s` 0 = not said."""
    newest_s = _newest_s(upload, _latest_s(raw, received_s))
    at_s = received_s or newest_s or raw.arrived_s
    if not at_s:
        raise Refusal("missing_field", "received: nothing else in it tells its time")
    read_s = newest_s if upload.stored and newest_s else at_s
    device = _DEVICES[upload.device]
    return Heard(at_s, device, read_s, *_battery_and_flags(upload, mocked))


def _battery_and_flags(upload: events.Upload, mocked: bool) -> tuple[float, int]:
    """Give what an upload says of its device: battery (-1 = nothing) and the bits of the core."""
    battery_pct = upload.battery_pct
    if battery_pct is None or not 0 <= battery_pct <= 100:
        battery_pct = -1.0
    flags = 0
    if upload.charging:
        flags = CHARGING
    if upload.strap is not None:
        flags |= STRAP_OPEN if upload.strap == "open" else STRAP_CLOSED
    if upload.case is not None:
        flags |= CASE_OPEN if upload.case == "open" else CASE_CLOSED
    if upload.power == "off":
        flags |= POWER_OFF
    return battery_pct, flags | MOCK if mocked else flags


def _newest_s(upload: events.Upload, latest_s: int) -> int:
    """Newest time of fixes that were refused for another reason than it; 0 = none."""
    times_s = decoding.posix_s([fix.time for fix in upload.fixes])
    return max((t for t in times_s if events.FIRST_S <= t <= latest_s), default=0)
