"""What a gateway counts, in Prometheus' form.

One table names every metric; the reference in the documentation is checked against it. No label
names a person or a device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import Metric

from geomon.gateway.registry import ADMISSION
from geomon.operations.measures import Measure, Measures, each

__all__ = ["METRICS", "ORDERED", "OUTCOMES", "PROTOCOLS", "Metrics"]

PROTOCOLS = ("native", "osmand", "traccar", "owntracks", "mqtt", "jt808", "gt06", "r16h")

#: What becomes of an upload. Code: meaning.
OUTCOMES: Mapping[str, str] = {
    "accepted": "Kafka has it, and it was acknowledged",
    "rejected": "it cannot be taken; it is kept in geomon.rejected, and was acknowledged",
    "unreadable": "it cannot be taken, and is not known to be of anybody: only counted",
    "refused": "who sent it was turned away",
    "busy": "Kafka is away, too much waits for it, or the registry is not read: to come again",
}

#: What becomes of a request to a device. Code: meaning.
ORDERED: Mapping[str, str] = {
    "delivered": "sent to the device; also when it connects later",
    "not_connected": "no such device is connected to this gateway; it may be to another",
    "not_supported": "the device's protocol has no such request",
    "over": "it had ended before it could be sent",
    "unreadable": "it is no request",
}

_QUICK_S = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

#: Every metric by its name.
METRICS: Mapping[str, Measure] = {
    "geomon_gateway_build_info": Measure(
        "gauge", "Always 1; its label says what runs.", ("version",)
    ),
    "geomon_gateway_uploads_total": Measure(
        "counter",
        "Uploads by protocol, and what became of them.",
        ("protocol", "outcome"),
        known=each(PROTOCOLS, OUTCOMES),
    ),
    "geomon_gateway_events_total": Measure(
        "counter",
        "Events that Kafka has, by protocol.",
        ("protocol",),
        known=each(PROTOCOLS),
    ),
    "geomon_gateway_positions_total": Measure(
        "counter",
        "Positions in them, by protocol.",
        ("protocol",),
        known=each(PROTOCOLS),
    ),
    "geomon_gateway_located_total": Measure(
        "counter",
        "Reports with towers or access points alone, by what the locator made of them.",
        ("source",),
        known=each(["cell", "wifi", "nothing"]),
    ),
    "geomon_gateway_refusals_total": Measure(
        "counter",
        "Requests turned away, by reason.",
        ("reason",),
        known=each(ADMISSION),
    ),
    "geomon_gateway_rejections_total": Measure(
        "counter",
        "Uploads and parts of them that cannot be taken, by reason.",
        ("reason",),
    ),
    "geomon_gateway_received_bytes_total": Measure(
        "counter",
        "Bytes received from devices, by protocol.",
        ("protocol",),
        known=each(PROTOCOLS),
    ),
    "geomon_gateway_connections": Measure(
        "gauge",
        "Connections open now, by protocol; all of HTTP as http.",
        ("protocol",),
    ),
    "geomon_gateway_connections_limit": Measure(
        "gauge", "Connections that each listener takes at most."
    ),
    "geomon_gateway_in_flight_bytes": Measure("gauge", "Bytes of events that wait for Kafka."),
    "geomon_gateway_publish_seconds": Measure(
        "histogram",
        "From an event's being ready to Kafka's having it.",
        bounds=_QUICK_S,
    ),
    "geomon_gateway_devices": Measure("gauge", "Devices announced and not withdrawn."),
    "geomon_gateway_registry_age_seconds": Measure(
        "gauge",
        "Since the registry was last known to be up to date; absent while it was never.",
    ),
    "geomon_gateway_registry_unread_total": Measure(
        "counter", "Announcements of devices that could not be read."
    ),
    "geomon_gateway_commands_total": Measure(
        "counter",
        "Requests to devices to report more often, by what became of them here.",
        ("outcome",),
        known=each(ORDERED),
    ),
    "geomon_gateway_check_ok": Measure(
        "gauge", "1 when a check of readiness is passed, else 0.", ("check",)
    ),
}


class Metrics(Measures):
    """The numbers of one gateway."""

    def __init__(self) -> None:
        super().__init__(METRICS)
        self._asked: dict[str, Callable[[], float | None]] = {}

    def ask(self, name: str, value: Callable[[], float | None]) -> None:
        """Have a gauge without labels asked for its value when it is read; None = absent."""
        self._asked[name] = value

    def observe(self, name: str, value: float) -> None:
        """Add a value to a histogram."""
        self._spreads[name].add(value)

    def value(self, name: str, *labels: str) -> float | None:
        """Give one number: of a histogram how many values it has; None where there is none."""
        self._refresh()
        return super().value(name, *labels)

    def collect(self) -> Iterator[Metric]:
        """Give the metric families, for the client library."""
        self._refresh()
        return super().collect()

    def _refresh(self) -> None:
        for name, ask in self._asked.items():
            value = ask()
            self._values[name] = {} if value is None else {(): float(value)}
