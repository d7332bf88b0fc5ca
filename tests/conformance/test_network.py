"""sig-network, as far as controllers do it: no packet is sent here."""

from __future__ import annotations

from tests.conformance.client import Api, collection, with_parameters
from tests.conformance.contract import covers
from tests.conformance.examples import service


@covers(
    "[sig-network] EndpointSliceMirroring should mirror a custom Endpoints resource through create update and delete"
)
def test_mirroring(api: Api, namespace: str) -> None:
    services, endpoints = (collection("v1", kind, namespace) for kind in ("services", "endpoints"))
    selector = {"labelSelector": "kubernetes.io/service-name=example"}
    slices = with_parameters(collection("discovery.k8s.io/v1", "endpointslices", namespace), selector)
    api.post(services, service("example"))

    def addresses(*wanted: str) -> None:
        """Wait until the slices of the Service have these addresses."""
        api.until(
            slices,
            lambda found: (
                sorted(
                    address
                    for slice_ in found["items"]
                    for endpoint in slice_["endpoints"] or ()
                    for address in endpoint["addresses"]
                )
                == sorted(wanted)
            ),
            f"slices with {wanted}",
        )

    subset = {"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}
    api.post(endpoints, {"metadata": {"name": "example"}, "subsets": [subset]})
    addresses("10.1.2.3")
    found = api.get(slices)["items"][0]
    assert found["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    assert found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == (
        "endpointslicemirroring-controller.k8s.io"
    )
    subset = {"addresses": [{"ip": "10.2.3.4"}], "ports": [{"name": "a", "port": 8080}]}
    api.update(f"{endpoints}/example", lambda obj: obj.update(subsets=[subset]))
    addresses("10.2.3.4")
    api.delete(f"{endpoints}/example")
    api.until(slices, lambda found: not found["items"], "no slices")
