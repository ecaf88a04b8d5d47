"""The gateway over HTTP, with its clients' requests: what is answered, and what is kept."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import time
from pathlib import Path

import pytest
from reception import (
    KEY,
    PHONE,
    TOKEN,
    device,
    now_text,
    reception,
    run,
)
from uploads import BEARER, PLACE, basic, own, post, upload

from geomon.gateway.credentials import signature_of

# -- geomon's own ----------------------------------------------------------------------------------


def test_an_upload_is_in_kafka_when_it_is_answered(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            assert await own(here, upload(battery_pct=71)) == (200, {"uploads": 1, "rejected": []})
            (event,) = await here.events()
            assert (event["supervisee_id"], event["device_id"]) == ("SZ-0001", "phone-3")
            assert (event["device"], event["datum"], event["battery_pct"]) == ("phone", "wgs84", 71)
            assert event["received"] >= event["fixes"][0]["time"]
            assert here.counted("native", "accepted") == 1

    run(main)


def test_the_device_declares_a_datum_or_the_registrys_stands(tmp_path: Path) -> None:
    async def main() -> None:
        silent = device("silent", datum=None)
        async with reception(tmp_path, [PHONE, silent]) as here:
            await own(here, upload(datum="bd09"))
            await own(here, upload())
            await own(here, {**upload(), "device_id": "silent"})
            datums = [event.get("datum") for event in await here.events()]
            assert sorted(datums, key=str) == [None, "bd09", "wgs84"]

    run(main)


def test_a_list_and_lines_are_taken_and_a_bad_fix_is_kept_with_its_reason(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            bad = upload()
            bad["fixes"].append({"time": "noon", **PLACE})
            status, said = await own(here, [upload(), bad])
            assert status == 200
            assert said["uploads"] == 2
            assert [(one["upload"], one["fix"], one["reason"]) for one in said["rejected"]] == [
                (1, 1, "bad_time")
            ]
            lines = "\n".join(json.dumps(upload(ago)) for ago in (60, 120))
            headers = {**BEARER, "Content-Type": "application/x-ndjson"}
            status, said = await post(here, "/v1/uploads", data=lines, headers=headers)
            assert (status, said["uploads"]) == (200, 2)
            assert len(await here.events()) == 4
            (record,) = await here.rejected()
            assert (record["reason"], record["fix"]) == ("bad_time", 1)
            assert (record["supervisee_id"], record["where"]) == ("SZ-0001", "gateway/native")

    run(main)


def test_what_is_no_json_is_kept_and_not_to_be_sent_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            headers = {**BEARER, "X-Geomon-Device": "phone-3"}
            status, said = await post(here, "/v1/uploads", data=b"{torn", headers=headers)
            assert (status, said["error"][:11]) == (400, "broken_json")
            (record,) = await here.rejected()
            assert (record["reason"], record["message"]) == ("broken_json", "{torn")
            # Of nobody that is known it is only counted: strangers fill no topic.
            assert (await post(here, "/v1/uploads", data=b"{torn", headers=BEARER))[0] == 401
            assert len(await here.rejected()) == 1

    run(main)


def test_nobody_speaks_for_somebody_else(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            own_name = upload(supervisee_id="SZ-0001")
            assert (await own(here, own_name))[0] == 200
            assert (await own(here, upload(supervisee_id="SZ-0002")))[0] == 403
            two = [upload(), {**upload(), "device_id": "band-17"}]
            assert (await own(here, two))[0] == 403
            as_band = {**BEARER, "X-Geomon-Device": "band-17"}
            assert (await own(here, upload(), as_band))[0] == 403
            assert len(await here.events()) == 1
            assert here.refused("another_person") == 1
            assert here.refused("another_device") == 2

    run(main)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no_secret"),
        ({"Authorization": "Bearer of-somebody-else"}, "wrong_secret"),
        ({"Authorization": "Digest x"}, "no_secret"),
        ({**BEARER, "X-Geomon-Device": "phone-9"}, "unknown_device"),
    ],
)
def test_who_cannot_prove_it_is_turned_away_and_learns_nothing(
    headers: dict[str, str], reason: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            body = upload()
            if "X-Geomon-Device" in headers:
                del body["device_id"]
            status, said = await own(here, body, headers)
            assert (status, said) == (401, {"error": "no such device, or not its secret"})
            assert here.refused(reason) == 1
            assert await here.events() == []

    run(main)


def test_a_withdrawn_device_and_one_out_of_its_dates_are_forbidden(tmp_path: Path) -> None:
    async def main() -> None:
        devices = [
            device(status="withdrawn"),
            device("old", until="2024-01-01T00:00:00+08:00"),
        ]
        async with reception(tmp_path, devices) as here:
            assert (await own(here, upload()))[0] == 403
            assert (await own(here, {**upload(), "device_id": "old"}))[0] == 403
            assert here.refused("withdrawn") == here.refused("not_active") == 1
            # Who cannot prove it does not learn that there is such a device.
            wrong = {"Authorization": "Bearer of-somebody-else"}
            for device_id in ("phone-3", "old"):
                status, said = await own(here, {**upload(), "device_id": device_id}, wrong)
                assert (status, said) == (401, {"error": "no such device, or not its secret"})
            assert here.refused("withdrawn") == here.refused("not_active") == 2

    run(main)


def test_a_signed_upload(tmp_path: Path) -> None:
    async def main() -> None:
        signer = device(secrets=[f"hmac:{base64.b64encode(KEY).decode()}"])
        async with reception(tmp_path, [signer]) as here:
            body = json.dumps(upload()).encode()
            for key, ahead_s, wanted in ((KEY, 0, 200), (KEY[::-1], 0, 401), (KEY, 900, 401)):
                headers = signature_of(key, int(time.time()) + ahead_s, body)
                assert (await post(here, "/v1/uploads", data=body, headers=headers))[0] == wanted
            assert here.refused("wrong_secret") == here.refused("stale_signature") == 1
            assert (await own(here, upload()))[0] == 401  # it has a key, and no token

    run(main)


# -- Traccar Client and OsmAnd ---------------------------------------------------------------------


def test_traccar_client_8_posts_a_query_and_an_empty_body(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            query = f"id=phone-3&timestamp={int(time.time())}&lat=22.5431&lon=114.0579&batt=50.0"
            assert await post(here, f"/osmand?token={TOKEN}&{query}") == (200, None)
            assert await post(here, f"/?token={TOKEN}&{query}") == (200, None)
            async with here.client.get(f"{here.url}/osmand?token={TOKEN}&{query}") as answer:
                assert answer.status == 200
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            path = f"/osmand?token={TOKEN}"
            assert await post(here, path, data=query, headers=form) == (200, None)
            assert [event["battery_pct"] for event in await here.events()] == [50] * 4

    run(main)


def test_a_position_that_can_never_be_taken_does_not_block_the_phones_queue(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            query = "id=phone-3&timestamp=1&lat=22.5431&lon=114.0579"
            assert await post(here, f"/osmand?token={TOKEN}&{query}") == (200, None)
            (event,) = await here.events()
            assert event["fixes"] == []  # heard from, at no place
            (record,) = await here.rejected()
            assert (record["reason"], record["where"]) == ("impossible_time", "gateway/osmand")
            assert TOKEN not in record["message"]
            assert (await post(here, f"/osmand?token={TOKEN}&lat=1&lon=1"))[0] == 400

    run(main)


def test_traccar_client_9_posts_json(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            coords = {"latitude": 22.5431, "longitude": 114.0579, "accuracy": 9}
            location = {"timestamp": now_text(), "coords": coords, "battery": {"level": 0.5}}
            body = {"location": location, "device_id": "phone-3"}
            for headers in ({}, {"Content-Type": "application/json"}):
                done = await post(
                    here, f"/osmand?token={TOKEN}", data=json.dumps(body), headers=headers
                )
                assert done == (200, None)
            first, second = await here.events()
            assert first["fixes"] == second["fixes"]
            assert (first["battery_pct"], first["protocol"]) == (50, "traccar")
            # It would send these for ever, were it told no.
            nothing = json.dumps({"device_id": "phone-3"})
            assert await post(here, f"/osmand?token={TOKEN}", data=nothing) == (200, None)
            torn = json.dumps(body).replace("22.5431", "nan")
            assert await post(here, f"/osmand?token={TOKEN}", data=torn) == (200, None)
            reasons = [record["reason"] for record in await here.rejected()]
            assert reasons == ["missing_field", "broken_json"]
            assert (await post(here, f"/osmand?token={TOKEN}", data="{}"))[0] == 400
            assert (await post(here, "/osmand?token=wrong", data=torn))[0] == 401

    run(main)


def test_towers_alone_are_a_heartbeat_with_the_towers_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            query = f"id=phone-3&timestamp={int(time.time())}&cell=460,0,9365,4611,-71"
            assert (await post(here, f"/osmand?token={TOKEN}&{query}"))[0] == 200
            (event,) = await here.events()
            assert event["fixes"] == []
            assert event["cells"] == [
                {"mcc": 460, "mnc": 0, "lac": 9365, "cell": 4611, "signal_dbm": -71}
            ]

    run(main)


def test_with_a_locator_they_are_a_position_in_wgs84_whatever_the_devices_datum(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        sites = tmp_path / "sites.csv"
        sites.write_text("kind,id,lon,lat,accuracy_m\ncell,460-0-9365-4611,114.05,22.54,800\n")
        phone = device(datum="bd09")
        async with reception(tmp_path, [phone], gateway_locator=str(sites)) as here:
            for cell in (4611, 4612):
                query = f"id=phone-3&timestamp={int(time.time())}&cell=460,0,9365,{cell}"
                assert (await post(here, f"/osmand?token={TOKEN}&{query}"))[0] == 200
            found, not_found = await here.events()
            (fix,) = found["fixes"]
            assert (fix["lon"], fix["lat"]) == (114.05, 22.54)
            assert (fix["source"], fix["accuracy_m"], found["datum"]) == ("cell", 800, "wgs84")
            assert not_found["fixes"] == []

    run(main)


# -- OwnTracks -------------------------------------------------------------------------------------


def test_owntracks_posts_with_basic_authentication_and_reads_an_array(tmp_path: Path) -> None:
    async def main() -> None:
        async with reception(tmp_path) as here:
            told = {"_type": "location", "tst": int(time.time()), "tid": "p3", **PLACE}
            headers = {"X-Limit-U": "phone-3", "X-Limit-D": "android", **basic("phone-3", TOKEN)}
            for message in (told, {"_type": "lwt", "tst": 1}, {"_type": "waypoint", "tst": 1}):
                done = await post(here, "/owntracks", json=message, headers=headers)
                assert done == (200, [])
            assert [len(event["fixes"]) for event in await here.events()] == [1, 0]
            # What it cannot be would stop its queue, were it told so.
            sealed = {"_type": "encrypted", "data": "c2VhbGVk"}
            assert await post(here, "/owntracks", json=sealed, headers=headers) == (200, [])
            assert [record["reason"] for record in await here.rejected()] == ["not_of_protocol"]
            assert (await post(here, "/owntracks", json=told))[0] == 401
            wrong = basic("phone-3", "wrong")
            assert (await post(here, "/owntracks", json=told, headers=wrong))[0] == 401

    run(main)


# -- as the documentation of the clients shows it with curl ----------------------------------------


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl_as_documented(tmp_path: Path) -> None:
    async def curl(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *("curl", "--silent", "--show-error", "--fail", *words),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        return out.decode()

    async def main() -> None:
        async with reception(tmp_path) as here:
            now_s = int(time.time())
            place = f"lat=22.5431&lon=114.0579&timestamp={now_s}&hdop=1&altitude=9&speed=2"
            assert await curl(f"{here.url}/?id=phone-3&token={TOKEN}&{place}") == ""
            told = json.dumps({"_type": "location", "tid": "p3", "tst": now_s, **PLACE})
            answer = await curl(
                *("--user", f"phone-3:{TOKEN}", "--header", "X-Limit-U: phone-3"),
                *("--header", "Content-Type: application/json", "--data", told),
                f"{here.url}/owntracks",
            )
            assert answer == "[]"
            lines = tmp_path / "uploads.ndjson"
            lines.write_text("\n".join(json.dumps(upload(ago)) for ago in range(300)))
            answer = await curl(
                *("--header", f"Authorization: Bearer {TOKEN}"),
                *("--header", "Content-Type: application/x-ndjson"),
                *("--data-binary", f"@{lines}", f"{here.url}/v1/uploads"),
            )
            assert json.loads(answer) == {"uploads": 300, "rejected": []}
            assert len(await here.events()) == 302

    run(main)
