"""Requests to a whole server with priority and fairness: headers, waiting, refusals, what is counted."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver import authn, deadlines
from podium.apiserver.access import access_factory
from podium.apiserver.flowcontrol import control
from podium.apiserver.flowcontrol.control import FlowControl
from podium.apiserver.flowcontrol.fair_queue import FairQueues
from podium.apiserver.server import ApiServer, Config, Limits
from podium.base.http.message import Headers, Request, Response
from podium.store.sqlite import SqliteStore
from tests.apiserver.harness import Collector
from tests.base.certs import authority
from tests.base.http_tools import serving

TOKENS = (
    "root,root,1,system:masters",
    "alice,alice,2",
    "bob,bob,3",
    "node,system:node:n1,4,system:nodes",
)
GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
SCHEMA_UID, LEVEL_UID = "x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"
BINDING = {
    "metadata": {"name": "people"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [
        {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"} for name in ("alice", "bob")
    ],
}
ON = Limits(priority_and_fairness=True, requests_in_flight_max=400, mutating_requests_in_flight_max=200)
FEW = Limits(priority_and_fairness=True, requests_in_flight_max=40)
"""So few seats that one share among all is one seat."""


class People:
    """Users of one server, in process."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        assert isinstance(server._limiter, FlowControl)
        self.control = server._limiter

    async def ask(
        self, user: str, target: str, body: Any = None, *, method: str = "", sent: bool = True
    ) -> Response:
        raw = b"" if body is None else orjson.dumps(body)

        async def read() -> bytes:
            return raw

        fields = [("accept", "application/json"), ("content-type", "application/json")]
        if user:
            fields.append(("authorization", f"Bearer {user}"))
        request = Request(
            method=method or ("GET" if body is None else "POST"),
            target=target,
            headers=Headers(fields if body is not None else [fields[0], *fields[2:]]),
            read_body=read,
        )
        self.request = request
        response = await self.server.handler(request)
        if sent and response.sent is not None:
            response.sent()
        return response

    async def uids(self, plural: str) -> dict[str, str]:
        response = await self.ask("root", f"{GROUP}/{plural}")
        listed = orjson.loads(response.body if isinstance(response.body, bytes) else b"".join(response.body))
        return {item["metadata"]["uid"]: item["metadata"]["name"] for item in listed["items"]}

    async def figures(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        lines = self.server.metrics.registry.text().decode().splitlines()
        found = [re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line) for line in lines]
        return {
            frozenset(re.findall(r'(\w+)="([^"]*)"', match[1] or "")): float(match[2])
            for match in found
            if match is not None
        }

    async def figure(self, name: str, **labels: str) -> float:
        return sum(
            value for found, value in (await self.figures(name)).items() if labels.items() <= set(found)
        )

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0)


@asynccontextmanager
async def people(directory: Path, limits: Limits = ON) -> AsyncIterator[People]:
    store = await SqliteStore.open(directory / "store.db")
    access = access_factory(authn.Options(issuer="https://issuer", token_file=TOKENS))
    server = ApiServer(store, Config(limits=limits), access=access)
    await server.start()
    made = People(server)
    response = await made.ask("root", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", BINDING)
    assert response.status == 201, response.body
    try:
        yield made
    finally:
        await server.stop()
        await store.close()


@pytest.mark.parametrize(
    ("user", "target", "schema", "level"),
    [
        ("root", CONFIGMAPS, "exempt", "exempt"),
        ("root", f"{CONFIGMAPS}/kube-root-ca.crt", "exempt", "exempt"),
        ("alice", CONFIGMAPS, "global-default", "global-default"),
        ("alice", f"{CONFIGMAPS}/missing", "global-default", "global-default"),
        ("alice", f"{CONFIGMAPS}?limit=no", "global-default", "global-default"),
        ("alice", f"{CONFIGMAPS}?watch=true", "global-default", "global-default"),
        ("node", "/api/v1/nodes/n1", "system-node-high", "node-high"),
        ("node", CONFIGMAPS, "system-nodes", "system"),
        ("", "/healthz", "probes", "exempt"),
        ("", CONFIGMAPS, "global-default", "global-default"),
        ("", "/nowhere", "global-default", "global-default"),
    ],
)
def test_answers_say_how_they_were_classified(
    tmp_path: Path, user: str, target: str, schema: str, level: str
) -> None:
    async def main() -> None:
        async with people(tmp_path) as asked:
            schemas = await asked.uids("flowschemas")
            levels = await asked.uids("prioritylevelconfigurations")
            response = await asked.ask(user, target)
            assert schemas[response.headers.get(SCHEMA_UID)] == schema
            assert levels[response.headers.get(LEVEL_UID)] == level

    asyncio.run(main())


def test_what_is_not_classified_says_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path) as asked:
            for user, target in (
                ("mallory", CONFIGMAPS),
                ("alice", "/api/v1/namespaces/default/pods/a/log"),
                ("alice", "/api/v1/nodes/n1/proxy/x"),
            ):
                response = await asked.ask(user, target)
                assert response.status >= 400
                assert SCHEMA_UID not in response.headers

    asyncio.run(main())


def level(name: str, *, shares: int = 30, **limited: Any) -> Any:
    limited = {"nominalConcurrencyShares": shares, "limitResponse": {"type": "Reject"}, **limited}
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}


def queue(queues: int = 1, hand: int = 1, length: int = 50) -> Any:
    queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": length}
    return {"type": "Queue", "queuing": queuing}


def schema(name: str, level: str, *users: str, method: str = "") -> Any:
    rule = {
        "subjects": [{"kind": "User", "user": {"name": user}} for user in users],
        "resourceRules": [
            {
                "verbs": ["*"],
                "apiGroups": ["*"],
                "resources": ["*"],
                "namespaces": ["*"],
                "clusterScope": True,
            }
        ],
    }
    spec = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": 50,
        "rules": [rule],
        **({"distinguisherMethod": {"type": method}} if method else {}),
    }
    return {"metadata": {"name": name}, "spec": spec}


async def narrow(asked: People, *, response: Any = None, seats: int = 1, method: str = "") -> FairQueues:
    """Give alice and bob a level of their own with no more than so many seats; return its queues."""
    spec = level("narrow", shares=seats, borrowingLimitPercent=0, limitResponse=response or queue())
    made = await asked.ask("root", f"{GROUP}/prioritylevelconfigurations", spec)
    assert made.status == 201, made.body
    made = await asked.ask(
        "root", f"{GROUP}/flowschemas", schema("narrow", "narrow", "alice", "bob", method=method)
    )
    assert made.status == 201, made.body
    await asked.until(lambda: "narrow" in asked.control.configuration.levels)
    return asked.control.configuration.levels["narrow"].queues


async def widen(asked: People) -> None:
    """Give that level its first seat."""
    spec = level("narrow", shares=1, borrowingLimitPercent=0, limitResponse=queue())
    changed = await asked.ask("root", f"{GROUP}/prioritylevelconfigurations/narrow", spec, method="PUT")
    assert changed.status == 200, changed.body


def test_a_new_schema_is_followed_at_once_and_its_end_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path) as asked:
            await narrow(asked)
            schemas = await asked.uids("flowschemas")
            response = await asked.ask("alice", CONFIGMAPS)
            assert schemas[response.headers.get(SCHEMA_UID)] == "narrow"
            gone = await asked.ask("root", f"{GROUP}/flowschemas/narrow", method="DELETE")
            assert gone.status == 200
            response = await asked.ask("alice", CONFIGMAPS)
            assert schemas[response.headers.get(SCHEMA_UID)] == "global-default"
            await asked.ask("root", f"{GROUP}/prioritylevelconfigurations/narrow", method="DELETE")
            await asked.ask("alice", CONFIGMAPS)
            assert "narrow" not in asked.control.configuration.levels

    asyncio.run(main())


def test_a_schema_without_its_level_does_not_count(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path) as asked:
            await asked.ask("root", f"{GROUP}/flowschemas", schema("lost", "nowhere", "alice"))
            schemas = await asked.uids("flowschemas")
            response = await asked.ask("alice", CONFIGMAPS)
            assert schemas[response.headers.get(SCHEMA_UID)] == "global-default"

    asyncio.run(main())


def test_without_a_seat_requests_wait_and_are_served_in_turn(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path, FEW) as asked:
            queues = await narrow(asked, seats=0)
            waiting = [asyncio.create_task(asked.ask("alice", CONFIGMAPS)) for _ in range(3)]
            await asked.until(lambda: queues.waiting == 3)
            labels = {"priority_level": "narrow", "flow_schema": "narrow"}
            assert await asked.figure("apiserver_flowcontrol_current_inqueue_requests", **labels) == 3
            assert await asked.figure("apiserver_current_inqueue_requests", request_kind="readOnly") == 3
            # Nobody else is held up meanwhile.
            assert (await asked.ask("root", CONFIGMAPS)).status == 200
            assert (await asked.ask("node", "/api/v1/nodes/n1")).status == 404
            await widen(asked)
            assert [response.status for response in await asyncio.gather(*waiting)] == [200] * 3
            assert await asked.figure("apiserver_flowcontrol_current_inqueue_requests", **labels) == 0
            assert await asked.figure("apiserver_flowcontrol_current_executing_requests", **labels) == 0
            assert await asked.figure("apiserver_flowcontrol_dispatched_requests_total", **labels) == 3
            waits = "apiserver_flowcontrol_request_wait_duration_seconds_count"
            assert await asked.figure(waits, **labels, execute="true") == 3
            assert queues.is_idle
            assert queues.dispatched == 3

    asyncio.run(main())


@pytest.mark.parametrize(
    ("response", "seats", "reason"),
    [
        (queue(length=2), 0, "queue-full"),
        ({"type": "Reject"}, 1, "concurrency-limit"),
    ],
)
def test_what_is_too_much_is_refused_as_upstream_does(
    tmp_path: Path, response: Any, seats: int, reason: str
) -> None:
    async def main() -> None:
        async with people(tmp_path, FEW) as asked:
            queues = await narrow(asked, response=response, seats=seats)
            if seats:  # Somebody has the only one.
                held = asyncio.create_task(asked.ask("bob", CONFIGMAPS, {"metadata": {"name": "held"}}))
                await asked.until(lambda: queues.executing == 1)
            else:
                waiting = [asyncio.create_task(asked.ask("alice", CONFIGMAPS)) for _ in range(2)]
                await asked.until(lambda: queues.waiting == 2)
            refused = await asked.ask("alice", f"{CONFIGMAPS}/kube-root-ca.crt")
            assert refused.status == 429
            assert refused.body == b"Too many requests, please try again later.\n"
            assert refused.headers.get("retry-after") == "1"
            assert refused.headers.get("content-type") == "text/plain; charset=utf-8"
            assert refused.headers.get("x-content-type-options") == "nosniff"
            assert SCHEMA_UID in refused.headers
            rejected = "apiserver_flowcontrol_rejected_requests_total"
            assert await asked.figure(rejected, priority_level="narrow", reason=reason) == 1
            assert await asked.figure("apiserver_request_total", code="429") == 1
            assert (await asked.ask("root", CONFIGMAPS)).status == 200
            if seats:
                assert (await held).status == 201
            else:
                await widen(asked)
                await asyncio.gather(*waiting)

    asyncio.run(main())


def test_who_waits_too_long_is_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "EVICTION_INTERVAL_S", 0.01)
    monkeypatch.setattr(
        deadlines, "LOOK_INTERVAL_S", 3600
    )  # Not the time that the request as a whole may take.

    async def main() -> None:
        async with people(tmp_path, FEW) as asked:
            await narrow(asked, seats=0)
            response = await asked.ask("alice", f"{CONFIGMAPS}?timeout=1ns")
            assert response.status == 429
            rejected = "apiserver_flowcontrol_rejected_requests_total"
            assert await asked.figure(rejected, priority_level="narrow", reason="time-out") == 1
            queues = asked.control.configuration.levels["narrow"].queues
            assert (queues.timed_out, queues.cancelled, queues.waiting) == (1, 1, 0)
            assert asked.control.pump.waiting == 0

    asyncio.run(main())


def test_whose_client_leaves_is_not_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path, FEW) as asked:
            queues = await narrow(asked, seats=0)
            waiting = asyncio.create_task(asked.ask("alice", CONFIGMAPS))
            await asked.until(lambda: queues.waiting == 1)
            assert asked.request.gone is not None
            asked.request.gone()
            with pytest.raises(ConnectionError):
                await waiting
            cancelled = asyncio.create_task(asked.ask("alice", CONFIGMAPS))
            await asked.until(lambda: queues.waiting == 1)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            assert (queues.waiting, queues.cancelled, asked.control.pump.waiting) == (0, 2, 0)

    asyncio.run(main())


def test_a_connection_that_closes_takes_its_request_out_of_the_queue(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path, FEW) as asked:
            queues = await narrow(asked, seats=0)
            async with serving(asked.server.handler, tls=True, reads_at_once=True) as http:
                context = authority().client_context()
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", http.port, ssl=context, server_hostname="localhost"
                )
                asks = f"GET {CONFIGMAPS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer alice\r\n\r\n"
                # What comes behind it is not looked at before it is answered.
                writer.write(asks.encode() * 5)
                await asked.until(lambda: queues.waiting > 0)
                for _ in range(5):
                    await asyncio.sleep(0)
                assert queues.waiting == 1
                writer.transport.abort()
                await asked.until(lambda: queues.waiting == 0)
                assert queues.cancelled == 1

    asyncio.run(main())


def test_a_long_answer_keeps_its_seat_until_it_is_sent(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path, FEW) as asked:
            queues = await narrow(asked, seats=1)
            response = await asked.ask("alice", CONFIGMAPS, sent=False)
            assert response.sent is not None
            assert queues.seats_in_use == 1
            waiting = asyncio.create_task(asked.ask("bob", CONFIGMAPS))
            await asked.until(lambda: queues.waiting == 1)
            response.sent()
            assert (await waiting).status == 200
            assert queues.is_idle

    asyncio.run(main())


def test_a_watch_keeps_its_seat_until_it_has_begun(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path, FEW) as asked:
            queues = await narrow(asked, seats=1)
            await asked.ask("root", CONFIGMAPS, {"metadata": {"name": "a"}})
            response = await asked.ask("alice", f"{CONFIGMAPS}?watch=true")
            assert response.stream is not None
            assert queues.seats_in_use == 1
            client = Collector()

            async def serve() -> None:
                assert response.stream is not None
                await response.stream(client)

            serving = asyncio.create_task(serve())
            await client.expect(1)
            await asked.until(lambda: queues.is_idle)
            assert not serving.done()
            count = "apiserver_flowcontrol_request_execution_seconds_count"
            assert await asked.figure(count, priority_level="narrow", type="watch") == 1
            client.leave()
            await serving

    asyncio.run(main())


def test_a_crowded_turn_lets_flows_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with people(tmp_path) as asked:
            await narrow(asked, seats=150, response=queue(64, 4), method="ByUser")
            monkeypatch.setattr("podium.apiserver.flowcontrol.turn.CROWDED_S", -1.0)
            order: list[str] = []

            async def one(user: str) -> None:
                assert (await asked.ask(user, CONFIGMAPS)).status == 200
                order.append(user)

            asked.control.pump.watch_turn(0.0)
            await asyncio.gather(*(one("alice") for _ in range(40)), one("bob"))
            assert len(order) == 41
            assert order.index("bob") < 10

    asyncio.run(main())


def test_the_limits_are_shown(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path) as asked:
            prefix = "apiserver_flowcontrol_"
            nominal = {
                "catch-all": 13,
                "exempt": 0,
                "global-default": 49,
                "leader-election": 25,
                "node-high": 98,
                "system": 74,
                "workload-high": 98,
                "workload-low": 245,
            }
            for name, seats in nominal.items():
                assert await asked.figure(prefix + "nominal_limit_seats", priority_level=name) == seats
            lower = {"workload-low": 24, "node-high": 73, "leader-election": 25}
            for name, seats in lower.items():
                assert await asked.figure(prefix + "lower_limit_seats", priority_level=name) == seats
            current = await asked.figures(prefix + "current_limit_seats")
            assert sum(current.values()) == pytest.approx(sum(nominal.values()), abs=4)

    asyncio.run(main())


def test_reads_by_the_shortcut_are_counted_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path) as asked:
            await asked.ask("root", CONFIGMAPS, {"metadata": {"name": "a"}})
            for _ in range(3):
                assert (await asked.ask("alice", f"{CONFIGMAPS}/a")).status == 200
            labels = {"priority_level": "global-default", "flow_schema": "global-default"}
            for name in (
                "dispatched_requests_total",
                "request_execution_seconds_count",
                "request_wait_duration_seconds_count",
                "work_estimated_seats_count",
            ):
                assert await asked.figure(f"apiserver_flowcontrol_{name}", **labels) == 3, name

    asyncio.run(main())


def test_seats_are_borrowed_and_given_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path) as asked:
            configuration = asked.control.configuration
            times = itertools.count(1000.0, 10.0)
            busy = configuration.levels["workload-low"]
            configuration.share_out(next(times))
            before = busy.queues.limit
            busy.queues.seats_waiting = 1000
            busy.note(next(times))
            configuration.share_out(next(times))
            assert busy.queues.limit > before
            assert busy.queues.limit <= busy.limits.maximum
            assert all(
                one.limits.minimum <= one.queues.limit <= one.limits.maximum
                for one in configuration.levels.values()
            )
            busy.queues.seats_waiting = 0
            busy.note(next(times))
            for _ in range(400):
                configuration.share_out(next(times))
            assert busy.queues.limit == pytest.approx(before, abs=5)

    asyncio.run(main())


def rows_of(response: Response) -> list[list[str]]:
    assert response.status == 200
    assert response.headers.get("content-type") == "text/plain; charset=utf-8"
    assert isinstance(response.body, bytes)
    return [[cell.strip() for cell in line.split(", ")] for line in response.body.decode().splitlines()]


def test_what_is_going_on_can_be_read_as_tables(tmp_path: Path) -> None:
    async def main() -> None:
        async with people(tmp_path, FEW) as asked:
            await narrow(asked, seats=0, response=queue(queues=2))
            waiting = asyncio.create_task(asked.ask("alice", f"{CONFIGMAPS}?limit=1"))
            queues = asked.control.configuration.levels["narrow"].queues
            await asked.until(lambda: queues.waiting == 1)
            dumps = "/debug/api_priority_and_fairness/dump_"

            levels = rows_of(await asked.ask("root", f"{dumps}priority_levels"))
            assert levels[0][:4] == ["PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing"]
            assert [row[0] for row in levels[1:]] == sorted(asked.control.configuration.levels)
            assert ["narrow", "1", "false", "false", "1", "0", "0", "0", "0", "0"] in levels

            rows = rows_of(await asked.ask("root", f"{dumps}queues"))
            busy = [row for row in rows if row[0] == "narrow" and row[2] == "1"]
            assert busy[0][3:5] == ["0", "0"]
            assert busy[0][6:8] == ["1", "1"]
            assert re.fullmatch(r"0\.\d{8}ss", busy[0][8])

            rows = rows_of(await asked.ask("root", f"{dumps}requests"))
            assert rows[0][4] == "FlowDistingsher"
            alice = next(row for row in rows if row[0] == "narrow")
            assert (alice[1], alice[3], alice[4]) == ("narrow", "0", "")
            assert alice[6:] == ["1", "0", "0s", "0001-01-01T00:00:00Z"]
            root = next(row for row in rows if row[0] == "exempt")
            assert root[1:5] == ["exempt", "-1", "-1", ""]

            rows = rows_of(await asked.ask("root", f"{dumps}requests?includeRequestDetails=1"))
            assert rows[0][-8:] == [
                *("UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource")
            ]
            assert next(row for row in rows if row[0] == "narrow")[-8:] == [
                *("alice", "list", CONFIGMAPS, "default", "", "v1", "configmaps", "")
            ]
            assert (await asked.ask("", f"{dumps}requests")).status == 403
            assert "debug" not in str((await asked.ask("root", "/")).body)
            await widen(asked)
            assert (await waiting).status == 200

    asyncio.run(main())
