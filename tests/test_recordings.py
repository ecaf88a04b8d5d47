"""Recordings, read: whole lines, numbered, in batches, and every fix counted."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from arrivals import NOON_S, RULES, day_of_everything

from geomon.errors import TrackError
from geomon.events import MAX_BYTES
from geomon.intake import Intake, Raw, Rejected
from geomon.replay import Replay, batches, open_recording, read_recording
from geomon.zones.index import ZoneIndex


def test_lines_are_numbered_and_empty_ones_left_out() -> None:
    stream = io.BytesIO(b'{"a":1}\r\n\n\r\n{"b":2}\n{"c":3}')
    assert list(read_recording(stream, "x")) == [
        Raw(b'{"a":1}', "x:1"),
        Raw(b'{"b":2}', "x:4"),
        Raw(b'{"c":3}', "x:5"),
    ]


def test_lines_are_whole_wherever_a_block_ends() -> None:
    said = [json.dumps({"n": n, "pad": "x" * (n * 37 % 5_000)}).encode() for n in range(200)]
    stream = io.BytesIO(b"\n".join(said) + b"\n")
    assert [line.data for line in read_recording(stream, "x")] == said


@pytest.mark.parametrize("end", [b"", b"\n", b'\n{"b":2}\n'])
def test_an_endless_line_is_cut_and_refused_and_the_next_one_read(
    zones: ZoneIndex, end: bytes
) -> None:
    stream = io.BytesIO(b"{" + b"x" * (5 * MAX_BYTES) + end)
    rejected: list[Rejected] = []
    replay = Replay(Intake(zones), RULES, rejected.append)
    found = list(read_recording(stream, "x"))
    assert len(found[0].data) < 2 * MAX_BYTES
    assert list(replay.feed(found)) == []
    assert [(r.reason, r.raw.where) for r in rejected][:1] == [("too_large", "x:1")]
    assert [line.where for line in found[1:]] == ["x:2"] * end.count(b"b")


def test_a_packed_recording_that_breaks_off_says_where(tmp_path: Path) -> None:
    path = tmp_path / "recording.ndjson.gz"
    packed = gzip.compress(b"".join(b'{"n":%d}\n' % n for n in range(100_000)))
    path.write_bytes(packed[: len(packed) // 2])
    with open_recording(str(path)) as stream, pytest.raises(TrackError, match=r"gz: line \d+: "):
        list(read_recording(stream, str(path)))


def test_a_damaged_packed_recording_says_where(tmp_path: Path) -> None:
    """A block of a kind that gzip does not have: zlib's own error, and no `OSError`."""
    path = tmp_path / "recording.ndjson.gz"
    empty_stream = b"\x03\x00"
    path.write_bytes(gzip.compress(b"").replace(empty_stream, b"\x07\x00"))
    with open_recording(str(path)) as stream, pytest.raises(TrackError, match=r"gz: line 1: "):
        list(read_recording(stream, str(path)))


def test_batches_hold_few_long_lines_or_many_short_ones() -> None:
    short = [Raw(b"x" * 200, "") for _ in range(10_000)]
    long = [Raw(b"x" * 100_000, "") for _ in range(40)]
    for sent in (short, long):
        found = list(batches(iter(sent)))
        assert [line for batch in found for line in batch] == sent
        assert len(found) > 1
        sizes = [sum(len(line.data) for line in batch) for batch in found]
        assert max(sizes) < 500_000


def test_a_replay_counts_every_fix_as_taken_or_refused(zones: ZoneIndex) -> None:
    rejected: list[Rejected] = []
    replay = Replay(Intake(zones), RULES, rejected.append)
    day = day_of_everything()
    list(replay.feed(day))
    sent = sum(len(json.loads(line.data).get("fixes", ())) for line in day)
    assert replay.counts["events"] == len(day)
    assert replay.counts["fixes"] + sum(refusal.fix >= 0 for refusal in rejected) == sent
    assert replay.end_s == NOON_S + 40 * 60
    assert len(replay.people) == 5
