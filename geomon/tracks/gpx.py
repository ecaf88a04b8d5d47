"""Tracks in GPX 1.0 and 1.1: points of tracks, routes and waypoints that have a time.

The XML is fed to expat piece by piece and never becomes a tree, so that a year of a logger's
points needs no more memory than a day.

Decisions:

- `hdop` is not an accuracy. It is a factor without a unit that says how the satellites stand; what
  it must be multiplied with depends on the receiver and is not in the file. A position without an
  accuracy gets the default of its source, which is honest; hdop taken for metres is not.
- An extension called `accuracy` (as uLogger writes) is one, in metres.
- `speed` is m/s and `course` degrees, both as the direct children of GPX 1.0 and inside the
  extensions of 1.1 (Garmin TrackPointExtension v2, OsmAnd).
- `src` is free text ("eTrex 10"): only words that name an origin are taken from it.
- A time without an offset is UTC: the GPX schema says so.
- `<fix>none</fix>` means that the receiver had no fix: the position is an old one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timezone
from typing import BinaryIO
from xml.parsers import expat

from geomon.errors import TrackError
from geomon.tracks.layout import Layout
from geomon.tracks.timestamps import parse_iso
from geomon.tracks.trackfix import (
    BadRow,
    TrackFix,
    Unusable,
    checked_fix,
    number,
    number_if_any,
    source_named,
)

__all__ = ["read_gpx"]

_CHUNK_BYTES = 1 << 16
_POINTS = frozenset({"trkpt", "rtept", "wpt"})
#: Children of a point that say something about the fix itself.
_DIRECT = frozenset({"time", "ele", "fix", "src", "speed", "course"})
#: What is looked for deeper down, in extensions of any make.
_EXTENDED = frozenset({"accuracy", "speed", "course"})


def read_gpx(stream: BinaryIO, layout: Layout) -> Iterator[TrackFix | BadRow]:  # noqa: ARG001
    """Fixes of a GPX file in the order of its points.

    Raises `TrackError` where it is not well-formed XML, not GPX, or declares entities.
    """
    points = _Points()
    while True:
        chunk = stream.read(_CHUNK_BYTES)
        try:
            points.parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            # What was complete before the break is still a recording.
            yield from points.taken()
            what = expat.ErrorString(error.code)
            raise TrackError(f"not well-formed XML at line {error.lineno}: {what}") from None
        yield from points.taken()
        if not chunk:
            return


class _Points:
    """Follows the XML and gathers finished points."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._entity
        self._finished: list[TrackFix | BadRow] = []
        self._depth = 0
        self._point_depth = 0  # 0 = outside of any point
        self._place: tuple[str | None, str | None] = (None, None)
        self._line = 0
        self._said: dict[str, str] = {}
        self._pieces: list[str] | None = None  # text of the child being read, where wanted

    def taken(self) -> list[TrackFix | BadRow]:
        finished, self._finished = self._finished, []
        return finished

    def _entity(self, *_: object) -> None:
        # Nested entities grow without bound ("billion laughs"); no logger writes any.
        raise TrackError("it declares XML entities, which no GPX needs")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        self._depth += 1
        if self._depth == 1 and local != "gpx":
            raise TrackError(f"its XML is <{local}>, not <gpx>")
        if not self._point_depth:
            if local in _POINTS:
                self._point_depth = self._depth
                self._place = (attributes.get("lon"), attributes.get("lat"))
                self._line = self.parser.CurrentLineNumber
                self._said = {}
            return
        level = self._depth - self._point_depth
        wanted = _DIRECT if level == 1 else _EXTENDED
        self._pieces = [] if local in wanted and local not in self._said else None

    def _text(self, text: str) -> None:
        if self._pieces is not None:
            self._pieces.append(text)

    def _end(self, name: str) -> None:
        if self._pieces is not None:
            self._said[name.rpartition(" ")[2]] = "".join(self._pieces).strip()
            self._pieces = None
        if self._depth == self._point_depth:
            self._point_depth = 0
            try:
                self._finished.append(self._fix())
            except Unusable as error:
                self._finished.append(BadRow(f"line {self._line}", str(error)))
        self._depth -= 1

    def _fix(self) -> TrackFix:
        said = self._said
        if said.get("fix") == "none":
            raise Unusable("the receiver had no fix")
        lon, lat = self._place
        return checked_fix(
            parse_iso(said.get("time", ""), timezone.utc),
            number(lon, "lon"),
            number(lat, "lat"),
            accuracy_m=number(said.get("accuracy"), "accuracy"),
            source=source_named(said.get("src"), otherwise=None),
            speed_mps=number_if_any(said.get("speed")),
            heading_deg=number_if_any(said.get("course")),
            altitude_m=number_if_any(said.get("ele")),
        )
