"""ABAC: policies in a file, one to a line, read at start.

Two formats: what the first releases wrote, and `abac.authorization.kubernetes.io/v1beta1`. Upstream:
pkg/auth/authorizer/abac, pkg/apis/abac.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.apiserver.authz.union import ALLOWED
from podium.apiserver.chain import ALL_AUTHENTICATED, Decision, HeldRules, RequestInfo, User
from podium.apiserver.config_file import shape_of
from podium.machinery.codec import json
from podium.machinery.decode import DecodeError, decoder
from podium.machinery.errors import Object

API_VERSION = "abac.authorization.kubernetes.io/v1beta1"
KIND = "Policy"
_READING = ("get", "list", "watch")
_NO_POLICY = Decision(allowed=False, reason="No policy matched.")

_OLD = decoder(
    shape_of(
        "v0.Policy",
        {
            **dict.fromkeys(("apiVersion", "kind", "user", "group", "resource", "namespace"), "string"),
            "readonly": "bool",
        },
    )
)
_NEW = decoder(
    shape_of(
        "v1beta1.Policy",
        {
            "apiVersion": "string",
            "kind": "string",
            "spec": {
                **dict.fromkeys(("user", "group", "apiGroup", "resource", "namespace"), "string"),
                "nonResourcePath": "string",
                "readonly": "bool",
            },
        },
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One line. `*` stands for everything, where it stands for something at all."""

    user: str = ""
    group: str = ""
    readonly: bool = False
    api_group: str = ""
    resource: str = ""
    namespace: str = ""
    path: str = ""

    def applies_to(self, user: User) -> bool:
        """Whether the policy is about `user`: by name, by a group, or both where it says both."""
        if not self.user and not self.group:
            return False
        return self.user in ("", "*", user.name) and (self.group in ("", "*") or self.group in user.groups)

    def allows(self, info: RequestInfo) -> bool:
        if self.readonly and info.verb not in _READING:
            return False
        if not info.is_resource:
            return self._has_path(info.path)
        return (
            self.namespace in ("*", info.namespace)
            and self.resource in ("*", info.resource)
            and self.api_group in ("*", info.api_group)
        )

    def _has_path(self, path: str) -> bool:
        if self.path.endswith("*"):
            return path.startswith(self.path.rstrip("*"))
        return self.path == path

    def rules_in(self, namespace: str) -> Iterator[Object]:
        if self.namespace not in ("*", namespace):
            return
        verbs = list(_READING) if self.readonly else ["*"]
        if self.resource:
            yield {"verbs": verbs, "apiGroups": [self.api_group], "resources": [self.resource]}
        if self.path:
            yield {"verbs": verbs, "nonResourceURLs": [self.path]}


class AbacAuthorizer:
    """Allows what some policy allows; has no opinion on anything else."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = tuple(policies)

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return self.decide(user, info)

    def decide(self, user: User, info: RequestInfo) -> Decision:
        for policy in self._policies:
            if policy.applies_to(user) and policy.allows(info):
                return ALLOWED
        return _NO_POLICY

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        rules = (
            rule
            for policy in self._policies
            if policy.applies_to(user)
            for rule in policy.rules_in(namespace)
        )
        return HeldRules(rules=tuple(rules))


def read(path: str) -> list[Policy]:
    """Return the policies in a file. Raises OSError, and ValueError that names file and line."""
    policies: list[Policy] = []
    for number, raw in enumerate(Path(path).read_bytes().splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        try:
            policies.append(_policy(line))
        except ValueError as error:
            shown = raw.decode(errors="replace")
            raise ValueError(f"error reading policy file {path}, line {number}: {shown}: {error}") from None
    return policies


def _policy(line: bytes) -> Policy:
    """Return the policy that a line means. Raises ValueError."""
    value = json.decode(line)
    if not isinstance(value, dict):
        raise ValueError("couldn't get version/kind; json parse error: not an object")
    if problem := json.type_meta_problem(value):
        raise ValueError(problem)
    current = (value.get("apiVersion"), value.get("kind")) == (API_VERSION, KIND)
    try:
        unknown = (_NEW if current else _OLD)(value)
    except DecodeError as error:
        raise ValueError(str(error)) from None
    del unknown  # as upstream: what nobody knows is passed over
    return _current(value.get("spec") or {}) if current else _old(value)


def _current(spec: Object) -> Policy:
    user, group = spec.get("user", ""), spec.get("group", "")
    if "*" in (user, group):
        user, group = "", ALL_AUTHENTICATED
    return Policy(
        user=user,
        group=group,
        readonly=spec.get("readonly", False),
        api_group=spec.get("apiGroup", ""),
        resource=spec.get("resource", ""),
        namespace=spec.get("namespace", ""),
        path=spec.get("nonResourcePath", ""),
    )


def _old(policy: Object) -> Policy:
    """Return what a line of the first format means: there, what is left out is everything."""
    user, group = policy.get("user", ""), policy.get("group", "")
    if "*" in (user, group) or not (user or group):
        user, group = "", ALL_AUTHENTICATED
    namespace, resource = policy.get("namespace", ""), policy.get("resource", "")
    return Policy(
        user=user,
        group=group,
        readonly=policy.get("readonly", False),
        api_group="*",
        resource=resource or "*",
        namespace=namespace or "*",
        path="" if namespace or resource else "*",
    )
