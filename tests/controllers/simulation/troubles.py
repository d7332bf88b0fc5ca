"""What goes wrong in a simulation.

Two sorts: what happens to programs and the network between them, which no outcome may depend on, and what
happens to pods, after which a controller cannot keep every bound (a node that dies takes pods with it).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from podium.controllers.common import pods as podlib
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.core.pods import PODS
from tests.controllers.simulation.api import SimulatedApi
from tests.runtime.fakes import api_error

ERRORS: Sequence[Callable[[], Exception]] = (
    lambda: ConnectionError("lost"),
    lambda: TimeoutError("no answer"),
    lambda: api_error(500),
    lambda: api_error(504),
)


class Troubles:
    """One method a trouble. Those with a end end by `heal`, at the latest."""

    def __init__(
        self, api: SimulatedApi, resources: Callable[[], Sequence[Resource]], restart: Callable[[], None]
    ) -> None:
        """`resources` are those that controllers watch; `restart` stops them and starts them again."""
        self.api = api
        self.random = api.random
        self._resources = resources
        self._restart = restart
        self._restart_after = 0

    def something(self, *, with_pods: bool) -> None:
        """Let one thing go wrong."""
        choices = [
            self.stale_cache,
            self.stale_cache,
            self.catch_up,
            self.broken_watches,
            self.compaction,
            self.lost_answer,
            self.lost_answer,
            self.conflict,
            self.restart_after_writes,
            self.restart_after_writes,
            self.slow_network,
        ]
        if with_pods:
            choices += [self.lost_pod, self.unready_pod, self.failed_pod]
        self.random.choice(choices)()

    def heal(self) -> None:
        """End what is going on."""
        self.api.fail = self.api.fail_after = lambda verb, resource, obj: None
        self._restart_after = 0
        self.api.latency_s_max = self.api.lag_s_max = 0.02
        self.api.held.clear()
        self.api.break_watches()

    def wrote(self) -> None:
        """Is told of each write of a controller."""
        if self._restart_after:
            self._restart_after -= 1
            if not self._restart_after:
                self._restart()

    # To the programs

    def stale_cache(self) -> None:
        """One resource's watchers see nothing new for a while."""
        self._hold(self.random.choice(self._resources()))

    def _hold(self, resource: Resource) -> None:
        self.api.hold(resource)
        asyncio.get_running_loop().call_later(self.random.choice((1, 10, 60)), self.api.release, resource)

    def catch_up(self) -> None:
        self.api.held.clear()
        self.api._notify()

    def broken_watches(self) -> None:
        self.api.break_watches()

    def compaction(self) -> None:
        """No watch can be resumed: all lists are asked for again."""
        self.api.compact()
        self.api.break_watches()

    def slow_network(self) -> None:
        self.api.latency_s_max = self.random.choice((0, 0.02, 2))
        self.api.lag_s_max = self.random.choice((0, 0.02, 2))

    def restart_after_writes(self) -> None:
        """The controllers end right after their next write, or a few later, and are started again."""
        self._restart_after = self.random.randint(1, 4)

    def lost_answer(self) -> None:
        """A coming write is done or not, and its answer is lost in either case; perhaps right when the cache
        cannot tell either."""
        verbs = self.random.choice((("create",), ("create", "update", "patch", "delete")))
        stale = self.random.random() < 0.5

        def lose(verb: str, resource: Resource, _obj: Object) -> Exception | None:
            if verb not in verbs:
                return None
            self.api.fail = self.api.fail_after = lambda verb, resource, obj: None
            if stale:
                self._hold(resource)
            return self.random.choice(ERRORS)()

        if self.random.random() < 0.6:
            self.api.fail_after = lose
        else:
            self.api.fail = lose

    def conflict(self) -> None:
        """Right before the next update, somebody else writes to the same object."""

        def meddle(verb: str, resource: Resource, obj: Object) -> Exception | None:
            if verb == "update" and self.api.get(resource, meta.key(obj)) is not None:
                self.api.fail = lambda verb, resource, obj: None
                self.api.change(resource, meta.key(obj), self._touch)
            return None

        self.api.fail = meddle

    def _touch(self, obj: Object) -> None:
        obj["metadata"].setdefault("annotations", {})["touched"] = str(self.api.revision)

    # To the pods

    def a_pod(self) -> str | None:
        """Return the key of some active pod."""
        pods = [meta.key(pod) for pod in self.api.all(PODS) if podlib.is_active(pod)]
        return self.random.choice(pods) if pods else None

    def lost_pod(self) -> None:
        """A pod is gone at once, as with its node."""
        key = self.a_pod()
        if key is not None and not meta.finalizers(self.api.table(PODS)[key]):
            self.api.remove(PODS, key)

    def unready_pod(self) -> None:
        self._status({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]})

    def failed_pod(self) -> None:
        """A pod ends although it should not (evicted by its node)."""
        self._status({"phase": "Failed", "conditions": [{"type": "Ready", "status": "False"}]})

    def _status(self, status: Object) -> None:
        key = self.a_pod()
        if key is not None and podlib.node_name(self.api.table(PODS)[key]):
            self.api.change(PODS, key, lambda pod: pod.update(status=status))
