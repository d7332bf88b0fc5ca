"""Checks of a component's health by name, and upstream's pages about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Check = Callable[[], str]
"""Return what is wrong, "" when all is well."""
ALIVE = "ping"


class Checks:
    """The checks of one process; controllers add theirs when they start."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check = lambda: "") -> None:
        """Add a check; without one, that the name is there says that it runs."""
        self._checks[name] = check

    def names(self) -> list[str]:
        return list(self._checks or (ALIVE,))

    def page(self, kind: str, only: str, query: Mapping[str, Sequence[str]]) -> tuple[int, str] | None:
        """Return status and text of /KIND, or of /KIND/ONLY; None where there is no such check."""
        checks = self._checks or {ALIVE: lambda: ""}
        if only:
            if only not in checks:
                return None
            wrong = checks[only]()
            return (500, f"internal server error: {wrong}\n") if wrong else (200, "ok")
        excluded = set(query.get("exclude") or ())
        lines, failed = [], False
        for name, check in checks.items():
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
            elif check():
                failed = True
                lines.append(f"[-]{name} failed: reason withheld")
            else:
                lines.append(f"[+]{name} ok")
        unknown = ", ".join(f'"{name}"' for name in sorted(excluded - checks.keys()))
        if unknown:
            lines.append(f"warn: some health checks cannot be excluded: no matches for {unknown}")
        if failed:
            return 500, "\n".join([*lines, f"{kind} check failed", ""])
        return 200, "\n".join([*lines, f"{kind} check passed", ""]) if "verbose" in query else "ok"
