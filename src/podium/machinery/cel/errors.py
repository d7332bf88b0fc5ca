"""What can go wrong with an expression: it does not compile, its evaluation fails, or it costs too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ISSUES_MAX = 100
NO_SUCH_OVERLOAD = "no such overload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One fault of an expression. `offset` counts characters from its beginning."""

    offset: int
    message: str


class CelError(ValueError):
    """The expression does not compile, or is of another type than asked for. The text is upstream's.

    `wrong_type` tells a good expression of the wrong type ("must evaluate to bool") from a bad one
    ("ERROR: <input>:1:5: undefined field 'nosuch'" with the line and a pointer to the place).
    """

    def __init__(self, message: str, *, issues: Sequence[Issue] = (), wrong_type: bool = False) -> None:
        super().__init__(message)
        self.issues = tuple(issues)
        self.wrong_type = wrong_type


class CelRuntimeError(ValueError):
    """The evaluation failed: an overflow, a missing key, no duration where one should be.

    `cost` is what the evaluation had cost until then, once `Program.evaluate` has let the error out.
    """

    cost: int = 0


class CostExceeded(CelRuntimeError):
    """The evaluation was stopped because it had cost more than its limit."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


def compile_error(expression: str, issues: Sequence[Issue]) -> CelError:
    """Return the error that shows each issue with its line and a pointer, in the order of their places."""
    ordered = sorted(set(issues), key=lambda issue: issue.offset)
    shown = [_display(expression, issue) for issue in ordered[:ISSUES_MAX]]
    if len(ordered) > ISSUES_MAX:
        shown.append(f"{len(ordered) - ISSUES_MAX} more errors were truncated")
    return CelError("\n".join(shown), issues=ordered)


def _display(expression: str, issue: Issue) -> str:
    offset = min(issue.offset, len(expression))
    start = expression.rfind("\n", 0, offset) + 1
    end = expression.find("\n", start)
    line = (expression[start:] if end < 0 else expression[start:end]).replace("\t", " ")
    column = offset - start
    # A wide character is pointed at with wide dots, so that the pointer stands below its place.
    dots = "".join("." if character < "\x80" else "\uff0e" for character in line[:column])
    dots += "." * (column - len(dots))
    caret = "\uff3e" if column < len(line) and line[column] >= "\x80" else "^"
    number = expression.count("\n", 0, offset) + 1
    return f"ERROR: <input>:{number}:{column + 1}: {issue.message}\n | {line}\n | {dots}{caret}"
