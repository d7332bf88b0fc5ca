"""Whether an extension API server can be reached, judged by its Service and endpoints. Pure.

Upstream: kube-aggregator/pkg/controllers/status/remote. What the objects cannot tell, asking the server does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from podium.apiserver.aggregation.registration import Registration
from podium.apiserver.streaming.service_resolver import is_ready
from podium.machinery.errors import Object
from podium.machinery.errors import shown as quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the condition Available shall say."""

    status: str
    reason: str
    message: str


PASSED = Verdict(status="True", reason="Passed", message="all checks passed")
LOCAL = Verdict(status="True", reason="Local", message="Local APIServices are always available")


def failed_discovery(why: str) -> Verdict:
    return _no("FailedDiscoveryCheck", why)


def _no(reason: str, message: str) -> Verdict:
    return Verdict(status="False", reason=reason, message=message)


def judge(wanted: Registration, service: Object | None, slices: Sequence[Object]) -> Verdict | None:
    """Return why the server cannot be reached; None when only asking it can tell."""
    where = f"service/{wanted.service} in {quoted(wanted.namespace)}"
    if service is None:
        return _no("ServiceNotFound", f"{where} is not present")
    spec = service.get("spec") or {}
    if (spec.get("type") or "ClusterIP") != "ClusterIP":
        return None
    port = next((one for one in spec.get("ports") or () if one.get("port") == wanted.port), None)
    if port is None:
        return _no("ServicePortError", f"{where} is not listening on port {wanted.port}")
    if not slices:
        return _no("EndpointsNotFound", f"cannot find endpointslices for {where}")
    name = port.get("name") or ""
    if not any(_has_endpoint(one, name) for one in slices):
        message = f"endpointslices for {where} have no addresses with port name {quoted(name)}"
        return _no("MissingEndpoints", message)
    return None


def _has_endpoint(endpoint_slice: Object, port_name: str) -> bool:
    return any(is_ready(endpoint) for endpoint in endpoint_slice.get("endpoints") or ()) and any(
        (port.get("name") or "") == port_name and port.get("port") is not None
        for port in endpoint_slice.get("ports") or ()
    )
