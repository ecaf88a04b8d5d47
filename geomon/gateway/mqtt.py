"""OwnTracks over MQTT: a subscriber to a broker that is there already.

    owntracks/<user>/<device>                        location, lwt
    owntracks/<user>/<device>/event                  a region entered or left
    owntracks/<user>/<device>/waypoint, …/waypoints, …/status
                                                     heard from, no more

Other topics are not asked for: `cmd` goes to the phone, `info` may come from anybody, `dump` has
the phone's settings, its password among them (https://owntracks.org/booklet/tech/json/,
https://owntracks.org/booklet/guide/topics/).

**Nothing is lost while Kafka is away.** A message of QoS 1 is acknowledged when Kafka has it, and
not sooner. Without that the broker sends no more than a window of messages, keeps the others, and
sends all of them again when the gateway comes back, since the session is kept under a client id
that stays the same. Acknowledgements go out in the order of the messages, as MQTT wants it
(MQTT-4.6.0-2). What can never be taken is refused, counted, and acknowledged: no message can stop
those behind it.

**Who it is** the broker has checked: its access rules let a user write below owntracks/<user>/
alone. The registry knows the device as `<user>:<device>`. A user's name with a colon is refused,
so that nobody can be taken for somebody else.

**Several gateways** each get all messages, and Kafka has them as often, which changes nothing but
the load; or they share them ($share/<group>/…), when the setting gateway_mqtt_share names a group.
Then those of one phone may come to Kafka in another order, and late where a gateway was away. Where
somebody was is judged by the times of positions and does not change by that; see `_is_late` for the
rest. It is no default, because Mosquitto before 2.0.12 forgets shared subscriptions when it is
restarted, and takes messages for nobody until the gateway is back.

**Retained messages** are refused. Nobody knows when they were sent, and the phone would seem to be
heard from now, though it may be silent for months.

A device's rate is not limited here: the broker has accepted its messages already, so to refuse
them is to lose them, and to hold them up holds up everybody's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import ssl
from collections import deque
from datetime import timedelta

import msgspec
from paho.mqtt.client import MQTTMessage

from geomon.errors import Refusal, SettingsError
from geomon.gateway import owntracks
from geomon.gateway.door import Door
from geomon.gateway.mqttlink import Link, LinkError, broker_of
from geomon.gateway.publisher import Busy
from geomon.gateway.registry import NotAdmitted, NotReady
from geomon.gateway.reports import Report, at
from geomon.settings import Settings

__all__ = ["MqttListener", "device_of", "listener"]

PROTOCOL = "mqtt"
_BASE = "owntracks"
_BELOW = ("", "/event", "/waypoint", "/waypoints", "/status")

#: A gateway that is away for longer loses what waits for it.
_SESSION_S = 7 * 86_400
_MOST_AT_ONCE = 1_000
#: Waits between tries: for Kafka with one message, and for the broker.
_AGAIN_S, _AGAIN_MOST_S = 0.25, 5.0
_RECONNECT_S, _RECONNECT_MOST_S, _STEADY_S = 0.5, 30.0, 60.0
#: A position that took so long to come has waited somewhere.
_LATE = timedelta(minutes=2)
_log = logging.getLogger("geomon.gateway")


def device_of(topic: str) -> str:
    """Give the id under which the registry knows the device of a topic.

    >>> device_of("owntracks/jane/phone/event")
    'jane:phone'

    Raises `Refusal` (not_of_protocol) when it is no topic of a device.
    """
    levels = topic.split("/")
    if levels[0] != _BASE or not 3 <= len(levels) <= 4 or not (levels[1] and levels[2]):
        raise Refusal("not_of_protocol", "topic")
    if ":" in levels[1]:
        raise Refusal("not_of_protocol", "a user's name with a colon")
    return f"{levels[1]}:{levels[2]}"


class _Held:
    """A message of QoS 1 in the order of arrival."""

    __slots__ = ("done", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.done = False


class MqttListener:
    """Takes OwnTracks' messages from the broker at `url`. Raises `SettingsError` for a bad URL."""

    name = PROTOCOL

    def __init__(self, url: str, door: Door, settings: Settings) -> None:
        self._broker = broker_of(url)
        self._door = door
        self._client_id = settings.gateway_mqtt_client or f"geomon-{socket.gethostname()}"
        self._filters = _filters(settings.gateway_mqtt_share)
        self._most_bytes = settings.gateway_upload_bytes
        # Mosquitto 2.0 was seen to send a whole window for each acknowledgement while it has many
        # messages waiting: memory is bounded here, by not reading, and not by what was asked for.
        self._most = max(
            2, min(_MOST_AT_ONCE, settings.gateway_in_flight_bytes // self._most_bytes)
        )
        self._window = self._most // 2
        self._keeper: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._why = "not connected yet"

    @property
    def where(self) -> str:
        """The broker, without user and password, and as whom it is asked."""
        return f"{self._broker} as {self._client_id}"

    def trouble(self) -> str:
        """Say why nothing comes; empty when the subscription stands."""
        return f"{self._broker}: {self._why}" if self._why else ""

    async def start(self) -> None:
        """Begin to look for the broker; does not wait until it is found."""
        self._keeper = asyncio.create_task(self._keep_connected(), name="mqtt")

    async def stop(self, within_s: float) -> None:
        """Read no more; what was received has so long to reach Kafka; the rest the broker keeps."""
        self._stopping = True
        if self._link is not None:
            self._link.pause()
            if self._tasks:
                await asyncio.wait(set(self._tasks), timeout=within_s)
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        self._why = "stopped"

    # -- the broker -------------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        wait_s, told, known = _RECONNECT_S, "", False
        while True:
            line: deque[_Held] = deque()
            link = self._new_link(line)
            begun_s = loop.time()
            connected = False
            try:
                await link.open(self._filters)
                connected, self._link, self._why = True, link, ""
                self._door.metrics.set("geomon_gateway_connections", 1, PROTOCOL)
                _log.info("connected to %s", self.where)
                if known and not link.resumed:
                    _log.warning("%s has not kept the session, nor what waited in it", self._broker)
                known = True
                why = await link.lost
            except LinkError as error:
                why = str(error)
            except Exception as error:
                _log.exception("a mistake in the connection to %s", self._broker)
                why = type(error).__name__
            finally:
                await self._leave(link)
            # Two that have the same name throw each other out: that must not become a race. Not
            # every broker says that this is why.
            steady = connected and loop.time() - begun_s > _STEADY_S
            if connected and not steady:
                why += f" (is there another {self._client_id}? see gateway_mqtt_client)"
            self._why = why
            if why != told or steady:
                _log.warning("%s: %s", self.where, why)
                told = why
            wait_s = _RECONNECT_S if steady else min(2 * wait_s, _RECONNECT_MOST_S)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311

    def _new_link(self, line: deque[_Held]) -> Link:
        def received(message: MQTTMessage) -> None:
            self._receive(link, line, message)

        link = Link(
            self._broker,
            self._client_id,
            received,
            session_s=_SESSION_S,
            window=self._window,
            most_bytes=self._most_bytes,
        )
        return link

    async def _leave(self, link: Link) -> None:
        """Let go of a link, and of what came over it: the broker sends that again."""
        self._link = None
        self._door.metrics.set("geomon_gateway_connections", 0, PROTOCOL)
        await self._let_go()
        try:
            await link.close()
        finally:
            await self._let_go()  # of what came in meanwhile

    async def _let_go(self) -> None:
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- messages ---------------------------------------------------------------------------------

    def _receive(self, link: Link, line: deque[_Held], message: MQTTMessage) -> None:
        topic, payload = message.topic, bytes(message.payload)
        self._door.metrics.add("geomon_gateway_received_bytes_total", PROTOCOL, by=len(payload))
        held: _Held | None = None
        if message.qos:
            held = _Held(message.mid)
            line.append(held)
        task = asyncio.create_task(self._take(topic, payload, retained=message.retain))
        self._tasks.add(task)
        if self._is_full(line):
            link.pause()

        def settled(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                return
            if held is not None:
                held.done = True
            while line and line[0].done:
                link.acknowledge(line.popleft().number)
            if not (self._stopping or self._is_full(line)):
                link.resume()

        task.add_done_callback(settled)

    def _is_full(self, line: deque[_Held]) -> bool:
        return max(len(self._tasks), len(line)) >= self._most

    async def _take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Bring a message into Kafka, however long that takes, or refuse it for good."""
        door = self._door
        wait_s = _AGAIN_S
        while True:
            try:
                await self._admit(topic, payload, retained=retained)
            except NotReady:
                door.put_off(PROTOCOL)
            except Busy:
                pass  # the door has counted it
            except NotAdmitted as verdict:
                return door.turn_away(verdict.reason, PROTOCOL)
            except Refusal as refusal:
                return door.throw_away(refusal.reason, PROTOCOL)
            except Exception as error:
                # A mistake of ours in one message must not stop those behind it.
                _log.error("a message could not be judged: %s", type(error).__name__)
                return door.throw_away("not_of_protocol", PROTOCOL)
            else:
                return None
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _AGAIN_MOST_S)

    async def _admit(self, topic: str, payload: bytes, *, retained: bool) -> None:
        if not payload:
            return  # so a retained message is deleted
        if retained:
            raise NotAdmitted("retained")
        if len(payload) > self._most_bytes:
            raise NotAdmitted("too_large")
        device = self._door.device(device_of(topic))
        try:
            reports = owntracks.reports_of(payload)
        except Refusal as refusal:
            await self._door.reject(device, refusal, protocol=PROTOCOL, raw=payload)
            return
        reports = [self._marked(report) for report in reports]
        await self._door.admit(device, reports, protocol=PROTOCOL, raw=payload)

    def _marked(self, report: Report) -> Report:
        if _is_late(report, self._door.now()):
            return msgspec.structs.replace(report, stored=True)
        return report


def _filters(group: str) -> tuple[str, ...]:
    """Give what to subscribe to. Raises `SettingsError` for a group that MQTT does not allow."""
    if any(special in group for special in "/+#\0"):
        raise SettingsError("gateway_mqtt_share: a group's name has no /, + or #")
    share = f"$share/{group}/" if group else ""
    return tuple(f"{share}{_BASE}/+/+{below}" for below in _BELOW)


def _is_late(report: Report, now_s: float) -> bool:
    """Say whether a report has waited, in the phone or at the broker, before it came here.

    Then it counts as from the device's memory: such are gathered before they are judged, in
    whatever order they come, and battery and charging are as of its newest position, so that an
    older one that comes last does not stand for now.
    """
    times = [position.time for position in report.positions]
    return bool(times) and at(now_s) - max(times) > _LATE


def listener(
    _name: str, url: str, door: Door, settings: Settings, _tls: ssl.SSLContext | None
) -> MqttListener:
    """Give the listener for MQTT; the TLS of the other listeners is none of its business."""
    return MqttListener(url, door, settings)
