"""Which resources are served."""

from __future__ import annotations

import pytest

from podium.machinery.feature_gates import FeatureGates
from podium.machinery.resource import Resource
from podium.machinery.runtime_config import RuntimeConfig, RuntimeConfigError


def a_resource(group: str, version: str, plural: str, *, gate: str = "", legacy: bool = False) -> Resource:
    return Resource(
        group=group,
        version=version,
        kind="Kind",
        plural=plural,
        namespaced=True,
        schema="schema",
        gate=gate,
        legacy=legacy,
    )


DECLARED = (
    a_resource("", "v1", "pods"),
    a_resource("apps", "v1", "deployments"),
    a_resource("apps", "v1beta1", "deployments", legacy=True),
    a_resource("certs", "v1", "requests"),
    a_resource("certs", "v1beta1", "bundles", gate="ClusterTrustBundle"),
    a_resource("certs", "v1beta1", "requests", legacy=True),
    a_resource("certs", "v1alpha1", "bundles"),
)


@pytest.mark.parametrize(
    ("flags", "gates", "served"),
    [
        ([], "", "/v1/pods apps/v1/deployments certs/v1/requests"),
        (["api/beta=true"], "", "/v1/pods apps/v1/deployments certs/v1/requests"),
        (
            ["api/beta=true"],
            "ClusterTrustBundle=true",
            "/v1/pods apps/v1/deployments certs/v1/requests certs/v1beta1/bundles",
        ),
        (["api/alpha=true"], "", "/v1/pods apps/v1/deployments certs/v1/requests certs/v1alpha1/bundles"),
        (["api/ga=false,certs/v1=true"], "", "certs/v1/requests"),
        (
            ["api/all=true", "apps/v1=false"],
            "",
            "/v1/pods apps/v1beta1/deployments certs/v1/requests certs/v1beta1/requests "
            "certs/v1alpha1/bundles",
        ),
        (
            ["api/all=true,api/legacy=false"],
            "",
            "/v1/pods apps/v1/deployments certs/v1/requests certs/v1alpha1/bundles",
        ),
        (["api/all=false,api/alpha=true"], "", "certs/v1alpha1/bundles"),
        (
            ["api/legacy=true"],
            "",
            "/v1/pods apps/v1/deployments apps/v1beta1/deployments certs/v1/requests certs/v1beta1/requests",
        ),
        (
            ["apps/v1beta1"],
            "",
            "/v1/pods apps/v1/deployments apps/v1beta1/deployments certs/v1/requests",
        ),
        (
            ["certs/v1beta1=1"],
            "ClusterTrustBundle=true",
            "/v1/pods apps/v1/deployments certs/v1/requests certs/v1beta1/bundles",
        ),
        (
            ["certs/v1beta1/requests=true"],
            "",
            "/v1/pods apps/v1/deployments certs/v1/requests certs/v1beta1/requests",
        ),
        (["certs/v1/requests=false"], "", "/v1/pods apps/v1/deployments"),
        (["v1=false"], "", "/v1/pods apps/v1/deployments certs/v1/requests"),
    ],
)
def test_what_is_served(flags: list[str], gates: str, served: str) -> None:
    config = RuntimeConfig.parse(flags, DECLARED)
    found = config.served(DECLARED, FeatureGates.parse([gates], "1.36"))
    assert " ".join(f"{r.group}/{r.version}/{r.plural}" for r in found) == served


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("api/all=false", "invalid runtime-config with only api/all=false"),
        ("api/all=yes", "invalid value api/all=yes"),
        ("api/nosuch=true", "unknown api groups api/nosuch"),
        ("nosuch/v1=true", "unknown api groups nosuch/v1"),
        ("apps/v7=true", "group version apps/v7 that has not been registered"),
        (
            "apps/v1=yes",
            'invalid value of apps/v1: yes, err: strconv.ParseBool: parsing "yes": invalid syntax',
        ),
        (
            "apps/v1/Deployments=true",
            "invalid key apps/v1/Deployments: group/version/resource and resource is always lowercase "
            'plural, not "Deployments"',
        ),
    ],
)
def test_what_cannot_be_said(flag: str, message: str) -> None:
    with pytest.raises(RuntimeConfigError) as raised:
        RuntimeConfig.parse([flag], DECLARED)
    assert str(raised.value) == message
