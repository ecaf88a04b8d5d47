"""`dossier_of`: from the recorded events of a person, and the record, to the dossier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from geomon.core.rules import Rules
from geomon.dossier.checkins import CheckInNotes
from geomon.dossier.chronicle import Chronicle
from geomon.dossier.clocks import clocks
from geomon.dossier.contact import ContactNotes
from geomon.dossier.entries import (
    SECTIONS,
    DisposalEntry,
    Dossier,
    Entry,
    EpisodeEntry,
    PersonEntry,
)
from geomon.dossier.papers import PaperNotes
from geomon.dossier.presence import PresenceNotes
from geomon.dossier.record import Record, alerts_told, episodes_of, merged, posix
from geomon.intake import Intake, Raw

__all__ = ["dossier_of"]

#: Sections that stand as they are at the end, whatever period is shown.
_AT_THE_END = frozenset({"person", "clock", "device"})


def dossier_of(
    supervisee_id: str,
    raws: Iterable[Raw],
    intake: Intake,
    rules: Rules,
    *,
    from_s: int = 0,
    until_s: int = 0,
    record: Record | None = None,
    sources: Sequence[str] = (),
) -> Dossier | None:
    """Compose a person's dossier; None when neither events nor record know the person.

    `raws` are recorded events in order of arrival; those of others are passed over. `from_s` is
    where what is shown begins; `until_s` is where everything ends: what arrived later is not taken,
    and the person's clock runs on to there (0 = to a little after the last arrival). `record` are
    the alerts on record, when there is a record to compare with; `sources` say where all is from.
    """
    papers, contact = PaperNotes(intake.zones), ContactNotes(rules.utc_offset_s)
    check_ins, presence = CheckInNotes(), PresenceNotes()
    chronicle = Chronicle(
        supervisee_id, intake, rules, (papers, contact, check_ins, presence), until_s
    )
    judged = chronicle.alerts_of(raws)
    person = chronicle.person
    alerts, marks = merged(judged, record, until_s)
    if person is None and not alerts:
        return None
    newest_s = posix(alerts[-1]["time"]) if alerts else 0
    end_s = person.clock_s if person else until_s or newest_s
    disposals = [d for d in papers.sections.get("disposal", ()) if isinstance(d, DisposalEntry)]
    episodes = episodes_of(alerts, marks, disposals)
    sections: dict[str, list[Entry]] = {name: [] for name in SECTIONS}
    sections |= papers.sections
    sections["clock"] = [*clocks(episodes, person, rules, end_s)]
    sections["episode"] = [*episodes]
    sections["alert"] = [*alerts_told(alerts, marks)]
    sections["check_in"] = [*check_ins.entries()]
    if person is not None:
        sections["presence"] = [
            *presence.entries(papers.permits.values(), contact.fix_hours, rules.belief_ttl_s, end_s)
        ]
        sections["device"] = [*contact.devices(person)]
        sections["contact"] = [*contact.entries(end_s)]
    sections["person"] = [
        _person(chronicle, sections, end_s, contact.fixes, sources, supervisee_id=supervisee_id)
    ]
    shown = {
        name: entries
        if name in _AT_THE_END
        else sorted(
            (e for e in entries if _touches(e, from_s)),
            key=lambda e: e.time_s,
        )
        for name, entries in sections.items()
    }
    return Dossier(supervisee_id=supervisee_id, from_s=from_s, end_s=end_s, sections=shown)


def _person(
    chronicle: Chronicle,
    sections: dict[str, list[Entry]],
    end_s: int,
    fixes: int,
    sources: Sequence[str],
    *,
    supervisee_id: str,
) -> PersonEntry:
    profile = chronicle.person.profile if chronicle.person else None
    episodes = [e for e in sections["episode"] if isinstance(e, EpisodeEntry)]
    begins = [
        e.time_s
        for name, entries in sections.items()
        for e in entries
        if e.time_s and name != "clock"
    ]
    return PersonEntry(
        time_s=min(begins, default=end_s),
        until_s=end_s,
        supervisee_id=supervisee_id,
        level=profile.level if profile else None,
        district=(profile.district if profile else None) or None,
        street=(profile.street if profile else None) or None,
        events=chronicle.taken,
        fixes=fixes,
        alerts=len(sections["alert"]),
        episodes=len(episodes),
        open=sum(e.state == "open" for e in episodes),
        refused=dict(chronicle.rejections.most_common()),
        sources=list(sources),
    )


def _touches(entry: Entry, from_s: int) -> bool:
    """Say whether an entry belongs to the time from `from_s` on: it happened, lasts, or holds."""
    if not from_s or entry.time_s >= from_s:
        return True
    until_s: int | None = getattr(entry, "until_s", None)
    if until_s is None:
        return False
    return until_s == 0 or until_s > from_s
