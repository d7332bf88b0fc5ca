"""Which writes a webhook or a policy wants to see: rules, scopes, selectors, equivalent resources.

Compiled once from the configuration. Upstream: plugin/webhook/predicates, plugin/policy/matching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from podium.apiserver.chain import Attributes, Kind, View
from podium.machinery import labels
from podium.machinery.errors import InternalError, NotFound, Object
from podium.machinery.labels import Selector
from podium.machinery.resource import Resource
from podium.resources.core.namespaces import NAMESPACES

GROUP = "admissionregistration.k8s.io"
_EXEMPT = frozenset(
    {
        "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A write is wanted, and in which form it shall be shown."""

    resource: Resource
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Operations on resources."""

    groups: frozenset[str]
    versions: frozenset[str]
    operations: frozenset[str]
    resources: tuple[tuple[str, str], ...]
    scope: str
    names: frozenset[str]

    @staticmethod
    def of(rule: Object) -> Rule:
        """Compile a rule as it stands in a configuration; `resourceNames` is a policy's."""
        return Rule(
            groups=frozenset(rule.get("apiGroups") or ()),
            versions=frozenset(rule.get("apiVersions") or ()),
            operations=frozenset(rule.get("operations") or ()),
            resources=tuple(_split(text) for text in rule.get("resources") or ()),
            scope=rule.get("scope") or "*",
            names=frozenset(rule.get("resourceNames") or ()),
        )

    def matches(self, attributes: Attributes, resource: Resource) -> bool:
        """Whether the write falls under this rule when it is seen as one of `resource`."""
        return (
            self.names_write(attributes.operation, resource, attributes.subresource)
            and self._in_scope(attributes, resource)
            and (not self.names or attributes.name in self.names)
        )

    def names_write(self, operation: str, resource: Resource, subresource: str) -> bool:
        """Whether the rule is about such writes, wherever and whatever the object is."""
        return (
            _has(self.operations, operation)
            and _has(self.groups, resource.group)
            and _has(self.versions, resource.version)
            and any(
                plural in ("*", resource.plural) and sub in ("*", subresource)
                for plural, sub in self.resources
            )
        )

    def _in_scope(self, attributes: Attributes, resource: Resource) -> bool:
        if self.scope == "*":
            return True
        # A Namespace belongs to the cluster, although requests for it name one.
        inside = not is_namespace(resource) and bool(attributes.namespace)
        return inside if self.scope == "Namespaced" else not inside


def _has(names: frozenset[str], name: str) -> bool:
    return name in names or "*" in names


def _split(text: str) -> tuple[str, str]:
    plural, _, sub = text.partition("/")
    return plural, sub


def is_namespace(resource: Resource) -> bool:
    return resource.plural == "namespaces" and not resource.group


def namespace_of(attributes: Attributes) -> str:
    """Return the namespace that the write is about: that of the object, or the Namespace itself."""
    if not is_namespace(attributes.resource):
        return attributes.namespace
    return attributes.name or str((attributes.object or {}).get("metadata", {}).get("name") or "")


def is_exempt(attributes: Attributes) -> bool:
    """Whether the write configures admission itself: nobody may lock a cluster's administrators out."""
    return attributes.resource.group == GROUP and attributes.resource.plural in _EXEMPT


class Matcher:
    """The rules and selectors of one webhook, policy, or binding."""

    def __init__(
        self,
        rules: Sequence[Object] | None,
        *,
        excluded: Sequence[Object] = (),
        equivalent: bool = True,
        namespace_selector: Object | None = None,
        object_selector: Object | None = None,
    ) -> None:
        """No `rules` at all, which is None, match every write: a binding that narrows nothing."""
        self.rules = None if rules is None else tuple(Rule.of(rule) for rule in rules)
        self.excluded = tuple(Rule.of(rule) for rule in excluded)
        self.equivalent = equivalent
        self.fault = ""
        """What is wrong with a selector, which nobody could write any more."""
        self.namespaces = self._selector(namespace_selector)
        self.objects = self._selector(object_selector)

    def _selector(self, selector: Object | None) -> Selector | None:
        """Return a selector that may say no; None for one that never does."""
        if not selector:
            return None
        try:
            found = labels.from_label_selector(selector)
        except ValueError as error:
            self.fault = str(error)
            return None
        return None if found.empty else found

    def match(self, attributes: Attributes, namespaces: View) -> Match | None:
        """Return how the write is to be shown; None when it is not wanted.

        Raises `NotFound` when the namespace whose labels decide is gone, and `InternalError` when a selector
        makes no sense.
        """
        # The object first: where both selectors could decide, a namespace that is gone is no error then.
        if self.objects is not None and not self._wants_object(attributes, self.objects):
            return None
        if self.excluded and self._find(self.excluded, attributes) is not None:
            return None
        if self.rules is None:
            found: Resource | None = attributes.resource
        else:
            found = self._find(self.rules, attributes)
        if found is None:
            return None
        if self.fault:
            raise internal(self.fault)
        if self.namespaces is not None and not self._wants_namespace(attributes, namespaces, self.namespaces):
            return None
        host = attributes.host
        if host is None:
            kind = Kind(group=found.group, version=found.version, kind=found.kind)
        else:
            kind = host.kind_of(found, attributes.subresource)
        return Match(resource=found, kind=kind)

    def _find(self, rules: Sequence[Rule], attributes: Attributes) -> Resource | None:
        resource = attributes.resource
        for rule in rules:
            if rule.matches(attributes, resource):
                return resource
        if not self.equivalent or attributes.host is None:
            return None
        others = [
            one
            for one in attributes.host.equivalents(resource, attributes.subresource)
            if (one.group, one.version) != (resource.group, resource.version)
        ]
        for rule in rules:
            for other in others:
                if rule.matches(attributes, other):
                    return other
        return None

    def _wants_object(self, attributes: Attributes, selector: Selector) -> bool:
        return _selects(selector, attributes.object) or _selects(selector, attributes.old_object)

    def _wants_namespace(self, attributes: Attributes, namespaces: View, selector: Selector) -> bool:
        name = namespace_of(attributes)
        if not name and not is_namespace(attributes.resource):
            return True
        if (
            is_namespace(attributes.resource)
            and not attributes.subresource
            and attributes.operation in ("CREATE", "UPDATE")
        ):
            return _selects(selector, attributes.object)
        namespace = namespaces.get(None, name)
        if namespace is None:
            raise NotFound.of(NAMESPACES.plural, NAMESPACES.group, name)
        return selector.matches(namespace["metadata"].get("labels") or {})


def _selects(selector: Selector, obj: Object | None) -> bool:
    metadata = None if obj is None else obj.get("metadata")
    return isinstance(metadata, dict) and selector.matches(metadata.get("labels") or {})


def internal(text: str) -> InternalError:
    """Return upstream's internal error (500) that says `text`."""
    return InternalError(f"Internal error occurred: {text}", details={"causes": [{"message": text}]})
