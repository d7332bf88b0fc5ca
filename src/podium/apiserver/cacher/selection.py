"""Which objects a list or a watch is about: a range of keys, labels, fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from podium.apiserver.cacher.entry import Entry
from podium.machinery.errors import Object


class LabelMatch(Protocol):
    """What the cache needs of `machinery.labels.Selector`."""

    def matches(self, labels: Mapping[str, str]) -> bool: ...

    def exacts(self) -> Iterable[tuple[str, str]]:
        """Return the labels, and their values, that everything selected has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMatch:
    """One requirement on one field: `spec.nodeName=n1`."""

    path: str
    value: str
    negative: bool
    getter: Callable[[Object], str] | None
    """Reads the field from an object; None for metadata.name and metadata.namespace, which the key tells."""

    def matches(self, entry: Entry) -> bool:
        if self.getter is not None:
            actual = entry.value(self.path, self.getter)
        elif self.path == "metadata.name":
            actual = entry.name
        else:
            actual = entry.namespace
        return (actual == self.value) is not self.negative


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A value that everything selected has: what an index can be asked for."""

    name: str
    """Says of what the value is: `spec.nodeName`, `label app`."""
    value: str
    value_of: Callable[[Entry], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Objects of one resource. Empty means all."""

    namespace: str = ""
    name: str = ""
    labels: LabelMatch | None = None
    fields: Sequence[FieldMatch] = ()

    @property
    def everything(self) -> bool:
        """Whether every object in the range of keys is meant."""
        return self.labels is None and not self.fields

    @property
    def prefix(self) -> str:
        return f"{self.namespace}/" if self.namespace else ""

    def terms(self) -> Iterator[Term]:
        """Yield what an index could narrow a search by, fields first."""
        for field in self.fields:
            if field.getter is not None and not field.negative:
                yield Term(name=field.path, value=field.value, value_of=_field_of(field.path, field.getter))
        if self.labels is not None:
            for key, value in self.labels.exacts():
                yield Term(name=f"label {key}", value=value, value_of=_label_of(key))

    def in_range(self, key: str) -> bool:
        return key.startswith(self.prefix)

    def matches(self, entry: Entry) -> bool:
        """Whether `entry`, which is in the range of keys, is selected."""
        for requirement in self.fields:
            if not requirement.matches(entry):
                return False
        return self.labels is None or self.labels.matches(entry.labels)


def _field_of(path: str, getter: Callable[[Object], str]) -> Callable[[Entry], str | None]:
    return lambda entry: entry.value(path, getter)


def _label_of(key: str) -> Callable[[Entry], str | None]:
    return lambda entry: entry.labels.get(key)
