"""What access control costs a request: RBAC decisions with few and with many bindings, and credentials.

    python -m bench.access

Prints the time of one decision for a user with one binding, among 10 and among 10,000 RoleBindings of others,
and of authenticating by certificate and by service-account token, first and remembered; then what whole
requests cost without and with all of it (`access_path.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from bench import access_path
from podium.apiserver import authn, authz, bootstrap
from podium.apiserver.bootstrap.planning import Options, plan
from podium.apiserver.chain import RequestInfo, User, ViewChange
from podium.base import pki
from podium.base.clock import WallClock
from podium.base.http.message import Headers, Request
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from podium.resources.rbac.rolebindings import ROLEBINDINGS
from podium.resources.rbac.roles import ROLES

GROUP = "rbac.authorization.k8s.io"
ROUNDS = 20_000
ISSUER = "https://kubernetes.default.svc.cluster.local"

T = TypeVar("T")


@dataclass
class Reader:
    """Objects in memory, as the watch cache would show them."""

    objects: dict[str, dict[tuple[str, str], Object]] = field(default_factory=dict)

    def cached(self, resource: Resource) -> View:
        return View(self.objects.setdefault(resource.group_plural, {}))

    def put(self, resource: Resource, obj: Object) -> None:
        key = (meta.namespace(obj), meta.name(obj))
        self.objects.setdefault(resource.group_plural, {})[key] = obj


@dataclass
class View:
    objects: dict[tuple[str, str], Object]

    def get(self, namespace: str | None, name: str) -> Object | None:
        return self.objects.get((namespace or "", name))

    def list(self, namespace: str | None = None) -> Iterable[Object]:
        return [obj for key, obj in self.objects.items() if not namespace or key[0] == namespace]

    def subscribe(self, handler: Callable[[ViewChange], None]) -> None:
        for obj in self.objects.values():
            handler(ViewChange(old=None, new=obj))


def cluster(bindings: int) -> Reader:
    """Return a cluster with the default roles, and `bindings` RoleBindings over 100 namespaces."""
    reader = Reader()
    now = WallClock().now()
    for write in plan(reader, Options(advertise_address="192.0.2.1", port=6443), now):
        reader.put(write.resource, write.object)
    for index in range(bindings):
        namespace, name = f"team-{index % 100}", f"role-{index}"
        rules = [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps", "secrets"]}]
        reader.put(ROLES, {"metadata": {"name": name, "namespace": namespace}, "rules": rules})
        binding = {
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": name},
            "subjects": [{"kind": "User", "apiGroup": GROUP, "name": f"user-{index}"}],
        }
        reader.put(ROLEBINDINGS, binding)
    reader.put(SERVICEACCOUNTS, {"metadata": {"name": "robot", "namespace": "ns", "uid": "1"}})
    return reader


def asks(verb: str, resource: str, namespace: str) -> RequestInfo:
    return RequestInfo(
        verb=verb,
        path="",
        is_resource=True,
        api_version="v1",
        namespace=namespace,
        resource=resource,
        name="x",
    )


async def microseconds(call: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> float:
    start = time.perf_counter()
    for _ in range(rounds):
        await call()
    return (time.perf_counter() - start) / rounds * 1e6


async def authorization(bindings: int) -> None:
    reader = cluster(bindings)
    start = time.perf_counter()
    authorizer = authz.build(reader, node_rules=bootstrap.node_rules()).authorizer
    built_ms = (time.perf_counter() - start) * 1e3
    someone = User(name="user-7", groups=("system:authenticated",))
    manager = User(name="system:kube-controller-manager", groups=("system:authenticated",))
    granted, denied = asks("get", "secrets", "team-7"), asks("delete", "secrets", "team-7")
    managed = asks("update", "replicasets", "team-7")
    print(f"{bindings:>6} RoleBindings: index built in {built_ms:6.1f} ms")
    for what, user, info in (
        ("granted by one RoleBinding", someone, granted),
        ("denied after all of one's own", someone, denied),
        ("the controller manager", manager, managed),
    ):
        cost = await microseconds(lambda user=user, info=info: authorizer.authorize(user, info))  # type: ignore[misc]
        print(f"        {what:<32} {cost:6.2f} us")


async def authentication() -> None:
    reader = cluster(0)
    key = pki.create_signing_key()
    built = authn.build(reader, authn.Options(issuer=ISSUER, signing_key=key))
    account = reader.cached(SERVICEACCOUNTS).get("ns", "robot")
    assert built.token_issuer is not None and account is not None
    issuer = built.token_issuer

    async def issue() -> str:
        issued = await issuer.issue(account, audiences=(), expiration_s=3600, bound=None)
        return issued.token

    async def bearer(token: str) -> object:
        headers = Headers([("Authorization", f"Bearer {token}")])
        return await built.authenticator.authenticate(Request(method="GET", target="/", headers=headers))

    await bearer(await issue())
    tokens = [await issue() for _ in range(200)]
    remaining = iter(tokens)
    known = tokens[0]
    print(f"issue a token             {await microseconds(issue, 200):7.1f} us")
    first_use = await microseconds(lambda: bearer(next(remaining)), len(tokens))
    print(f"verify a new token        {first_use:7.1f} us")
    print(f"verify a known token      {await microseconds(lambda: bearer(known)):7.1f} us")

    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    pair = pki.issue(pki.create_ca("ca"), common_name="alice", organizations=["dev"], client=True)
    der = x509.load_pem_x509_certificate(pair.certificate_pem).public_bytes(Encoding.DER)

    async def certificate() -> object:
        return await built.authenticator.authenticate(Request(method="GET", target="/", peer_certificate=der))

    print(f"a client certificate      {await microseconds(certificate):7.1f} us")


async def main() -> None:
    for bindings in (10, 10_000):
        await authorization(bindings)
    await authentication()
    await access_path.main()


if __name__ == "__main__":
    asyncio.run(main())
