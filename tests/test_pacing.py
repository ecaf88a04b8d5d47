"""A recording at its own pace."""

from __future__ import annotations

import pytest

from geomon.intake import Raw
from geomon.pacing import paced


def line(received: str | None) -> Raw:
    field = f',"received":"{received}"' if received else ""
    return Raw(f'{{"type":"clock","supervisee_id":"SZ-1"{field}}}'.encode(), "test")


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
