"""RBAC policy rules: what one allows, compiled for quick answers. Upstream: pkg/apis/rbac."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from podium.apiserver.chain import RequestInfo
from podium.machinery.errors import Object

Names = frozenset[str] | None
"""resourceNames; None when the rule holds for all names."""


@dataclass(slots=True)
class _Grant:
    verbs: frozenset[str]
    names: Names


@dataclass(slots=True)
class Rules:
    """A role's rules, found by (API group, resource) or by path instead of read one after the other."""

    source: tuple[Object, ...] = ()
    """The rules as written; read-only."""
    _by_resource: dict[tuple[str, str], list[_Grant]] = field(default_factory=dict)
    _by_path: dict[str, set[str]] = field(default_factory=dict)
    _by_prefix: list[tuple[str, frozenset[str]]] = field(default_factory=list)

    @classmethod
    def compile(cls, rules: Iterable[Object]) -> Rules:
        compiled = cls(tuple(rules))
        for rule in compiled.source:
            compiled._add(rule)
        return compiled

    def _add(self, rule: Object) -> None:
        verbs = frozenset(rule.get("verbs") or ())
        grant = _Grant(verbs, frozenset(rule.get("resourceNames") or ()) or None)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                self._by_resource.setdefault((group, resource), []).append(grant)
        for url in rule.get("nonResourceURLs") or ():
            if url.endswith("*"):
                self._by_prefix.append((url.rstrip("*"), verbs))
            else:
                self._by_path.setdefault(url, set()).update(verbs)

    def allow(self, info: RequestInfo) -> bool:
        """Tell whether some rule allows the request, wherever it is."""
        if not info.is_resource:
            return self._allow_path(info.path, info.verb)
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        by_resource = self._by_resource
        for group in (info.api_group, "*"):
            for wanted in (resource, "*"):
                grants = by_resource.get((group, wanted))
                if grants and _any_allows(grants, info.verb, info.name):
                    return True
            if info.subresource:
                grants = by_resource.get((group, "*/" + info.subresource))
                if grants and _any_allows(grants, info.verb, info.name):
                    return True
        return False

    def _allow_path(self, path: str, verb: str) -> bool:
        verbs = self._by_path.get(path)
        if verbs is not None and (verb in verbs or "*" in verbs):
            return True
        for prefix, allowed in self._by_prefix:
            if path.startswith(prefix) and (verb in allowed or "*" in allowed):
                return True
        return False


def _any_allows(grants: list[_Grant], verb: str, name: str) -> bool:
    for grant in grants:
        if (verb in grant.verbs or "*" in grant.verbs) and (grant.names is None or name in grant.names):
            return True
    return False


# --- do the rules somebody holds cover the rules they want to give?


def uncovered(held: Iterable[Object], wanted: Iterable[Object]) -> list[Object]:
    """Return the parts of `wanted` that no rule of `held` covers, in upstream's smallest pieces."""
    held = tuple(held)
    return [piece for rule in wanted for piece in _pieces(rule) if not any(_covers(h, piece) for h in held)]


def _pieces(rule: Object) -> Iterator[Object]:
    """Break a rule into rules of one group, resource, name, verb (or one path and verb) each."""
    verbs = rule.get("verbs") or ()
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in verbs:
                piece: Object = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                names = rule.get("resourceNames") or ()
                if not names:
                    yield piece
                for name in names:
                    yield {**piece, "resourceNames": [name]}
    for url in rule.get("nonResourceURLs") or ():
        for verb in verbs:
            yield {"nonResourceURLs": [url], "verbs": [verb]}


def _covers(held: Object, piece: Object) -> bool:
    if not _has(held.get("verbs"), piece["verbs"][0]):
        return False
    if "nonResourceURLs" in piece:
        return any(
            _path_covers(url, piece["nonResourceURLs"][0]) for url in held.get("nonResourceURLs") or ()
        )
    if not _has(held.get("apiGroups"), piece["apiGroups"][0]):
        return False
    if not _resource_covers(held.get("resources") or (), piece["resources"][0]):
        return False
    held_names = held.get("resourceNames") or ()
    if not held_names:
        return True
    wanted_names: Iterable[str] = piece.get("resourceNames") or ()
    return any(name in held_names for name in wanted_names)


def _has(values: Iterable[str] | None, wanted: str) -> bool:
    return values is not None and (wanted in values or "*" in values)


def _resource_covers(resources: Iterable[str], wanted: str) -> bool:
    if _has(resources, wanted):
        return True
    _, slash, subresource = wanted.partition("/")
    return bool(slash) and f"*/{subresource}" in resources


def _path_covers(held: str, wanted: str) -> bool:
    return held == wanted or (held.endswith("*") and wanted.startswith(held.rstrip("*")))


def described(rules: Iterable[Object]) -> list[str]:
    """Return the texts of `rules` for a refusal: simple ones of one resource merged, sorted."""
    merged: dict[tuple[str, str], Object] = {}
    others: list[Object] = []
    for rule in rules:
        if rule.get("resourceNames") or rule.get("nonResourceURLs"):
            others.append(rule)
            continue
        key = (rule["apiGroups"][0], rule["resources"][0])
        if key in merged:
            merged[key]["verbs"] += rule["verbs"]
        else:
            merged[key] = {**rule, "verbs": list(rule["verbs"])}
    return sorted({_described(rule) for rule in (*others, *merged.values())})


_FIELDS = (
    ("APIGroups", "apiGroups"),
    ("Resources", "resources"),
    ("NonResourceURLs", "nonResourceURLs"),
    ("ResourceNames", "resourceNames"),
    ("Verbs", "verbs"),
)


def _described(rule: Object) -> str:
    parts = [f"{label}:{quoted_list(rule[field])}" for label, field in _FIELDS if rule.get(field)]
    return "{" + ", ".join(parts) + "}"


def quoted_list(values: Iterable[str]) -> str:
    """Return a list of strings as Go's %q prints it: `["a" "b"]`."""
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
