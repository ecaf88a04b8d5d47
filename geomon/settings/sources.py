"""Where settings come from, each layer over the one before: a file, the environment, flags.

The file is TOML; in the environment a setting is `GEOMON_` and its name in capitals.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from geomon.core.plans import LEVELS
from geomon.errors import SettingsError
from geomon.settings.limits import check
from geomon.settings.secrecy import public_value
from geomon.settings.table import Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

__all__ = ["Sourced", "WatchedSettings", "load", "strange_variables"]

DEFAULT_FILE = Path("geomon.toml")

_PREFIX = "GEOMON_"
#: Variables that are ours and no settings: `_named_file`, `embedded/jars.py`, and the tests'.
_OTHERS = {"GEOMON_CONFIG", "GEOMON_KAFKA_CACHE", "GEOMON_TEST_DATA"}
#: What container engines put there about a service that is called geomon-something.
_LINK = re.compile(r"_(SERVICE_(HOST|PORT.*)|PORT|PORT_\d+_(TCP|UDP).*)$")

_LEVELS = ", ".join(LEVELS)


@dataclass(frozen=True)
class Sourced:
    """A setting's value, as others may see it, and where it came from."""

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
    check(settings)
    table = [
        Sourced(
            name,
            public_value(getattr(settings, name), f.metadata["secrecy"]),
            f.metadata["unit"],
            sources.get(name, "default"),
            f.metadata["meaning"],
        )
        for name, f in fields.items()
    ]
    return settings, table


def strange_variables(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Say of each variable that looks like a setting and is none that it changes nothing.

    Not an error, as in a settings file: the environment is not ours alone.
    """
    names = [f"{_PREFIX}{f.name.upper()}" for f in dataclasses.fields(Settings)]
    for name in sorted(environment):
        if name.startswith(_PREFIX) and name not in {*names, *_OTHERS} and not _LINK.search(name):
            alike = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
            hint = f"; {alike[0]} is one" if alike else ""
            yield f"{name} in the environment is no setting and changes nothing{hint}"


class WatchedSettings:
    """Settings that are read again when their file has changed, with the same flags over them.

    A file is written in steps: emptied, then filled, or taken away, then put back. Taken in between
    it would be a file that sets nothing, and put everybody under the default plans.
    """

    def __init__(
        self,
        flags: Mapping[str, Any] | None = None,
        *,
        file: Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._flags, self._environment = flags, environment
        self._file = _named_file(file, environment)
        self._path = self._file or DEFAULT_FILE
        self._stamp = self._seen = self._look()
        self.settings, _ = self._load()
        self._had_content = _has_content(self._path)

    def again(self) -> Settings | None:
        """Give the settings if the file is another than before and as at the last look, else None.

        Raises `SettingsError`, once for each change, when they cannot be used; so it does for a
        file that had content and is empty or gone.
        """
        stamp, before = self._look(), self._seen
        self._seen = stamp
        if stamp == self._stamp or stamp != before:
            return None
        mistake: Exception | None = None
        try:
            settings = self._load_unless_lost()
        except Exception as error:
            mistake = error
        if self._look() != stamp:
            return None  # written while it was read: the next looks will tell
        self._stamp = stamp
        if mistake is not None:
            raise mistake
        self.settings = settings
        return settings

    def _load_unless_lost(self) -> Settings:
        has_content = _has_content(self._path)
        if self._had_content and not has_content:
            what = "is empty" if self._path.exists() else "is gone"
            raise SettingsError(f"the settings file {self._path} {what}")
        settings, _ = self._load()
        self._had_content = has_content
        return settings

    def _load(self) -> tuple[Settings, list[Sourced]]:
        return load(self._flags, file=self._file, environment=self._environment)

    def _look(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        # Editors write a new file and rename it: the inode tells, where times are too coarse.
        return found.st_mtime_ns, found.st_size, found.st_ino


def _named_file(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    return file or (Path(environment["GEOMON_CONFIG"]) if "GEOMON_CONFIG" in environment else None)


def _has_content(path: Path) -> bool:
    try:
        return bool(path.read_bytes().strip())
    except OSError:
        return False


def _read_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    if not path.exists():
        if must_exist:
            raise SettingsError(f"no settings file {path}")
        return {}
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except RecursionError:
        raise SettingsError(f"{path}: lists in lists, too many to be read") from None
    except (ValueError, OSError) as error:  # no TOML, no UTF-8, a number of thousands of digits
        raise SettingsError(f"{path}: {error}") from None
    return values


def _from_environment(environment: Mapping[str, str], known: set[str]) -> dict[str, str]:
    """Settings in the environment; others that begin like them may be anybody's."""
    found = {name: environment.get(f"{_PREFIX}{name.upper()}") for name in known}
    return {name: value for name, value in found.items() if value is not None}


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
    most = f.metadata["most"]
    if not all(v <= most for v in values if isinstance(v, int | float)):
        raise SettingsError(f"{source}: {f.name} must be at most {most:,} {f.metadata['unit']}")
    if among and parsed not in among:
        raise SettingsError(f"{source}: {f.name} must be one of {', '.join(among)}")
    return parsed
