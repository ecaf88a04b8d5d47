"""The one table of settings: name, default, unit and meaning.

A value comes from the settings file (TOML), is overridden by the environment (`GEOMON_` and the
name in capitals), and that by a flag of the command. `geomon config show` prints each value, its
unit and where it came from; the reference in the documentation is checked against this table.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from geomon.core.plans import LEVELS, Plan
from geomon.core.rules import Rules
from geomon.errors import SettingsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

__all__ = ["Settings", "Sourced", "WatchedSettings", "load", "rules_from"]

#: Raise it when the way of judging changes, so that alerts tell which way judged them.
_JUDGING = 4

_LEVELS = ", ".join(LEVELS)

_DAY_H, _MOST_OFFSET_H = 24, 14
_LONGEST_ASKED_S = 3600

DEFAULT_FILE = Path("geomon.toml")


def _setting(
    default: Any,
    unit: str,
    meaning: str,
    *,
    least: float | None = None,
    among: tuple[str, ...] = (),
    levels: bool = False,
) -> Any:
    metadata = {
        "unit": unit,
        "meaning": meaning,
        "least": least,
        "among": among,
        "levels": levels,
    }
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def _levels(default: list[float], unit: str, meaning: str) -> Any:
    """A setting with a value for each level: loose, normal, strict; one value stands for all."""
    values = [float(value) for value in default]
    return _setting(values, unit, meaning, least=0, levels=True)


@dataclass(frozen=True)
class Settings:
    """Every setting, with its default. See the reference for what each means.

    Those with three values are the plans: for the levels loose, normal and strict.
    """

    city: str = _setting("440300", "adcode or file", "The city that is the fence.")
    city_extra: list[str] = _setting([], "files", "Polygons added to the city.")
    city_minus: list[str] = _setting([], "files", "Polygons taken out of the city.")
    kafka: str = _setting("127.0.0.1:9092", "host:port,…", "Kafka brokers.")
    redis: str = _setting("redis://127.0.0.1:6379/0", "URL", "Redis that alerts go to.")
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
    batch_most: int = _setting(2000, "events", "Most events judged in one batch.", least=1)
    checkpoint_s: float = _setting(
        60.0, "s", "How old a change of somebody's state may become before it is written.", least=0
    )
    drain: str = _setting(
        "batches",
        "batches, messages",
        "How fetched messages reach the judge: many at a time, or by Faust's own streams.",
        among=("batches", "messages"),
    )
    session_timeout_s: float = _setting(
        20.0, "s", "How long a dead worker holds its partitions.", least=1
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
        120.0, "s", "A partition without a canary for longer is told as silent.", least=1
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
        "", "URL", "Broker that the gateway takes OwnTracks' MQTT from; empty: none."
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
    horizon_h: float = _setting(24.0, "h", "How late a fix may arrive and still count.", least=1)
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
        "geomon", "text", "Secret that check-in windows are drawn from: set one of your own."
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
    check_in_window_min: list[float] = _levels([180, 90, 60], "min", "How long each is open.")
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


@dataclass(frozen=True)
class Sourced:
    """A setting's value and where it came from."""

    name: str
    value: Any
    unit: str
    source: str
    meaning: str


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[Settings, list[Sourced]]:
    """Read the settings; flags that are None count as not given.

    Raises `SettingsError` for an unknown name, a value that does not parse or is out of range, or
    a settings file that is missing though it was named.
    """
    named = _named_file(file, environment)
    in_file = _read_file(named or DEFAULT_FILE, must_exist=named is not None)
    fields = {f.name: f for f in dataclasses.fields(Settings)}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    layers: list[tuple[str, Mapping[str, Any]]] = [
        (str(named or DEFAULT_FILE), in_file),
        ("environment", _from_environment(environment, set(fields))),
        ("flag", {k: v for k, v in (flags or {}).items() if v is not None}),
    ]
    for source, layer in layers:
        for name, value in layer.items():
            if name not in fields:
                raise SettingsError(f"{source}: no setting is called {name}")
            values[name] = _parse(fields[name], value, source)
            sources[name] = source
    settings = Settings(**values)
    _check(settings)
    table = [
        Sourced(
            name,
            getattr(settings, name),
            f.metadata["unit"],
            sources.get(name, "default"),
            f.metadata["meaning"],
        )
        for name, f in fields.items()
    ]
    return settings, table


class WatchedSettings:
    """Settings that are read again when their file has changed, with the same flags over them."""

    def __init__(
        self,
        flags: Mapping[str, Any] | None = None,
        *,
        file: Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._flags, self._environment = flags, environment
        self._file = _named_file(file, environment)
        self._stamp = self._look()
        self.settings, _ = self._load()

    def again(self) -> Settings | None:
        """Give the settings if the file is another than at the last look, None otherwise.

        Raises `SettingsError`, once for each change, when they cannot be used.
        """
        stamp = self._look()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        self.settings, _ = self._load()
        return self.settings

    def _load(self) -> tuple[Settings, list[Sourced]]:
        return load(self._flags, file=self._file, environment=self._environment)

    def _look(self) -> tuple[int, int, int]:
        try:
            found = (self._file or DEFAULT_FILE).stat()
        except OSError:
            return (0, 0, 0)
        # Editors write a new file and rename it: the inode tells, where times are too coarse.
        return found.st_mtime_ns, found.st_size, found.st_ino


def rules_from(settings: Settings) -> Rules:
    """Give the core's rules; their version changes with every setting that can change a verdict."""
    loose, normal, strict = (_plan(settings, level) for level in range(len(LEVELS)))
    rules = Rules(
        plans=(loose, normal, strict),
        horizon_s=round(settings.horizon_h * 3600),
        evidence_nats=settings.evidence_nats,
        settle_s=settings.settle_s,
        belief_ttl_s=round(settings.belief_ttl_h * 3600),
        travel_allowance_s=round(settings.travel_allowance_h * 3600),
        standing_allowance_s=round(settings.standing_allowance_h * 3600),
        escalate_s=tuple(round(age_h * 3600) for age_h in sorted(settings.escalate_after_h)),
        notice_s=round(settings.notice_days * 86_400),
        check_in_seed=settings.check_in_seed,
        utc_offset_s=round(settings.utc_offset_h * 3600),
    )
    digest = hashlib.sha256(msgspec.json.encode(rules)).hexdigest()
    return msgspec.structs.replace(rules, version=f"{_JUDGING}-{digest[:8]}")


def _plan(settings: Settings, level: int) -> Plan:
    """Give the plan of a level (its place in LEVELS)."""

    def seconds(name: str, unit_s: int = 60) -> int:
        values: list[float] = getattr(settings, name)
        return round(values[level] * unit_s)

    return Plan(
        report_s=(seconds("phone_report_min"), seconds("band_report_min")),
        silence_s=(seconds("phone_silence_min"), seconds("band_silence_min")),
        no_fix_s=(seconds("phone_no_fix_min"), seconds("band_no_fix_min")),
        battery_pct=(settings.phone_battery_pct[level], settings.band_battery_pct[level]),
        apart_m=settings.apart_m[level],
        apart_s=seconds("apart_min"),
        check_ins=round(settings.check_ins[level]),
        check_in_from_s=seconds("check_in_from_h", 3600),
        check_in_until_s=seconds("check_in_until_h", 3600),
        check_in_window_s=seconds("check_in_window_min"),
        check_in_grace_s=seconds("check_in_grace_min"),
        curfew_grace_s=seconds("curfew_grace_min"),
        overdue_grace_s=seconds("overdue_grace_min"),
        out_of_supervision_s=seconds("out_of_supervision_h", 3600),
        ask_interval_s=seconds("ask_interval_s", 1),
        ask_for_s=seconds("ask_for_min"),
        asks=round(settings.asks_a_day[level]),
    )


def _named_file(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    return file or (Path(environment["GEOMON_CONFIG"]) if "GEOMON_CONFIG" in environment else None)


def _read_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    if not path.exists():
        if must_exist:
            raise SettingsError(f"no settings file {path}")
        return {}
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{path}: {error}") from None
    return values


def _from_environment(environment: Mapping[str, str], known: set[str]) -> dict[str, str]:
    """Settings in the environment. Other GEOMON_ variables (GEOMON_TEST_DATA, say) are not ours."""
    found = {name: environment.get(f"GEOMON_{name.upper()}") for name in known}
    return {name: value for name, value in found.items() if value is not None}


def _check(settings: Settings) -> None:
    """Check what one setting alone does not say; raises `SettingsError`."""
    if not -_MOST_OFFSET_H <= settings.utc_offset_h <= _MOST_OFFSET_H:
        raise SettingsError(f"utc_offset_h must be between -{_MOST_OFFSET_H} and {_MOST_OFFSET_H}")
    for name in ("check_ins", "ask_interval_s", "asks_a_day"):
        if any(number != round(number) for number in getattr(settings, name)):
            raise SettingsError(f"{name} must be whole numbers")
    if max(settings.ask_interval_s) > _LONGEST_ASKED_S:
        raise SettingsError(f"ask_interval_s must be at most {_LONGEST_ASKED_S} s")
    for begin_h, end_h in zip(settings.check_in_from_h, settings.check_in_until_h, strict=True):
        if not begin_h < end_h <= _DAY_H:
            raise SettingsError(
                f"check_in_from_h must be before check_in_until_h, and that at most {_DAY_H}"
            )


def _parse(f: dataclasses.Field[Any], value: Any, source: str) -> Any:
    kind = {
        "str": str,
        "int": int,
        "float": float,
        "list[str]": list[str],
        "list[float]": list[float],
    }[str(f.type)]
    if kind in (list[str], list[float]) and not isinstance(value, list):
        value = [part for part in str(value).split(",") if part]
    try:
        parsed: Any = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{source}: {f.name}: {error}") from None
    if f.metadata["levels"]:
        if len(parsed) == 1:
            parsed *= len(LEVELS)
        if len(parsed) != len(LEVELS):
            raise SettingsError(f"{source}: {f.name}: one value, or one for each of {_LEVELS}")
    least, among = f.metadata["least"], f.metadata["among"]
    values = parsed if isinstance(parsed, list) else [parsed]
    if not all(math.isfinite(v) for v in values if isinstance(v, float)):
        raise SettingsError(f"{source}: {f.name} must be a finite number")
    if least is not None and not all(v >= least for v in values):
        raise SettingsError(f"{source}: {f.name} must be at least {least} {f.metadata['unit']}")
    if among and parsed not in among:
        raise SettingsError(f"{source}: {f.name} must be one of {', '.join(among)}")
    return parsed
