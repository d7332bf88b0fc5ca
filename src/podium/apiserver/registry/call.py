"""One request as the registry sees it: on which resource, by whom, with which options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from podium.apiserver.chain import User
from podium.apiserver.registry.served import Served
from podium.machinery.errors import Object

WARNINGS_MAX = 512
"""More than these never fit into an answer's head; an object may deserve a hundred thousand."""

FieldValidation = Literal["Ignore", "Warn", "Strict"]


@dataclass(slots=True, kw_only=True)
class Call:
    """The parameters all verbs share. `warnings` collects texts for Warning headers."""

    served: Served
    user: User
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    field_manager: str = ""
    field_validation: FieldValidation = "Warn"
    dry_run: bool = False
    options: Object = field(default_factory=dict)
    """The options object as admission shows it."""
    warnings: list[str] = field(default_factory=list)
    initialised: Callable[[], None] = lambda: None
    """To be called by a watch when its client has been sent the initial state."""
    annotations: dict[str, str] = field(default_factory=dict)
    """What admission leaves for the audit log."""

    def warn(self, text: str) -> None:
        if len(self.warnings) < WARNINGS_MAX and text not in self.warnings:
            self.warnings.append(text)
