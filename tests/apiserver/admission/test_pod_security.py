"""Pod Security Standards: each check in upstream's words, and what labels make of them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from podium.apiserver.admission.metrics import AdmissionMetrics
from podium.apiserver.admission.pod_security import PodSecurity
from podium.apiserver.admission.pod_security_checks import evaluate
from podium.apiserver.chain import User
from podium.base.metrics import Registry
from podium.machinery.errors import Invalid, Object
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.pods import PODS
from tests.apiserver.admission.helpers import admit, attributes_for, pod, why
from tests.apiserver.fakes import FakeReader

SAFE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
SAFE_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def safe(*containers: Object, **spec: object) -> Object:
    """Return a pod that satisfies every level, but for what is given."""
    made = containers or ({"name": "c", "image": "i", "securityContext": dict(SAFE)},)
    return pod("p", **{"securityContext": dict(SAFE_POD), **spec, "containers": list(made)})


def container(name: str = "c", *, context: Object | None = None, **fields: object) -> Object:
    return {"name": name, "image": "i", "securityContext": {**SAFE, **(context or {})}, **fields}


def test_a_safe_pod() -> None:
    assert evaluate("restricted", safe()) == []


@pytest.mark.parametrize(
    ("written", "violation"),
    [
        (safe(hostNetwork=True, hostPID=True), "host namespaces (hostNetwork=true, hostPID=true)"),
        (
            safe(
                volumes=[{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "hostPath": {"path": "/"}}]
            ),
            'hostPath volumes (volumes "a", "b")',
        ),
        (
            safe(container(ports=[{"containerPort": 1, "hostPort": 80}])),
            'hostPort (container "c" uses hostPort 80)',
        ),
        (
            safe(
                container("a", ports=[{"hostPort": 80}, {"hostPort": 443}]),
                container("b", ports=[{"hostPort": 80}]),
            ),
            'hostPorts (containers "a", "b" use hostPorts 443, 80)',
        ),
        (
            safe(container(context={"privileged": True})),
            'privileged (container "c" must not set securityContext.privileged=true)',
        ),
        (
            safe(container(context={"procMount": "Unmasked"})),
            'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            safe(container(context={"seLinuxOptions": {"type": "spc_t", "user": "u"}})),
            'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type "spc_t"; '
            "user may not be set)",
        ),
        (
            safe(
                securityContext={
                    **SAFE_POD,
                    "sysctls": [{"name": "kernel.msgmax"}, {"name": "net/ipv4/tcp_rmem"}],
                }
            ),
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            safe(container(context={"seccompProfile": {"type": "Unconfined"}})),
            'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            safe(securityContext={**SAFE_POD, "windowsOptions": {"hostProcess": True}}),
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            safe(container(context={"appArmorProfile": {"type": "Unconfined"}})),
            'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
        ),
        (
            safe(container(livenessProbe={"httpGet": {"host": "10.0.0.1"}})),
            'probe or lifecycle host (container "c" uses probe or lifecycle host "10.0.0.1")',
        ),
    ],
    ids=str,
)
def test_baseline(written: Object, violation: str) -> None:
    assert [str(found) for found in evaluate("baseline", written)] == [violation]
    assert violation in [str(found) for found in evaluate("restricted", written)]
    assert evaluate("privileged", written) == []


def test_baseline_capabilities() -> None:
    written = safe(
        container("c", context={"capabilities": {"add": ["SYS_ADMIN", "CHOWN"]}}),
        container("d", context={"capabilities": {"add": ["NET_ADMIN"]}}),
    )
    assert [str(found) for found in evaluate("baseline", written)] == [
        'non-default capabilities (containers "c", "d" must not include "NET_ADMIN", "SYS_ADMIN" '
        "in securityContext.capabilities.add)"
    ]


BARE = {"name": "c", "image": "i"}


@pytest.mark.parametrize(
    ("written", "violations"),
    [
        (
            safe(BARE),
            [
                "allowPrivilegeEscalation != false "
                '(container "c" must set securityContext.allowPrivilegeEscalation=false)',
                "unrestricted capabilities "
                '(container "c" must set securityContext.capabilities.drop=["ALL"])',
            ],
        ),
        (
            safe(
                container(context={"capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]}})
            ),
            [
                'unrestricted capabilities (container "c" must not include "CHOWN" in '
                "securityContext.capabilities.add)"
            ],
        ),
        (
            safe(volumes=[{"name": "v", "nfs": {}}, {"name": "e", "emptyDir": {}}]),
            ['restricted volume types (volume "v" uses restricted volume type "nfs")'],
        ),
        (
            safe(securityContext={"seccompProfile": {"type": "Localhost"}}),
            ['runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)'],
        ),
        (
            safe(container(context={"runAsNonRoot": False})),
            ['runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)'],
        ),
        (
            safe(container(context={"runAsUser": 0}), securityContext={**SAFE_POD, "runAsUser": 0}),
            ['runAsUser=0 (pod and container "c" must not set runAsUser=0)'],
        ),
        (
            safe(securityContext={"runAsNonRoot": True}),
            [
                'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to '
                '"RuntimeDefault" or "Localhost")'
            ],
        ),
        (safe(BARE, os={"name": "windows"}), []),
    ],
    ids=str,
)
def test_restricted(written: Object, violations: list[str]) -> None:
    assert [str(found) for found in evaluate("restricted", written)] == violations
    assert evaluate("baseline", written) == []


# --- labels

PREFIX = "pod-security.kubernetes.io/"


def plugin(**modes: str) -> tuple[PodSecurity, FakeReader]:
    reader = FakeReader()
    labels = {PREFIX + mode.replace("_", "-"): level for mode, level in modes.items()}
    reader.put(NAMESPACES, {"metadata": {"name": "ns", "labels": labels}})
    return PodSecurity(reader), reader


def test_enforced() -> None:
    enforcing, _ = plugin(enforce="baseline", enforce_version="v1.30")
    error = admit(enforcing, attributes_for(PODS, pod("p", hostPID=True)))
    assert why(error) == 'violates PodSecurity "baseline:v1.30": host namespaces (hostPID=true)'
    assert admit(enforcing, attributes_for(PODS, pod("p"))) is None


def test_an_update_that_changes_no_image_is_let_through() -> None:
    enforcing, _ = plugin(enforce="baseline")
    old, new = pod("p", hostPID=True), pod("p", hostPID=True)
    new["metadata"]["labels"] = {"a": "b"}
    assert admit(enforcing, attributes_for(PODS, new, old=old)) is None
    new["spec"]["containers"] = [{"name": "c", "image": "other"}]
    assert admit(enforcing, attributes_for(PODS, new, old=old)) is not None


def test_ephemeral_containers_are_looked_at() -> None:
    enforcing, _ = plugin(enforce="baseline")
    debug = {"name": "debug", "image": "i", "securityContext": {"privileged": True}}
    new = pod("p", ephemeralContainers=[debug])
    write = attributes_for(PODS, new, old=pod("p"), subresource="ephemeralcontainers")
    assert "privileged" in why(admit(enforcing, write))


def test_templates_are_warned_about() -> None:
    warning, _ = plugin(enforce="restricted", warn="baseline")
    template = {"metadata": {}, "spec": {"containers": [BARE], "hostIPC": True}}
    deployment = {"metadata": {"name": "d"}, "spec": {"template": template}}
    write = attributes_for(DEPLOYMENTS, deployment)
    assert admit(warning, write) is None
    assert write.warnings == ['would violate PodSecurity "baseline:latest": host namespaces (hostIPC=true)']


def namespace(**labels: str) -> Object:
    return {
        "metadata": {"name": "ns", "labels": {PREFIX + k.replace("_", "-"): v for k, v in labels.items()}}
    }


def test_wrong_labels() -> None:
    validating, _ = plugin()
    bad = namespace(enforce="strictest", enforce_version="v0")
    error = admit(validating, attributes_for(NAMESPACES, bad, old=namespace()))
    assert isinstance(error, Invalid)
    assert error.message == (
        'Namespace "ns" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: '
        '"strictest": must be one of privileged, baseline, restricted, '
        "metadata.labels[pod-security.kubernetes.io/enforce-version]: Invalid value: "
        '"v0": must be "latest" or "v1.x"]'
    )
    assert admit(validating, attributes_for(NAMESPACES, bad, old=bad)) is None, "it was wrong before"
    enforcing, _ = plugin(enforce="strictest")
    assert admit(enforcing, attributes_for(PODS, pod("p"))) is not None, "what is unknown is strict"


def test_existing_pods_are_told_of() -> None:
    tightening, reader = plugin()
    for name in ("b", "a", "c"):
        reader.put(PODS, pod(name, hostPID=True))
    reader.put(PODS, pod("other", hostIPC=True, volumes=[{"name": "v", "hostPath": {"path": "/"}}]))
    write = attributes_for(NAMESPACES, namespace(enforce="baseline"), old=namespace())
    assert admit(tightening, write) is None
    assert write.warnings == [
        'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): host namespaces",
        "other: host namespaces, hostPath volumes",
    ]


CONFIGURED = {
    "defaults": {"enforce": "baseline", "audit": "restricted"},
    "exemptions": {"usernames": ["root"], "namespaces": ["free"], "runtimeClasses": ["boxed"]},
}


@pytest.mark.parametrize(
    ("namespace", "who", "fields", "note"),
    [
        pytest.param("ns", "alice", {}, "", id="default"),
        pytest.param("free", "alice", {}, "namespace", id="namespace"),
        pytest.param("ns", "root", {}, "user", id="user"),
        pytest.param("ns", "alice", {"runtimeClassName": "boxed"}, "runtimeClass", id="runtime-class"),
    ],
)
def test_a_configuration_has_defaults_and_exemptions(
    namespace: str, who: str, fields: Object, note: str
) -> None:
    reader = FakeReader()
    reader.put(NAMESPACES, {"metadata": {"name": "ns"}}, {"metadata": {"name": "free"}})
    attributes = attributes_for(
        PODS, safe(hostNetwork=True, **fields), namespace=namespace, who=User(name=who)
    )
    error = admit(PodSecurity(reader, CONFIGURED), attributes)
    if note:
        assert error is None
        assert attributes.annotations == {"pod-security.kubernetes.io/exempt": note}
    else:
        assert 'violates PodSecurity "baseline:latest"' in why(error)


def test_what_the_audit_mode_says() -> None:
    reader = FakeReader()
    reader.put(NAMESPACES, {"metadata": {"name": "ns"}})
    attributes = attributes_for(PODS, pod("p"))
    assert admit(PodSecurity(reader, CONFIGURED), attributes) is None
    assert attributes.annotations["pod-security.kubernetes.io/enforce-policy"] == "baseline:latest"
    noted = attributes.annotations["pod-security.kubernetes.io/audit-violations"]
    assert noted.startswith('would violate PodSecurity "restricted:latest": ')


class Counting:
    """A host of which the plugin wants the figures alone."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.metrics = AdmissionMetrics(self.registry)


@pytest.mark.parametrize(
    ("written", "who", "lines"),
    [
        (safe(), "alice", {'evaluations_total{decision="allow",policy_level="baseline",mode="enforce"} 1'}),
        (
            pod("p"),
            "alice",
            {
                'evaluations_total{decision="allow",policy_level="baseline",mode="enforce"} 1',
                'evaluations_total{decision="deny",policy_level="restricted",mode="audit"} 1',
            },
        ),
        (
            safe(hostNetwork=True),
            "alice",
            {'evaluations_total{decision="deny",policy_level="baseline",mode="enforce"} 1'},
        ),
        (safe(hostNetwork=True), "root", {"exemptions_total{} 1"}),
    ],
)
def test_what_is_counted(written: Object, who: str, lines: set[str]) -> None:
    reader, host = FakeReader(), Counting()
    reader.put(NAMESPACES, {"metadata": {"name": "ns"}})
    attributes = attributes_for(PODS, written, who=User(name=who))
    attributes.host = cast(Any, host)
    admit(PodSecurity(reader, CONFIGURED), attributes)
    text = host.registry.text().decode()
    for always in ('policy_version="latest",', 'request_operation="create",resource="pod",subresource=""'):
        text = text.replace(always, "")
    found = {line.replace(",}", "}") for line in text.splitlines() if line.startswith("pod_security_")}
    assert found == {f"pod_security_{line}" for line in lines}


def test_a_configuration_that_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="must be one of privileged, baseline, restricted"):
        PodSecurity(FakeReader(), {"defaults": {"enforce": "harsh"}})
