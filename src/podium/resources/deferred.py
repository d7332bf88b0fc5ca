"""Checks that are loaded when they are first needed.

Every process declares resources, but only the API server checks objects, and few kinds of them at its start;
the modules of the checks are half of what the declarations would otherwise load.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from podium.machinery.errors import FieldError, Object
from podium.resources import ratcheting

Check = Callable[[Object], list[FieldError]]
UpdateCheck = Callable[[Object, Object], list[FieldError]]


@cache
def _loaded(module: str, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(import_module(f"podium.resources.{module}"), name)
    return found


def check(module: str, name: str) -> Check:
    """Return the check of one object that `name` is in `module`, a path below `podium.resources`."""

    def deferred(obj: Object) -> list[FieldError]:
        errors: list[FieldError] = _loaded(module, name)(obj)
        return errors

    return deferred


def update_check(module: str, name: str) -> UpdateCheck:
    """Return the check of a new and an old object that `name` is in `module`."""

    def deferred(new: Object, old: Object) -> list[FieldError]:
        errors: list[FieldError] = _loaded(module, name)(new, old)
        return errors

    return deferred


def gate_check(module: str, name: str, *where: str) -> Callable[[Object, Object | None], list[FieldError]]:
    """Return the check of a new object, and an old one or None, that `name` is in `module`.

    `where` is handed on: in which part of the object to look.
    """

    def deferred(new: Object, old: Object | None) -> list[FieldError]:
        errors: list[FieldError] = _loaded(module, name)(new, old, *where)
        return errors

    return deferred


def warnings(module: str, name: str) -> Callable[[Object, Object | None], list[str]]:
    """Return the warnings about a new and an old object that `name` is in `module`."""

    def deferred(new: Object, old: Object | None) -> list[str]:
        found: list[str] = _loaded(module, name)(new, old)
        return found

    return deferred


def check_new(module: str, name: str) -> UpdateCheck:
    """Return the check of an update that looks at the new object alone."""
    of_one = check(module, name)
    return lambda new, _old: of_one(new)


def check_again(module: str, name: str) -> UpdateCheck:
    """Return the check of an update by the check of one object, which tolerates certain old faults."""
    of_one = check(module, name)

    def deferred(new: Object, old: Object) -> list[FieldError]:
        errors = of_one(new)
        return ratcheting.without_old_faults(errors, lambda: of_one(old)) if errors else errors

    return deferred


def name_check(module: str, name: str) -> Callable[[str], list[str]]:
    """Return the rule for names that `name` is in `module`."""

    def deferred(text: str) -> list[str]:
        errors: list[str] = _loaded(module, name)(text)
        return errors

    return deferred
