"""The one table of settings: name, default, unit and meaning.

A value comes from the settings file (TOML), is overridden by the environment (`GEOMON_` and the
name in capitals), and that by a flag of the command. `geomon config show` prints each value, its
unit and where it came from; the reference in the documentation is checked against this table.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from geomon.core.rules import Rules
from geomon.errors import SettingsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

__all__ = ["Settings", "Sourced", "load", "rules_from"]

#: Raise it when the way of judging changes, so that alerts tell which way judged them.
_JUDGING = 1

DEFAULT_FILE = Path("geomon.toml")


def _setting(
    default: Any,
    unit: str,
    meaning: str,
    *,
    least: float | None = None,
    among: tuple[str, ...] = (),
) -> Any:
    metadata = {"unit": unit, "meaning": meaning, "least": least, "among": among}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Every setting, with its default. See the reference for what each means."""

    city: str = _setting("440300", "adcode or file", "The city that is the fence.")
    city_extra: list[str] = _setting([], "files", "Polygons added to the city.")  # noqa: RUF009
    city_minus: list[str] = _setting([], "files", "Polygons taken out of the city.")  # noqa: RUF009
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
    batch_wait_ms: int = _setting(50, "ms", "Longest wait for a batch to fill.", least=1)
    session_timeout_s: float = _setting(
        20.0, "s", "How long a dead worker holds its partitions.", least=1
    )
    horizon_h: float = _setting(24.0, "h", "How late a fix may arrive and still count.", least=1)
    settle_s: int = _setting(
        45, "s", "How long fixes from a device's memory are gathered before judging.", least=0
    )
    overdue_grace_min: float = _setting(
        60.0, "min", "Time after the end of a leave before a return is overdue.", least=0
    )
    belief_ttl_h: float = _setting(
        24.0, "h", "Age at which the last position no longer says where someone is.", least=1
    )
    travel_allowance_h: float = _setting(
        24.0, "h", "Time on leave for the way between city and destination.", least=0
    )
    standing_allowance_h: float = _setting(4.0, "h", "The same under a standing permit.", least=0)


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
    named = file or (Path(environment["GEOMON_CONFIG"]) if "GEOMON_CONFIG" in environment else None)
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


def rules_from(settings: Settings) -> Rules:
    """Give the core's rules; their version changes with every setting that can change a verdict."""
    rules = Rules(
        horizon_s=round(settings.horizon_h * 3600),
        settle_s=settings.settle_s,
        overdue_grace_s=round(settings.overdue_grace_min * 60),
        belief_ttl_s=round(settings.belief_ttl_h * 3600),
        travel_allowance_s=round(settings.travel_allowance_h * 3600),
        standing_allowance_s=round(settings.standing_allowance_h * 3600),
    )
    digest = hashlib.sha256(msgspec.json.encode(rules)).hexdigest()
    return msgspec.structs.replace(rules, version=f"{_JUDGING}-{digest[:8]}")


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


def _parse(f: dataclasses.Field[Any], value: Any, source: str) -> Any:
    kind = {"str": str, "int": int, "float": float, "list[str]": list[str]}[str(f.type)]
    if kind == list[str] and isinstance(value, str):
        value = [part for part in value.split(",") if part]
    try:
        parsed: Any = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{source}: {f.name}: {error}") from None
    least, among = f.metadata["least"], f.metadata["among"]
    if least is not None and not parsed >= least:
        raise SettingsError(f"{source}: {f.name} must be at least {least} {f.metadata['unit']}")
    if among and parsed not in among:
        raise SettingsError(f"{source}: {f.name} must be one of {', '.join(among)}")
    return parsed
