"""The compiled schema of one version of a custom resource: the interface of the built-in kinds' `Schema`.

Nothing is compiled before it is needed: a cluster may have hundreds of definitions and use a few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from time import perf_counter
from typing import Literal

from podium.machinery.decode import DecodeError
from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.schema import Schema
from podium.machinery.shape import Shape
from podium.machinery.structural import pruning
from podium.machinery.structural.defaulting import defaulter
from podium.machinery.structural.embedded import embedded_errors, embedded_objects, type_errors
from podium.machinery.structural.lists import list_errors
from podium.machinery.structural.numbers import narrower
from podium.machinery.structural.rules import BLOCKING, ROOT, UNCHECKED, Rules, Verdict, rules_of
from podium.machinery.structural.shapes import root_shape
from podium.machinery.structural.values import ABSENT, Validator


class StructuralSchema(Schema):
    """One version of a custom resource. All methods work on whole objects in wire form."""

    def __init__(self, name: str, source: Object, metadata: Schema, *, preserve: bool = False) -> None:
        """`source` is the OpenAPI schema as the definition has it; `metadata` is that of all metadata."""
        self.name = name
        self.source = source
        self._metadata = metadata
        self.preserve = preserve
        """spec.preserveUnknownFields, from the times before structural schemas."""
        self.rules_took: Callable[[Literal["compilation", "evaluation"], float], None] | None = None
        """Told how many seconds rules took, from whichever thread."""

    @cached_property
    def shape(self) -> Shape:  # type: ignore[override]
        return root_shape(self.source, self._metadata.shape)

    def decode(self, obj: Object) -> list[str]:
        """Fill in defaults, prune, and read the metadata, in place; return the paths of unknown fields.

        Defaults come first: they decide which nulls stand for something. Raises `DecodeError`.
        """
        self.fill(obj)
        unknown = self._prune(obj)
        if (unread := next(type_errors(obj, self.source, ""), None)) is not None:
            raise DecodeError(str(unread))
        for path, embedded in embedded_objects(obj, self.source, ""):
            if path:
                unknown += self._metadata_of(embedded, path)
        unknown += self._metadata_of(obj, "")
        unknown.sort()
        return unknown

    def read(self, obj: Object) -> None:
        """Bring a stored object into this version's form, in place: with its defaults, and pruned."""
        self.fill(obj)
        self._prune(obj)

    def cut(self, obj: Object) -> None:
        """Prune an object, in place, that another version's schema has let through."""
        self._prune(obj)

    def fill(self, obj: Object) -> None:
        """Fill in defaults, in place."""
        if self._defaulter is not None:
            self._defaulter(obj)

    def _prune(self, obj: Object) -> list[str]:
        if self.preserve:
            return []
        unknown = pruning.prune(obj, self.source)
        pruning.drop_nulls(obj, self.source)
        return unknown

    def _metadata_of(self, obj: Object, path: str) -> list[str]:
        """Read the metadata of a whole object; return unknown fields in it. Raises `DecodeError`."""
        metadata = obj.get("metadata")
        if metadata is None:
            if path and "metadata" in obj:
                obj["metadata"] = {}
            else:
                obj.pop("metadata", None)
            return []
        if not path:
            return [f"metadata.{field}" for field in self._metadata.decode(metadata)]
        unknown = self._metadata.decode(metadata)
        self._metadata.complete(metadata)
        if metadata.get("creationTimestamp", "") is None:
            del metadata["creationTimestamp"]
        return [f"{path}.metadata.{field}" for field in unknown]

    def complete(self, obj: Object) -> None:
        metadata = obj.get("metadata")
        if isinstance(metadata, dict):
            self._metadata.complete(metadata)
            if metadata.get("creationTimestamp", "") is None:
                del metadata["creationTimestamp"]

    def seal(self, obj: Object) -> None:
        self.complete(obj)
        if self._narrower is not None:
            self._narrower(obj)

    def skeleton(self) -> Object:
        return {}

    def validate(
        self, obj: Object, old: Object | None = None, *, between: Sequence[FieldError] = ()
    ) -> list[FieldError]:
        """Return how `obj` breaks its schema, in upstream's order and words.

        What an update leaves as it was in `old` is not held against it. `between` are errors that somebody
        else has found, to be put in their place.
        """
        before = ABSENT if old is None else old
        errors = self._validator.validate(obj, "", before).errors
        errors += between
        errors += embedded_errors(obj, self.source, "")
        return errors + self._list_errors(obj, old)

    def validate_status(
        self, obj: Object, old: Object, *, between: Sequence[FieldError] = ()
    ) -> list[FieldError]:
        """As `validate`, for an update of the status: of anything else nobody is told."""
        errors: list[FieldError] = []
        source = (self.source.get("properties") or {}).get("status")
        if "status" in obj and isinstance(source, dict):
            # Upstream's texts speak of places below the status.
            found = self._status_validator.validate(obj["status"], "", old.get("status", ABSENT)).errors
            errors = [FieldError(_below_status(error.field), error.reason, error.message) for error in found]
        return [*errors, *between, *self._list_errors(obj, old)]

    def _list_errors(self, obj: Object, old: Object | None) -> list[FieldError]:
        """Return what lists hold twice, unless some have done so before."""
        errors = list_errors(obj, self.source, "", ABSENT if old is None else old)
        return [] if errors and old is not None and list_errors(old, self.source, "") else errors

    def rule_verdict(self, obj: Object, old: Object | None, errors: Sequence[FieldError]) -> Verdict | None:
        """Return what the rules say to `obj`, None where there are none.

        `errors` are those found already: with some of them in the object upstream does not run rules.
        """
        rules = self._rules
        if rules is None:
            return None
        if any(error.reason in BLOCKING for error in errors):
            return Verdict(errors=[FieldError.invalid(ROOT, None, UNCHECKED)])
        started = perf_counter()
        try:
            return rules.check(obj, ABSENT if old is None else old)
        finally:
            self._took("evaluation", started)

    def _took(self, what: Literal["compilation", "evaluation"], started: float) -> None:
        if self.rules_took is not None:
            self.rules_took(what, perf_counter() - started)

    @cached_property
    def _validator(self) -> Validator:
        return Validator(self.source)

    @cached_property
    def _status_validator(self) -> Validator:
        return Validator(self.source["properties"]["status"])

    @cached_property
    def _rules(self) -> Rules | None:
        started = perf_counter()
        rules = rules_of(self.source)
        if rules is not None:
            self._took("compilation", started)
        return rules

    @cached_property
    def _narrower(self) -> Callable[[Json], Json] | None:
        return narrower(self.source, whole=True)

    @cached_property
    def _defaulter(self) -> Callable[[Json], None] | None:
        return defaulter(self.source)


def _below_status(field: str) -> str:
    return "status" if field == ROOT else f"status.{field.removeprefix('.')}"
