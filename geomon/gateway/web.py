"""The gateway over HTTP.

    POST       /v1/uploads   geomon's own JSON (`native`)
    any        /osmand, /    OsmAnd's protocol as a query or a form (`osmand`), or JSON (`traccar`)
    POST       /owntracks    OwnTracks' JSON (`owntracks`)

What an answer means to a client that keeps what it could not send:

    200   Kafka has it; or it can never be taken, and Kafka has it with the reason. Drop it.
    400   it is nobody's, or not even JSON: nothing was kept. Only geomon's own clients get this for
          something that they would send again; they are to drop it.
    401   no secret, or a wrong one. Keep it, and tell whoever looks after the device.
    403   the device may not say this: withdrawn, out of its dates, or for another person.
    408   it took too long to come.
    413   larger than is taken: send less at a time.
    429   too many requests; Retry-After says when.
    503   Kafka is away or too much waits, or the registry is not read yet. Keep it; Retry-After.

Memory is bounded: what is half received counts, all connections together, against one limit, and a
request that does not come in whole in time is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from geomon.errors import Refusal
from geomon.gateway import native, osmand, owntracks, traccar
from geomon.gateway.credentials import basic, has_token, is_signed
from geomon.gateway.door import Door
from geomon.gateway.entrance import Entrance
from geomon.gateway.limits import PIECES_OF_A_LIST, whole_seconds
from geomon.gateway.publisher import Busy
from geomon.gateway.receiving import Full, Receiving, TooSlow
from geomon.gateway.registry import ADMISSION, BLAMED, Device, NotAdmitted, NotReady
from geomon.gateway.reports import Report
from geomon.settings import Settings

__all__ = ["HttpListener", "listener"]

#: For closing what was cut off.
_CLOSING_S = 5.0
#: Devices that were told to come again do not all come in the same second.
_RETRY_S = (5, 15)
_IS_JSON = {"Content-Type": "application/json"}
#: The answer to nearly every upload.
_ONE_TAKEN = msgspec.json.encode({"uploads": 1, "rejected": []}) + b"\n"
#: What tells nobody anything about ids that are not its own.
_FORBIDDEN = ("another_person", "another_device")

Handler = Callable[[web.BaseRequest, str, bytes], Awaitable[web.Response]]


class _Route(NamedTuple):
    """What is taken at a path: the protocol, and whether it must be a POST."""

    protocol: str
    handler: Handler
    posts_only: bool = False


class _Wait(Exception):  # noqa: N818
    """More requests than are allowed; `for_s` says when to come again."""

    def __init__(self, for_s: float) -> None:
        self.for_s = for_s


class HttpListener:
    """Takes uploads over HTTP at `address`."""

    name = "http"

    def __init__(
        self, address: str, door: Door, settings: Settings, tls: ssl.SSLContext | None
    ) -> None:
        self._door = door
        self._entrance = Entrance(address, "gateway_http", tls)
        self._receiving = Receiving(
            settings.gateway_upload_bytes,
            settings.gateway_in_flight_bytes,
            settings.gateway_receive_s,
        )
        self._most_connections = settings.gateway_connections
        self._receive_s = settings.gateway_receive_s
        self._drain_s = settings.gateway_drain_s
        self._freshness_s = settings.gateway_signature_s
        anyhow = _Route("osmand", self._osmand)
        self._routes = {
            "/v1/uploads": _Route("native", self._native, posts_only=True),
            "/owntracks": _Route("owntracks", self._owntracks, posts_only=True),
            "/osmand": anyhow,
            "/": anyhow,
        }
        self._server: web.Server | None = None

    async def start(self) -> None:
        """Begin to listen. Raises `UnavailableError` when the address cannot be had."""
        # Not an `Application`: to find one of four paths it takes a tenth of all there is to do.
        server = web.Server(
            self._serve,
            access_log=None,
            # From the first byte on: who opens a connection and says nothing is let go as well.
            keepalive_timeout=self._receive_s,
            # 16 query parameters of a phone are a few hundred bytes.
            max_line_size=8_190,
            max_field_size=8_190,
            lingering_time=1.0,
            auto_decompress=False,  # `receiving` does it, and counts it
        )
        _count_connections(server, self._door, self._most_connections)
        await self._entrance.open(server, handshake_s=self._receive_s)
        self._server = server

    async def stop(self, within_s: float) -> None:
        """Listen no more; let requests under way end, for so long."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self._entrance.close()
        await asyncio.sleep(0)  # what has come in begins
        server.pre_shutdown()
        # It gives requests `gateway_drain_s` by itself, and then cuts them off.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(server.shutdown(self._drain_s), within_s + _CLOSING_S)
        await self._entrance.closed(1.0)

    @property
    def where(self) -> str:
        """The URL that it answers at, with the port that it was given."""
        return self._entrance.where("http", "https")

    def trouble(self) -> str:
        """Say what is wrong; empty when nothing is."""
        return "" if self._entrance.is_open else "it does not listen"

    # -- any protocol -----------------------------------------------------------------------------

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        route = self._routes.get(request.path)
        if route is None:
            return web.Response(status=404)
        if route.posts_only and request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"})
        door, protocol = self._door, route.protocol
        try:
            self._limit(request)
            with self._receiving.place(request) as place:
                if "Expect" in request.headers:
                    await _go_on(request)
                body = await place.body()
                door.metrics.add("geomon_gateway_received_bytes_total", protocol, by=len(body))
                return await route.handler(request, protocol, body)
        except NotAdmitted as verdict:
            door.turn_away(verdict.reason, protocol)
            if verdict.reason in BLAMED:
                door.limits.blame(request.remote or "", door.now())
            return _turned_away(verdict, protocol)
        except _Wait as wait:
            door.turn_away("too_many_requests", protocol)
            return _later(429, ADMISSION["too_many_requests"][0], wait.for_s)
        except Full:
            door.put_off(protocol)
            answer = _later(503, "too much is being received", random.uniform(*_RETRY_S))  # noqa: S311
            answer.force_close()  # the rest of it is not to be read
            return answer
        except Busy as busy:
            return _later(503, str(busy), random.uniform(*_RETRY_S))  # noqa: S311
        except NotReady:
            door.put_off(protocol)
            why = "the registry has not been read yet"
            return _later(503, why, random.uniform(*_RETRY_S))  # noqa: S311
        except Refusal as refusal:
            door.throw_away(refusal.reason, protocol)
            return _json(400, {"error": str(refusal)})
        except TooSlow:
            door.throw_away("bad_length", protocol)
            answer = _json(408, {"error": f"not received within {self._receive_s:g} s"})
            answer.force_close()
            return answer

    def _limit(self, request: web.BaseRequest) -> None:
        wait_s = self._door.limits.address(request.remote or "", self._door.now())
        if wait_s:
            raise _Wait(wait_s)

    def _allow(self, device: Device, pieces: int = 1) -> None:
        cost = max(1.0, pieces / PIECES_OF_A_LIST)
        wait_s = self._door.limits.device(device.device_id, self._door.now(), cost)
        if wait_s:
            raise _Wait(wait_s)

    # -- each protocol ----------------------------------------------------------------------------

    async def _native(self, request: web.BaseRequest, protocol: str, body: bytes) -> web.Response:
        trouble: Refusal | None = None
        items: list[native.Item] = []
        try:
            items = native.read(body)
        except Refusal as refusal:
            trouble = refusal
        asking = request.headers.get("X-Geomon-Device", "")
        device_id = native.speaker(items, asking)
        device = self._known(device_id, lambda device: self._proves(request, device, body))
        self._allow(device, len(items))
        if trouble is not None:
            # geomon's own client knows what 400 means: it is kept here, and is to be dropped there.
            await self._door.reject(device, trouble, protocol=protocol, raw=body)
            return _json(400, {"error": str(trouble)})
        reports = native.reports_of(items, device)
        await self._door.admit(device, reports, protocol=protocol, raw=body)
        if len(reports) == 1 and not reports[0].refused:
            return web.Response(body=_ONE_TAKEN, headers=_IS_JSON)
        rejected = [
            {"upload": number, "fix": part.fix if part.fix >= 0 else None}
            | {"reason": part.reason, "detail": part.detail}
            for number, report in enumerate(reports)
            for part in report.refused
        ]
        return _json(200, {"uploads": len(reports), "rejected": rejected})

    async def _osmand(self, request: web.BaseRequest, protocol: str, body: bytes) -> web.Response:
        queries = [request.rel_url.raw_query_string]
        is_json = body.lstrip()[:1] == b"{"
        if body and not is_json:
            queries.append(body.decode("utf-8", "replace"))
        asked = osmand.parameters_of(*queries)
        token = osmand.token(asked)
        if is_json:
            return await self._traccar(request, token, body)
        device_id = osmand.device_id(asked)
        if not device_id:
            raise Refusal("missing_field", "id")
        device = self._known(device_id, lambda device: has_token(request.headers, device, token))
        self._allow(device)
        report = osmand.read(asked)
        raw = osmand.without_token(asked) if report.refused else b""
        await self._door.admit(device, [report], protocol=protocol, raw=raw)
        return web.Response()

    async def _traccar(self, request: web.BaseRequest, token: str, body: bytes) -> web.Response:
        upload: dict[str, Any] = {}
        reports: list[Report] = []
        trouble: Refusal | None = None
        try:
            upload = traccar.read(body)
            reports = traccar.reports_of(upload)
        except Refusal as refusal:
            trouble = refusal
        device_id = traccar.device_id(upload) or traccar.device_id_in(body)
        if not device_id:
            raise trouble or Refusal("missing_field", "device_id")
        device = self._known(device_id, lambda device: has_token(request.headers, device, token))
        self._allow(device, len(reports))
        if trouble is None:
            await self._door.admit(device, reports, protocol="traccar", raw=body)
        else:
            await self._door.reject(device, trouble, protocol="traccar", raw=body)
        return web.Response()

    async def _owntracks(
        self, request: web.BaseRequest, protocol: str, body: bytes
    ) -> web.Response:
        user, password = basic(request.headers)
        device = self._known(user, lambda device: device.knows_token(password))
        try:
            reports = owntracks.reports_of(body)
        except Refusal as refusal:
            self._allow(device)
            await self._door.reject(device, refusal, protocol=protocol, raw=body)
        else:
            self._allow(device, len(reports))
            await self._door.admit(device, reports, protocol=protocol, raw=body)
        return web.Response(body=owntracks.ANSWER, content_type="application/json")

    # -- who it is --------------------------------------------------------------------------------

    def _known(self, device_id: str, proves: Callable[[Device], bool]) -> Device:
        """Give the device that calls itself so and proves it.

        Whether it is unknown, withdrawn, or the secret wrong is only counted, not told, unless it
        is proven: nobody is to find out which ids there are.
        """
        device = self._door.announced(device_id)
        proven = proves(device)
        reason = device.barred(self._door.now()) or ("" if proven else "wrong_secret")
        if reason:
            raise NotAdmitted(reason, proven=proven)
        return device

    def _proves(self, request: web.BaseRequest, device: Device, body: bytes) -> bool:
        signed = is_signed(request.headers, body, device, self._door.now(), self._freshness_s)
        return has_token(request.headers, device) if signed is None else signed


def listener(
    _name: str, address: str, door: Door, settings: Settings, tls: ssl.SSLContext | None
) -> HttpListener:
    """Give the listener for HTTP."""
    return HttpListener(address, door, settings, tls)


async def _go_on(request: web.BaseRequest) -> None:
    """Tell a client that asks first (curl does, before a large body) to send its body."""
    if request.headers["Expect"].lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


def _turned_away(verdict: NotAdmitted, protocol: str) -> web.Response:
    if verdict.reason == "too_large":
        answer = _json(413, {"error": str(verdict)})
        answer.force_close()
        return answer
    if verdict.proven or verdict.reason in _FORBIDDEN:
        return _json(403, {"error": str(verdict)})
    answer = _json(401, {"error": "no such device, or not its secret"})
    scheme = "Basic" if protocol == "owntracks" else "Bearer"
    answer.headers["WWW-Authenticate"] = f'{scheme} realm="geomon"'
    return answer


def _later(status: int, why: str, after_s: float) -> web.Response:
    answer = _json(status, {"error": why})
    answer.headers["Retry-After"] = str(whole_seconds(after_s))
    return answer


def _json(status: int, body: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body) + b"\n", headers=_IS_JSON)


def _count_connections(server: web.Server, door: Door, most: int) -> None:
    """Count connections as they come and go, and close those beyond the most there may be."""
    came, went = server.connection_made, server.connection_lost

    def made(handler: Any, transport: Any) -> None:
        came(handler, transport)
        door.metrics.add("geomon_gateway_connections", "http")
        if len(server.connections) > most:
            # Not at once: aiohttp is still setting it up.
            asyncio.get_running_loop().call_soon(handler.force_close)

    def lost(handler: Any, error: BaseException | None = None) -> None:
        went(handler, error)
        door.metrics.add("geomon_gateway_connections", "http", by=-1)

    server.connection_made = made  # type: ignore[method-assign]
    server.connection_lost = lost  # type: ignore[assignment,method-assign]
