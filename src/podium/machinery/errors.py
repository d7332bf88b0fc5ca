"""The API's errors: one tree, each class one HTTP status and one reason.

    ApiError
    ├── BadRequest            400 BadRequest
    ├── Unauthorized          401 Unauthorized
    ├── Forbidden             403 Forbidden
    ├── NotFound              404 NotFound
    ├── MethodNotAllowed      405 MethodNotAllowed
    ├── NotAcceptable         406 NotAcceptable
    ├── AlreadyExists         409 AlreadyExists
    ├── Conflict              409 Conflict
    ├── Gone                  410 Gone
    │   └── Expired           410 Expired
    ├── TooLarge              413 RequestEntityTooLarge
    ├── UnsupportedMediaType  415 UnsupportedMediaType
    ├── Invalid               422 Invalid          (carries FieldErrors as causes)
    ├── TooManyRequests       429 TooManyRequests
    ├── InternalError         500 InternalError
    │   └── StoreReadError    500 StorageReadError (what is stored cannot be made out)
    ├── PlainError            500 (no reason)      (what upstream does not translate)
    ├── ServiceUnavailable    503 ServiceUnavailable
    └── Timeout               504 Timeout

Upstream: k8s.io/apimachinery/pkg/api/errors and pkg/util/validation/field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from podium.machinery.golang import as_json, number

Json = Any
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field; they are collected and reported together.

    `reason` is upstream's cause reason (FieldValueRequired, FieldValueInvalid, ...).
    """

    field: str
    reason: str
    message: str

    @staticmethod
    def required(field: str, detail: str = "") -> FieldError:
        return FieldError(field, "FieldValueRequired", _joined("Required value", detail))

    @staticmethod
    def invalid(field: str, value: Json, detail: str) -> FieldError:
        return FieldError(field, "FieldValueInvalid", _joined(f"Invalid value: {shown(value)}", detail))

    @staticmethod
    def type_invalid(field: str, value: Json, detail: str) -> FieldError:
        return FieldError(field, "FieldValueTypeInvalid", _joined(f"Invalid value: {shown(value)}", detail))

    @staticmethod
    def duplicate(field: str, value: Json) -> FieldError:
        return FieldError(field, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")

    @staticmethod
    def not_supported(field: str, value: Json, supported: Sequence[str]) -> FieldError:
        names = ", ".join(f'"{name}"' for name in supported)
        return FieldError(
            field,
            "FieldValueNotSupported",
            f"Unsupported value: {_as_json(value)}: supported values: {names}",
        )

    @staticmethod
    def not_found(field: str, value: Json) -> FieldError:
        return FieldError(field, "FieldValueNotFound", f"Not found: {shown(value)}")

    @staticmethod
    def forbidden(field: str, detail: str) -> FieldError:
        return FieldError(field, "FieldValueForbidden", _joined("Forbidden", detail))

    @staticmethod
    def too_long(field: str, length_max: int) -> FieldError:
        # Upstream prints the value's place but never the value, which is too long to print.
        unit = "byte" if length_max == 1 else "bytes"
        return FieldError(field, "FieldValueTooLong", f"Too long: may not be more than {length_max} {unit}")

    @staticmethod
    def too_many(field: str, actual: int, count_max: int) -> FieldError:
        items = "item" if count_max == 1 else "items"
        return FieldError(
            field, "FieldValueTooMany", f"Too many: {actual}: must have at most {count_max} {items}"
        )

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def _joined(head: str, detail: str) -> str:
    return f"{head}: {detail}" if detail else head


def shown(value: Json) -> str:
    """Return `value` as upstream prints it in a field error: as its language does, objects as JSON."""
    match value:
        case str():
            return quoted(value)
        case float():
            return number(value)
        case dict() | list():
            return html_safe(_as_json(as_json(value)))
        case _:
            return _as_json(value)


def _as_json(value: Json) -> str:
    """Return `value` as in a field error where upstream's type has a name, as most with few values do."""
    return orjson.dumps(_with_sorted_maps(value)).decode()


_MAPS = frozenset(("annotations", "labels", "limits", "matchLabels", "nodeSelector", "requests"))
"""Fields that are maps wherever they occur: Go prints those by key, and structures as they are declared."""


def _with_sorted_maps(value: Json, name: str = "") -> Json:
    if isinstance(value, dict):
        items = sorted(value.items()) if name in _MAPS else value.items()
        return {key: _with_sorted_maps(part, key) for key, part in items}
    return [_with_sorted_maps(part) for part in value] if isinstance(value, list) else value


def html_safe(text: str) -> str:
    """Escape in JSON what upstream's encoder escapes."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"} | {
    '"': r"\"",
    "\\": r"\\",
}


def quoted(text: str) -> str:
    """Return `text` as Go's %q prints it."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    result = []
    for char in text:
        if char in _ESCAPES:
            result.append(_ESCAPES[char])
        elif char == " " or (char.isprintable() and not char.isspace()):
            result.append(char)
        elif ord(char) < 0x80:
            result.append(f"\\x{ord(char):02x}")
        elif ord(char) < 0x10000:
            result.append(f"\\u{ord(char):04x}")
        else:
            result.append(f"\\U{ord(char):08x}")
    return '"' + "".join(result) + '"'


class ApiError(Exception):
    """An answer that is not success. `status()` is the body that goes to the client."""

    code: int = 500
    reason: str = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Json] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.headers = dict(headers or {})

    def status(self) -> Object:
        """Return the `Status` object (metav1) that says this."""
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = dict(self.details)
        status["code"] = self.code
        return status


def qualified(plural: str, group: str) -> str:
    """Return upstream's name of a resource in messages: `deployments.apps`, `pods`."""
    return f"{plural}.{group}" if group else plural


def _named(name: str, group: str, kind: str) -> Object:
    details: Object = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    return details


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__(message)


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"

    @classmethod
    def to(cls, plural: str, group: str, name: str, why: str) -> Forbidden:
        """Upstream's NewForbidden."""
        target = qualified(plural, group)
        if name:
            message = f"{target} {quoted(name)} is forbidden: {why}"
        elif target:
            message = f"{target} is forbidden: {why}"
        else:
            message = f"forbidden: {why}"
        return cls(message, details=_named(name, group, plural))


class NotFound(ApiError):
    code, reason = 404, "NotFound"

    @classmethod
    def of(cls, plural: str, group: str, name: str) -> NotFound:
        """Upstream's NewNotFound."""
        return cls(
            f"{qualified(plural, group)} {quoted(name)} not found", details=_named(name, group, plural)
        )


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"

    @classmethod
    def of(cls, plural: str, group: str, name: str) -> AlreadyExists:
        """Upstream's NewAlreadyExists."""
        return cls(
            f"{qualified(plural, group)} {quoted(name)} already exists", details=_named(name, group, plural)
        )


class Conflict(ApiError):
    code, reason = 409, "Conflict"

    @classmethod
    def of(cls, plural: str, group: str, name: str, why: str) -> Conflict:
        """Upstream's NewConflict."""
        return cls(
            f"Operation cannot be fulfilled on {qualified(plural, group)} {quoted(name)}: {why}",
            details=_named(name, group, plural),
        )


class Gone(ApiError):
    code, reason = 410, "Gone"


class Expired(Gone):
    reason = "Expired"

    def __init__(self, message: str, *, continue_token: str = "") -> None:
        super().__init__(message)
        self.continue_token = continue_token
        """Where a list whose snapshot is gone may go on all the same, with what is there now."""

    def status(self) -> Object:
        status = super().status()
        if self.continue_token:
            status["metadata"] = {"continue": self.continue_token}
        return status


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"

    @classmethod
    def of(cls, kind: str, group: str, name: str, errors: Sequence[FieldError]) -> Invalid:
        """Upstream's NewInvalid: all field errors in one message, and each as a cause."""
        unique = list(dict.fromkeys(str(error) for error in errors))
        summary = unique[0] if len(unique) == 1 else "[" + ", ".join(unique) + "]"
        details = _named(name, group, kind)
        if errors:
            details["causes"] = [
                {"reason": error.reason, "message": error.message, "field": error.field} for error in errors
            ]
        return cls(f"{qualified(kind, group)} {quoted(name)} is invalid: {summary}", details=details)


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class StoreReadError(InternalError):
    reason = "StorageReadError"


class PlainError(ApiError):
    """An error that upstream passes on untranslated: status 500, a message, and no reason."""

    code, reason = 500, ""


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


_BY_REASON: dict[str, type[ApiError]] = {}
_BY_CODE: dict[int, type[ApiError]] = {}


def _index(cls: type[ApiError]) -> None:
    for sub in cls.__subclasses__():
        if sub.reason:
            _BY_REASON.setdefault(sub.reason, sub)
        _BY_CODE.setdefault(sub.code, sub)
        _index(sub)


_index(ApiError)


def from_status(code: int, status: Mapping[str, Json]) -> ApiError:
    """Return the error that a `Status` body received by a client means."""
    reason = str(status.get("reason") or "")
    cls = _BY_REASON.get(reason) or _BY_CODE.get(code) or ApiError
    return cls_from(cls, str(status.get("message") or f"HTTP {code}"), status.get("details"))


def cls_from(cls: type[ApiError], message: str, details: Mapping[str, Json] | None) -> ApiError:
    """Build `cls` past the conveniences that subclasses add to their constructors."""
    error = cls.__new__(cls)
    ApiError.__init__(error, message, details=details)
    return error
