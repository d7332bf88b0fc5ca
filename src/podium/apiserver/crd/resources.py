"""A definition's versions as `Resource` values: what a built-in resource declares in its file. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Lock

from podium.apiserver.crd.names import is_deleting
from podium.apiserver.crd.webhook import go_type
from podium.apiserver.registry.versions import preference
from podium.base.clock import parse_rfc3339
from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.golang import number, plain
from podium.machinery.resource import Column, Resource, Scale
from podium.machinery.structural.jsonpath import PathError, compile_path
from podium.machinery.structural.numbers import INT64_MAX, INT64_MIN
from podium.machinery.structural.rules import has_rules
from podium.machinery.structural.schema import StructuralSchema
from podium.machinery.structural.values import ABSENT
from podium.machinery.table import age, since
from podium.resources.selecting import text as _selectable_text

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_INT32_MAX = 2**31 - 1
KEPT_MAX = 64

_NAME = Column(
    name="Name",
    value=lambda obj, _now: obj["metadata"].get("name") or "",
    format="name",
    description="Name of the object, unique among its kind in its namespace.",
)
_AGE = Column(name="Age", value=age, type="date", description="Time since the object was created.")


def definition_name(group: str, version: str, kind: str) -> str:
    """Return the name of a version's schema in OpenAPI: `com.example.stable.v1.CronTab`."""
    return ".".join([*reversed(group.split(".")), version, kind])


def served_versions(definition: Object) -> list[Object]:
    """Return the versions that are served, the most preferred first."""
    versions = [version for version in definition["spec"]["versions"] if version.get("served")]
    return sorted(versions, key=lambda version: preference(version["name"]))


def storage_version(definition: Object) -> str:
    return next(str(one["name"]) for one in definition["spec"]["versions"] if one.get("storage"))


def resource_of(definition: Object, version: Object, schema: StructuralSchema) -> Resource:
    """Return one version of what a definition defines."""
    spec = definition["spec"]
    names: Object = (definition.get("status") or {}).get("acceptedNames") or spec["names"]
    group, name, kind = str(spec["group"]), str(version["name"]), str(names["kind"])
    subresources: Object = version.get("subresources") or {}
    scale = _scale(subresources.get("scale"))
    selector_path = str((subresources.get("scale") or {}).get("labelSelectorPath") or "")
    checks = _Checks(group, name, kind, schema, scale, selector_path)
    return Resource(
        group=group,
        version=name,
        kind=kind,
        plural=str(names["plural"]),
        singular=str(names.get("singular") or ""),
        list_kind_name=str(names.get("listKind") or ""),
        core_finalizers=False,
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        verbs=VERBS,
        schema=schema.name,
        storage_prefix=f"{group}/{names['plural']}",
        status=subresources.get("status") is not None,
        prepare_create=_without_status if subresources.get("status") is not None else _as_it_is,
        scale=scale,
        validate=checks.create,
        validate_update=checks.update,
        validate_status_update=checks.status_update,
        warnings=checks.warnings,
        warns_of_status=True,
        checks_in_thread=has_rules(schema.source),
        generation=True,
        generation_fields=("*",),
        unconditional_update=False,
        deprecation=_deprecation(definition, version),
        terminating=is_deleting(definition),
        selectable={
            field["jsonPath"].removeprefix("."): _selector(field["jsonPath"])
            for field in version.get("selectableFields") or ()
        },
        columns=_columns(version),
    )


def _without_status(obj: Object) -> None:
    obj.pop("status", None)


def _as_it_is(_obj: Object) -> None:
    """Without the subresource, the status is like any other field."""


def _deprecation(definition: Object, version: Object) -> str:
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning"):
        return str(version["deprecationWarning"])
    spec = definition["spec"]
    group, kind = spec["group"], spec["names"]["kind"]
    text = f"{group}/{version['name']} {kind} is deprecated"
    for other in served_versions(definition):
        if not other.get("deprecated") and preference(other["name"]) < preference(version["name"]):
            return f"{text}; use {group}/{other['name']} {kind}"
    return text


# --- checks


class _Checks:
    """What is wrong with an object of one version."""

    def __init__(
        self,
        group: str,
        version: str,
        kind: str,
        schema: StructuralSchema,
        scale: Scale | None,
        selector_path: str,
    ) -> None:
        self._api_version = f"{group}/{version}"
        self._kind = kind
        self._schema = schema
        self._scale = scale
        self._selector_path = selector_path
        self._lock = Lock()
        self._ratcheted: dict[int, tuple[Object, list[str]]] = {}
        """By the identity of the object, until its warnings are asked for."""

    def create(self, obj: Object) -> list[FieldError]:
        return self._errors(obj, None)

    def update(self, new: Object, old: Object) -> list[FieldError]:
        return self._errors(new, old)

    def status_update(self, new: Object, old: Object) -> list[FieldError]:
        if new.get("kind") != self._kind:
            return [FieldError.invalid("kind", new.get("kind"), f"must be {self._kind}")]
        errors = self._schema.validate_status(new, old, between=self._scale_status_errors(new))
        return self._with_rules(errors, new, old)

    def _errors(self, obj: Object, old: Object | None) -> list[FieldError]:
        if obj.get("kind") != self._kind:
            return [FieldError.invalid("kind", obj.get("kind"), f"must be {self._kind}")]
        between: list[FieldError] = []
        if self._scale is not None:
            between = _replicas_errors(obj, self._scale.replicas) + self._scale_status_errors(obj)
        return self._with_rules(self._schema.validate(obj, old, between=between), obj, old)

    def _with_rules(self, errors: list[FieldError], obj: Object, old: Object | None) -> list[FieldError]:
        verdict = self._schema.rule_verdict(obj, old, errors)
        if verdict is not None:
            errors += verdict.errors
            if verdict.ratcheted:
                self._keep(obj, [str(error) for error in verdict.ratcheted])
        return errors

    def _keep(self, obj: Object, warnings: list[str]) -> None:
        # Of an object that is refused after all nobody asks for warnings: the oldest of these go.
        # Checks run in threads.
        with self._lock:
            while len(self._ratcheted) >= KEPT_MAX:
                del self._ratcheted[next(iter(self._ratcheted))]
            self._ratcheted[id(obj)] = (obj, warnings)

    def warnings(self, new: Object, _old: Object | None) -> list[str]:
        """Return the rules that the object just checked breaks as it did before."""
        if not self._ratcheted:
            return []
        with self._lock:
            return self._ratcheted.pop(id(new), (new, []))[1]

    def _scale_status_errors(self, obj: Object) -> list[FieldError]:
        if self._scale is None:
            return []
        errors = _replicas_errors(obj, self._scale.status_replicas)
        if self._selector_path:
            value, fault = _nested(obj, self._selector_path)
            if not fault and value is not ABSENT and not isinstance(value, str):
                fault = _accessor_error(self._selector_path, value, "string")
            if fault:
                errors.append(FieldError.invalid(self._selector_path, "", fault))
        return errors


def _replicas_errors(obj: Object, path: str) -> list[FieldError]:
    value, fault = _nested(obj, path)
    if not fault and value is ABSENT:
        return []
    if not fault and (not isinstance(value, int) or isinstance(value, bool)):
        fault = _accessor_error(path, value, "int64")
    if fault:
        return [FieldError.invalid(path, 0, fault)]
    if value < 0:
        return [FieldError.invalid(path, value, "should be a non-negative integer")]
    if value > _INT32_MAX:
        return [FieldError.invalid(path, value, f"should be less than or equal to {_INT32_MAX}")]
    return []


def _nested(obj: Object, path: str) -> tuple[Json, str]:
    """Return the value at a path of names, ABSENT where there is none, and why it cannot be reached."""
    value: Json = obj
    names = path.removeprefix(".").split(".")
    for index, name in enumerate(names):
        if value is None:
            return ABSENT, ""
        if not isinstance(value, dict):
            where = "." + ".".join(names[: index + 1])
            return ABSENT, _accessor_error(where, value, "map[string]interface{}")
        if name not in value:
            return ABSENT, ""
        value = value[name]
    return value, ""


def _accessor_error(path: str, value: Json, wanted: str) -> str:
    return f"{path} accessor error: {plain(value)} is of the type {go_type(value)}, expected {wanted}"


def _only(values: list[Json]) -> Json:
    return values[0] if values else None


# --- scale, columns, selectors


def _scale(declared: Object | None) -> Scale | None:
    if declared is None:
        return None
    path = declared.get("labelSelectorPath") or ""

    def selector(obj: Object) -> str:
        value = _only(_finder(path)(obj)) if path else None
        return value if isinstance(value, str) else ""

    return Scale(
        replicas=declared["specReplicasPath"],
        status_replicas=declared["statusReplicasPath"],
        selector=selector,
    )


def _finder(path: str) -> Callable[[Object], list[Json]]:
    """Return what finds the values at `path`; nothing at all where the path is none.

    A definition with such a path may be stored already, and must not keep all others from being served.
    """
    try:
        return compile_path(path)
    except PathError:
        return lambda _obj: []


def _selector(path: str) -> Callable[[Object], str]:
    find = _finder(path)
    return lambda obj: _selectable_text(_only(find(obj)))


def _columns(version: Object) -> tuple[Column, ...]:
    declared = version.get("additionalPrinterColumns") or ()
    if not declared:
        return (_NAME, _AGE)
    return (_NAME, *(_column(column) for column in declared))


def _column(declared: Object) -> Column:
    type, path = str(declared["type"]), str(declared["jsonPath"])
    return Column(
        name=str(declared["name"]),
        value=_cell(path, type),
        type=type,
        format=str(declared.get("format") or ""),
        description=str(declared.get("description") or f"Custom resource definition column ({path})."),
        priority=int(declared.get("priority") or 0),
    )


def _cell(path: str, type: str) -> Callable[[Object, datetime], Json]:
    find = _finder(path)

    def cell(obj: Object, now: datetime) -> Json:
        values = find(obj)
        return _shown(values[0], type, now) if values else None

    return cell


def _shown(value: Json, type: str, now: datetime) -> Json:
    """Return a value as a cell of a type; what does not fit shows nothing."""
    if value is None:
        return None
    match type:
        case "integer":
            fits = isinstance(value, int | float) and not isinstance(value, bool)
            return _int64(value) if fits else None
        case "number":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return _since(value, now) if isinstance(value, str) else None
        case _:
            return value if isinstance(value, str) else _text(value)


def _since(text: str, now: datetime) -> str:
    try:
        parse_rfc3339(text or "1970-01-01T00:00:00Z")
    except ValueError:
        return "<invalid>"
    return since(text, now)


def _int64(value: float) -> int:
    """Return a number as upstream's processor makes it an integer: what does not fit is the least."""
    whole = int(value)
    return whole if INT64_MIN <= whole <= INT64_MAX else INT64_MIN


def _text(value: Json) -> str:
    if isinstance(value, float):
        return number(value)
    import orjson  # noqa: PLC0415

    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
