"""A recording at its own pace."""

from __future__ import annotations

import pytest

from geomon.intake import Raw
from geomon.pacing import paced


def line(received: str | None, tag: str = "clock") -> Raw:
    field = f',"received":"{received}"' if received else ""
    return Raw(f'{{"type":"{tag}","supervisee_id":"SZ-1"{field}}}'.encode(), "test")


def test_lines_wait_for_their_arrival_times() -> None:
    now_s = 100.0
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now_s
        waits.append(seconds)
        now_s += seconds

    lines = [
        line("2024-02-13T09:00:00+08:00"),
        line("2024-02-13T09:10:00+08:00"),
        line(None),  # says nothing of when it came: at once
        line("2024-02-13T09:05:00+08:00"),  # came late: at once
        line("2024-02-13T10:00:00+08:00"),
        Raw(b"{", "test"),
    ]
    assert list(paced(lines, 60, clock=lambda: now_s, sleep=sleep)) == lines
    assert waits == pytest.approx([10.0, 50.0])


@pytest.mark.parametrize(
    "tag",
    [
        *("upload", "supervisee", "permit", "return", "check_in", "disposal"),
        *("zone", "check_in_plan", "authorisation", "sanction", "clock", "of a later version"),
    ],
)
def test_events_of_every_type_wait_alike(tag: str) -> None:
    """By arrival alone: the times of a plan lie in its future, and what it is does not matter."""
    waits: list[float] = []
    papers = [
        line("2024-02-13T09:00:00+08:00"),
        Raw(
            b'{"type":"' + tag.encode() + b'","received":"2024-02-13T09:01:00+08:00",'
            b'"time":"2024-02-13T23:00:00+08:00","from":"2024-03-01T00:00:00+08:00"}',
            "test",
        ),
        line("soon", tag),
    ]
    assert list(paced(papers, 1, clock=lambda: 0.0, sleep=waits.append)) == papers
    assert waits == [60.0]
