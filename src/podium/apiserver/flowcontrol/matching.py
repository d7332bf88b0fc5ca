"""Which flow schema a request belongs to: subjects and rules, compiled from the objects. Pure.

Upstream: rule.go. Schemas are looked at by precedence, those of the same precedence by name; a list with `*`
in it has nothing else, which validation sees to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from podium.apiserver.chain import RequestInfo, User
from podium.machinery.errors import Object
from podium.resources.flowcontrol.mandatory import SCHEMA_SPECS

CATCH_ALL = "catch-all"
EXEMPT = "exempt"
_SERVICE_ACCOUNT = "system:serviceaccount:"

Subject = Callable[[User], bool]
Rule = Callable[[RequestInfo], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One FlowSchema, ready to match."""

    name: str
    uid: str
    level: str
    precedence: int
    distinguisher: str
    """ByUser, ByNamespace, or "" for one flow of all requests."""
    rules: tuple[tuple[tuple[Subject, ...], tuple[Rule, ...], tuple[Rule, ...]], ...]
    """(subjects, rules for resources, rules for other paths)"""

    def matches(self, user: User, info: RequestInfo) -> bool:
        for subjects, resources, paths in self.rules:
            if any(subject(user) for subject in subjects) and any(
                rule(info) for rule in (resources if info.is_resource else paths)
            ):
                return True
        return False

    def flow_of(self, user: User, info: RequestInfo) -> str:
        """Return what distinguishes the flow of a request from the schema's other flows."""
        if self.distinguisher == "ByUser":
            return user.name
        return info.namespace if self.distinguisher == "ByNamespace" else ""


def compile_schema(obj: Object) -> Schema:
    """Return what a valid FlowSchema says."""
    metadata, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    return Schema(
        name=str(metadata.get("name") or ""),
        uid=str(metadata.get("uid") or ""),
        level=str((spec.get("priorityLevelConfiguration") or {}).get("name") or ""),
        precedence=int(spec.get("matchingPrecedence") or 0),
        distinguisher=str((spec.get("distinguisherMethod") or {}).get("type") or ""),
        rules=tuple(
            (
                tuple(_subject(one) for one in rule.get("subjects") or ()),
                tuple(_resource_rule(one) for one in rule.get("resourceRules") or ()),
                tuple(_path_rule(one) for one in rule.get("nonResourceRules") or ()),
            )
            for rule in spec.get("rules") or ()
        ),
    )


def in_order(schemas: Iterable[Schema]) -> list[Schema]:
    """Return the schemas in the order in which they are tried, the mandatory ones among them."""
    given = {schema.name: schema for schema in schemas}
    found = sorted(given.values(), key=lambda schema: (schema.precedence, schema.name))
    if EXEMPT not in given:
        found.insert(0, _mandatory(EXEMPT))
    if CATCH_ALL not in given:
        found.append(_mandatory(CATCH_ALL))
    return found


def _mandatory(name: str) -> Schema:
    return compile_schema({"metadata": {"name": name}, "spec": SCHEMA_SPECS[name]})


def match(schemas: Iterable[Schema], user: User, info: RequestInfo) -> Schema:
    """Return the first schema that matches; the catch-all for what matches none."""
    catch_all = None
    for schema in schemas:
        if schema.matches(user, info):
            return schema
        if schema.name == CATCH_ALL:
            catch_all = schema
    assert catch_all is not None, "in_order supplies it"
    return catch_all


def _subject(subject: Object) -> Subject:
    kind = subject.get("kind")
    if kind == "User":
        name = str((subject.get("user") or {}).get("name"))
        return lambda user: name in ("*", user.name)
    if kind == "Group":
        group = str((subject.get("group") or {}).get("name"))
        return lambda user: group == "*" or group in user.groups
    if kind == "ServiceAccount":
        account = subject.get("serviceAccount") or {}
        namespace, account_name = account.get("namespace"), account.get("name")
        prefix = f"{_SERVICE_ACCOUNT}{namespace}:"
        if account_name == "*":
            return lambda user: user.name.startswith(prefix)
        whole = f"{prefix}{account_name}"
        return lambda user: user.name == whole
    return lambda user: False


def _members(rule: Object, key: str) -> Callable[[str], bool]:
    values = frozenset(str(value) for value in rule.get(key) or ())
    return (lambda _value: True) if values == {"*"} else values.__contains__


def _resource_rule(rule: Object) -> Rule:
    verbs, groups, resources, namespaces = (
        _members(rule, key) for key in ("verbs", "apiGroups", "resources", "namespaces")
    )
    cluster_scope = bool(rule.get("clusterScope"))

    def matches(info: RequestInfo) -> bool:
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        return (
            verbs(info.verb)
            and resources(resource)
            and groups(info.api_group)
            and (namespaces(info.namespace) if info.namespace else cluster_scope)
        )

    return matches


def _path_rule(rule: Object) -> Rule:
    verbs = _members(rule, "verbs")
    urls = [str(url) for url in rule.get("nonResourceURLs") or ()]
    exact = frozenset(urls)
    # Upstream takes every URL for what is below it too, with or without the star.
    prefixes = tuple(url.removesuffix("*").removesuffix("/") + "/" for url in urls if url != "*")
    everything = "*" in exact

    def matches(info: RequestInfo) -> bool:
        path = info.path
        return verbs(info.verb) and (everything or path in exact or path.startswith(prefixes))

    return matches
