"""Messages fetched in batches, or through Faust's own streams: what is told is the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from everykind import BAD, everything
from test_worker import RECORDING, judged, log_of, producer_of, replayed, run, send, topic_of

import msgspec

from geomon.embedded.house import embedded_parts, embedded_worker
from geomon.intake import Raw
from geomon.topics import EVENTS, REJECTED
from geomon.zones.index import ZoneIndex


@pytest.mark.parametrize("drain", ["batches", "messages"])
def test_each_message_is_judged_once_and_in_order_however_it_is_fetched(
    zones: ZoneIndex, drain: str
) -> None:
    """Three workers, one after the other, each of which goes on where the last one stopped."""
    lines = everything()
    wanted = replayed(zones, lines, RECORDING)
    settings = replace(RECORDING, drain=drain, batch_most=50)
    bad = [msgspec.json.encode(event) for event, reason in BAD if reason == "bad_zone"]
    parts = [lines[:150], lines[150:300], lines[300:]]

    async def main() -> None:
        async with embedded_parts(settings) as running:
            counts: Counter[str] = Counter()
            for part in parts:
                async with embedded_worker(running, zones) as worker:
                    async with producer_of(running) as producer:
                        for message in bad:
                            await producer.send_and_wait(EVENTS, message, key=b"SZ-0199")
                    await judged(worker, len(bad) + await send_to_end(running, part, parts[-1]))
                    counts += worker.counts
            log = await log_of(running)
            for whose in {alert["subject"] for alert in wanted}:
                ids = [alert["id"] for alert in log if alert["subject"] == whose]
                assert ids == [alert["id"] for alert in wanted if alert["subject"] == whose]
            assert len(log) == len(wanted)
            refused = await topic_of(running, REJECTED, len(parts) * len(bad) + 1)
            reasons = Counter(record["reason"] for _, record in refused)
            assert reasons == {"bad_zone": len(parts), "faked_position": 1}
