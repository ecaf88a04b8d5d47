"""The formats of recorded tracks: which there are, which one a file is in, and reading it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from geomon.errors import TrackError
from geomon.tracks.csvtrack import likely_delimiter, read_csv
from geomon.tracks.geojsontrack import read_geojson
from geomon.tracks.gpx import read_gpx
from geomon.tracks.layout import Layout
from geomon.tracks.plt import read_plt
from geomon.tracks.takeout import read_takeout
from geomon.tracks.trackfile import TrackFile, open_track
from geomon.tracks.trackfix import BadRow, TrackFix

__all__ = ["FORMATS", "Format", "read_track", "sniff"]

Reader = Callable[[BinaryIO, Layout], Iterator[TrackFix | BadRow]]

_HEAD_BYTES = 1 << 16
_CSV_SUFFIXES = frozenset({".csv", ".tsv", ".txt"})
_BINARY = b"\0"


@dataclass(frozen=True)
class Format:
    """A format: its reader, and whether one file of it can hold several people."""

    title: str
    read: Reader
    has_ids: bool = False


FORMATS = {
    "csv": Format("CSV, columns named by flags", read_csv, has_ids=True),
    "geojson": Format("GeoJSON points or lines with times", read_geojson, has_ids=True),
    "gpx": Format("GPX 1.0 and 1.1", read_gpx),
    "plt": Format("GeoLife PLT", read_plt),
    "takeout": Format("Google location history", read_takeout),
}


def sniff(path: Path) -> str:
    """The name in `FORMATS` of what the file at `path` is in, by its content, then by its suffix.

    Raises `TrackError` where it cannot be told or the file cannot be read.
    """
    if str(path) == "-" or path.is_fifo():
        # Looking into a pipe would take its beginning away from the reader.
        raise TrackError(f"{path}: the format of a pipe cannot be told: give --format")
    with open_track(path) as track, _broken_file_told(track.name):
        head = track.stream.read(_HEAD_BYTES)
    if not head:
        raise TrackError(f"{path}: it is empty")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    name: str | None = None
    if start.startswith(b"<") or start.startswith((b"\xff\xfe<", b"\xfe\xff\0<")):
        name = "gpx" if b"<gpx" in start or _plain_suffix(path) == ".gpx" else None
    elif start[:1] in {b"{", b"["}:
        name = _sniff_json(start)
    elif start.lower().startswith(b"geolife trajectory") or _plain_suffix(path) == ".plt":
        name = "plt"
    elif _plain_suffix(path) in _CSV_SUFFIXES:
        name = "csv"
    elif _BINARY not in head:
        line = start.splitlines()[0].decode("utf-8", "replace")
        name = "csv" if likely_delimiter(line) in line else None
    if name is None:
        known = ", ".join(FORMATS)
        raise TrackError(f"{path}: cannot tell its format; give --format (one of {known})")
    return name


def _plain_suffix(path: Path) -> str:
    if path.suffix.lower() == ".gz":
        path = path.with_suffix("")
    return path.suffix.lower()


def _sniff_json(head: bytes) -> str | None:
    if any(key in head for key in (b'"FeatureCollection"', b'"Feature"', b'"features"')):
        return "geojson"
    # The phone's export begins with segments of any length before its raw signals.
    if any(key in head for key in (b'"locations"', b'"rawSignals"', b'"semanticSegments"')):
        return "takeout"
    return None


def read_track(track: TrackFile, name: str, layout: Layout) -> Iterator[TrackFix | BadRow]:
    """Fixes and bad rows of an open track in the format called `name`, in the order of the file.

    Raises `TrackError`, with the name of the file, where it turns out not to be in that format or
    to be damaged; what came before has been yielded by then.
    """
    with _broken_file_told(track.name):
        yield from FORMATS[name].read(track.stream, layout)


@contextmanager
def _broken_file_told(name: str) -> Iterator[None]:
    try:
        yield
    except TrackError as error:
        raise TrackError(f"{name}: {error}") from None
    except EOFError:
        raise TrackError(f"{name}: its gzip ends in the middle (cut off?)") from None
    except zlib.error:
        raise TrackError(f"{name}: its gzip is damaged") from None
    except OSError as error:
        raise TrackError(f"{name}: {error.strerror or error}") from None
