"""Query parameters and option bodies, checked as upstream checks them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from podium.apiserver.cacher.selection import FieldMatch, LabelMatch, Selection
from podium.apiserver.registry.call import Call, FieldValidation
from podium.apiserver.registry.delete import DeleteOptions
from podium.apiserver.registry.paging import decode as check_token
from podium.apiserver.registry.read import ListOptions
from podium.apiserver.registry.served import Served
from podium.apiserver.registry.unreadable import IGNORE_READ_ERROR
from podium.apiserver.registry.watch import WatchOptions
from podium.base.http.message import Request
from podium.machinery import fields as field_selectors
from podium.machinery import labels as label_selectors
from podium.machinery.errors import BadRequest, FieldError, Invalid, Json, Object, PlainError, shown
from podium.machinery.validation import validate_field_manager

WATCH_TIMEOUT_S_MIN = 1800
"""Watches without a timeout of their own end after one to two times this, so that clients spread out."""

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64_MAX = 2**63 - 1
_UINT64_MAX = 2**64 - 1
_DIGITS_MAX = 100
"""More digits are out of every range; Python would refuse to read them."""

_MATCHES = ("Exact", "NotOlderThan", "")
_PROPAGATIONS = ("Foreground", "Background", "Orphan", "nil")
_VALIDATIONS = ("", "Ignore", "Strict", "Warn")


# --- single parameters


def integer(request: Request, name: str) -> int | None:
    values = request.query.get(name)
    if not values:
        return None
    text = values[0]
    if not _INTEGER.fullmatch(text):
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    number = int(text) if len(text) <= _DIGITS_MAX else _INT64_MAX + 1
    if not -_INT64_MAX - 1 <= number <= _INT64_MAX:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


def boolean(request: Request, name: str) -> bool | None:
    """Return a boolean by upstream's query rules: any value but false and 0 is true."""
    values = request.query.get(name)
    if not values:
        return None
    return values[0].lower() not in ("false", "0")


def version(text: str) -> int:
    """Return a resourceVersion as a number; "" is 0. Raises ValueError with upstream's words."""
    if not text:
        return 0
    fault = ""
    if not text.isascii() or not text.isdigit():
        fault = "invalid syntax"
    elif len(text) > _DIGITS_MAX or int(text) > _UINT64_MAX:
        fault = "value out of range"
    if fault:
        why = f'strconv.ParseUint: parsing "{text}": {fault}'
        raise ValueError(str(FieldError.invalid("resourceVersion", text, why)))
    return int(text)


def get_version(request: Request) -> int:
    """Return the resourceVersion of a GET of one object."""
    if not request.raw_query:
        return 0
    try:
        return version(request.parameter("resourceVersion"))
    except ValueError as error:
        raise PlainError(str(error)) from None


def invalid(kind: str, errors: list[FieldError]) -> Invalid:
    """Return what is said of options that make no sense."""
    return Invalid.of(kind, "meta.k8s.io", "", errors)


# --- selections


@dataclass(frozen=True, slots=True)
class _Selectors:
    """The selectors of a list or watch, read, but not yet looked at for this kind's fields."""

    labels: LabelMatch | None
    fields: field_selectors.FieldSelector


_NO_SELECTORS = _Selectors(None, field_selectors.EVERYTHING)


def _selectors(request: Request) -> _Selectors:
    """Return the selectors that `request` names. Raises `BadRequest` for what is none."""
    labels = label_selectors.parse(request.parameter("labelSelector"))
    return _Selectors(
        None if labels.empty else labels, field_selectors.parse(request.parameter("fieldSelector"))
    )


def _selection(served: Served, namespace: str, name: str, selectors: _Selectors) -> Selection:
    """Return what a list or watch is about. Raises `BadRequest` for fields that nobody can select by."""
    matches: list[FieldMatch] = []
    if name and selectors.fields and selectors.fields.exact("metadata.name") != name:
        raise BadRequest("fieldSelector metadata.name doesn't match requested name")
    for path, operator, value in selectors.fields.requirements:
        match = FieldMatch(path=path, value=value, negative=operator == "!=", getter=_getter(served, path))
        # One name alone is a lookup, not a scan. No object has an empty one.
        if path == "metadata.name" and value and not match.negative and not name:
            name = value
        else:
            matches.append(match)
    scope = namespace if served.resource.namespaced else ""
    if name and served.resource.namespaced and not scope:
        matches.append(FieldMatch(path="metadata.name", value=name, negative=False, getter=None))
        name = ""
    return Selection(namespace=scope, name=name, labels=selectors.labels, fields=tuple(matches))


def _getter(served: Served, path: str) -> Callable[[Object], str] | None:
    resource = served.resource
    if path in ("metadata.name", "metadata.namespace"):
        if path == "metadata.namespace" and resource.group_plural == "namespaces":
            raise BadRequest(f"field label not supported: {path}")
        return None
    getter = resource.selectable.get(path)
    if getter is None:
        if resource.unselectable:
            raise BadRequest(resource.unselectable.format(path))
        if resource.selectable or served.custom:
            raise BadRequest(f"field label not supported: {path}")
        raise BadRequest(
            f'{shown(path)} is not a known field selector: only "metadata.name", "metadata.namespace"'
        )
    if not served.converted:
        return getter
    storage = served.storage

    def converted(stored: Object) -> str:
        whole = {"kind": storage.kind, "apiVersion": storage.api_version, **stored}
        return getter(served.from_storage(whole))

    return converted


# --- list and watch


def _list_option_errors(request: Request, *, watch: bool) -> list[FieldError]:
    match = request.parameter("resourceVersionMatch")
    resource_version, token = request.parameter("resourceVersion"), request.parameter("continue")
    initial = "sendInitialEvents" in request.query
    field, errors = "resourceVersionMatch", []
    if watch:
        if initial and match != "NotOlderThan":
            errors.append(
                FieldError.forbidden(
                    field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                )
            )
        if match:
            if not initial:
                errors.append(
                    FieldError.forbidden(
                        field, f"{field} is forbidden for watch unless sendInitialEvents is provided"
                    )
                )
            if match != "NotOlderThan":
                errors.append(FieldError.not_supported(field, match, ("NotOlderThan",)))
        if token:
            errors.append(FieldError.forbidden(field, f"{field} is forbidden when continue is provided"))
        return errors
    if match:
        if not resource_version:
            errors.append(
                FieldError.forbidden(field, f"{field} is forbidden unless resourceVersion is provided")
            )
        if token:
            errors.append(FieldError.forbidden(field, f"{field} is forbidden when continue is provided"))
        if match not in _MATCHES:
            errors.append(FieldError.not_supported(field, match, _MATCHES))
        if match == "Exact" and resource_version == "0":
            errors.append(
                FieldError.forbidden(field, f'{field} "exact" is forbidden for resourceVersion "0"')
            )
    if initial:
        errors.append(FieldError.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def list_options(request: Request, served: Served, namespace: str, name: str = "") -> ListOptions:
    if not request.raw_query:
        return ListOptions(selection=_selection(served, namespace, name, _NO_SELECTORS))
    limit = integer(request, "limit") or 0
    integer(request, "timeoutSeconds")
    selectors = _selectors(request)
    errors = _list_option_errors(request, watch=False)
    if errors:
        raise invalid("ListOptions", errors)
    chosen = _selection(served, namespace, name, selectors)
    token, wanted = request.parameter("continue"), request.parameter("resourceVersion")
    if token:
        check_token(token)
        if wanted not in ("", "0"):
            raise BadRequest("specifying resource version is not allowed when using continue")
    try:
        revision = version(wanted)
    except ValueError as error:
        raise BadRequest(f"invalid resource version: {error}") from None
    if not revision and wanted and not token:
        limit = 0  # Whoever takes any state takes all of it: upstream's cache reads no limit then.
    match = request.parameter("resourceVersionMatch")
    # Before resourceVersionMatch there was a rule: a version together with a limit means exactly that one.
    exact = match == "Exact" or (not match and revision > 0 and limit > 0)
    return ListOptions(
        selection=chosen,
        limit=max(0, limit),
        continue_token=token,
        revision=revision,
        exact=exact,
    )


def watch_options(
    request: Request,
    served: Served,
    namespace: str,
    name: str = "",
    *,
    timeout_s_min: int = WATCH_TIMEOUT_S_MIN,
) -> WatchOptions:
    integer(request, "limit")
    timeout_s = integer(request, "timeoutSeconds")
    selectors = _selectors(request)
    errors = _list_option_errors(request, watch=True)
    if errors:
        raise invalid("ListOptions", errors)
    chosen = _selection(served, namespace, name, selectors)
    try:
        revision = version(request.parameter("resourceVersion"))
    except ValueError as error:
        raise PlainError(str(error)) from None
    if not timeout_s or timeout_s < 0:
        timeout_s = int(timeout_s_min * (1.0 + random.random()))
    initial = boolean(request, "sendInitialEvents")
    from_state = not revision or initial is True
    bookmarks = boolean(request, "allowWatchBookmarks") is True
    return WatchOptions(
        selection=chosen,
        revision=None if from_state else revision,
        initial_events=initial is True and bookmarks,
        only_new=initial is False and not revision,
        at_least_revision=revision if initial is True and bookmarks else 0,
        bookmarks=bookmarks,
        timeout_s=float(timeout_s),
    )


# --- writes


def manager_of(request: Request) -> str:
    """Return the field manager that a client without fieldManager gets: its program's name."""
    program = request.headers.get("user-agent").partition("/")[0]
    if not program.isprintable():
        program = "".join(char for char in program if char.isprintable())
    return program[:128]


def write_options(
    request: Request, call: Call, kind: str, refused: Callable[[], list[FieldError]] | None = None
) -> None:
    """Read CreateOptions, UpdateOptions or PatchOptions into `call`. Raises `Invalid`.

    `refused` finds what else is wrong with them, which is said first.
    """
    options: Object = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    call.options = options
    errors = refused() if refused is not None else []
    if not request.raw_query and not errors:
        call.field_manager = manager_of(request)
        return
    dry_run = request.query.get("dryRun") or []
    manager = request.parameter("fieldManager")
    validation = request.parameter("fieldValidation")
    if manager:
        errors += validate_field_manager(manager)
        options["fieldManager"] = manager
    if dry_run:
        errors += _dry_run_errors(dry_run)
        options["dryRun"] = dry_run
    if validation not in _VALIDATIONS:
        errors.append(FieldError.not_supported("fieldValidation", validation, _VALIDATIONS))
    if errors:
        raise invalid(kind, errors)
    call.dry_run = bool(dry_run)
    call.field_manager = manager or manager_of(request)
    call.field_validation = _as_validation(validation)


def _as_validation(text: str) -> FieldValidation:
    if text == "Strict":
        return "Strict"
    return "Ignore" if text == "Ignore" else "Warn"


def _dry_run_errors(values: list[str]) -> list[FieldError]:
    if all(value == "All" for value in values):
        return []
    return [FieldError.not_supported("dryRun", values, ("All",))]


def delete_options(request: Request, body: Object | None, call: Call) -> DeleteOptions:
    """Read DeleteOptions from the body, else from the query. Raises `Invalid`, `BadRequest`.

    Beside a body the query counts for nothing, dryRun neither.
    """
    given: Object = dict(body or {})
    if body is None and request.raw_query:
        grace = integer(request, "gracePeriodSeconds")
        if grace is not None:
            given["gracePeriodSeconds"] = grace
        if "propagationPolicy" in request.query:
            given["propagationPolicy"] = request.parameter("propagationPolicy")
        orphan = boolean(request, "orphanDependents")
        if orphan is not None:
            given["orphanDependents"] = orphan
        if "dryRun" in request.query:
            given["dryRun"] = request.query["dryRun"]
        # Of a collection, resourceVersion says which list is meant and is asked of each object, too.
        wanted = {name: request.parameter(name) for name in ("uid", "resourceVersion")}
        if preconditions := {name: value for name, value in wanted.items() if value}:
            given["preconditions"] = preconditions
        ignore = boolean(request, IGNORE_READ_ERROR)
        if ignore is not None:
            given[IGNORE_READ_ERROR] = ignore
    if not call.served.unsafe_deletion:
        given.pop(IGNORE_READ_ERROR, None)
    errors = _delete_option_errors(given)
    if errors:
        raise invalid("DeleteOptions", errors)
    call.dry_run = bool(given.get("dryRun"))
    call.options = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", **given}
    preconditions = given.get("preconditions") or {}
    return DeleteOptions(
        grace_period_s=given.get("gracePeriodSeconds"),
        propagation=given.get("propagationPolicy"),
        orphan_dependents=given.get("orphanDependents"),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        ignore_read_error=bool(given.get(IGNORE_READ_ERROR)),
    )


def _delete_option_errors(given: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    policy: Json = given.get("propagationPolicy")
    if policy is not None and given.get("orphanDependents") is not None:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        errors.append(FieldError.invalid("propagationPolicy", policy, detail))
    if policy is not None and policy not in _PROPAGATIONS[:3]:
        errors.append(FieldError.not_supported("propagationPolicy", policy, _PROPAGATIONS))
    if given.get("dryRun"):
        errors += _dry_run_errors(given["dryRun"])
    if given.get(IGNORE_READ_ERROR):
        for name in (
            "dryRun",
            "propagationPolicy",
            "orphanDependents",
            "gracePeriodSeconds",
            "preconditions",
        ):
            if given.get(name) not in (None, []):
                detail = f"cannot be set together with .{name}"
                errors.append(FieldError.invalid(IGNORE_READ_ERROR, True, detail))
    return errors
