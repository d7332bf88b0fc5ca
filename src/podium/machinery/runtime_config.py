"""Which of the declared resources a server serves, as `--runtime-config` and the feature gates say.

Stable versions are on, beta and alpha ones are off until asked for; a resource behind a gate needs that too.
`api/all`, `api/ga`, `api/beta`, `api/alpha` speak of every version of a stage, in this order; a version named
`group/version` prevails over them, and `group/version/resource` over both. `api/legacy` is Podium's own: what
upstream has removed. `api/all` speaks of that too: what upstream means by `api/all=true` is
`api/all=true,api/legacy=false`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from podium.machinery.feature_gates import FeatureGates
from podium.machinery.resource import Resource

_LEGACY = "api/legacy"
_STAGES = {
    "api/all": re.compile(r"v\d.*"),
    "api/ga": re.compile(r"v\d+"),
    "api/beta": re.compile(r"v\d+beta\d+"),
    "api/alpha": re.compile(r"v\d+alpha\d+"),
}
_BOOLEANS = {
    **dict.fromkeys(("", "1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


class RuntimeConfigError(ValueError):
    """What the flag may not say, in upstream's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """What the flag says; empty is upstream's default."""

    stages: Mapping[str, bool] = field(default_factory=dict)
    versions: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    resources: Mapping[tuple[str, str, str], bool] = field(default_factory=dict)

    @property
    def may_name_legacy(self) -> bool:
        """Whether any of the resources that upstream has removed might be asked for."""
        return self._legacy or bool(self.versions or self.resources)

    @property
    def _legacy(self) -> bool:
        return self.stages.get(_LEGACY, self.stages.get("api/all", False))

    @staticmethod
    def may_speak_of_legacy(texts: Sequence[str]) -> bool:
        """Whether values of the flag can be understood only with what upstream has removed in mind."""
        keys = {part.partition("=")[0].strip() for part in ",".join(texts).split(",") if part}
        return not keys <= set(_STAGES) - {"api/all"}

    @staticmethod
    def parse(texts: Sequence[str], declared: Iterable[Resource]) -> RuntimeConfig:
        """Return what the values of the flag say about the declared resources, later ones prevailing."""
        settings: dict[str, str] = {}
        for part in ",".join(texts).split(","):
            if part:
                key, _, value = part.partition("=")
                settings[key.strip()] = value.strip()
        if settings == {"api/all": "false"}:
            raise RuntimeConfigError("invalid runtime-config with only api/all=false")
        known = {(resource.group, resource.version) for resource in declared}
        stages: dict[str, bool] = {}
        versions: dict[tuple[str, str], bool] = {}
        resources: dict[tuple[str, str, str], bool] = {}
        for key in sorted(settings, key=lambda key: (key.count("/"), key)):
            if key in _STAGES or key == _LEGACY:
                stages[key] = _stage(key, settings[key])
                continue
            group, *rest = key.split("/")
            if not 1 <= len(rest) <= 2:
                # `v1` alone, which upstream documents and then passes over, too.
                continue
            _check_known(key, group, rest[0], known)
            on = _boolean(key, settings[key])
            if len(rest) == 1:
                versions[group, rest[0]] = on
            elif rest[1] != rest[1].lower():
                raise RuntimeConfigError(
                    f"invalid key {key}: group/version/resource and resource is always lowercase plural, "
                    f'not "{rest[1]}"'
                )
            else:
                resources[group, rest[0], rest[1]] = on
        return RuntimeConfig(stages=stages, versions=versions, resources=resources)

    def served(self, declared: Sequence[Resource], gates: FeatureGates) -> list[Resource]:
        """Return the resources that are served, in the order in which they are declared."""
        living = {(resource.group, resource.version) for resource in declared if not resource.legacy}
        return [
            resource
            for resource in declared
            if self._asked_for(resource, living) and (not resource.gate or gates.enabled(resource.gate))
        ]

    def _asked_for(self, resource: Resource, living: set[tuple[str, str]]) -> bool:
        gv = (resource.group, resource.version)
        named = self.resources.get((*gv, resource.plural))
        if named is not None:
            return named
        # A version that is still served upstream has there only what is still served of it.
        if gv in self.versions and (not resource.legacy or gv not in living):
            return self.versions[gv]
        if resource.legacy:
            return self._legacy
        on = bool(_STAGES["api/ga"].fullmatch(resource.version))
        for key, pattern in _STAGES.items():
            if key in self.stages and pattern.fullmatch(resource.version):
                on = self.stages[key]
        return on


def _stage(key: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise RuntimeConfigError(f"invalid value {key}={value}")
    return value == "true"


def _boolean(key: str, value: str) -> bool:
    if value not in _BOOLEANS:
        raise RuntimeConfigError(
            f'invalid value of {key}: {value}, err: strconv.ParseBool: parsing "{value}": invalid syntax'
        )
    return _BOOLEANS[value]


def _check_known(key: str, group: str, version: str, known: set[tuple[str, str]]) -> None:
    if group not in {group for group, _ in known}:
        raise RuntimeConfigError(f"unknown api groups {group}/{version}")
    if (group, version) not in known:
        raise RuntimeConfigError(f"group version {group}/{version} that has not been registered")
