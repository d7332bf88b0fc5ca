"""Granting oneself more: roles, bindings, aggregation, certificates, subresources, tokens, identities."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from podium.apiserver.admission.certificates import requested_subject
from podium.machinery.errors import Object
from podium.resources import pem
from tests.apiserver.security.cluster import ALICE, NS, RBAC, ROOT, Cluster, pod, rule, run

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
GROUP = "rbac.authorization.k8s.io"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
NOT_HELD = "is attempting to grant RBAC permissions not currently held"


def role(name: str, *rules: Object, kind: str = "ClusterRole", **fields: Any) -> Object:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": {"name": name, **fields.pop("metadata", {})},
        "rules": list(rules),
        **fields,
    }


def binding(name: str, role: str, who: str = ALICE, kind: str = "ClusterRoleBinding") -> Object:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "apiGroup": GROUP, "name": who}],
    }


EVERYTHING = rule("*", "*", "*")


def test_nobody_writes_a_role_beyond_their_own(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        writing = rule("get create update patch delete", GROUP, "roles clusterroles")
        await cluster.grant(ALICE, writing, rule("get", "core", "pods"))
        mine, roles = f"{RBAC}/clusterroles", f"{RBAC}/namespaces/default/roles"

        async def beyond(method: str, path: str, body: Any, **more: Any) -> None:
            assert NOT_HELD in await cluster.refused(ALICE, method, path, body, **more), (method, path)

        await cluster.ok("POST", mine, role("held", rule("get", "core", "pods")), who=ALICE)
        await beyond("POST", mine, role("new", EVERYTHING))
        await beyond("POST", f"{mine}?dryRun=All", role("new", EVERYTHING))
        await beyond("POST", roles, role("new", rule("get", "core", "secrets"), kind="Role"))
        await beyond("PUT", f"{mine}/held", role("held", EVERYTHING))
        await beyond("PUT", f"{mine}/another", role("another", EVERYTHING))
        await beyond("PATCH", f"{mine}/held", {"rules": [EVERYTHING]}, type=MERGE)
        adding = [{"op": "add", "path": "/rules/-", "value": EVERYTHING}]
        await beyond("PATCH", f"{mine}/held", adding, type=JSON_PATCH)
        await beyond("PATCH", f"{mine}/held?fieldManager=a&force=true", role("held", EVERYTHING), type=APPLY)
        await beyond("PATCH", f"{mine}/applied?fieldManager=a", role("applied", EVERYTHING), type=APPLY)
        # More names, more verbs, a wider group, a subresource, a path: each is more.
        for wider in (
            rule("get list", "core", "pods"),
            rule("get", "*", "pods"),
            rule("get", "core", "pods pods/exec"),
            rule("get", "core", "*"),
            {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
        ):
            await beyond("POST", mine, role("wider", wider))
        await cluster.ok("POST", mine, role("narrower", rule("get", "core", "pods", "one")), who=ALICE)
        # Every way to write an existing strong role, even one that leaves its rules alone.
        await beyond("PATCH", f"{mine}/cluster-admin", {"metadata": {"labels": {"a": "b"}}}, type=MERGE)
        await cluster.grant(ALICE, rule("escalate", GROUP, "clusterroles", "chosen"))
        await cluster.ok("POST", mine, role("chosen", EVERYTHING), who=ALICE)
        await beyond("POST", mine, role("not-chosen", EVERYTHING))

    run(tmp_path, attack)


def test_aggregation_lends_nobody_anything(tmp_path: Path) -> None:
    """Labels decide what an aggregated role holds: to set them is to grant what is in the role."""

    async def attack(cluster: Cluster) -> None:
        writing = rule("get create update patch", GROUP, "clusterroles")
        await cluster.grant(ALICE, writing, rule("get", "core", "configmaps"))
        roles = f"{RBAC}/clusterroles"
        label = {"labels": {f"{GROUP}/aggregate-to-view": "true"}}
        await cluster.ok("POST", roles, role("strong", rule("get", "core", "secrets")))
        lending = {"metadata": label}
        assert NOT_HELD in await cluster.refused(ALICE, "PATCH", f"{roles}/strong", lending, type=MERGE)
        told = await cluster.refused(
            ALICE, "POST", roles, role("new", rule("get", "core", "secrets"), metadata=label)
        )
        assert NOT_HELD in told
        selecting = {
            "clusterRoleSelectors": [{"matchLabels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}]
        }
        for method, path, body in (
            ("POST", roles, role("sum", aggregationRule=selecting)),
            ("PUT", f"{roles}/sum", role("sum", aggregationRule=selecting)),
        ):
            told = await cluster.refused(ALICE, method, path, body)
            assert told.endswith("must have cluster-admin privileges to use the aggregationRule")
        await cluster.ok("POST", roles, role("plain", rule("get", "core", "configmaps")), who=ALICE)
        changed = {"aggregationRule": selecting}
        await cluster.refused(ALICE, "PATCH", f"{roles}/plain", changed, type=MERGE)
        # What alice holds she may let others aggregate.
        lent = role("lent", rule("get", "core", "configmaps"), metadata=label)
        await cluster.ok("POST", roles, lent, who=ALICE)

    run(tmp_path, attack)


def test_nobody_binds_what_they_do_not_hold(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        await cluster.grant(
            ALICE, rule("*", GROUP, "rolebindings clusterrolebindings"), rule("get", "core", "pods")
        )
        everywhere, here = f"{RBAC}/clusterrolebindings", f"{RBAC}/namespaces/default/rolebindings"
        for path, kind in ((everywhere, "ClusterRoleBinding"), (here, "RoleBinding")):
            for name in ("cluster-admin", "admin", "edit", "view", "system:node"):
                assert NOT_HELD in await cluster.refused(ALICE, "POST", path, binding("b", name, kind=kind))
        # One that is there already, for others.
        adding = [
            {"op": "add", "path": "/subjects/-", "value": {"kind": "User", "apiGroup": GROUP, "name": ALICE}}
        ]
        assert NOT_HELD in await cluster.refused(
            ALICE, "PATCH", f"{everywhere}/cluster-admin", adding, type=JSON_PATCH
        )
        await cluster.ok("POST", f"{RBAC}/clusterroles", role("weak", rule("get", "core", "pods")))
        await cluster.ok("POST", everywhere, binding("mine", "weak"), who=ALICE)
        # A role that is bound may not become another.
        another = {"roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"}}
        status, answer = await cluster.call(ALICE, "PATCH", f"{everywhere}/mine", another, type=MERGE)
        assert status in (403, 422), answer
        await cluster.grant(ALICE, rule("bind", GROUP, "clusterroles", "view"))
        await cluster.ok("POST", here, binding("viewer", "view", kind="RoleBinding"), who=ALICE)
        assert NOT_HELD in await cluster.refused(
            ALICE, "POST", here, binding("b", "edit", kind="RoleBinding")
        )

    run(tmp_path, attack)


def signing_request(*organizations: str, name: str = "alice", before: bytes = b"") -> str:
    """Return the `request` of a CSR, with something before its PEM."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    attributes += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organizations]
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return base64.b64encode(before + pem).decode()


def csr(name: str, request: str, signer: str = "kubernetes.io/kube-apiserver-client", **spec: Any) -> Object:
    usages = ["client auth", "digital signature"]
    return {
        "metadata": {"name": name},
        "spec": {"request": request, "signerName": signer, "usages": usages, **spec},
    }


def test_certificates_make_nobody_a_master(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        group = "certificates.k8s.io"
        await cluster.grant(
            ALICE,
            rule("*", group, "certificatesigningrequests certificatesigningrequests/approval"),
            rule("*", group, "certificatesigningrequests/status"),
        )
        masters = signing_request("dev", "system:masters")
        told = await cluster.refused(ALICE, "POST", CSRS, csr("m", masters))
        assert told.endswith("with system:masters group is not allowed")
        await cluster.refused(ROOT, "POST", CSRS, csr("m", masters))
        # A harmless request in front of the one that is meant.
        harmless = base64.b64decode(signing_request("dev"))
        for before in (harmless.replace(b"CERTIFICATE REQUEST", b"JUNK"), b"text\n", b"\n-----x-----\n"):
            hidden = signing_request("system:masters", before=before)
            status, answer = await cluster.call(ALICE, "POST", CSRS, csr("hidden", hidden))
            assert status in (403, 422), answer
        first = signing_request("system:masters", before=harmless)
        assert requested_subject(first) == requested_subject(base64.b64encode(harmless).decode())
        assert x509.load_der_x509_csr(pem.signing_request(first)).subject.rfc4514_string() == "O=dev,CN=alice"
        made = csr("mine", signing_request("dev"), username="root", groups=["system:masters"], uid="1")
        answer = await cluster.ok("POST", CSRS, made, who=ALICE)
        assert answer["spec"]["username"] == "alice"
        assert "system:masters" not in answer["spec"]["groups"]
        # What was asked for cannot change, and neither approving nor signing comes with the resource.
        path = f"{CSRS}/mine"
        for target in (path, f"{path}/approval", f"{path}/status"):
            status, answer = await cluster.call(
                ALICE, "PATCH", target, {"spec": {"request": masters}}, type=MERGE
            )
            assert status in (200, 403, 422), answer
        assert (await cluster.ok("GET", path))["spec"]["request"] == made["spec"]["request"]
        approval = {"type": "Approved", "status": "True", "reason": "x", "message": "x"}
        approved = {"status": {"conditions": [approval]}}
        told = await cluster.refused(ALICE, "PATCH", f"{path}/approval", approved, type=MERGE)
        assert "not permitted to approve requests with signerName" in told
        signed = {"status": {"certificate": base64.b64encode(b"x").decode()}}
        status, answer = await cluster.call(ALICE, "PATCH", f"{path}/status", signed, type=MERGE)
        assert status in (403, 422), answer
        assert (
            "status" not in (await cluster.ok("GET", path)) or not (await cluster.ok("GET", path))["status"]
        )

    run(tmp_path, attack)


def test_a_subresource_changes_nothing_but_its_own(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        await cluster.ok("POST", f"{NS}/pods", pod("p", "n1"))
        subresources = "pods/status pods/ephemeralcontainers pods/resize pods/binding"
        await cluster.grant(ALICE, rule("*", "core", subresources))
        image = {"spec": {"containers": [{"name": "c", "image": "evil/image:1"}]}}
        for subresource in ("status", "ephemeralcontainers", "resize"):
            await cluster.call(
                ALICE,
                "PATCH",
                f"{NS}/pods/p/{subresource}",
                {**image, "metadata": {"labels": {"a": "b"}, "ownerReferences": []}},
                type="application/strategic-merge-patch+json",
            )
            found = await cluster.ok("GET", f"{NS}/pods/p")
            assert [one["image"] for one in found["spec"]["containers"]] == ["registry/image:1"], subresource
        await cluster.refused(ALICE, "PATCH", f"{NS}/pods/p", image, type=MERGE)
        await cluster.refused(ALICE, "GET", f"{NS}/pods/p")
        debug = {"spec": {"ephemeralContainers": [{"name": "d", "image": "i", "targetContainerName": "c"}]}}
        await cluster.grant("n1", rule("*", "core", "pods"))
        told = await cluster.refused("n1", "PATCH", f"{NS}/pods/p/ephemeralcontainers", debug, type=MERGE)
        assert "cannot patch resource" in told, "whoever may write pods may not therefore debug them"

    run(tmp_path, attack)


def test_nobody_becomes_another_by_headers(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        masters = ("impersonate-group", "system:masters")
        await cluster.grant(ALICE, rule("impersonate", "core", "users", "bob"))
        for headers in (
            (("impersonate-user", "root"),),
            (("impersonate-user", "bob"), masters),
            (("impersonate-user", "bob"), ("impersonate-extra-scopes", "all")),
            (("impersonate-user", "bob"), ("impersonate-uid", "1")),
            (("impersonate-user", "system:serviceaccount:kube-system:default"),),
            (("impersonate-user", "bob"), ("impersonate-user", "root")),
            (("Impersonate-User", "root"),),
            (masters,),
        ):
            status, answer = await cluster.call(ALICE, "GET", f"{NS}/secrets", headers=headers)
            assert status in (400, 403, 500), (headers, answer)
        review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        answer = await cluster.ok("POST", path, review, who=ALICE, headers=(("impersonate-user", "bob"),))
        assert answer["status"]["userInfo"]["username"] == "bob"
        smuggled = (
            ("x-remote-user", "root"),
            ("x-remote-group", "system:masters"),
            ("impersonate_user", "root"),
        )
        answer = await cluster.ok("POST", path, review, who=ALICE, headers=smuggled)
        assert answer["status"]["userInfo"]["username"] == "alice"

    run(tmp_path, attack)


def test_a_token_is_made_only_for_who_may_make_it(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        await cluster.grant(
            ALICE, rule("get list update create", "core", "serviceaccounts"), namespace="default"
        )
        path = f"{NS}/serviceaccounts/default/token"
        await cluster.refused(ALICE, "POST", path, {"spec": {}})
        await cluster.grant(
            ALICE, rule("create", "core", "serviceaccounts/token", "default"), namespace="default"
        )
        await cluster.ok("POST", path, {"spec": {}}, who=ALICE)
        await cluster.refused(
            ALICE, "POST", "/api/v1/namespaces/kube-system/serviceaccounts/default/token", {}
        )
        # A token is bound to what is there, by its uid.
        bound = {"kind": "Pod", "apiVersion": "v1", "name": "nosuch", "uid": "x"}
        status, _ = await cluster.call(ALICE, "POST", path, {"spec": {"boundObjectRef": bound}})
        assert status in (404, 409, 422)

    run(tmp_path, attack)
