"""Fields behind feature gates: while a gate is off, what a writer says there is dropped, or refused.

As upstream, a stored object that has the field already may keep and change it: turning a gate off takes
nothing away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from podium.machinery.errors import Json, Object
from podium.machinery.feature_gates import FeatureGates

_EACH = "[]"
_VALUES = "{}"
_UNSET: tuple[Json, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """Fields that need a gate. A path is dotted; `[]` stands for each item of a list, `{}` for each value."""

    gate: str
    paths: tuple[str, ...]
    """Dropped together, unless the stored object has any of them."""
    emptied: tuple[str, ...] = ()
    """What goes too when nothing else is left in it."""
    dropped: tuple[str, ...] = ()
    """What is dropped, and looked for in the stored object, instead of the paths themselves."""


Drop = Callable[[Object, Object | None], None]
Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drops:
    """What drops the fields of gates that are off from a new object, given the old one (None on create)."""

    main: Drop | None = None
    status: Drop | None = None
    """For writes of the status, which change nothing else."""


def compiled(gated: Iterable[Gated], gates: FeatureGates) -> Drops:
    """Return what drops the fields whose gates are off."""
    off = [fields for fields in gated if not gates.enabled(fields.gate)]
    of_status = [fields for fields in off if fields.paths[0].startswith("status.")]
    return Drops(
        main=_dropping([fields for fields in off if fields not in of_status]), status=_dropping(of_status)
    )


def _dropping(off: list[Gated]) -> Drop | None:
    if not off:
        return None
    plans = [
        [[_steps(path) for path in paths] for paths in (one.paths, one.dropped or one.paths, one.emptied)]
        for one in off
    ]

    def drop(new: Object, old: Object | None) -> None:
        for paths, dropped, emptied in plans:
            if any(_written(new, path) for path in paths) and not (
                old is not None and any(has(old, path) for path in dropped)
            ):
                for path in dropped:
                    _remove(new, path, lambda _value: True)
                for path in emptied:
                    _remove(new, path, lambda value: not value)

    return drop


def _steps(path: str) -> Steps:
    return tuple(path.replace(_EACH, f".{_EACH}").replace(_VALUES, f".{_VALUES}").split("."))


def _holders(value: Json, steps: Steps, at: int = 0) -> Iterator[Object]:
    """Yield the objects whose field the last step names."""
    step = steps[at]
    if at == len(steps) - 1:
        if isinstance(value, dict) and step in value:
            yield value
    elif step == _EACH:
        for item in value if isinstance(value, list) else ():
            yield from _holders(item, steps, at + 1)
    elif step == _VALUES:
        for item in value.values() if isinstance(value, dict) else ():
            yield from _holders(item, steps, at + 1)
    elif isinstance(value, dict) and step in value:
        yield from _holders(value[step], steps, at + 1)


def has(value: Json, steps: Steps) -> bool:
    """Whether anything is set at a path."""
    return any(holder[steps[-1]] not in _UNSET for holder in _holders(value, steps))


def _written(value: Json, steps: Steps) -> bool:
    """Whether a path is there with anything at all, such as an empty structure."""
    return any(holder[steps[-1]] is not None for holder in _holders(value, steps))


def _remove(value: Json, steps: Steps, goes: Callable[[Json], bool]) -> None:
    for holder in list(_holders(value, steps)):
        if goes(holder[steps[-1]]):
            del holder[steps[-1]]
