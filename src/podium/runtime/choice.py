"""`--controllers`: which of the controllers of a program run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeVar


class Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


def chosen(
    controllers: Sequence[T],
    wish: str,
    *,
    off_by_default: Collection[str] = (),
    aliases: Mapping[str, str] | None = None,
) -> list[T]:
    """Return those of `controllers` that the flag's text means. Raises ValueError on an unknown name.

    Upstream's names with and without `-controller` are taken, and older ones that `aliases` leads on from.
    """
    by_name = {alias: c for c in controllers for alias in (c.name, c.name.removesuffix("-controller"))}
    by_name |= {alias: by_name[name] for alias, name in (aliases or {}).items() if name in by_name}
    words = [word.strip() for word in wish.split(",") if word.strip()]
    for word in words:
        if word != "*" and word.removeprefix("-") not in by_name:
            raise ValueError(f'"{word.removeprefix("-")}" is not in the list of known controllers')
    on = {by_name[word].name for word in words if word != "*" and not word.startswith("-")}
    off = {by_name[word[1:]].name for word in words if word.startswith("-")} | set(off_by_default)
    everything = "*" in words or not words
    return [c for c in controllers if c.name in on or (everything and c.name not in off)]
