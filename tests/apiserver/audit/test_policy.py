"""Which rule of a policy is about a request."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from podium.apiserver.audit import policy_file
from podium.apiserver.audit.levels import Level
from podium.apiserver.chain import User
from podium.apiserver.http.request_info import request_info
from podium.base.http.message import Request
from tests.apiserver.audit.helpers import policy

ALICE = User(name="alice", groups=("humans", "system:authenticated"))
PODS = "/api/v1/namespaces/default/pods"
POD = f"{PODS}/a"

CASES: list[tuple[str, dict[str, Any], str, str, bool]] = [
    # name, rule, method, target, whether it matches
    ("nothing named", {}, "GET", POD, True),
    ("nothing named, no resource", {}, "GET", "/healthz", True),
    ("user", {"users": ["alice"]}, "GET", POD, True),
    ("another user", {"users": ["bob"]}, "GET", POD, False),
    ("group", {"userGroups": ["x", "humans"]}, "GET", POD, True),
    ("another group", {"userGroups": ["cows"]}, "GET", POD, False),
    ("user and group", {"users": ["alice"], "userGroups": ["cows"]}, "GET", POD, False),
    ("verb", {"verbs": ["get"]}, "GET", POD, True),
    ("list is another verb than get", {"verbs": ["get"]}, "GET", PODS, False),
    ("watch", {"verbs": ["watch"]}, "GET", f"{PODS}?watch=1", True),
    ("deletecollection", {"verbs": ["deletecollection"]}, "DELETE", PODS, True),
    ("verb of a path", {"verbs": ["get"]}, "GET", "/healthz", True),
    ("namespace", {"namespaces": ["default"]}, "GET", POD, True),
    ("another namespace", {"namespaces": ["kube-system"]}, "GET", POD, False),
    ("no namespace", {"namespaces": [""]}, "GET", "/api/v1/nodes/a", True),
    ("no namespace, but there is one", {"namespaces": [""]}, "GET", POD, False),
    ("namespaces are of resources", {"namespaces": [""]}, "GET", "/healthz", False),
    ("group of resources", {"resources": [{"group": ""}]}, "GET", POD, True),
    ("another group", {"resources": [{"group": "apps"}]}, "GET", POD, False),
    ("any group", {"resources": [{"group": "*"}]}, "GET", POD, True),
    ("second group", {"resources": [{"group": "apps"}, {"group": ""}]}, "GET", POD, True),
    ("resource", {"resources": [{"resources": ["pods"]}]}, "GET", POD, True),
    ("its subresource is not it", {"resources": [{"resources": ["pods"]}]}, "GET", f"{POD}/log", False),
    ("subresource", {"resources": [{"resources": ["pods/log"]}]}, "GET", f"{POD}/log", True),
    ("not without it", {"resources": [{"resources": ["pods/log"]}]}, "GET", POD, False),
    ("all subresources", {"resources": [{"resources": ["pods/*"]}]}, "GET", f"{POD}/log", True),
    ("and the resource", {"resources": [{"resources": ["pods/*"]}]}, "GET", POD, True),
    ("of another resource", {"resources": [{"resources": ["services/*"]}]}, "GET", f"{POD}/log", False),
    ("anybody's", {"resources": [{"resources": ["*/log"]}]}, "GET", f"{POD}/log", True),
    ("anybody's, another", {"resources": [{"resources": ["*/scale"]}]}, "GET", f"{POD}/log", False),
    ("anybody's, none", {"resources": [{"resources": ["*/log"]}]}, "GET", POD, False),
    ("all", {"resources": [{"resources": ["*"]}]}, "GET", f"{POD}/log", True),
    ("name", {"resources": [{"resources": ["pods"], "resourceNames": ["a"]}]}, "GET", POD, True),
    ("another name", {"resources": [{"resources": ["pods"], "resourceNames": ["b"]}]}, "GET", POD, False),
    ("a list has none", {"resources": [{"resources": ["pods"], "resourceNames": ["a"]}]}, "GET", PODS, False),
    ("resources are no paths", {"resources": [{"group": "*"}]}, "GET", "/healthz", False),
    ("path", {"nonResourceURLs": ["/healthz"]}, "GET", "/healthz", True),
    ("longer path", {"nonResourceURLs": ["/healthz"]}, "GET", "/healthz/ping", False),
    ("below a path", {"nonResourceURLs": ["/healthz*"]}, "GET", "/healthz/ping", True),
    ("below another", {"nonResourceURLs": ["/livez*"]}, "GET", "/healthz", False),
    ("any path", {"nonResourceURLs": ["*"]}, "GET", "/healthz", True),
    ("paths are no resources", {"nonResourceURLs": ["*"]}, "GET", POD, False),
]


@pytest.mark.parametrize(
    ("rule", "method", "target", "matches"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_rule_matches(rule: dict[str, Any], method: str, target: str, matches: bool) -> None:
    made = policy_file.parse(orjson.dumps(policy([{"level": "Request", **rule}])))
    ruling = made.ruling(ALICE, request_info(Request(method=method, target=target)))
    assert ruling.level is (Level.REQUEST if matches else Level.NONE)


def test_the_first_that_matches_decides() -> None:
    rules: list[dict[str, Any]] = [
        {"level": "None", "users": ["bob"]},
        {
            "level": "Metadata",
            "verbs": ["get"],
            "omitStages": ["RequestReceived"],
            "omitManagedFields": False,
        },
        {"level": "Request", "verbs": ["get", "list"]},
    ]
    raw = policy(rules, omitStages=["Panic"], omitManagedFields=True)
    made = policy_file.parse(orjson.dumps(raw))

    get = made.ruling(ALICE, request_info(Request(method="GET", target=POD)))
    assert get.level is Level.METADATA
    assert get.omitted == {"RequestReceived", "Panic"}
    assert get.omits_managed_fields is False
    listing = made.ruling(ALICE, request_info(Request(method="GET", target=PODS)))
    assert listing.level is Level.REQUEST
    assert listing.omitted == {"Panic"}
    assert listing.omits_managed_fields is True
    assert made.ruling(ALICE, request_info(Request(method="POST", target=PODS))).level is Level.NONE


def test_of_nobody_only_rules_without_users_speak() -> None:
    info = request_info(Request(method="GET", target=POD))
    for named in ({"users": ["alice"]}, {"userGroups": ["humans"]}):
        made = policy_file.parse(orjson.dumps(policy([{"level": "Request", **named}])))
        assert made.ruling(None, info).level is Level.NONE
    made = policy_file.parse(orjson.dumps(policy([{"level": "Request"}])))
    assert made.ruling(None, info).level is Level.REQUEST
