"""One connection to an MQTT 5 broker, on the event loop.

paho-mqtt speaks the protocol; it is used without its thread: the event loop says when there is
something to read or room to write. (aiomqtt, which wraps the same library, acknowledges a message
before it hands it over, and has no public way to do that later.)

A link never connects again. What came over one that was lost cannot be acknowledged over the next
one, where the same number may stand for another message: the broker sends it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from geomon.errors import GeomonError, SettingsError

__all__ = ["Broker", "Link", "LinkError", "broker_of"]

_CONNECT_S, _ANSWER_S, _CLOSE_S = 5.0, 10.0, 2.0
_KEEPALIVE_S, _TICK_S = 30, 1.0
_PORTS = {"mqtt": 1883, "mqtts": 8883}
#: What a PUBLISH has besides its payload: topic, properties, header.
_AROUND_BYTES = 1 << 16
_AT_LEAST_ONCE = 1


class LinkError(GeomonError):
    """There is no connection, or no subscription; the text says why."""


class Broker(NamedTuple):
    """Where a broker is and how to come in; `str()` of it has no secret."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.port}"


def broker_of(url: str) -> Broker:
    """Read mqtt://user:password@host:1883, or mqtts:// for TLS; user, password and port may lack.

    Raises `SettingsError`, which does not repeat the URL, since a password may be in it.
    """
    wrong = SettingsError(
        "gateway_mqtt is not mqtt://user:password@host:1883 (or mqtts://, for TLS; what is special "
        "in a URL written as %40)"
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise wrong
    return Broker(
        parts.hostname,
        _PORTS[parts.scheme] if port is None else port,
        parts.scheme == "mqtts",
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


class Link:
    """A connection that takes messages in, and acknowledges those of QoS 1 only when told to.

    The session stays with the broker for `session_s` after the connection, and with it the
    messages that were not acknowledged. The broker is asked to have at most `window` of these
    under way at a time; whether it does is its affair. `on_message` is called on the event loop.
    `lost` is done, with the reason, when it is over.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        on_message: Callable[[MQTTMessage], None],
        *,
        session_s: int,
        window: int,
        most_bytes: int,
    ) -> None:
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.resumed = False
        """Whether the broker still had the session."""
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self._sock: Any = None  # while the event loop watches it
        self._paused = False
        self._tick: asyncio.TimerHandle | None = None
        self._properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        self._properties.SessionExpiryInterval = session_s
        self._properties.ReceiveMaximum = window
        self._properties.MaximumPacketSize = most_bytes + _AROUND_BYTES
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = _CONNECT_S
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_socket_close = lambda *_: self._detach()
        client.on_socket_register_write = lambda *_: self._watch_writing(True)
        client.on_socket_unregister_write = lambda *_: self._watch_writing(False)
        client.on_message = lambda _client, _userdata, message: on_message(message)
        self._client = client

    async def open(self, filters: Sequence[str]) -> None:
        """Connect, take the session up again, and subscribe. Raises `LinkError`."""
        connecting = self._loop.run_in_executor(None, self._connect)
        try:
            # Looking up a name and a handshake of TLS block; a thread cannot be stopped in them.
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(self._abandon)
            raise
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise LinkError(str(why)) from None
        self._attach()
        await self._answer(self._connected, "the broker does not answer")
        # Whatever a broker kept of before (retained) is not wanted: see `geomon.gateway.mqtt`.
        options = SubscribeOptions(qos=_AT_LEAST_ONCE, retainHandling=2)
        self._client.subscribe([(topic, options) for topic in filters])
        await self._answer(self._subscribed, "the broker does not answer a subscription")

    def acknowledge(self, number: int) -> None:
        """Tell the broker that the message of this number need not come again."""
        if not self.lost.done():
            self._client.ack(number, _AT_LEAST_ONCE)

    def pause(self) -> None:
        """Read nothing more; acknowledgements still go out, and signs of life.

        The broker's answers to these are not read either, and are not missed meanwhile: however
        long it takes, the connection stays. Whether it is still there shows when it is read again.
        """
        self._paused = True
        if self._sock is not None:
            self._loop.remove_reader(self._sock)

    def resume(self) -> None:
        """Read on."""
        if self._paused and self._sock is not None:
            self._paused = False
            self._loop.add_reader(self._sock, self._read)
            # What TLS has read already makes no socket readable.
            self._loop.call_soon(self._read)

    async def close(self) -> None:
        """Say goodbye, which leaves the session with the broker, and close."""
        if not self.lost.done() and self._sock is not None:
            self._client.disconnect()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.lost), _CLOSE_S)
        self._drop("closed")

    # -- connecting -------------------------------------------------------------------------------

    def _connect(self) -> None:
        broker = self._broker
        if broker.tls:
            self._client.tls_set_context(ssl.create_default_context())
        self._client.connect(
            broker.host, broker.port, _KEEPALIVE_S, clean_start=False, properties=self._properties
        )

    def _abandon(self, connecting: asyncio.Future[None]) -> None:
        connecting.exception()  # whatever it came to
        self._drop("stopped")

    async def _answer(self, answer: asyncio.Future[None], otherwise: str) -> None:
        either: list[asyncio.Future[Any]] = [answer, self.lost]
        await asyncio.wait(either, timeout=_ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            answer.result()
        else:
            raise LinkError(self.lost.result() if self.lost.done() else otherwise)

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, _props: Any) -> None:
        if reason.is_failure:
            _fail(self._connected, f"the broker refuses: {reason}")
        elif not self._connected.done():
            self.resumed = bool(flags.session_present)
            self._connected.set_result(None)

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: Any, _props: Any) -> None:
        for reason in reasons:
            if reason.value != _AT_LEAST_ONCE:
                # Below that a message would be gone when Kafka is.
                _fail(self._subscribed, f"the broker does not allow to subscribe: {reason}")
        if not self._subscribed.done():
            self._subscribed.set_result(None)

    def _on_disconnect(
        self, _client: Any, _data: Any, flags: Any, reason: Any, _props: Any
    ) -> None:
        by_broker = flags.is_disconnect_packet_from_server
        self._drop(f"the broker says: {reason}" if by_broker else "connection lost")

    # -- on the event loop ------------------------------------------------------------------------

    def _attach(self) -> None:
        sock: Any = self._client.socket()
        if sock is None:
            raise LinkError("connection lost")
        self._sock = sock
        self._loop.add_reader(sock, self._read)
        if self._client.want_write():
            self._watch_writing(True)
        self._tick = self._loop.call_later(_TICK_S, self._keep_alive)

    def _detach(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def _drop(self, why: str) -> None:
        sock: Any = self._client.socket()
        self._detach()
        if sock is not None:
            sock.close()
        if not self.lost.done():
            self.lost.set_result(why)

    def _watch_writing(self, wanted: bool) -> None:
        # While it connects, in a thread, nothing is watched; `_attach` looks what is to be written.
        if self._sock is None:
            return
        if wanted:
            self._loop.add_writer(self._sock, self._write)
        else:
            self._loop.remove_writer(self._sock)

    def _read(self) -> None:
        try:
            while not self._paused and self._sock is not None:
                if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return
                # Of a TLS record that was read in part the event loop knows nothing.
                pending = getattr(self._sock, "pending", None)
                if pending is None or not pending():
                    return
        except Exception as error:  # bytes that are no MQTT, or a broken socket
            self._drop(f"what the broker sent cannot be read: {type(error).__name__}")

    def _write(self) -> None:
        try:
            self._client.loop_write()
        except Exception as error:
            self._drop(f"nothing can be sent to the broker: {type(error).__name__}")

    def _keep_alive(self) -> None:
        self._tick = self._loop.call_later(_TICK_S, self._keep_alive)
        if self._paused:
            # When it last asked for a sign of life, 0 when it was answered. There is no public way
            # to say that the answer waits unread.
            self._client._ping_t = 0.0
        try:
            self._client.loop_misc()
        except Exception as error:
            self._drop(f"nothing can be sent to the broker: {type(error).__name__}")


def _fail(answer: asyncio.Future[None], why: str) -> None:
    if not answer.done():
        answer.set_exception(LinkError(why))
