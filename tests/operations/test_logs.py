"""A worker's log: one line a record, and nobody's id in it."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from aiokafka.errors import NotLeaderForPartitionError
from redis.exceptions import ResponseError

from geomon.errors import UnavailableError
from geomon.operations import logs

WHOSE = "SZ-0042"
Capture = Callable[[str], io.StringIO]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def capture() -> Iterator[Capture]:
    """Set up the log as a worker does, into a text; all is as before at the end."""
    root = logging.getLogger()
    names = ("", "geomon", "faust", "mode", "aiokafka", "aiohttp")
    before = {name: logging.getLogger(name).level for name in names}
    handlers = list(root.handlers)
    # The test runner's own handlers hear the same records; they are taken off and not closed.
    root.handlers.clear()

    def start(form: str) -> io.StringIO:
        stream = io.StringIO()
        logs.configure(form, stream)
        return stream

    yield start
    root.handlers[:] = handlers
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]


def fail(error: BaseException, cause: BaseException | None = None) -> None:
    raise error from cause


def test_a_record_is_one_json_object_on_one_line(capture: Capture) -> None:
    stream = capture("json")
    logging.getLogger("geomon").info("rules %s take the place of %s", "2-a", "2-b")
    logging.getLogger("geomon.stream").warning("two\nlines, 100%")
    first, second = lines(stream)
    assert list(first) == ["time", "level", "logger", "message"]
    assert first["level"] == "info"
    assert first["logger"] == "geomon"
    assert first["message"] == "rules 2-a take the place of 2-b"
    assert first["time"].endswith("Z")
    assert second["message"] == "two lines, 100%"


def test_libraries_are_heard_from_warnings_on(capture: Capture) -> None:
    stream = capture("json")
    for name in ("faust.app", "mode.services", "aiokafka.cluster", "asyncio", "redis"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("trouble")
    assert [line["message"] for line in lines(stream)] == ["trouble"] * 5


def test_an_exception_keeps_its_type_and_place_and_loses_what_it_met(capture: Capture) -> None:
    stream = capture("json")
    try:
        try:
            fail(KeyError(WHOSE.encode()))
        except KeyError as error:
            fail(ValueError(f"no such person: {WHOSE} at 114.05"), error)
    except ValueError:
        logging.getLogger("geomon").exception("an event could not be judged: %s", "events/3/17")
    (line,) = lines(stream)
    assert line["message"] == "an event could not be judged: events/3/17"
    assert line["error"] == "ValueError < KeyError"
    assert line["at"][-1].startswith("operations/test_logs.py:")
    assert line["at"][-1].endswith(" fail")
    assert WHOSE not in stream.getvalue()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "refused"), "ConnectionRefusedError: [Errno 111] refused"),
        (UnavailableError("Kafka is away"), "UnavailableError: Kafka is away"),
        (NotLeaderForPartitionError("3"), "NotLeaderForPartitionError: [Error 6]"),
        (ResponseError(f"WRONGTYPE geomon:open:{WHOSE} is a string"), "geomon:open:... is a str"),
        (KeyError(WHOSE), "KeyError"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_what_speaks_of_things_may_be_quoted(error: BaseException, said: str) -> None:
    text = logs.harmless(error)
    assert said in text
    assert WHOSE not in text
    assert "\n" not in text


def test_an_exception_among_the_arguments_is_no_way_round(capture: Capture) -> None:
    stream = capture("json")
    logging.getLogger("faust").error("Drain messages raised: %r", KeyError(WHOSE))
    logging.getLogger("faust").error("Agent crashed: %s, twice: %d", KeyError(WHOSE), 2)
    logging.getLogger("faust").error("does not fit: %d", WHOSE)
    assert [line["message"] for line in lines(stream)] == [
        "Drain messages raised: KeyError",
        "Agent crashed: KeyError, twice: 2",
        "does not fit: %d",
    ]


def test_what_a_lost_task_died_of_is_not_shown(capture: Capture) -> None:
    stream = capture("json")

    async def main() -> None:
        lost = asyncio.ensure_future(asyncio.sleep(0))
        loop = asyncio.get_running_loop()
        await lost
        died = loop.create_future()
        died.set_exception(KeyError(WHOSE))
        loop.call_exception_handler(
            {
                "message": "Task exception was never retrieved",
                "exception": died.exception(),
                "future": died,
            }
        )

    asyncio.run(main())
    (line,) = lines(stream)
    assert line["message"] == "Task exception was never retrieved"
    assert line["error"] == "KeyError"
    assert WHOSE not in stream.getvalue()


def test_for_people_it_is_text_on_one_line_as_well(capture: Capture) -> None:
    stream = capture("text")
    logging.getLogger("geomon").info("the worker is running")
    try:
        fail(UnavailableError("Kafka is away"))
    except UnavailableError:
        logging.getLogger("geomon").exception("the worker ends")
    first, second = stream.getvalue().splitlines()
    assert first.endswith(" info geomon: the worker is running")
    assert "error geomon: the worker ends [UnavailableError: Kafka is away at " in second


@pytest.mark.parametrize(
    ("form", "terminal", "as_json"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("text", False, False),
        ("json", True, True),
    ],
)
def test_the_setting_chooses_and_auto_looks_at_the_terminal(
    capture: Capture, form: str, *, terminal: bool, as_json: bool
) -> None:
    assert logs.configure(form, Terminal() if terminal else io.StringIO()) is as_json


def test_a_library_that_repeats_itself_is_heard_once_in_ten_seconds() -> None:
    """A broker is down for a minute, and its client says so ten times a second."""
    sparing = logs.Sparing()
    heard = []
    for tenth in range(600):
        record = logging.LogRecord(
            "aiokafka.client", logging.ERROR, "", 0, "no node with id %s", (tenth % 3,), None
        )
        record.created = 1_000.0 + tenth / 10
        if sparing.filter(record):
            heard.append(record.getMessage())
    assert heard == [
        "no node with id 0",
        *[f"no node with id {at % 3} (99 more like it before)" for at in range(100, 600, 100)],
    ]


def test_our_own_lines_are_never_held_back() -> None:
    sparing = logs.Sparing()
    record = logging.LogRecord("geomon.worker", logging.INFO, "", 0, "rules", (), None)
    assert all(sparing.filter(record) for _ in range(3))
