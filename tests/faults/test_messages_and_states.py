"""Messages that nobody can read, and states that are not there any more."""

from __future__ import annotations

import json

from geomon.topics import changelog_of

from .night import PARTITIONS, Night

NOON = "2024-02-12T12:00:00+08:00"
HEARTBEAT = {
    "type": "upload",
    "supervisee_id": "SZ-0777",
    "device_id": "phone-1",
    "device": "phone",
    "datum": "wgs84",
    "received": NOON,
    "fixes": [],
}
GOOD = json.dumps(HEARTBEAT).encode()
SOMEBODY = b"SZ-0777"
#: What is wrong with a message: its key, its value, and why it is refused.
POISON: dict[str, tuple[bytes | None, bytes | None, str]] = {
    "no JSON": (SOMEBODY, b"\x00\xfe\xffnot JSON", "not_utf8"),
    "broken off": (SOMEBODY, GOOD[:-20], "broken_json"),
    "deeply nested": (SOMEBODY, b'{"type":"upload","x":' + b"[" * 100_000, "too_deep"),
    "huge": (SOMEBODY, json.dumps({**HEARTBEAT, "note": "x" * 1_500_000}).encode(), "too_large"),
    "a tombstone": (SOMEBODY, None, "broken_json"),
    "nothing": (SOMEBODY, b"", "broken_json"),
    "no key": (None, GOOD, "key_mismatch"),
    "a key that is no text": (b"\xff\xfe", GOOD, "key_mismatch"),
    "somebody else's key": (b"SZ-0778", GOOD, "key_mismatch"),
    "the key of our markers": (b"\x00marker", GOOD, "key_mismatch"),
    "an id that is none": (b"a/b", GOOD.replace(SOMEBODY, b"a/b"), "bad_id"),
    "from tomorrow's tomorrow": (
        SOMEBODY,
        json.dumps({**HEARTBEAT, "received": "2099-01-01T00:00:00Z"}).encode(),
        "arrival_in_future",
    ),
}


def test_poisoned_messages_are_put_aside_with_their_reasons_and_the_rest_goes_on(
    night: Night,
) -> None:
    night.workers(2)
    night.send(0.5, in_s=1)
    night.until_told(0.2)
    for _ in range(2):
        night.put(*((p, key, v) for p in range(PARTITIONS) for key, v, _ in POISON.values()))
    night.send(0.5)
    refused = dict(night.recording.rejections)
    for _, _, reason in POISON.values():
        refused[reason] = refused.get(reason, 0) + 2 * PARTITIONS
    night.ends_as_replayed(refused)


def test_messages_may_be_compressed_in_every_way_that_kafka_knows(night: Night) -> None:
    night.workers(1)
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        night.send(1 / 4, codec=codec)
    night.ends_as_replayed()


def test_a_worker_whose_states_are_gone_refuses_to_go_on(night: Night) -> None:
    """The changelog was deleted and made anew: people would be strangers, and told of anew."""
    [worker] = night.workers(1)
    night.send(0.5)
    night.until_told(0.45)
    worker.stop()
    told = night.told()
    night.new_changelog()
    night.send(0.5)
    assert_refuses(night)
    assert night.told() == told


def test_a_worker_whose_states_are_gone_in_part_refuses_to_go_on(night: Night) -> None:
    """The beginning of the changelog was deleted, by hand or by a retention that somebody set."""
    [worker] = night.workers(1)
    night.send(0.5)
    night.until_told(0.45)
    worker.stop()
    told = night.told()
    changelog = changelog_of(night.app_id)
    ends, begins = night.kafka.ends_of(changelog), night.kafka.begins_of(changelog)
    night.kafka.trim(changelog, {p: (begins[p] + ends[p]) // 2 for p in ends})
    night.send(0.5)
    assert_refuses(night)
    assert night.told() == told


def assert_refuses(night: Night) -> None:
    """Fail unless a new worker ends with one line that says what to do."""
    worker = night.worker()
    assert worker.until_ended() == 1
    line = worker.output.splitlines()[-1]
    assert changelog_of(night.app_id) in line
    assert "app_id" in line


def test_under_another_name_a_worker_judges_all_that_is_kept_anew(night: Night) -> None:
    """What such a worker is told to do: no alert is told a second time."""
    [worker] = night.workers(1)
    night.send(0.5)
    night.until_told(0.45)
    worker.stop()
    night.rename()
    night.workers(1)
    night.send(0.5)
    night.ends_as_replayed()
