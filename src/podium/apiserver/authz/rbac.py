"""RBAC: an index from subjects to what is bound to them, kept up to date by the watch caches.

A decision looks only at the bindings of the user and of the user's groups, in the request's namespace and at
cluster scope, however many others there are; each answers by dictionary look-up (`Rules`).

Aggregated ClusterRoles are resolved here, from the labels of the roles they select: what `view` means is
right even before, or without, a controller that writes it into the object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from podium.apiserver.authn.names import service_account_user
from podium.apiserver.authz.messages import aggregate as aggregate_text
from podium.apiserver.authz.rules import Rules
from podium.apiserver.chain import Decision, HeldRules, Reader, RequestInfo, User, ViewChange
from podium.machinery import labels, meta
from podium.machinery.errors import ApiError, Object
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.rbac.rolebindings import ROLEBINDINGS
from podium.resources.rbac.roles import ROLES

GROUP = "rbac.authorization.k8s.io"

SubjectKey = tuple[str, str]
"""("user", name) or ("group", name); a service account is the user it appears as."""

_CLUSTER = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """One subject's share of one binding."""

    binding: str
    namespace: str
    """The binding's; "" for a ClusterRoleBinding."""
    role_kind: str
    role: str
    subject: Object

    def __str__(self) -> str:
        """Say why access is allowed, as upstream does."""
        kind, name = self.subject.get("kind", ""), self.subject.get("name", "")
        if kind == "ServiceAccount":
            name = f"{name}/{self.subject.get('namespace') or self.namespace}"
        binding = f'ClusterRoleBinding "{self.binding}"'
        if self.namespace:
            binding = f'RoleBinding "{self.binding}/{self.namespace}"'
        return f'{binding} of {self.role_kind} "{self.role}" to {kind} "{name}"'


@dataclass(slots=True)
class _Scope:
    """The bindings of one namespace, or those of the cluster."""

    by_subject: dict[SubjectKey, dict[str, tuple[Grant, ...]]] = field(default_factory=dict)
    """Subject -> binding name -> its grants. Only ever holds subjects that have a binding."""


class RbacAuthorizer:
    """Decides by Roles, ClusterRoles and their bindings, as they are at this moment."""

    def __init__(self, reader: Reader) -> None:
        self._scopes: dict[str, _Scope] = {_CLUSTER: _Scope()}
        self._roles: dict[tuple[str, str], Rules] = {}
        """(namespace, name) -> rules; cluster roles under namespace "", without the aggregated ones."""
        self._cluster_roles: dict[str, Object] = {}
        self._aggregated: dict[str, Rules | None] = {}
        """Cluster roles with an aggregation rule; None until somebody asks."""
        reader.cached(ROLES).subscribe(self._on_role)
        reader.cached(CLUSTERROLES).subscribe(self._on_cluster_role)
        reader.cached(ROLEBINDINGS).subscribe(self._on_binding)
        reader.cached(CLUSTERROLEBINDINGS).subscribe(self._on_binding)

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return self.decide(user, info)

    def decide(self, user: User, info: RequestInfo) -> Decision:
        """Return the decision; a denial tells of roles that are bound but do not exist."""
        missing: list[str] = []
        for grant in self._grants(user, info.namespace if info.is_resource else _CLUSTER):
            rules = self._rules_of(grant)
            if rules is None:
                missing.append(_not_found(grant))
            elif rules.allow(info):
                return Decision(allowed=True, reason=f"RBAC: allowed by {grant}")
        return Decision(allowed=False, reason=f"RBAC: {aggregate_text(missing)}" if missing else "")

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        """Return every rule that binds `user` in `namespace` ("": at cluster scope)."""
        rules: list[Object] = []
        errors: list[str] = []
        for grant in self._grants(user, namespace):
            found = self._rules_of(grant)
            if found is None:
                errors.append(_not_found(grant))
            else:
                rules.extend(found.source)
        return HeldRules(rules=tuple(rules), errors=tuple(errors))

    def role_rules(self, namespace: str, kind: str, name: str) -> tuple[Object, ...] | None:
        """Return the rules of the role that a binding in `namespace` refers to; None when it is missing."""
        rules = self._rules(namespace, kind, name)
        return rules.source if rules is not None else None

    # --- looking up

    def _grants(self, user: User, namespace: str) -> Iterator[Grant]:
        subjects: list[SubjectKey] = [("user", user.name), *(("group", group) for group in user.groups)]
        # Cluster bindings first, as upstream: the reason for access names the widest grant.
        for scope_name in (_CLUSTER, namespace) if namespace else (_CLUSTER,):
            scope = self._scopes.get(scope_name)
            if scope is None:
                continue
            for subject in subjects:
                bindings = scope.by_subject.get(subject)
                if bindings:
                    for grants in bindings.values():
                        yield from grants

    def _rules_of(self, grant: Grant) -> Rules | None:
        return self._rules(grant.namespace, grant.role_kind, grant.role)

    def _rules(self, namespace: str, kind: str, name: str) -> Rules | None:
        if kind == "Role":
            return self._roles.get((namespace, name)) if namespace else None
        if kind != "ClusterRole":
            return None
        if name not in self._aggregated:
            return self._roles.get((_CLUSTER, name))
        rules = self._aggregated[name]
        if rules is None:
            rules = self._aggregated[name] = Rules.compile(
                aggregate(self._cluster_roles[name], self._cluster_roles)
            )
        return rules

    # --- following changes

    def _on_role(self, change: ViewChange) -> None:
        if change.new is not None:
            self._roles[meta.namespace(change.new), meta.name(change.new)] = Rules.compile(
                _rules_in(change.new)
            )
        elif change.old is not None:
            self._roles.pop((meta.namespace(change.old), meta.name(change.old)), None)

    def _on_cluster_role(self, change: ViewChange) -> None:
        role = change.new or change.old
        assert role is not None
        name = meta.name(role)
        self._aggregated.pop(name, None)
        self._roles.pop((_CLUSTER, name), None)
        self._cluster_roles.pop(name, None)
        if change.new is not None:
            self._cluster_roles[name] = role
            if role.get("aggregationRule"):
                self._aggregated[name] = None
            else:
                self._roles[_CLUSTER, name] = Rules.compile(_rules_in(role))
        # Any change of a cluster role can change what an aggregate selects; there are few aggregates.
        for aggregate_name in self._aggregated:
            self._aggregated[aggregate_name] = None

    def _on_binding(self, change: ViewChange) -> None:
        if change.old is not None:
            self._unbind(change.old)
        if change.new is not None:
            self._bind(change.new)

    def _bind(self, binding: Object) -> None:
        scope = self._scopes.setdefault(meta.namespace(binding), _Scope())
        for subject, grants in _grants_of(binding).items():
            scope.by_subject.setdefault(subject, {})[meta.name(binding)] = grants

    def _unbind(self, binding: Object) -> None:
        namespace = meta.namespace(binding)
        scope = self._scopes.get(namespace)
        if scope is None:
            return
        for subject in _grants_of(binding):
            bindings = scope.by_subject.get(subject)
            if bindings is not None:
                bindings.pop(meta.name(binding), None)
                if not bindings:
                    del scope.by_subject[subject]
        if not scope.by_subject and namespace != _CLUSTER:
            del self._scopes[namespace]


def aggregate(role: Object, cluster_roles: Mapping[str, Object]) -> list[Object]:
    """Return the rules of an aggregated ClusterRole: those of the roles it selects, by name, each rule once.

    Selected roles that aggregate themselves count with what they select in turn (`edit` takes in `view`).
    """
    rules: list[Object] = []
    _collect(role, cluster_roles, rules, {meta.name(role)})
    return rules


def _collect(role: Object, cluster_roles: Mapping[str, Object], rules: list[Object], seen: set[str]) -> None:
    selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
    for selector in selectors:
        try:
            matches = labels.from_label_selector(selector).matches
        except ApiError:
            continue
        for name in sorted(cluster_roles):
            other = cluster_roles[name]
            if name in seen or not matches(meta.labels(other)):
                continue
            seen.add(name)
            if other.get("aggregationRule"):
                _collect(other, cluster_roles, rules, seen)
            else:
                rules.extend(rule for rule in _rules_in(other) if rule not in rules)


def _rules_in(role: Object) -> Iterable[Object]:
    return role.get("rules") or ()


def _grants_of(binding: Object) -> dict[SubjectKey, tuple[Grant, ...]]:
    reference = binding.get("roleRef") or {}
    namespace = meta.namespace(binding)
    grants: dict[SubjectKey, tuple[Grant, ...]] = {}
    for subject in binding.get("subjects") or ():
        key = _subject_key(subject, namespace)
        if key is None:
            continue
        grant = Grant(
            meta.name(binding), namespace, reference.get("kind", ""), reference.get("name", ""), subject
        )
        grants[key] = (*grants.get(key, ()), grant)
    return grants


def _subject_key(subject: Object, namespace: str) -> SubjectKey | None:
    kind, name = subject.get("kind"), subject.get("name", "")
    if kind == "User":
        return ("user", name)
    if kind == "Group":
        return ("group", name)
    if kind == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return ("user", service_account_user(home, name)) if home else None
    return None


def _not_found(grant: Grant) -> str:
    return f'{grant.role_kind.lower()}.{GROUP} "{grant.role}" not found'
