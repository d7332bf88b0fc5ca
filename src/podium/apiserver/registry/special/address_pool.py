"""The addresses that Services may have: of every ServiceCIDR that is ready and not being deleted.

What is taken is known from the Services and from the IPAddress objects, so nothing can leak. Ranges may
overlap: an address is taken in all that contain it. Ranges are not looked through for each Service: one that
is full says so, and one that is nearly full is looked through once, and keeps what is left.
Upstream: pkg/registry/core/service/ipallocator (cidrallocator.go, ipallocator.go).
"""

from __future__ import annotations

import ipaddress
import random
from collections import Counter
from dataclasses import dataclass
from time import perf_counter

from podium.apiserver.cacher.entry import Event
from podium.apiserver.chain import View, ViewChange
from podium.apiserver.registry.special.address_figures import AddressFigures
from podium.base.metrics import Registry
from podium.machinery import meta
from podium.machinery.errors import Object

NOT_IN_RANGE = "the provided network does not match the current range"
ALLOCATED = "provided IP is already allocated"

_DYNAMIC_OFFSET_MIN, _DYNAMIC_OFFSET_MAX, _DYNAMIC_SHARE = 16, 256, 16
"""Dynamic addresses come from above the range's first part, which is for addresses that people choose."""
_PREFIX_LENGTH_MIN_IPV6 = 64
_ATTEMPTS = 64
_SPARE_SHARE = 8
"""Where more than one in so many is free, chance finds a free one soon."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressPool:
    """The addresses of one family. `own` is the server's own range, which is used up before others are."""

    def __init__(
        self,
        own: Network,
        service_cidrs: View,
        *,
        chance: random.Random | None = None,
        figures: AddressFigures | None = None,
    ) -> None:
        self.family = "IPv4" if own.version == 4 else "IPv6"
        self._own = own
        self._random = chance or random.Random()
        self._taken: Counter[int] = Counter()
        """By how many an address is held: a Service, its IPAddress, a write in flight."""
        self._ready: dict[str, _Ready] = {}
        self._ranges: list[_Range] = []
        self._figures = figures or AddressFigures(Registry())
        service_cidrs.subscribe(self._follow_service_cidr)

    def claim(self, address: str, count: int) -> None:
        """Note one more holder of the address (1) or one less (-1). Other families' do not matter."""
        number = self._number(address)
        if number is None:
            return
        before = self._taken[number]
        if before + count:
            self._taken[number] = before + count
        else:
            del self._taken[number]
        if not before or not before + count:
            for one in self._ranges:
                one.note(number, count)

    def choose(self, address: str) -> str:
        """Return why nobody may have the address that was chosen; "": whoever asks claims it at once, or
        it is no address at all."""
        started_s = perf_counter()
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return ""  # Validation says it better.
        number = int(parsed)
        if parsed.version != self._own.version:
            return NOT_IN_RANGE
        found = next((one for one in self._ranges if one.holds(number)), None)
        if found is None:
            return NOT_IN_RANGE
        if number in self._taken:
            self._figures.refused(found.cidr, "static")
            return ALLOCATED
        self._figures.given(found.cidr, "static", perf_counter() - started_s)
        return ""

    def free(self) -> str | None:
        """Return an address for whoever claims it at once; None when there is none left."""
        family = ipaddress.IPv4Address if self._own.version == 4 else ipaddress.IPv6Address
        for one in self._ranges:
            started_s = perf_counter()
            number = one.free()
            if number is not None:
                self._figures.given(one.cidr, "dynamic", perf_counter() - started_s)
                return str(family(number))
            self._figures.refused(one.cidr, "dynamic")
        return None

    def collect(self) -> None:
        """Set the figures of what is taken."""
        for one in self._ranges:
            self._figures.usage(one.cidr, taken=one.used, free=one.size - one.used)

    def follow_address(self, event: Event) -> None:
        """Follow the IPAddress objects: what has one is taken, whoever made it."""
        if event.previous is None and event.entry is not None:
            self.claim(event.entry.name, 1)
        elif event.entry is None and event.previous is not None:
            self.claim(event.previous.name, -1)

    def _number(self, address: str) -> int | None:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return None
        return int(parsed) if parsed.version == self._own.version else None

    # --- ranges

    def _follow_service_cidr(self, change: ViewChange) -> None:
        for obj in (change.old, change.new):
            if obj is not None:
                self._ready.pop(meta.name(obj), None)
        if change.new is not None and _is_ready(change.new):
            self._ready[meta.name(change.new)] = _Ready(
                created=str(meta.metadata(change.new).get("creationTimestamp") or ""),
                networks=tuple(self._networks(change.new)),
            )
        self._arrange()

    def _networks(self, service_cidr: Object) -> list[Network]:
        found: list[Network] = []
        for text in meta.dig(service_cidr, "spec", "cidrs", default=()):
            try:
                network = ipaddress.ip_network(text, strict=False)
            except ValueError:
                continue  # Validation lets none in.
            too_big = network.version == 6 and network.prefixlen < _PREFIX_LENGTH_MIN_IPV6
            if network.version == self._own.version and not too_big:
                found.append(network)
        return found

    def _arrange(self) -> None:
        """Have one range for each network of those that are ready: the own one first, then the oldest."""
        ordered = sorted(self._ready.items(), key=lambda item: (item[1].created, item[0]))
        wanted = dict.fromkeys(network for _, ready in ordered for network in ready.networks)
        known = {one.network: one for one in self._ranges}
        self._ranges = [
            known.get(network) or _Range(network, self._taken, self._random)
            for network in sorted(wanted, key=lambda network: network != self._own)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A ServiceCIDR from which addresses are given."""

    created: str
    networks: tuple[Network, ...]


class _Range:
    """One network's addresses: not its first; of IPv4 not its last either."""

    def __init__(self, network: Network, taken: Counter[int], chance: random.Random) -> None:
        self.network = network
        self.cidr = str(network)
        base, size = int(network.network_address), network.num_addresses
        self._first = base + 1
        self._last = base + size - (2 if network.version == 4 else 1)
        offset = min(max(_DYNAMIC_OFFSET_MIN, size // _DYNAMIC_SHARE), _DYNAMIC_OFFSET_MAX)
        middle = self._first + (offset if size > _DYNAMIC_OFFSET_MIN else 0)
        self._chosen = _Part(self._first, middle - 1, taken, chance)
        self._dynamic = _Part(middle, self._last, taken, chance)
        self.size = max(0, self._last - self._first + 1)

    @property
    def used(self) -> int:
        return self._chosen.used + self._dynamic.used

    def holds(self, number: int) -> bool:
        return self._first <= number <= self._last

    def note(self, number: int, count: int) -> None:
        self._chosen.note(number, count)
        self._dynamic.note(number, count)

    def free(self) -> int | None:
        number = self._dynamic.free()
        return self._chosen.free() if number is None else number


class _Part:
    """Addresses next to each other, `first` to `last`, both included."""

    def __init__(self, first: int, last: int, taken: Counter[int], chance: random.Random) -> None:
        self._first, self._last = first, last
        self._size = last - first + 1
        self._taken = taken
        self._random = chance
        self.used = sum(first <= number <= last for number in taken)
        self._spare: list[int] | None = None
        """Once chance finds none: all that are free, among others that have been taken since."""

    def note(self, number: int, count: int) -> None:
        """Note that one address has been taken (1) or is free again (-1)."""
        if not self._first <= number <= self._last:
            return
        self.used += count
        if count < 0 and self._spare is not None:
            self._spare.append(number)
            if len(self._spare) * _SPARE_SHARE > self._size:
                self._spare = None

    def free(self) -> int | None:
        """Return a free address, which is then claimed; None for none."""
        if self.used >= self._size:
            return None
        if self._spare is None:
            for _ in range(_ATTEMPTS):
                number = self._random.randint(self._first, self._last)
                if number not in self._taken:
                    return number
            self._spare = list(set(range(self._first, self._last + 1)).difference(self._taken))
            self._random.shuffle(self._spare)
        while True:
            number = self._spare.pop()
            if number not in self._taken:
                return number


def _is_ready(service_cidr: Object) -> bool:
    """Tell whether addresses may be taken from it; one of which nobody has said anything yet is ready."""
    said = meta.find_condition(service_cidr, "Ready")
    return not meta.deleting(service_cidr) and (said is None or said.get("status") == "True")
