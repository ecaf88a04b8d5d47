"""What officers entered, in the order in which it was told."""

from __future__ import annotations

from typing import Literal

from geomon import decoding, events
from geomon.alerts import episode_id
from geomon.core.entries import UnknownEpisode
from geomon.core.observed import (
    Announced,
    Authorised,
    Disposed,
    PermitSet,
    PlanSet,
    ReportedBack,
    Sanctioned,
    ZoneSet,
)
from geomon.core.papers import approver_of
from geomon.core.permits import end_of
from geomon.core.person import Authorisation, Permit, Zone
from geomon.core.schedules import EVERY_DAY
from geomon.dossier.chronicle import Seen
from geomon.dossier.entries import (
    CheckInPlanSet,
    DisposalEntry,
    Entry,
    Order,
    PermitChange,
    SanctionEntry,
    Supervision,
    ZoneChange,
)
from geomon.zones.index import ZoneIndex

__all__ = ["PaperNotes"]

_DAY_S = 86_400


class PaperNotes:
    """Takes note of papers; `permits` are all there ever were, as last known."""

    def __init__(self, zones: ZoneIndex) -> None:
        self.permits: dict[str, Permit] = {}
        self.sections: dict[str, list[Entry]] = {}
        self._zones = zones
        self._orders: dict[str, Authorisation] = {}
        self._named: dict[str, Zone] = {}

    def see(self, seen: Seen) -> None:
        """Look at one step."""
        event = seen.event
        if seen.raw is None:
            return
        # A paper that does not say when it arrived came at the time of what came before it.
        told_s = event.at_s or seen.after.clock_s
        if isinstance(event, Announced):
            p = event.profile
            entry = Supervision(
                time_s=told_s,
                from_s=p.from_s,
                until_s=p.until_s,
                level=p.level,
                district=p.district,
                street=p.street,
            )
            self._enter("supervision", entry)
        elif isinstance(event, PermitSet | ReportedBack):
            self._permit(seen, told_s)
        elif isinstance(event, Authorised):
            self._order(event, told_s)
        elif isinstance(event, ZoneSet):
            self._zone(event, told_s)
        elif isinstance(event, PlanSet):
            windows = [_weekly(w) for w in event.windows]
            plan = CheckInPlanSet(
                time_s=told_s, from_s=event.from_s, until_s=event.until_s, windows=windows
            )
            self._enter("check_in_plan", plan)
        elif isinstance(event, Sanctioned | Disposed):
            self._of_an_officer(seen, event)

    def _enter(self, section: str, entry: Entry) -> None:
        self.sections.setdefault(section, []).append(entry)

    def _permit(self, seen: Seen, told_s: int) -> None:
        event = seen.event
        assert isinstance(event, PermitSet | ReportedBack)  # noqa: S101
        returned = isinstance(event, ReportedBack)
        permit_id = event.permit_id if isinstance(event, ReportedBack) else event.permit.permit_id
        permit = next((p for p in seen.after.permits if p.permit_id == permit_id), None)
        if permit is None:
            return  # a return from a leave that nobody granted: among the refusals
        old = self.permits.get(permit_id)
        self.permits[permit_id] = permit
        if permit == old:
            return  # told again
        if returned:
            change = "returned"
        elif permit.cancelled_s:
            change = "cancelled"
        else:
            change = _change(old, permit)
        entry = PermitChange(
            time_s=event.time_s if isinstance(event, ReportedBack) else told_s,
            change=change,
            permit_id=permit_id,
            from_s=permit.from_s,
            until_s=permit.until_s,
            days=-(-(permit.until_s - permit.from_s) // _DAY_S),
            destinations=list(permit.destinations),
            approved_by=permit.approved_by or None,
            approver=approver_of(permit, seen.after.permits)[0],
            late=bool(old) and told_s > end_of(old or permit),
        )
        self._enter("leave" if permit.kind == "leave" else "standing_permit", entry)

    def _order(self, event: Authorised, told_s: int) -> None:
        order = event.authorisation
        old = self._orders.get(order.authorisation_id)
        self._orders[order.authorisation_id] = order
        if event.cancelled:
            change = "cancelled"
        elif order == old:
            return
        else:
            change = _change(old, order)
        entry = Order(
            time_s=told_s,
            change=change,
            authorisation_id=order.authorisation_id,
            ground=order.ground,
            from_s=order.from_s,
            until_s=order.until_s,
        )
        self._enter("authorisation", entry)

    def _zone(self, event: ZoneSet, told_s: int) -> None:
        zone = event.zone
        old = self._named.get(zone.zone_id)
        if zone == old:
            return
        self._named[zone.zone_id] = zone
        # What a removal says of the zone may be next to nothing; it is the one that was set.
        shown = old if event.removed and old else zone
        place = ""
        if shown.ring:
            lon = sum(lon for lon, _ in shown.ring) / len(shown.ring)
            lat = sum(lat for _, lat in shown.ring) / len(shown.ring)
            (place,) = self._zones.places([lon], [lat])
        entry = ZoneChange(
            time_s=told_s,
            change="removed" if event.removed else "replaced" if old and old.ring else "set",
            zone_id=zone.zone_id,
            kind=shown.kind,
            from_s=shown.from_s,
            until_s=shown.until_s,
            place=place or None,
            radius_m=shown.radius_m or None,
            schedule=[_weekly(w) for w in shown.schedule],
        )
        self._enter("zone", entry)

    def _of_an_officer(self, seen: Seen, event: Sanctioned | Disposed) -> None:
        assert seen.raw is not None  # noqa: S101  (the caller asked)
        # The core is told what it judges by; who signed and why stands in the event itself.
        said, _ = decoding.decode(seen.raw.data)
        if isinstance(said, events.Sanction) and isinstance(event, Sanctioned):
            sanction = event.sanction
            measure = SanctionEntry(
                time_s=sanction.time_s,
                sanction_id=sanction.sanction_id,
                kind=sanction.kind,
                episode=said.episode,
            )
            if measure not in self.sections.get("sanction", ()):
                self._enter("sanction", measure)
        elif isinstance(said, events.Disposal) and isinstance(event, Disposed):
            taken = not any(isinstance(o, UnknownEpisode) for o in seen.outcomes)
            disposal = DisposalEntry(
                time_s=event.time_s,
                episode=episode_id(seen.after.supervisee_id, event.kind, event.since_s),
                officer=said.officer,
                reason=said.reason,
                result=said.result,
                taken=taken,
            )
            self._enter("disposal", disposal)


def _change(
    old: Permit | Authorisation | None, new: Permit | Authorisation
) -> Literal["granted", "extended", "shortened", "changed"]:
    if old is None:
        return "granted"
    if new.until_s == old.until_s:
        return "changed"
    return "extended" if new.until_s > old.until_s else "shortened"


def _weekly(window: tuple[int, int, int]) -> str:
    """Write a weekly window: weekdays from Monday, 1 to 7, and times of day."""
    bits, from_s, until_s = window
    days = "1-7" if bits == EVERY_DAY else ",".join(str(d + 1) for d in range(7) if bits >> d & 1)
    return f"{days} {_of_day(from_s)}-{_of_day(until_s)}"


def _of_day(time_s: int) -> str:
    return f"{time_s // 3600:02}:{time_s // 60 % 60:02}"
