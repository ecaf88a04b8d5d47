"""What of a setting others may see: logs, messages and the table of settings get around."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["PASSWORD", "SECRET", "public_url", "public_value"]

#: How secret a setting is: a URL that may hold a password; all of it.
PASSWORD, SECRET = "password", "secret"


_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:")
_USER = re.compile(r"([\w.-]*):")
_PLACE = re.compile(r"(\[[\w.:%]+\]|[\w.-]*)(:\d+)?(/[\w./-]*)?")


def public_value(value: Any, secrecy: str) -> Any:
    """Give a setting's value without what is secret in it."""
    if value and secrecy == SECRET:
        return "***"
    if value and secrecy == PASSWORD:
        return public_url(value)
    return value


def public_url(url: str) -> str:
    """A URL fit for messages: without its password, and without query, which may hold one too.

    All up to the last @ may be the password: one made by a generator has `/` and `#` in it, and a
    URL's own rules end the password there, and take the rest for a place that may be shown.
    """
    scheme, slashes, rest = url.partition("//")
    if not _SCHEME.fullmatch(scheme):
        scheme, slashes, rest = "", "", url
    secret, at, place = rest.rpartition("@")
    user = _USER.match(secret)
    shown = f"{user[1]}:***" if user else "***" if at else ""
    # After a ? the @ may be one of the query's.
    place = "" if "?" in secret else re.split("[?#]", place)[0]
    if not place or not _PLACE.fullmatch(place):
        place = "(unreadable)"
    return f"{scheme}{slashes}{shown}{at}{place}"
