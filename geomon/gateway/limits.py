"""How much one device or one address may ask of a gateway: token buckets, bounded in number.

A bucket fills at a steady rate up to its burst, and each request takes from it. Many phones may
stand behind one address of a mobile network, so an address may ask for much more than a device.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict

__all__ = ["PIECES_OF_A_LIST", "Buckets", "Limits", "network_of", "whole_seconds"]

#: Buckets remembered; a full one says nothing and is forgotten first by being oldest.
_MOST_BUCKETS = 100_000
#: So many uploads that come as one list cost as much as one that comes by itself.
PIECES_OF_A_LIST = 10
#: A secret that was wrong costs an address so many requests.
_BLAME = 10.0
_IPV6_NETWORK = 64


class Buckets:
    """Token buckets by key, `rate` a second and `burst` at once; a rate of 0 is no limit."""

    def __init__(self, rate: float, burst: float, most: int = _MOST_BUCKETS) -> None:
        self._rate, self._burst, self._most = rate, max(burst, 1.0), most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # (left, when, s)

    def take(self, key: str, now_s: float, cost: float = 1.0) -> float:
        """Take from a bucket; give 0, or after how many seconds it has enough (nothing is taken).

        What costs more than a burst waits for a full bucket, and leaves a debt: whoever comes next
        waits until that is paid.
        """
        if not self._rate:
            return 0.0
        left = self._left(key, now_s)
        if left < (needed := min(cost, self._burst)):
            if key in self._buckets and now_s < self._buckets[key][1]:
                self._put(key, left, now_s)  # the clock was set back: it fills from now on
            return (needed - left) / self._rate
        self._put(key, left - cost, now_s)
        return 0.0

    def drain(self, key: str, now_s: float, cost: float) -> None:
        """Take from a bucket whatever it has left; it may go below nothing by one burst."""
        if self._rate:
            left = max(self._left(key, now_s) - cost, -self._burst)
            self._put(key, left, now_s)

    def __len__(self) -> int:
        return len(self._buckets)

    def _left(self, key: str, now_s: float) -> float:
        left, then_s = self._buckets.get(key, (self._burst, now_s))
        return min(self._burst, left + max(0.0, now_s - then_s) * self._rate)

    def _put(self, key: str, left: float, now_s: float) -> None:
        self._buckets[key] = (left, now_s)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)


class Limits:
    """The limits of a gateway. Times are POSIX seconds, of a clock that may be set back."""

    def __init__(
        self,
        *,
        device_rate: float,
        device_burst: float,
        address_rate: float,
        address_burst: float,
    ) -> None:
        self._devices = Buckets(device_rate, device_burst)
        self._addresses = Buckets(address_rate, address_burst)

    def address(self, address: str, now_s: float) -> float:
        """Count a request from an address; give 0, or the seconds after which it may come again."""
        return self._addresses.take(network_of(address), now_s)

    def device(self, device_id: str, now_s: float, requests: float = 1.0) -> float:
        """Count requests of a device; give 0, or the seconds after which it may come again."""
        return self._devices.take(device_id, now_s, requests)

    def blame(self, address: str, now_s: float) -> None:
        """Note that a wrong secret came from an address: it may try less often."""
        self._addresses.drain(network_of(address), now_s, _BLAME)


def network_of(address: str) -> str:
    """Give what counts as one address: itself, or the /64 of an IPv6 address.

    >>> network_of("2001:db8::1:2"), network_of("192.0.2.7"), network_of("::ffff:192.0.2.7")
    ('2001:db8::/64', '192.0.2.7', '192.0.2.7')
    """
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, _IPV6_NETWORK), strict=False))


def whole_seconds(wait_s: float) -> int:
    """Give a wait as Retry-After says it: whole seconds, at least one."""
    return max(1, math.ceil(wait_s))
