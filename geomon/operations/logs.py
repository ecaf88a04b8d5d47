"""A worker's log: one line a record on stderr, as JSON for programs or as text for people.

No line names a person. Messages of geomon's own are written so; but an exception can carry
anything it met (a key, a value), so of an exception a line keeps its type and where in the code it
went up, and its text only for kinds that speak of connections, files and settings.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

import msgspec
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from geomon.errors import UserError
from geomon.sinks.redis import why

__all__ = ["JsonLines", "Sparing", "TextLines", "configure", "harmless"]

#: Kinds of exception whose text tells of addresses and causes, never of anybody.
_SPEAK_OF_THINGS = (OSError, KafkaError, UserError)
_FRAMES = 12


def configure(form: str, stream: TextIO | None = None) -> bool:
    """Send all logs to `stream` (stderr), geomon's from info on, others' from warnings on.

    `form` is the setting `log_format`. Says whether lines are JSON.
    """
    stream = stream or sys.stderr
    as_json = form == "json" or (form == "auto" and not stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    handler.addFilter(Sparing())
    logging.basicConfig(force=True, level=logging.WARNING, handlers=[handler])
    for name in ("faust", "mode", "aiokafka", "aiohttp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("geomon").setLevel(logging.INFO)
    # What is subclassed of Faust's speaks by the name of our module, and starts with much to say.
    for name in ("geomon.stream.people", "geomon.stream.transport"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return as_json


def harmless(error: BaseException) -> str:
    """Give an exception as one line that names nobody: its type, and its text where that may be."""
    name = type(error).__name__
    if isinstance(error, RedisError):
        return f"{name}: {why(error)}"
    text = " ".join(str(error).split()) if isinstance(error, _SPEAK_OF_THINGS) else ""
    return f"{name}: {text}" if text else name


class Sparing(logging.Filter):
    """Lets a message of another library through once in ten seconds, and says how often it came.

    While a broker is down aiokafka says so some thirty times a second: a night of it would bury
    what else there is to read.
    """

    _QUIET_S = 10.0

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}  # -> (last said, since then)

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is to be shown; adds the number of those that were not."""
        if record.name.split(".")[0] == "geomon":
            return True
        kind = (record.name, str(record.msg))
        said_s, since = self._kinds.get(kind, (0.0, 0))
        if record.created - said_s < self._QUIET_S:
            self._kinds[kind] = (said_s, since + 1)
            return False
        self._kinds[kind] = (record.created, 0)
        if since:
            record.msg = f"{record.msg} ({since} more like it before)"
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message; of an exception also error and at."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line of a record."""
        return msgspec.json.encode(_said(record)).decode()


class TextLines(logging.Formatter):
    """The same for people: time, level, logger, message, and in brackets what went up where."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line of a record."""
        said = _said(record)
        line = f"{said['time']} {said['level']} {said['logger']}: {said['message']}"
        if "error" in said:
            line += f" [{said['error']} at {' > '.join(said['at'])}]"
        return line


def _said(record: logging.LogRecord) -> dict[str, Any]:
    time = datetime.fromtimestamp(record.created, timezone.utc)
    said: dict[str, Any] = {
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _message(record),
    }
    went_up = record.exc_info
    if went_up and went_up[1] is not None:
        said["error"] = " < ".join(harmless(error) for error in _chain(went_up[1]))
        said["at"] = [_place(frame) for frame in traceback.extract_tb(went_up[2])[-_FRAMES:]]
    return said


def _message(record: logging.LogRecord) -> str:
    """Give a record's message on one line, exceptions among its arguments made harmless."""
    if isinstance(record.args, tuple):
        arguments = tuple(
            _Plain(harmless(argument)) if isinstance(argument, BaseException) else argument
            for argument in record.args
        )
        try:
            text = str(record.msg) % arguments if arguments else str(record.msg)
        except (TypeError, ValueError):
            text = str(record.msg)  # arguments that do not fit; they may hold anything
    else:
        text = record.getMessage()
    if record.name == "asyncio":
        # Behind the first line it shows the task, and in it what the task died of.
        text = text.partition("\n")[0]
    return " ".join(text.split())


class _Plain(str):
    """A text that is the same under %r as under %s."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Give an exception and what it came of, the way a traceback would."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _place(frame: traceback.FrameSummary) -> str:
    file = "/".join(Path(frame.filename).parts[-2:])
    return f"{file}:{frame.lineno} {frame.name}"
