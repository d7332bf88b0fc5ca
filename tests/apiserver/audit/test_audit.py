"""What a server writes of the requests to it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver.audit.audit import Audit
from podium.apiserver.audit.levels import Level
from podium.apiserver.audit.policy import Policy, Rule, Ruling
from podium.apiserver.chain import User
from podium.apiserver.http.request_info import request_info
from podium.apiserver.server import Limits
from podium.base.http.message import BodyTooLarge, Headers, HttpError, RawConnection, Request, Response
from podium.machinery.codec import protobuf
from podium.machinery.errors import Object
from tests.apiserver.audit.helpers import EVERYTHING, Counted, Sink, StandingClock, audited, events, run
from tests.apiserver.fakes import FakeClock
from tests.apiserver.harness import Collector

MAPS = "/api/v1/namespaces/default/configmaps"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ALLOW, REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"
ROOT = {"username": "root", "uid": "1", "groups": ["system:masters", "system:authenticated"]}


def rules(level: str, **more: Any) -> list[Object]:
    return [{"level": level, **more}]


def config_map(name: str = "a", **data: str) -> Object:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": data}


def test_an_event_from_end_to_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, EVERYTHING, clock=StandingClock()) as server:
            response = await server.send(
                "POST", f"{MAPS}?fieldManager=me", config_map(x="y"), audit_id="my-id"
            )
            assert response.headers.get_all("audit-id") == ["my-id"]
            created = orjson.loads(response.body)  # type: ignore[arg-type]
            received, complete = server.events()
            common = {
                "kind": "Event",
                "apiVersion": "audit.k8s.io/v1",
                "level": "RequestResponse",
                "auditID": "my-id",
                "requestURI": f"{MAPS}?fieldManager=me",
                "verb": "create",
                "user": ROOT,
                "sourceIPs": ["192.0.2.7"],
                "userAgent": "tester/1",
                "requestReceivedTimestamp": "2026-03-01T12:00:00.000000Z",
                "stageTimestamp": "2026-03-01T12:00:00.000000Z",
            }
            where = {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"}
            assert received == {**common, "stage": "RequestReceived", "objectRef": where}
            assert complete == {
                **common,
                "stage": "ResponseComplete",
                "objectRef": {**where, "name": "a"},
                "responseStatus": {"metadata": {}, "code": 201},
                "requestObject": config_map(x="y"),
                "responseObject": created,
                "annotations": {ALLOW: "allow", REASON: ""},
            }
            assert list(complete) == [
                *("kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb", "user"),
                *("sourceIPs", "userAgent", "objectRef", "responseStatus", "requestObject", "responseObject"),
                *("requestReceivedTimestamp", "stageTimestamp", "annotations"),
            ]

    run(main)


LEVELS = [
    ("Metadata", False, False),
    ("Request", True, False),
    ("RequestResponse", True, True),
]


@pytest.mark.parametrize(("level", "sent", "answered"), LEVELS)
def test_what_each_level_keeps(tmp_path: Path, level: str, sent: bool, answered: bool) -> None:
    async def main() -> None:
        async with audited(tmp_path, rules(level, omitStages=["RequestReceived"])) as server:
            await server.ok("POST", MAPS, config_map())
            await server.send("GET", f"{MAPS}/missing")
            created, missing = server.events()
            assert created["level"] == level
            assert ("requestObject" in created, "responseObject" in created) == (sent, answered)
            # What an answer says of itself is kept at every level.
            assert missing["responseStatus"] == {
                "metadata": {},
                "status": "Failure",
                "message": 'configmaps "missing" not found',
                "reason": "NotFound",
                "details": {"name": "missing", "kind": "configmaps"},
                "code": 404,
            }
            assert ("responseObject" in missing) is answered

    run(main)


def test_nothing_is_kept_of_what_no_rule_wants(tmp_path: Path) -> None:
    async def main() -> None:
        wanted = [{"level": "None", "verbs": ["get"]}, {"level": "Metadata", "userGroups": ["staff"]}]
        async with audited(tmp_path, wanted) as server:
            await server.ok("POST", MAPS, config_map())
            await server.ok("GET", f"{MAPS}/a")
            response = await server.send("GET", MAPS, user="carol")
            assert response.headers.get("audit-id")
            assert {one["user"]["username"] for one in server.events()} == {"carol"}
            levels = server.server.metrics.audit.levels
            assert levels.labels("None").value == 2
            assert levels.labels("Metadata").value == 1
            assert server.server.metrics.audit.events.value == 2

    run(main)


IN_DEFAULT = {"namespace": "default", "apiVersion": "v1"}
REVIEWS = {
    "resource": "selfsubjectaccessreviews",
    "apiGroup": "authorization.k8s.io",
    "apiVersion": "v1",
}
WRITES: list[tuple[str, str, str, Any, str, dict[str, Any]]] = [
    # name, method, target, body, its type, what the event must hold
    (
        "update",
        "PUT",
        f"{MAPS}/a",
        config_map(x="2"),
        "application/json",
        {"verb": "update", "requestObject": config_map(x="2")},
    ),
    (
        "merge patch",
        "PATCH",
        f"{MAPS}/a",
        b'{"data": {"x": "2"}}',
        "application/merge-patch+json",
        {"verb": "patch", "requestObject": {"data": {"x": "2"}}},
    ),
    (
        "JSON patch",
        "PATCH",
        f"{MAPS}/a",
        [{"op": "replace", "path": "/data/x", "value": "2"}],
        "application/json-patch+json",
        {"requestObject": [{"op": "replace", "path": "/data/x", "value": "2"}]},
    ),
    (
        "apply",
        "PATCH",
        f"{MAPS}/a?fieldManager=me&force=true",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '2'}\n",
        "application/apply-patch+yaml",
        {"requestObject": config_map(x="2")},
    ),
    (
        "delete",
        "DELETE",
        f"{MAPS}/a",
        {"propagationPolicy": "Background"},
        "application/json",
        {
            "requestObject": {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"},
            "objectRef": {"resource": "configmaps", "name": "a", **IN_DEFAULT},
        },
    ),
    ("delete without options", "DELETE", f"{MAPS}/a", None, "", {"requestObject": None}),
    (
        "delete a collection",
        "DELETE",
        f"{MAPS}?labelSelector=a%3Db",
        None,
        "",
        {"verb": "deletecollection", "objectRef": {"resource": "configmaps", **IN_DEFAULT}},
    ),
    (
        "review",
        "POST",
        f"/apis/{REVIEWS['apiGroup']}/v1/{REVIEWS['resource']}",
        {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}},
        "application/json",
        {"verb": "create", "objectRef": REVIEWS},
    ),
]


@pytest.mark.parametrize(
    ("method", "target", "body", "type", "expected"), [w[1:] for w in WRITES], ids=[w[0] for w in WRITES]
)
def test_writes(tmp_path: Path, method: str, target: str, body: Any, type: str, expected: Object) -> None:
    async def main() -> None:
        async with audited(tmp_path, rules("RequestResponse", omitStages=["RequestReceived"])) as server:
            await server.ok("POST", MAPS, config_map(x="1"))
            answer = await server.ok(method, target, body, type=type)
            event = server.last()
            assert {key: event.get(key) for key in expected} == expected
            assert event["responseObject"] == answer

    run(main)


def test_an_update_says_which_object_it_is_about(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, rules("Metadata")) as server:
            made = await server.ok("POST", MAPS, config_map())
            await server.ok("PUT", f"{MAPS}/a", made)
            metadata = made["metadata"]
            assert server.last()["objectRef"] == {
                "resource": "configmaps",
                "namespace": "default",
                "name": "a",
                "uid": metadata["uid"],
                "apiVersion": "v1",
                "resourceVersion": metadata["resourceVersion"],
            }

    run(main)


def test_lists_tables_and_other_forms_are_kept_as_json(tmp_path: Path) -> None:
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"

    async def main() -> None:
        async with audited(tmp_path, rules("RequestResponse", omitStages=["RequestReceived"])) as server:
            made = await server.ok("POST", MAPS, config_map(x="y"))
            listed = await server.ok("GET", MAPS)
            assert server.last()["responseObject"] == listed
            shown = await server.ok("GET", MAPS, accept=table)
            assert server.last()["responseObject"] == shown
            assert shown["kind"] == "Table"
            for accept, target, expected in (
                (PROTOBUF, f"{MAPS}/a", made),
                (PROTOBUF, MAPS, listed),
                ("application/yaml", f"{MAPS}/a", made),
                (f"{PROTOBUF};as=PartialObjectMetadata;v=v1;g=meta.k8s.io", f"{MAPS}/a", None),
            ):
                response = await server.send("GET", target, accept=accept)
                assert response.status == 200
                assert b'{"kind"' not in response.body
                kept = server.last()["responseObject"]
                if expected is not None:
                    assert kept == expected
                else:
                    assert kept["kind"] == "PartialObjectMetadata"
            await server.ok("GET", f"{MAPS}/a?pretty=true")
            assert server.last()["responseObject"] == made
            await server.send("GET", f"{MAPS}/b", accept=PROTOBUF)
            assert server.last()["responseObject"]["reason"] == "NotFound"

    run(main)


def test_a_body_in_protobuf_is_kept_as_json(tmp_path: Path) -> None:
    async def main() -> None:
        raw = protobuf.encode("io.k8s.api.core.v1.ConfigMap", config_map(x="y"))
        body = protobuf.wrap("v1", "ConfigMap", raw)
        async with audited(tmp_path, rules("Request")) as server:
            await server.ok("POST", MAPS, body, type=PROTOBUF)
            kept = server.last()["requestObject"]
            assert (kept["kind"], kept["metadata"]["name"], kept["data"]) == ("ConfigMap", "a", {"x": "y"})

    run(main)


def test_managed_fields_may_be_left_out(tmp_path: Path) -> None:
    async def main() -> None:
        chosen: list[Object] = [
            {"level": "RequestResponse", "verbs": ["create"], "omitManagedFields": False},
            {"level": "RequestResponse"},
        ]
        async with audited(tmp_path, chosen, omitManagedFields=True) as server:
            made = await server.ok("POST", MAPS, config_map())
            assert server.last()["responseObject"] == made
            await server.ok("PUT", f"{MAPS}/a", made)
            event = server.last()
            for name in ("requestObject", "responseObject"):
                assert "managedFields" not in event[name]["metadata"]
            await server.ok("GET", MAPS)
            (item,) = server.last()["responseObject"]["items"][:1]
            assert "managedFields" not in item["metadata"]

    run(main)


def test_paths_that_are_no_resources(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, rules("RequestResponse", omitStages=["RequestReceived"])) as server:
            await server.ok("GET", "/version")
            event = server.last()
            assert (event["verb"], event["responseStatus"]) == ("get", {"metadata": {}, "code": 200})
            assert "objectRef" not in event
            assert "responseObject" not in event
            await server.send("GET", "/unheard/of")
            assert server.last()["responseStatus"] == {"metadata": {}, "code": 404}
            await server.ok("GET", "/api/v1")
            assert server.last()["responseObject"]["kind"] == "APIResourceList"

    run(main)


# --- who asks


def test_whoever_is_nobody_leaves_one_event(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, EVERYTHING) as server:
            response = await server.send("GET", MAPS, user="mallory")
            assert response.status == 401
            (event,) = server.events()
            assert event["stage"] == "ResponseStarted"
            assert event["user"] == {}
            assert event["responseStatus"] == {
                "metadata": {},
                "status": "Failure",
                "message": "Unauthorized",
                "reason": "Unauthorized",
                "code": 401,
            }
            assert event["responseObject"]["reason"] == "Unauthorized"
            assert response.headers.get("audit-id") == event["auditID"]

    run(main)


def test_nobody_is_none_of_those_a_rule_names(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, rules("Metadata", users=["alice"])) as server:
            await server.send("GET", MAPS, user="mallory")
            assert server.events() == []

    run(main)


def test_the_anonymous_and_the_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, EVERYTHING) as server:
            assert (await server.send("GET", MAPS, user="")).status == 403
            received, complete = server.events()
            anonymous = {"username": "system:anonymous", "groups": ["system:unauthenticated"]}
            assert received["user"] == complete["user"] == anonymous
            assert complete["annotations"] == {ALLOW: "forbid", REASON: ""}
            assert complete["responseStatus"]["reason"] == "Forbidden"
            assert (await server.send("GET", "/healthz", user="")).status == 200
            assert server.last()["annotations"] == {
                ALLOW: "allow",
                REASON: 'RBAC: allowed by ClusterRoleBinding "system:public-info-viewer" of ClusterRole '
                '"system:public-info-viewer" to Group "system:unauthenticated"',
            }

    run(main)


def test_impersonation(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, EVERYTHING) as server:
            extra = {"impersonate_user": "bob", "impersonate_extra_scopes": "view"}
            assert (await server.send("GET", MAPS, **extra)).status == 403
            received, complete = server.events()
            assert "impersonatedUser" not in received
            assert complete["user"] == ROOT
            assert complete["impersonatedUser"] == {
                "username": "bob",
                "groups": ["system:authenticated"],
                "extra": {"scopes": ["view"]},
            }
            assert complete["authenticationMetadata"] == {"impersonationConstraint": "impersonate:user-info"}
            assert (await server.send("GET", MAPS, user="alice", **extra)).status == 403
            assert "impersonatedUser" not in server.last()
            assert (await server.send("GET", MAPS, impersonate_uid="1")).status == 400
            assert server.last()["responseStatus"]["reason"] == "BadRequest"

    run(main)


def test_tokens(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, rules("RequestResponse", omitStages=["RequestReceived"])) as server:
            accounts = "/api/v1/namespaces/default/serviceaccounts"
            await server.ok("POST", accounts, {"metadata": {"name": "a"}})
            asked: Object = {"spec": {"audiences": []}}
            answer = await server.ok("POST", f"{accounts}/a/token", asked)
            event = server.last()
            assert event["objectRef"]["subresource"] == "token"
            issued = event["annotations"]["authentication.kubernetes.io/issued-credential-id"]
            await server.send("GET", MAPS, user=answer["status"]["token"])
            assert server.last()["user"]["extra"]["authentication.kubernetes.io/credential-id"] == [issued]

    run(main)


# --- what lasts, what fails


def test_a_watch_has_a_beginning_and_an_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, EVERYTHING) as server:
            response = await server.send("GET", f"{MAPS}?watch=1")
            assert [one["stage"] for one in server.events()] == ["RequestReceived", "ResponseStarted"]
            assert server.last()["responseStatus"] == {"metadata": {}, "code": 200}
            client = Collector()
            assert response.stream is not None
            watching = asyncio.ensure_future(response.stream(client))
            await server.ok("POST", MAPS, config_map("b"))
            await client.expect(1)
            client.leave()
            await watching
            ended = server.last()
            assert (ended["stage"], ended["verb"]) == ("ResponseComplete", "watch")
            assert "responseObject" not in ended
            ids = {one["auditID"] for one in server.events() if one["verb"] == "watch"}
            assert ids == {response.headers.get("audit-id")}

    run(main)


def test_a_log_that_cannot_be_read_is_long_running_all_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, EVERYTHING) as server:
            await server.send("GET", "/api/v1/namespaces/default/pods/a/log")
            stages = [one["stage"] for one in server.events()]
            assert stages == ["RequestReceived", "ResponseStarted", "ResponseComplete"]

    run(main)


def test_stages_may_be_left_out(tmp_path: Path) -> None:
    async def main() -> None:
        kept = rules("Metadata", omitStages=["ResponseStarted"])
        async with audited(tmp_path, kept, omitStages=["RequestReceived"]) as server:
            await server.send("GET", "/api/v1/namespaces/default/pods/a/log")
            assert [one["stage"] for one in server.events()] == ["ResponseComplete"]

    run(main)


def test_requests_that_have_to_wait_too_long_are_kept_too(tmp_path: Path) -> None:
    limits = Limits(mutating_requests_in_flight_max=1)

    async def main() -> None:
        async with audited(tmp_path, EVERYTHING, limits=limits) as server:
            bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
            alice = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}
            await server.ok(
                "POST", bindings, {"metadata": {"name": "a"}, "roleRef": role, "subjects": [alice]}
            )
            arrived, may_go = asyncio.Event(), asyncio.Event()

            async def slow() -> bytes:
                arrived.set()
                await may_go.wait()
                return orjson.dumps(config_map())

            headers = Headers([("authorization", "Bearer alice"), ("content-type", "application/json")])
            asked = Request(method="POST", target=MAPS, headers=headers, read_body=slow)
            first = asyncio.ensure_future(server.server.handler(asked))
            await arrived.wait()
            response = await server.send("POST", MAPS, config_map("b"), user="carol")
            assert response.status == 429
            assert server.last()["responseStatus"] == {"metadata": {}, "code": 429}
            assert server.last()["user"]["username"] == "carol"
            may_go.set()
            assert (await first).status == 201

    run(main)


def test_a_fault_of_the_server_is_a_panic(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with audited(tmp_path, EVERYTHING) as server:

            async def broken(*_arguments: Any) -> Response:
                raise RuntimeError("kaboom")

            server.server._api.handle = broken  # type: ignore[assignment,method-assign]
            assert (await server.send("GET", MAPS)).status == 500
            assert [one["stage"] for one in server.events()] == ["RequestReceived", "Panic"]
            assert server.last()["responseStatus"] == {
                "metadata": {},
                "status": "Failure",
                "message": "APIServer panic'd: kaboom",
                "reason": "InternalError",
                "code": 500,
            }

    run(main)


def test_a_request_that_is_too_large(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, EVERYTHING) as server:

            async def too_large() -> bytes:
                raise BodyTooLarge(10)

            headers = Headers([("authorization", "Bearer root"), ("content-type", "application/json")])
            asked = Request(method="POST", target=MAPS, headers=headers, read_body=too_large)
            assert (await server.server.handler(asked)).status == 413
            assert server.last()["responseStatus"]["reason"] == "RequestEntityTooLarge"

    run(main)


# --- the way through `Audit` alone


def auditing(sink: Sink, counted: Counted, *, level: Level = Level.METADATA) -> Audit:
    policy = Policy([Rule(ruling=Ruling(level=level))])
    return Audit(policy, sink, counted.metrics, FakeClock())


class Recording(Sink):
    """Keeps whole events."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Object] = []

    async def process(self, events: Any) -> bool:
        self.seen += [orjson.loads(one.encoded) for one in events]
        return not self.fails


EARLY = {"metadata": {}, "status": "Success", "message": "Connection closed early", "code": 200}
ENDS: list[tuple[BaseException, Object]] = [
    (ConnectionResetError(), EARLY),
    (asyncio.CancelledError(), EARLY),
    (HttpError(408, "Timeout", "late"), {"metadata": {}, "code": 408}),
]


@pytest.mark.parametrize(("error", "status"), ENDS, ids=lambda value: type(value).__name__)
def test_a_request_that_breaks_off(error: BaseException, status: Object) -> None:
    async def main() -> None:
        sink = Recording()
        audit = auditing(sink, Counted())
        request = Request(method="POST", target=MAPS)

        async def breaks_off(request: Request) -> Response:
            await audit.begin(request, User(name="alice"))
            raise error

        with pytest.raises(type(error)):
            await audit.follow(request, breaks_off)
        assert [one["stage"] for one in sink.seen] == ["RequestReceived", "ResponseComplete"]
        assert sink.seen[1]["responseStatus"] == status

    run(main)


def test_an_upgraded_connection_has_an_end_whatever_ends_it() -> None:
    async def main() -> None:
        sink = Recording()
        audit = auditing(sink, Counted())

        async def execs(request: Request) -> Response:
            await audit.begin(request, User(name="alice"))

            async def carry(_connection: RawConnection) -> None:
                raise ConnectionResetError

            return Response(status=101, upgrade=carry)

        request = Request(method="POST", target="/api/v1/namespaces/a/pods/b/exec?command=ls")
        response = await audit.follow(request, execs)
        assert [one["stage"] for one in sink.seen] == ["RequestReceived", "ResponseStarted"]
        assert sink.seen[1]["responseStatus"] == {"metadata": {}, "code": 101}
        assert response.upgrade is not None
        with pytest.raises(ConnectionResetError):
            await response.upgrade(None)  # type: ignore[arg-type]
        assert sink.seen[2]["stage"] == "ResponseComplete"
        assert sink.seen[2]["objectRef"]["subresource"] == "exec"

    run(main)


def test_a_request_that_must_be_kept_and_cannot_be_is_refused() -> None:
    async def main() -> None:
        sink, counted = Recording(), Counted()
        sink.fails = True
        audit = auditing(sink, counted)

        async def answers(request: Request) -> Response:
            await audit.begin(request, User(name="alice"))
            raise AssertionError("the request goes no further")

        response = await audit.follow(Request(method="GET", target="/api?a=<b>"), answers)
        assert response.status == 500
        assert response.headers.get("audit-id")
        assert response.body == b'Internal Server Error: "/api?a=&lt;b&gt;": failed to store audit event\n'
        assert [one["stage"] for one in sink.seen] == ["RequestReceived"]
        assert counted.metrics.rejected.value == 1

    run(main)


def test_what_is_passed_over_counts() -> None:
    counted = Counted()
    user, info = User(name="alice"), request_info(Request(method="GET", target=MAPS))
    assert auditing(Sink(), counted, level=Level.NONE).passes_over(user, info)
    assert not auditing(Sink(), counted).passes_over(user, info)
    assert counted.metrics.levels.labels("None").value == 1


def test_batches_are_written_when_the_server_ends(tmp_path: Path) -> None:
    async def main() -> None:
        async with audited(tmp_path, rules("Metadata"), mode="batch") as server:
            await server.ok("GET", "/version")
        assert [one["stage"] for one in events(tmp_path)] == ["RequestReceived", "ResponseComplete"]

    run(main)
