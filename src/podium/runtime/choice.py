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
    elsewhere: Collection[str] = (),
) -> list[T]:
    """Return those of `controllers` that the flag's text means. Raises ValueError on an unknown name.

    Upstream's names with and without `-controller` are taken, and older ones that `aliases` leads on from.
    `elsewhere` are further names that are known, of controllers that are not here.
    """
    leads_to = {c.name.removesuffix("-controller"): c.name for c in controllers} | dict(aliases or {})
    known = {"*", *(c.name for c in controllers), *elsewhere}
    choice: dict[str, bool] = {}
    for word in filter(None, (word.strip() for word in wish.split(","))):
        wished = word.removeprefix("-")
        name = leads_to.get(wished, wished)
        if name not in known:
            raise ValueError(f'"{wished}" is not in the list of known controllers')
        choice.setdefault(name, wished == word)  # of several words about one, the first counts
    by_default = choice.get("*", not choice)
    return [c for c in controllers if choice.get(c.name, by_default and c.name not in off_by_default)]
