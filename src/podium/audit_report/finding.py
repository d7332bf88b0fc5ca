"""Rules, and what is found by them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from podium.machinery.errors import Object

Path = tuple[str | int, ...]
"""Where in an object: `("spec", "containers", 0, "image")`."""


class Severity(IntEnum):
    """How much a finding matters."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        return self.name.lower()


SEVERITIES = {severity.word: severity for severity in Severity}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that is looked for."""

    id: str
    severity: Severity
    title: str
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What a check found in the object that it was shown."""

    rule: Rule
    path: Path
    detail: str
    """What is there, in a few words."""
    severity: Severity | None = None
    """Where this case is worse, or better, than the rule says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an object comes from: a file and the place in it, or a cluster."""

    file: str = ""
    lines: Lines | None = None


class Lines:
    """The lines of one document's values. Made from the parser's nodes, and asked only for findings."""

    def __init__(self, node: object, prefix: Path = (), *, skipped: int = 0) -> None:
        """`skipped` lines stand before the document in its file."""
        self._node = node
        self._prefix = prefix
        self._skipped = skipped

    def below(self, *more: str | int) -> Lines:
        return Lines(self._node, (*self._prefix, *more), skipped=self._skipped)

    def of(self, path: Path) -> int:
        """Return the line of a value, counted from 1; of what is missing, the line of what should hold it."""
        node = self._node
        line = _line(node)
        for step in (*self._prefix, *path):
            found = _child(node, step)
            if found is None:
                break
            line, node = found
        return self._skipped + line


def _line(node: object) -> int:
    mark = getattr(node, "start_mark", None)
    return mark.line + 1 if mark is not None else 1


def _child(node: object, step: str | int) -> tuple[int, object] | None:
    kind, value = getattr(node, "id", ""), getattr(node, "value", ())
    if kind == "sequence" and isinstance(step, int):
        return (_line(value[step]), value[step]) if step < len(value) else None
    if kind == "mapping":
        for key, child in value:
            if key.value == step:
                return _line(key), child
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem of an object that has a name and a place."""

    rule: Rule
    severity: Severity
    kind: str
    api_version: str
    namespace: str
    name: str
    path: str
    detail: str
    file: str = ""
    line: int = 0

    @property
    def object(self) -> str:
        """The object in messages: `Deployment default/web`, `Namespace a`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An object, and where it comes from."""

    object: Object
    origin: Origin = field(default_factory=Origin)


@dataclass(slots=True, kw_only=True)
class Loaded:
    """What was read, from files or from a cluster."""

    sources: list[Source] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    """What could not be looked at, and why: a line each."""
    unseen_kinds: set[str] = field(default_factory=set)
    """Kinds of which there may be objects that nobody has seen."""
    failed: bool = False
    """Something that was asked for could not be read."""


def shown(path: Path) -> str:
    """Return a path as messages have it: `spec.containers[0].image`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif "." in step or "/" in step:
            text += f'["{step}"]'
        else:
            text += f".{step}" if text else step
    return text
