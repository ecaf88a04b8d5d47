"""What of a setting others may see: logs, messages and the table of settings get around."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

__all__ = ["PASSWORD", "SECRET", "public_url", "public_value"]

#: How secret a setting is: a URL that may hold a password; all of it.
PASSWORD, SECRET = "password", "secret"


def public_value(value: Any, secrecy: str) -> Any:
    """Give a setting's value without what is secret in it."""
    if value and secrecy == SECRET:
        return "***"
    if value and secrecy == PASSWORD:
        return public_url(value)
    return value


def public_url(url: str) -> str:
    """A URL fit for messages: without its password, and without query, which may hold one too."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(unreadable)"
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    return f"{parts.scheme}://{name}{colon and ':***'}{at}{host}{parts.path}"
