"""One person's dossier (一人一档): papers, contact, check-ins, episodes, and what falls due next.

    entries.py    what a dossier is made of
    chronicle.py  recorded events through the core, with a look at the person after each
    papers.py     what officers entered: supervision, leaves, orders, zones, sanctions, disposals
    contact.py    what was heard of devices, day by day
    checkins.py   check-in windows kept, missed, and made up for late
    presence.py   where the person was believed to be
    record.py     alerts as they were judged against alerts as they are on record; their episodes
    clocks.py     what runs at the end: open episodes, the law's steps, leaves, windows
    compose.py    `dossier_of`: all of it together; nothing above it reads a file or a network
    sources.py    recordings, the events' topic, the log: where it all comes from
    rows.py, tables.py, bands.py, page.py   JSON, tables, the drawing, the page

Places are named by their adcode; no coordinates of a position enter a dossier.
"""

from __future__ import annotations

from geomon.dossier.compose import dossier_of
from geomon.dossier.entries import Dossier
from geomon.dossier.record import Record

__all__ = ["Dossier", "Record", "dossier_of"]
