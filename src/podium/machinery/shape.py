"""The compiled form of a schema: a graph of shapes, which decoding, patches and managed fields walk.

A shape knows what a value is (`kind`), how it is owned and merged (list type, keys, atomic), and what its
type is called in upstream's messages. A structure's fields are made when first asked for, so that compiling a
kind costs only what is used, and recursive definitions need no care.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from podium.machinery.errors import Json

Kind = Literal[
    "struct",
    "map",
    "list",
    "string",
    "bool",
    "int32",
    "int64",
    "number",
    "bytes",
    "time",
    "micro-time",
    "quantity",
    "int-or-string",
    "any",
]
ListType = Literal["atomic", "set", "map"]

CONTAINERS = frozenset(("struct", "map", "list"))

ZERO: dict[str, Json] = {
    "string": "",
    "bool": False,
    "int32": 0,
    "int64": 0,
    "number": 0,
    "bytes": None,
    "time": None,
    "micro-time": None,
    "quantity": "0",
    "int-or-string": 0,
    "list": None,
    "map": None,
    "any": None,
}
"""What Go writes for a value that was never set. Structures are `{}`."""


@dataclass(slots=True, kw_only=True, eq=False)
class Shape:
    """What one value is. Immutable but for its lazily made fields."""

    kind: Kind
    go_type: str
    lazy_fields: Callable[[], dict[str, Field]] | None = None
    element: Shape | None = None
    """Of a list or a map."""
    atomic: bool = False
    """Owned and replaced as a whole by server-side apply."""
    list_type: ListType = "atomic"
    map_keys: tuple[str, ...] = ()
    key_defaults: Mapping[str, Json] = field(default_factory=dict)
    """Of keys that an element may leave out. A key that is always written has its type's zero value."""
    preserve_unknown: bool = False
    alternative: Shape | None = None
    """Of "any": what a map here is, and each element of a list; nothing else but a boolean may stand here."""
    compiled: dict[str, Any] | None = None
    """What others have made of this shape, by purpose; definitions are shared, so what is made of them is."""
    _fields: dict[str, Field] | None = None

    @property
    def fields(self) -> dict[str, Field]:
        """A structure's fields by name; empty for anything else."""
        if self._fields is None:
            self._fields = self.lazy_fields() if self.lazy_fields is not None else {}
            self.lazy_fields = None
        return self._fields

    def once(self, purpose: str, make: Callable[[Shape], Any]) -> Any:
        """Return `make(self)`, made only once for each purpose."""
        if self.compiled is None:
            self.compiled = {}
        if purpose not in self.compiled:
            self.compiled[purpose] = make(self)
        return self.compiled[purpose]

    @property
    def struct_name(self) -> str:
        """The type's bare name: `DeploymentSpec`."""
        return self.go_type.rpartition(".")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a structure."""

    name: str
    shape: Shape
    pointer: bool
    """Never set and empty are different things."""
    always: bool
    """Written even when empty."""
    omit_empty_struct: bool = False
    atomic: bool = False
    merge_key: str = ""
    """Of a list that strategic merge patches merge by key."""
    strategies: frozenset[str] = frozenset()
    """Strategic merge: any of merge, replace, retainKeys."""

    @property
    def omits_zero(self) -> bool:
        """Whether upstream leaves the field out when its value is empty."""
        if self.name == "managedFields":
            return False  # an empty list is a command to forget all owners
        return not self.pointer and not self.always and self.shape.kind != "struct"
