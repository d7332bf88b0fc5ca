"""From a question to an answer, over a `Zone`. Pure but for the zone it reads.

Negative answers carry the zone's SOA, so that resolvers may cache them; a name that exists without records
of the type asked for is NOERROR with no answer, which keeps AAAA lookups quick in an IPv4 cluster.
"""

from __future__ import annotations

import random

from dnslib import CNAME, PTR, QTYPE, RCODE, RR, SOA, SRV, TXT, A, DNSRecord
from dnslib.dns import DNSHeader

from podium.dns.zone import Records, Zone

TTL_S = 5
"""Upstream's: short, because endpoints come and go."""
UDP_BYTES_DEFAULT = 512
UDP_BYTES_MAX = 1232
"""What fits an unfragmented packet on any path (the DNS flag day 2020 figure)."""
_SERIAL = 1


def ours(query: DNSRecord, zone: Zone) -> bool:
    """Tell whether the zone answers `query`; otherwise another server must."""
    return len(query.questions) == 1 and zone.holds(_name(query))


def answer(query: DNSRecord, zone: Zone) -> DNSRecord:
    """Return the authoritative answer to `query`."""
    reply = query.reply(ra=1, aa=1)
    name, kind = _name(query), QTYPE[query.q.qtype]
    found = zone.find(name)
    if found is None:
        reply.header.rcode = RCODE.NXDOMAIN
    else:
        _fill(reply, name, kind, found, zone)
    if not reply.rr:
        reply.add_auth(_start_of_authority(zone))
    return reply


def open_alias(reply: DNSRecord, zone: Zone) -> DNSRecord | None:
    """Return the question that remains when `reply` is an alias to a name of another zone, or None.

    Stub resolvers do not follow aliases themselves: whoever answers must have the whole chain.
    """
    wanted = QTYPE[reply.q.qtype]
    if wanted not in {"A", "AAAA"} or not reply.rr or reply.rr[-1].rtype != QTYPE.CNAME:
        return None
    target = str(reply.rr[-1].rdata.label)
    return None if zone.holds(target.rstrip(".").lower()) else DNSRecord.question(target, wanted)


def with_alias_resolved(reply: DNSRecord, answer_of_target: bytes) -> DNSRecord:
    """Return `reply` with what another server says of the alias's target."""
    found = DNSRecord.parse(answer_of_target)
    reply.header.rcode = found.header.rcode
    for record in found.rr:
        reply.add_answer(record)
    return reply


def failure(query: DNSRecord, code: str) -> DNSRecord:
    """Return an answer that says only `code` (SERVFAIL, NOTIMP, REFUSED, ...)."""
    reply = query.reply(ra=1, aa=0)
    reply.header.rcode = getattr(RCODE, code)
    return reply


def malformed(message: bytes) -> bytes:
    """Return FORMERR for something that is no question but has an id to answer to."""
    header = DNSHeader(id=int.from_bytes(message[:2]), qr=1, rcode=RCODE.FORMERR)
    return bytes(DNSRecord(header).pack())


def udp_bytes_max(query: DNSRecord) -> int:
    """Return how large an answer over UDP the asker takes."""
    for extra in query.ar:
        if extra.rtype == QTYPE.OPT:
            return int(min(max(extra.rclass, UDP_BYTES_DEFAULT), UDP_BYTES_MAX))
    return UDP_BYTES_DEFAULT


def truncated(reply: DNSRecord) -> DNSRecord:
    """Return `reply` without records and with the mark that makes the asker come again over TCP."""
    return reply.truncate()


def _name(query: DNSRecord) -> str:
    return str(query.q.qname).rstrip(".").lower()


def _fill(reply: DNSRecord, name: str, kind: str, found: Records, zone: Zone) -> None:
    # The asker's spelling goes back: some resolvers mix upper and lower case to recognise their answer.
    owner = reply.q.qname
    if found.alias and kind in {"A", "AAAA", "CNAME", "ANY"}:
        reply.add_answer(RR(owner, QTYPE.CNAME, ttl=TTL_S, rdata=CNAME(found.alias)))
        target = zone.find(found.alias)
        if kind == "A" and target is not None:
            for address in target.addresses:
                reply.add_answer(RR(found.alias, QTYPE.A, ttl=TTL_S, rdata=A(address)))
        return
    if kind in {"A", "ANY"}:
        # Shuffled: clients that take the first address spread over all of them.
        for address in random.sample(found.addresses, len(found.addresses)):
            reply.add_answer(RR(owner, QTYPE.A, ttl=TTL_S, rdata=A(address)))
    if kind in {"SRV", "ANY"}:
        _fill_services(reply, found, zone)
    if kind in {"PTR", "ANY"} and found.pointer:
        reply.add_answer(RR(owner, QTYPE.PTR, ttl=TTL_S, rdata=PTR(found.pointer)))
    if kind in {"TXT", "ANY"} and found.text:
        reply.add_answer(RR(owner, QTYPE.TXT, ttl=TTL_S, rdata=TXT(found.text)))
    if kind == "SOA" and name == zone.name:
        reply.add_answer(_start_of_authority(zone))


def _fill_services(reply: DNSRecord, found: Records, zone: Zone) -> None:
    weight = 100 // max(1, len(found.services))
    for service in found.services:
        data = SRV(priority=0, weight=weight, port=service.port, target=service.target)
        reply.add_answer(RR(reply.q.qname, QTYPE.SRV, ttl=TTL_S, rdata=data))
    for target in dict.fromkeys(service.target for service in found.services):
        for address in (zone.find(target) or Records()).addresses:
            reply.add_ar(RR(target, QTYPE.A, ttl=TTL_S, rdata=A(address)))


def _start_of_authority(zone: Zone) -> RR:
    times = (_SERIAL, 7200, 1800, 86400, TTL_S)
    data = SOA(f"ns.dns.{zone.name}", f"hostmaster.{zone.name}", times)
    return RR(zone.name, QTYPE.SOA, ttl=TTL_S, rdata=data)
