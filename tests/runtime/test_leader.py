"""Leader election in fake time: one leads, the others wait, nobody overlaps."""

from __future__ import annotations

import asyncio

import pytest

from podium.base.metrics import Registry
from podium.resources.coordination.leases import LEASES
from podium.runtime.leader import LeaderElector, LeaderMetrics, LeadershipLost, check_times
from tests.runtime.fakes import FakeApi, FakeClock, settle

KEY = "kube-system/kcm"


class Candidate:
    def __init__(self, api: FakeApi, name: str) -> None:
        self.leading = False
        self.elector = LeaderElector(api.client(), "kube-system", "kcm", name, clock=api.clock)
        self.task = asyncio.ensure_future(self.elector.run(self.lead))

    async def lead(self) -> None:
        self.leading = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leading = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def test_the_second_takes_over_when_the_first_leaves() -> None:
    async def go() -> None:
        api = FakeApi(FakeClock())
        first = Candidate(api, "first")
        await settle()
        second = Candidate(api, "second")
        await api.clock.advance(60)
        assert (first.leading, second.leading) == (True, False)
        await first.stop()
        assert api.table(LEASES)[KEY]["spec"]["holderIdentity"] == ""
        await api.clock.advance(5)  # a try each two seconds, with jitter up to 4.4
        assert second.leading
        spec = api.table(LEASES)[KEY]["spec"]
        assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)
        await second.stop()

    asyncio.run(go())


def test_a_dead_holder_is_replaced_after_the_lease() -> None:
    async def go() -> None:
        api = FakeApi(FakeClock())
        spec = {
            "holderIdentity": "dead",
            "leaseDurationSeconds": 15,
            "renewTime": "2026-01-01T00:00:00.000000Z",
        }
        api.put(LEASES, {"metadata": {"name": "kcm", "namespace": "kube-system"}, "spec": spec})
        candidate = Candidate(api, "new")
        await api.clock.advance(14)
        assert not candidate.leading
        await api.clock.advance(6)
        assert candidate.leading
        await candidate.stop()

    asyncio.run(go())


def test_a_holder_that_cannot_renew_stops_before_another_may_begin() -> None:
    async def go() -> None:
        api = FakeApi(FakeClock())
        first = Candidate(api, "first")
        await settle()
        assert first.leading
        api.fail = lambda verb, resource, obj: ConnectionError("no network")
        await api.clock.advance(9)
        assert first.leading
        await api.clock.advance(5)
        assert not first.leading
        with pytest.raises(LeadershipLost):
            await first.task

    asyncio.run(go())


def test_when_the_work_fails_the_lease_is_given_back() -> None:
    async def go() -> None:
        api = FakeApi(FakeClock())
        elector = LeaderElector(api.client(), "kube-system", "kcm", "x", clock=api.clock)

        async def lead() -> None:
            raise ValueError("a bug")

        with pytest.raises(ValueError, match="a bug"):
            await elector.run(lead)
        assert api.table(LEASES)[KEY]["spec"]["holderIdentity"] == ""

    asyncio.run(go())


def test_two_candidates_at_once_do_not_both_lead() -> None:
    async def go() -> None:
        for _ in range(5):
            api = FakeApi(FakeClock())
            candidates = [Candidate(api, f"c{number}") for number in range(4)]
            await api.clock.advance(20)
            assert sum(candidate.leading for candidate in candidates) == 1
            for candidate in candidates:
                await candidate.stop()

    asyncio.run(go())


def test_a_renewal_is_one_write_and_reads_only_when_that_fails() -> None:
    async def go() -> None:
        api = FakeApi(FakeClock())
        calls: list[str] = []
        registry = Registry()
        elector = LeaderElector(
            api.client(),
            "kube-system",
            "kcm",
            "x",
            clock=api.clock,
            metrics=LeaderMetrics(registry),
        )
        task = asyncio.ensure_future(elector.run(asyncio.Event().wait))  # type: ignore[arg-type]
        await settle()
        assert 'leader_election_master_status{name="kcm"} 1' in registry.text().decode()

        def note(verb: str, resource: object, obj: object) -> None:
            calls.append(verb)

        api.fail = note
        await api.clock.advance(2)
        assert calls == ["update"]
        api.change(LEASES, KEY, lambda lease: lease["metadata"].update(labels={"a": "b"}))
        calls.clear()
        await api.clock.advance(2)
        assert calls.count("update") == 2, "the first at an old version"
        assert elector.leading
        assert 'leader_election_slowpath_total{name="kcm"} 1' in registry.text().decode()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert 'leader_election_master_status{name="kcm"} 0' in registry.text().decode()

    asyncio.run(go())


def test_the_lease_is_held_until_the_work_has_ended() -> None:
    async def go() -> None:
        api = FakeApi(FakeClock())
        may_end = asyncio.Event()
        told: list[str] = []
        elector = LeaderElector(
            api.client(),
            "kube-system",
            "kcm",
            "x",
            clock=api.clock,
            on_event=lambda _lease, message: told.append(message),
        )

        async def lead() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await may_end.wait()

        task = asyncio.ensure_future(elector.run(lead))
        await settle()
        task.cancel()
        await api.clock.advance(30)
        assert api.table(LEASES)[KEY]["spec"]["renewTime"] == "2026-01-01T00:00:30.000000Z"
        may_end.set()
        await asyncio.gather(task, return_exceptions=True)
        assert api.table(LEASES)[KEY]["spec"]["holderIdentity"] == ""
        assert told == ["x became leader", "x stopped leading"]

    asyncio.run(go())


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ((10, 10, 2), "leaseDuration must be greater than renewDeadline"),
        ((15, 10, 9), r"renewDeadline must be greater than retryPeriod\*JitterFactor"),
        ((15, 10, 0), "retryPeriod must be greater than zero"),
    ],
)
def test_times_that_would_let_two_lead_are_refused(times: tuple[float, float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_times(*times)
