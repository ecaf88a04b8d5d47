"""Requests of phones to a gateway over HTTP."""

from __future__ import annotations

import base64
import json
from typing import Any

from reception import (
    TOKEN,
    Reception,
    now_text,
)

BEARER = {"Authorization": f"Bearer {TOKEN}"}
PLACE = {"lon": 114.0579, "lat": 22.5431}


def upload(*ago_s: float, **fields: Any) -> dict[str, Any]:
    """An upload of the phone with a fix for each age; with none, one of now."""
    fixes = [{"time": now_text(ago), **PLACE} for ago in ago_s or (0,)]
    return {"device_id": "phone-3", "fixes": fixes, **fields}


async def post(here: Reception, path: str, **options: Any) -> tuple[int, Any]:
    """POST; give the status, and the answer as JSON where it is some."""
    async with here.client.post(here.url + path, **options) as answer:
        text = await answer.text()
        assert ("Retry-After" in answer.headers) == (answer.status in (429, 503))
        return answer.status, json.loads(text) if text else None


def basic(user: str, password: str) -> dict[str, str]:
    """The header of basic authentication."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


async def own(here: Reception, body: Any, headers: Any = BEARER) -> tuple[int, Any]:
    return await post(here, "/v1/uploads", json=body, headers=headers)
