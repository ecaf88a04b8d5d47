"""Requests to devices: from `geomon.commands` to a terminal, in the message of the standard."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import terminal808
from aiokafka import AIOKafkaProducer
from realkafka import create_topics, forget_topics
from reception import TOPICS, Reception, device, eventually, reception, run
from talks808 import NUMBER, signed_in, talk_of
from terminal808 import Answer, Terminal

from geomon.commands import Command, command_event
from geomon.core.requests import Request
from geomon.embedded.broker import EmbeddedBroker
from geomon.embedded.kafka import KafkaCluster
from geomon.gateway.gt06 import Gt06Talk
from geomon.gateway.house import Gateway
from geomon.gateway.metrics import ORDERED, Metrics
from geomon.gateway.orders import Orders
from geomon.gateway.r16h import R16hTalk
from geomon.gateway.registry import Device
from geomon.settings import Settings
from geomon.topics import COMMANDS
from geomon.wallclock import now_s

NOW_S = 1_707_786_000.0
ASKING: dict[str, Any] = {"gateway_jt808": "127.0.0.1:0", "ask_interval_s": [60.0] * 3}
BAND = device(NUMBER, device="wristband", datum="gcj02", secrets=[], auth_code="open-sesame")


# -- the message ---------------------------------------------------------------------------------


@pytest.mark.parametrize("edition", [2013, 2019])
def test_temporary_tracking_is_written_as_the_standard_has_it(edition: int) -> None:
    """JT/T 808, 0x8202: interval in s (WORD), for how long in s (DWORD)."""
    wire = signed_in(edition=edition).ask(60, 1_800)
    message = terminal808.read(wire)
    assert message.message_id == 0x8202
    assert message.number.lstrip("0") == NUMBER
    assert message.body == bytes.fromhex("003c00000708")


def test_messages_of_the_platform_are_numbered_through() -> None:
    talk = signed_in()
    first, second = (terminal808.read(talk.ask(60, 60)).serial for _ in range(2))
    assert second == first + 1


def test_a_terminal_that_has_not_shown_its_code_is_asked_nothing() -> None:
    assert talk_of({}).ask(60, 1_800) == b""


def test_one_that_signed_off_is_asked_nothing() -> None:
    talk = signed_in()
    talk.receive(terminal808.write(0x0003, b"", number=NUMBER, serial=2), NOW_S)
    assert talk.ask(60, 1_800) == b""


@pytest.mark.parametrize("talk", [Gt06Talk, R16hTalk])
def test_protocols_without_such_a_message_say_so(talk: Any) -> None:
    assert talk(lambda _: None).ask(60, 1_800) == b""


# -- which of them, and when -----------------------------------------------------------------------


class Wire:
    """A connection that keeps what was asked."""

    def __init__(
        self, whose: str = "SZ-0001", device: Any = "wristband", *, can: bool = True
    ) -> None:
        self.device: Device | None = Device(device_id="d", supervisee_id=whose, device=device)
        self.asked: list[tuple[int, int]] = []
        self._can = can

    def ask(self, interval_s: int, for_s: int) -> bool:
        if self._can:
            self.asked.append((interval_s, for_s))
        return self._can


class Office:
    """Orders whose clock stands still until it is set."""

    def __init__(self, *wires: Wire) -> None:
        self.metrics = Metrics()
        self.now_s = NOW_S
        self.orders = Orders(
            "nowhere:1", self.metrics, lambda: wires, now=lambda: self.now_s, longest_s=1_800
        )

    def command(self, number: int = 1, *, whose: str = "SZ-0001", late_s: float = 0) -> None:
        begin_s = NOW_S - late_s
        command_id = f"{whose}/report/wristband/{number}"
        self.orders.take(
            Command(command_id, whose, "wristband", 60, begin_s + number, begin_s + 1_800)
        )

    def counted(self) -> dict[str, float]:
        found = {o: self.metrics.value("geomon_gateway_commands_total", o) for o in ORDERED}
        return {outcome: count for outcome, count in found.items() if count}


def test_the_device_that_is_meant_is_asked_for_what_is_left_of_the_time() -> None:
    band, phone, other = Wire(), Wire(device="phone"), Wire("SZ-0002")
    office = Office(band, phone, other)
    office.command(late_s=300)
    assert (band.asked, phone.asked, other.asked) == ([(60, 1_500)], [], [])
    assert office.counted() == {"delivered": 1}


def test_a_command_that_comes_again_is_sent_once() -> None:
    band = Wire()
    office = Office(band)
    for _ in range(3):
        office.command()
    assert len(band.asked) == 1


def test_an_older_command_does_not_take_the_place_of_a_newer_one() -> None:
    band = Wire()
    office = Office(band)
    office.command(2)
    office.command(1)
    assert len(band.asked) == 1
    office.command(3)
    assert len(band.asked) == 2


def test_a_device_that_connects_later_gets_what_is_in_force() -> None:
    office = Office()
    office.command()
    assert office.counted() == {"not_connected": 1}
    band, nobody = Wire(), Wire()
    nobody.device = None
    office.now_s += 600
    office.orders.greet(band)
    office.orders.greet(nobody)
    assert (band.asked, nobody.asked) == ([(60, 1_200)], [])
    assert office.counted() == {"not_connected": 1, "delivered": 1}
    office.now_s += 1_200
    late = Wire()
    office.orders.greet(late)
    assert late.asked == [], "by then it is over"


def test_what_is_over_is_not_sent() -> None:
    band = Wire()
    office = Office(band)
    office.command(late_s=1_800)
    assert (band.asked, office.counted()) == ([], {"over": 1})


def test_what_ended_is_forgotten() -> None:
    """A gateway that runs for a year keeps what is in force, and nothing else."""
    office = Office()
    for number in range(100):
        office.command(whose=f"SZ-{number}")
    assert len(office.orders._in_force) == 100
    office.now_s += 1_801
    office.command(late_s=-1_801)
    assert len(office.orders._in_force) == 1


def test_a_protocol_that_cannot_is_counted() -> None:
    office = Office(Wire(can=False))
    office.command()
    assert office.counted() == {"not_supported": 1}


# -- the whole way ---------------------------------------------------------------------------------


async def send(kafka: str, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(COMMANDS, value, key=b"SZ-0001")
    finally:
        await producer.stop()


def command(begin_s: float, *, device: str = "wristband") -> bytes:
    request = Request("SZ-0001", device, 60, int(begin_s), int(begin_s) + 1_800, "turning")
    return msgspec.json.encode(command_event(request, rules="r"))


def ordered(here: Reception, outcome: str) -> float | None:
    return here.gateway.metrics.value("geomon_gateway_commands_total", outcome)


def at(gateway: Gateway) -> tuple[str, int]:
    host, _, port = gateway.listeners["jt808"].where.removeprefix("tcp://").rpartition(":")
    return host, int(port)


async def request_to(terminal: Terminal) -> Answer:
    answer = await terminal.answer()
    assert answer.message_id == 0x8202
    return answer


def test_a_terminal_that_is_connected_is_asked_and_answers(tmp_path: Path) -> None:
    async def main() -> None:
        with EmbeddedBroker(TOPICS | {COMMANDS: 2}) as broker:
            async with reception(tmp_path, [BAND], kafka=broker.bootstrap, **ASKING) as here:
                terminal = Terminal(NUMBER)
                await terminal.sign_in(*at(here.gateway))
                got_it = asyncio.Event()
                sent = asyncio.create_task(keep_sending(broker.bootstrap, got_it))
                try:
                    asked = await request_to(terminal)
                finally:
                    got_it.set()
                    await sent
                assert asked.body[:2] == (60).to_bytes(2, "big")
                assert 1_600 < int.from_bytes(asked.body[2:], "big") <= 1_801
                # It says that it has it, and goes on as before.
                body = asked.serial.to_bytes(2, "big") + (0x8202).to_bytes(2, "big") + b"\0"
                _, wire = terminal.message(0x0001, body)
                await terminal.send(wire)
                assert (await terminal.ask(0x0002)).result == 0
                await terminal.disconnect()
                # One that connects again while it is in force is asked again.
                await terminal.connect(*at(here.gateway))
                assert (await terminal.prove()).result == 0
                await request_to(terminal)
                await terminal.disconnect()

    async def keep_sending(kafka: str, got_it: asyncio.Event) -> None:
        # The gateway reads from where the topic ends when it has come to look: the first may be
        # from before that, on a broker that does not know its messages' times. Of a command that
        # comes again it takes no notice.
        one = command(now_s())
        while not got_it.is_set():
            await send(kafka, one)
            await asyncio.sleep(0.2)

    run(main)


def test_what_cannot_be_delivered_is_counted_and_harms_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        with EmbeddedBroker(TOPICS | {COMMANDS: 1}) as broker:
            async with reception(tmp_path, [BAND], kafka=broker.bootstrap, **ASKING) as here:
                terminal = Terminal(NUMBER)
                await terminal.sign_in(*at(here.gateway))
                values = [b"{", command(now_s(), device="phone"), command(now_s() - 7_200)]

                async def outcomes() -> set[str]:
                    await send(broker.bootstrap, *values)
                    return {o for o in ORDERED if ordered(here, o)}

                await eventually(outcomes, lambda o: o == {"unreadable", "not_connected", "over"})
                assert (await terminal.ask(0x0002)).result == 0
                await terminal.disconnect()

    run(main)


def test_a_gateway_that_starts_anew_knows_what_is_in_force(
    tmp_path: Path, kafka: KafkaCluster
) -> None:
    """It reads the last hour of the topic, by the brokers' time; the newest stands."""

    async def main() -> None:
        await forget_topics(kafka.bootstrap)
        times = {"message.timestamp.type": "LogAppendTime"}
        await create_topics(kafka.bootstrap, TOPICS)
        await create_topics(kafka.bootstrap, {COMMANDS: 2}, settings=times)
        await send(kafka.bootstrap, command(now_s() - 900), command(now_s() - 600))
        async with reception(tmp_path, [BAND], kafka=kafka.bootstrap, **ASKING) as here:
            terminal = Terminal(NUMBER, edition=2019)
            await eventually(lambda: ordered(here, "not_connected"), lambda count: count == 2)
            await terminal.sign_in(*at(here.gateway))
            asked = await request_to(terminal)
            assert 1_100 < int.from_bytes(asked.body[2:], "big") <= 1_201
            await terminal.disconnect()

    run(main)


@pytest.mark.parametrize(
    "settings", [{"gateway_jt808": "127.0.0.1:0"}, {"ask_interval_s": [60.0] * 3}]
)
def test_where_nobody_is_asked_or_nothing_can_be_no_commands_are_read(
    settings: dict[str, Any],
) -> None:
    """The topic need not be there."""
    gateway = Gateway(Settings(gateway_registry="topic", **settings))
    assert gateway.orders is None
