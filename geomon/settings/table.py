"""The one table of settings: name, default, unit, meaning, and what values are taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from geomon.settings.secrecy import PASSWORD, SECRET

__all__ = ["Settings"]

_CENTURY_DAYS = 36_525
#: The most that a number may be where a setting does not say, by its unit. Finite is not enough:
#: what is added to a time must stay a time, and fit into a state and into Kafka's fields.
_MOST = {
    "s": _CENTURY_DAYS * 86_400,
    "min": _CENTURY_DAYS * 1_440,
    "h": _CENTURY_DAYS * 24,
    "days": _CENTURY_DAYS,
    "%": 100,
    "m": 100_000_000,
    "nats": 1_000,
    "partitions": 100_000,
    "brokers": 1_000,
    "bytes": 1 << 40,
}
_MOST_OF_ANYTHING = 1_000_000_000


def _setting(
    default: Any,
    unit: str,
    meaning: str,
    *,
    least: float | None = None,
    most: float | None = None,
    among: tuple[str, ...] = (),
    levels: bool = False,
    secrecy: str = "",
) -> Any:
    metadata = {
        "unit": unit,
        "meaning": meaning,
        "least": least,
        "most": _MOST.get(unit, _MOST_OF_ANYTHING) if most is None else most,
        "among": among,
        "levels": levels,
        "secrecy": secrecy,
    }
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def _levels(default: list[float], unit: str, meaning: str, *, least: float = 0) -> Any:
    """A setting with a value for each level: loose, normal, strict; one value stands for all."""
    values = [float(value) for value in default]
    return _setting(values, unit, meaning, least=least, levels=True)


@dataclass(frozen=True)
class Settings:
    """Every setting, with its default. See the reference for what each means.

    Those with three values are the plans: for the levels loose, normal and strict.
    """

    city: str = _setting("440300", "adcode or file", "The city that is the fence.")
    city_extra: list[str] = _setting([], "files", "Polygons added to the city.")
    city_minus: list[str] = _setting([], "files", "Polygons taken out of the city.")
    kafka: str = _setting("127.0.0.1:9092", "host:port,…", "Kafka brokers.")
    redis: str = _setting(
        "redis://127.0.0.1:6379/0", "URL", "Redis that alerts go to.", secrecy=PASSWORD
    )
    app_id: str = _setting("geomon", "name", "Consumer group and prefix of the state's changelog.")
    data_dir: str = _setting("geomon-data", "folder", "Where a worker keeps its local files.")
    clock: str = _setting(
        "wall",
        "wall, recording",
        "What lets deadlines fall due: the time of day, or the arrivals in a recording alone.",
        among=("wall", "recording"),
    )
    clock_slack_s: float = _setting(
        10.0,
        "s",
        "How far the worker's clock stays behind, for events still on their way.",
        least=0,
    )
    batch_most: int = _setting(
        2000, "events", "Most events judged in one batch; it ends at 4 MiB, too.", least=1
    )
    checkpoint_s: float = _setting(
        60.0, "s", "How old a change of somebody's state may become before it is written.", least=0
    )
    drain: str = _setting(
        "batches",
        "batches, messages",
        "How fetched messages reach the judge: many at a time, or by Faust's own streams.",
        among=("batches", "messages"),
    )
    # Faust's requests end after 90 s, and one to join a group waits for sessions to end.
    session_timeout_s: float = _setting(
        20.0, "s", "How long a dead worker holds its partitions.", least=1, most=60
    )
    partitions: int = _setting(
        12, "partitions", "Of topics that are made: as many workers can share the events.", least=1
    )
    replication: int = _setting(
        3, "brokers", "How many brokers keep each topic that is made.", least=1
    )
    events_retention_h: float = _setting(
        168.0, "h", "How long events are kept; at least as long as a fix may be late.", least=24
    )
    alerts_retention_days: float = _setting(
        400.0, "days", "How long alerts are kept in Kafka.", least=1
    )
    rejected_retention_days: float = _setting(30.0, "days", "How long refusals are kept.", least=1)
    web: str = _setting(
        "127.0.0.1:6066", "host:port", "Where health and metrics are served; empty: nowhere."
    )
    ready_lag: int = _setting(
        20_000, "events", "A worker is not ready while more than this wait to be judged.", least=0
    )
    canary_s: float = _setting(
        30.0, "s", "How often a canary is sent through each partition; 0: none.", least=0
    )
    canary_silence_s: float = _setting(
        120.0,
        "s",
        "A partition without a canary for longer is told as silent; at least twice `canary_s`.",
        least=1,
    )
    clock_skew_s: float = _setting(
        60.0, "s", "A clock further off the brokers' is told, and theirs gone by.", least=1
    )
    log_format: str = _setting(
        "auto",
        "auto, text, json",
        "What a worker logs as: auto is text on a terminal, JSON elsewhere.",
        among=("auto", "text", "json"),
    )
    gateway_http: str = _setting(
        "127.0.0.1:6070", "host:port", "Where the gateway takes HTTP; empty: nowhere."
    )
    gateway_jt808: str = _setting(
        "", "host:port", "Where the gateway takes JT/T 808; empty: nowhere."
    )
    gateway_gt06: str = _setting("", "host:port", "Where the gateway takes GT06; empty: nowhere.")
    gateway_r16h: str = _setting(
        "", "host:port", "Where the gateway takes R16H bands; empty: nowhere."
    )
    gateway_mqtt: str = _setting(
        "",
        "URL",
        "Broker that the gateway takes OwnTracks' MQTT from; empty: none.",
        secrecy=PASSWORD,
    )
    gateway_mqtt_client: str = _setting(
        "",
        "name",
        "The gateway's own name at that broker, which must stay the same; empty: the host's name.",
    )
    gateway_mqtt_share: str = _setting(
        "", "name", "Group of gateways that share the broker's messages; empty: each takes all."
    )
    gateway_web: str = _setting(
        "127.0.0.1:6071",
        "host:port",
        "Where the gateway's health and metrics are served; empty: nowhere.",
    )
    gateway_registry: str = _setting(
        "topic",
        "topic, file, both",
        "Where the gateway learns which devices there are; of both, the topic's word stands.",
        among=("topic", "file", "both"),
    )
    gateway_devices: str = _setting("", "file", "Devices, one event a line; read when it changes.")
    gateway_locator: str = _setting(
        "", "file", "Where cells and access points stand (CSV); empty: unknown."
    )
    gateway_tls_cert: str = _setting("", "file", "Certificate chain (PEM); empty: no TLS.")
    gateway_tls_key: str = _setting("", "file", "Its private key (PEM); empty: in the same file.")
    gateway_upload_bytes: int = _setting(
        1_048_576, "bytes", "Largest upload that is taken.", least=1_024
    )
    gateway_in_flight_bytes: int = _setting(
        67_108_864,
        "bytes",
        "Most that may wait for Kafka, and most that may be half received.",
        least=2_097_152,
    )
    gateway_connections: int = _setting(
        20_000, "connections", "Most at a time, for each listener.", least=1
    )
    gateway_publish_s: float = _setting(
        10.0, "s", "Kafka's time to take an event before the device is told to come again.", least=1
    )
    gateway_receive_s: float = _setting(
        20.0, "s", "Time for a request to come in whole, and for the next one to begin.", least=1
    )
    gateway_login_s: float = _setting(
        30.0, "s", "Time for a device to say over TCP who it is, before it is let go.", least=1
    )
    gateway_idle_s: float = _setting(
        1800.0, "s", "A TCP connection without a message for longer is closed.", least=1
    )
    gateway_line_messages: int = _setting(
        16,
        "messages",
        "Of one TCP connection that may wait for Kafka before it is not read.",
        least=1,
    )
    gateway_jt808_registration: str = _setting(
        "open",
        "open, closed",
        "Whether JT/T 808 terminals get their codes by registering, or have them beforehand.",
        among=("open", "closed"),
    )
    gateway_device_rate: float = _setting(
        5.0, "a second", "Uploads of one device in the long run; 0: no limit.", least=0
    )
    gateway_device_burst: float = _setting(
        600.0, "uploads", "Uploads of one device at once, after a silence.", least=1
    )
    gateway_address_rate: float = _setting(
        500.0, "a second", "Uploads from one address in the long run; 0: no limit.", least=0
    )
    gateway_address_burst: float = _setting(
        5_000.0, "uploads", "Uploads from one address at once.", least=1
    )
    gateway_signature_s: float = _setting(
        300.0, "s", "How far a signature's time may be from now.", least=1
    )
    gateway_drain_s: float = _setting(
        15.0, "s", "How long a gateway that stops waits for what is under way.", least=0
    )
    # A state has a bit for each minute back to it.
    horizon_h: float = _setting(
        24.0, "h", "How late a fix may arrive and still count.", least=1, most=8_784
    )
    evidence_nats: float = _setting(
        6.5,
        "nats",
        "Evidence it takes to believe that somebody surely inside has left.",
        least=0.001,
    )
    settle_s: int = _setting(
        45, "s", "How long fixes from a device's memory are gathered before judging.", least=0
    )
    belief_ttl_h: float = _setting(
        24.0, "h", "Age at which the last position no longer says where someone is.", least=1
    )
    travel_allowance_h: float = _setting(
        36.0, "h", "Time on leave for the way between city and destination.", least=0
    )
    standing_allowance_h: float = _setting(4.0, "h", "The same under a standing permit.", least=0)
    utc_offset_h: float = _setting(
        8.0, "h", "Local time, of days and schedules, ahead of UTC.", least=-12
    )
    escalate_after_h: list[float] = _setting(
        [4.0, 24.0, 72.0], "h", "Ages at which an open episode's severity rises a step.", least=0
    )
    notice_days: float = _setting(
        7.0, "days", "How long before a paper runs out that is told.", least=0
    )
    check_in_seed: str = _setting(
        "geomon",
        "text",
        "Secret that check-in windows are drawn from: set one of your own.",
        secrecy=SECRET,
    )
    phone_report_min: list[float] = _levels([60, 30, 15], "min", "How often a phone reports.")
    band_report_min: list[float] = _levels([5, 2, 1], "min", "How often a wristband reports.")
    phone_silence_min: list[float] = _levels(
        [1440, 720, 240], "min", "Silence of a phone beyond which contact is lost."
    )
    band_silence_min: list[float] = _levels(
        [60, 30, 20], "min", "Silence of a wristband beyond which contact is lost."
    )
    phone_no_fix_min: list[float] = _levels(
        [720, 360, 180], "min", "Time that a phone may report without a usable position."
    )
    band_no_fix_min: list[float] = _levels(
        [60, 45, 30], "min", "Time that a wristband may report without a usable position."
    )
    phone_battery_pct: list[float] = _levels([5, 5, 10], "%", "A phone's battery is low below.")
    band_battery_pct: list[float] = _levels(
        [15, 20, 20], "%", "A wristband's battery is low below."
    )
    apart_m: list[float] = _levels(
        [500, 500, 500], "m", "Phone and wristband are apart beyond, errors taken off."
    )
    apart_min: list[float] = _levels(
        [60, 30, 15], "min", "For how long they may be apart before it is told."
    )
    check_ins: list[float] = _levels([1, 2, 3], "a day", "Check-in windows.")
    check_in_window_min: list[float] = _levels(
        [180, 90, 60], "min", "How long each is open.", least=1
    )
    check_in_grace_min: list[float] = _levels(
        [15, 10, 5], "min", "How late a check-in in time may arrive."
    )
    check_in_from_h: list[float] = _levels(
        [7, 7, 7], "h", "Time of day before which no check-in window opens."
    )
    check_in_until_h: list[float] = _levels(
        [22, 22, 22], "h", "Time of day by which the last has closed."
    )
    curfew_grace_min: list[float] = _levels(
        [30, 15, 5], "min", "For how long somebody may be away from the named place."
    )
    overdue_grace_min: list[float] = _levels(
        [60, 60, 60], "min", "Time after the end of a leave before a return is overdue."
    )
    out_of_supervision_h: list[float] = _levels(
        [72, 48, 24], "h", "Lost contact for longer counts as out of supervision."
    )
    ask_interval_s: list[float] = _levels(
        [0, 0, 0], "s", "How often a device is asked to report when near the line; 0: not asked."
    )
    ask_for_min: list[float] = _levels(
        [30, 30, 30], "min", "For how long, from its next regular report on."
    )
    asks_a_day: list[float] = _levels([6, 6, 6], "a day", "Most such requests to one person.")
