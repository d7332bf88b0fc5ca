"""Feature gates: which of upstream's features are on, as `--feature-gates` says.

`feature_gates.txt` has a gate a line: its name, its stages (`1.33:beta:on`, from that version on; `locked`
when the gate can no longer be turned), and what it depends on (`<Other`). The table is upstream's of all
components together, which share it; it is read when a program first asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ALL_ALPHA, ALL_BETA = "AllAlpha", "AllBeta"
_TABLE = Path(__file__).with_suffix(".txt")
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate as it stands in one version."""

    name: str
    stage: str
    """alpha, beta, ga or deprecated."""
    default: bool
    locked: bool = False
    depends_on: tuple[str, ...] = ()


class GateError(ValueError):
    """A gate that cannot be set so, in upstream's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureGates:
    """Which features are on in one process."""

    version: str
    """The minor version whose table holds."""
    chosen: Mapping[str, bool] = field(default_factory=dict)
    """What differs from the table, `AllAlpha` and `AllBeta` resolved."""

    @staticmethod
    def parse(texts: Sequence[str], version: str) -> FeatureGates:
        """Return the gates as the values of the flag set them: `Name=true,Other=false`, later ones prevail.

        Raises `GateError` for a gate that is unknown, locked to the other value, or lacks what it depends on.
        """
        wanted: dict[str, bool] = {}
        for text in texts:
            wanted.update(_assignments(text))
        if not wanted:
            return FeatureGates(version=version)
        gates = FeatureGates(version=version, chosen=_resolved(wanted, table(version)))
        gates._check_dependencies()
        return gates

    def enabled(self, name: str) -> bool:
        """Whether a feature is on. Raises KeyError for one that the version does not know."""
        chosen = self.chosen.get(name)
        return table(self.version)[name].default if chosen is None else chosen

    def knows(self, name: str) -> bool:
        """Tell whether the version has such a feature."""
        return name in table(self.version)

    def _check_dependencies(self) -> None:
        errors = []
        for gate in table(self.version).values():
            if gate.depends_on and self.enabled(gate.name):
                off = [name for name in gate.depends_on if not self.enabled(name)]
                if off:
                    listed = " ".join(off)
                    errors.append(
                        f"{gate.name} is enabled, but depends on features that are disabled: [{listed}]"
                    )
        _raise(errors)


@cache
def table(version: str) -> Mapping[str, Gate]:
    """Return the gates of a minor version, by name."""
    found = (_gate(line, _number(version)) for line in _TABLE.read_text().splitlines())
    return {gate.name: gate for gate in found if gate is not None}


def _gate(line: str, version: tuple[int, ...]) -> Gate | None:
    """Return the gate of a line as it stands in `version`; None when that does not have it yet."""
    name, *parts = line.split(" ")
    stages = [part.split(":") for part in parts if not part.startswith("<")]
    reached = [stage for stage in stages if _number(stage[0]) <= version]
    if not reached:
        return None
    _, stage, default, *locked = reached[-1]
    return Gate(
        name=name,
        stage=stage,
        default=default == "on",
        locked=bool(locked),
        depends_on=tuple(part[1:] for part in parts if part.startswith("<")),
    )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _assignments(text: str) -> Iterator[tuple[str, bool]]:
    for part in text.split(","):
        if not part:
            continue
        # Upstream's flag may name the component whose gates are meant; there is one here.
        name, separator, value = part.removeprefix("kube:").partition("=")
        name, value = name.strip(), value.strip()
        if not separator:
            raise GateError(f"missing bool value for {name}")
        if value not in _BOOLEANS:
            raise GateError(
                f'invalid value of {name}={value}, err: strconv.ParseBool: parsing "{value}": invalid syntax'
            )
        yield name, _BOOLEANS[value]


def _resolved(wanted: Mapping[str, bool], known: Mapping[str, Gate]) -> dict[str, bool]:
    chosen: dict[str, bool] = {}
    errors = []
    for name, value in wanted.items():
        gate = known.get(name)
        if name in (ALL_ALPHA, ALL_BETA):
            continue
        if gate is None:
            errors.append(f"unrecognized feature gate: {name}")
        elif gate.locked and gate.default is not value:
            errors.append(
                f"cannot set feature gate {name} to {_word(value)}, "
                f"feature is locked to {_word(gate.default)}"
            )
        else:
            chosen[name] = value
    _raise(errors)
    for name, stage in ((ALL_ALPHA, "alpha"), (ALL_BETA, "beta")):
        if name in wanted:
            # What is named itself prevails, wherever it stands in the flag.
            same = {gate.name: wanted[name] for gate in known.values() if gate.stage == stage}
            chosen = {**same, **chosen}
    return chosen


def _word(value: bool) -> str:
    return "true" if value else "false"


def _raise(errors: list[str]) -> None:
    """Raise the errors as upstream joins several into one."""
    unique = list(dict.fromkeys(errors))
    if unique:
        raise GateError(unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]")
