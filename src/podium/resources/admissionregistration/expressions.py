"""CEL in admission: which variables expressions see, and what upstream says of those that do not compile.

Used by the checks of policies and webhook configurations, and by the API server when it evaluates them.
Upstream: apiserver/pkg/admission/plugin/cel/compile.go and composition.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from podium.machinery import cel
from podium.machinery.cel.declarations import read_type
from podium.machinery.cel.types import BOOL, DYN, INT, STRING, TIMESTAMP, Type, list_of, map_of

MATCH_COST_MAX = 2_500_000
"""What all match conditions of one webhook or policy may cost for one request."""

BOOLEAN = ("bool",)
TEXT = ("string",)
TEXT_OR_NULL = ("string", "null_type")
ANYTHING = ("any",)
OBJECT = ("Object",)
JSON_PATCHES = ("list(JSONPatch)",)

_KEPT = frozenset(
    ("any", "bool", "bytes", "double", "duration", "int", "null", "string", "timestamp", "uint")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """An expression that compiles has a program, any other an error in upstream's words."""

    text: str
    program: cel.Program | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the expressions of one kind see besides the request and its objects."""

    params: bool = False
    authorizer: bool = True
    mutation: bool = False
    """The types `Object` and `JSONPatch`."""
    object: Type = DYN
    """The type of `object` and `oldObject`, where it is known."""
    params_type: Type = DYN


@dataclass(slots=True, kw_only=True)
class Compiler:
    """Compiles the expressions of one policy, in which later ones may use the variables of earlier ones."""

    composed: bool = False
    """Whether there are `variables` at all."""
    variables: dict[str, Compiled] = field(default_factory=dict)

    def add(self, name: str, text: str, scope: Scope) -> Compiled:
        """Compile a variable; what comes later sees it."""
        compiled = self.compile(text, scope, ANYTHING)
        self.variables[name] = compiled
        return compiled

    def compile(self, text: str, scope: Scope, returns: Sequence[str]) -> Compiled:
        """Compile an expression that must be of one of the types named by `returns`."""
        try:
            program = cel.compile(text, variables=self._declared(scope), mutation=scope.mutation)
        except cel.CelError as error:
            return Compiled(text=text, error=f"compilation failed: {error}")
        found = type_text(program.result_type)
        if found in returns or "any" in returns:
            return Compiled(text=text, program=program)
        if len(returns) == 1:
            return Compiled(text=text, error=f"must evaluate to {returns[0]} but got {found}")
        return Compiled(text=text, error=f"must evaluate to one of [{' '.join(returns)}] but got {found}")

    def _declared(self, scope: Scope) -> Mapping[str, Type]:
        declared: dict[str, Type] = {
            "object": scope.object,
            "oldObject": scope.object,
            "namespaceObject": namespace_type(),
            "request": request_type(),
        }
        if scope.params:
            declared["params"] = scope.params_type
        if scope.authorizer:
            declared["authorizer"] = read_type("Authorizer")
            declared["authorizer.requestResource"] = read_type("ResourceCheck")
        if self.composed:
            fields = {name: _shown(compiled) for name, compiled in self.variables.items()}
            declared["variables"] = _object("kubernetes.variables", fields)
        return declared


def _shown(compiled: Compiled) -> Type:
    """Return the type of a variable as others see it: objects are dynamic to them."""
    return DYN if compiled.program is None else _plain(compiled.program.result_type)


def _plain(type_: Type) -> Type:
    if type_.kind in _KEPT:
        return type_
    if type_.kind in ("list", "map") and type_.params:
        return replace(type_, params=tuple(_plain(param) for param in type_.params))
    return DYN


def _object(name: str, fields: Mapping[str, Type]) -> Type:
    """Return a type whose fields are written as they are: only those of schemas are escaped."""
    return Type(kind="object", name=name, fields=fields, wire={key: key for key in fields}, size_min=2)


def type_text(type_: Type) -> str:
    """Return a type as upstream writes it."""
    return "null_type" if type_.kind == "null" else str(type_)


@cache
def request_type() -> Type:
    """Return the type of `request`: an AdmissionRequest without its objects."""
    texts = list_of(STRING)
    kind = _object("kubernetes.GroupVersionKind", dict.fromkeys(("group", "version", "kind"), STRING))
    resource = _object(
        "kubernetes.GroupVersionResource", dict.fromkeys(("group", "version", "resource"), STRING)
    )
    user = _object(
        "kubernetes.UserInfo",
        {"username": STRING, "uid": STRING, "groups": texts, "extra": map_of(STRING, texts)},
    )
    return _object(
        "kubernetes.AdmissionRequest",
        {
            "kind": kind,
            "resource": resource,
            "subResource": STRING,
            "requestKind": kind,
            "requestResource": resource,
            "requestSubResource": STRING,
            "name": STRING,
            "namespace": STRING,
            "operation": STRING,
            "userInfo": user,
            "dryRun": BOOL,
            "options": DYN,
        },
    )


@cache
def namespace_type() -> Type:
    """Return the type of `namespaceObject`: a Namespace without what is nobody's business."""
    texts, named = list_of(STRING), map_of(STRING, STRING)
    metadata = _object(
        "kubernetes.NamespaceMetadata",
        {
            "name": STRING,
            "generateName": STRING,
            "namespace": STRING,
            "labels": named,
            "annotations": named,
            "UID": STRING,
            "creationTimestamp": TIMESTAMP,
            "deletionGracePeriodSeconds": INT,
            "deletionTimestamp": TIMESTAMP,
            "generation": INT,
            "resourceVersion": STRING,
            "finalizers": texts,
        },
    )
    condition = _object(
        "kubernetes.NamespaceCondition",
        {
            "status": STRING,
            "type": STRING,
            "lastTransitionTime": TIMESTAMP,
            "message": STRING,
            "reason": STRING,
        },
    )
    status = _object("kubernetes.NamespaceStatus", {"conditions": list_of(condition), "phase": STRING})
    spec = _object("kubernetes.NamespaceSpec", {"finalizers": texts})
    return _object("kubernetes.Namespace", {"metadata": metadata, "spec": spec, "status": status})
