"""The flow schemas and priority levels that every cluster has as they are; their specs cannot be changed."""

from __future__ import annotations

from podium.machinery.errors import Object

ANY_RESOURCE: Object = {
    "verbs": ["*"],
    "apiGroups": ["*"],
    "resources": ["*"],
    "clusterScope": True,
    "namespaces": ["*"],
}
ANY_PATH: Object = {"verbs": ["*"], "nonResourceURLs": ["*"]}


def _groups(*names: str) -> list[Object]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


SCHEMA_SPECS: dict[str, Object] = {
    "catch-all": {
        "priorityLevelConfiguration": {"name": "catch-all"},
        "matchingPrecedence": 10000,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [
            {
                "subjects": _groups("system:unauthenticated", "system:authenticated"),
                "resourceRules": [ANY_RESOURCE],
                "nonResourceRules": [ANY_PATH],
            }
        ],
    },
    "exempt": {
        "priorityLevelConfiguration": {"name": "exempt"},
        "matchingPrecedence": 1,
        "rules": [
            {
                "subjects": _groups("system:masters"),
                "resourceRules": [ANY_RESOURCE],
                "nonResourceRules": [ANY_PATH],
            }
        ],
    },
}
LEVEL_SPECS: dict[str, Object] = {
    "catch-all": {
        "type": "Limited",
        "limited": {
            "nominalConcurrencyShares": 5,
            "limitResponse": {"type": "Reject"},
            "lendablePercent": 0,
        },
    },
    "exempt": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
}
