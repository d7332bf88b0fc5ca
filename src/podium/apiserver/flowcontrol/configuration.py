"""What the flow-control objects of the cluster come to: priority levels at work, and each request's flow.

Follows both kinds in the watch cache. A change is digested when the next request wants to know, as a whole.
Upstream: apf_controller.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from podium.apiserver.cacher.entry import Event
from podium.apiserver.chain import RequestInfo, User
from podium.apiserver.flowcontrol.dealing import deal, flow_hash
from podium.apiserver.flowcontrol.fair_queue import SERVICE_S, Hand
from podium.apiserver.flowcontrol.level import Level, LevelSpec, mandatory, read_level
from podium.apiserver.flowcontrol.matching import CATCH_ALL, EXEMPT, Schema, compile_schema, in_order, match
from podium.apiserver.flowcontrol.metrics import FlowControlMetrics, LevelFigures, SchemaFigures
from podium.apiserver.flowcontrol.sharing import Member, limits, share_out
from podium.apiserver.registry.served import Served
from podium.base.caching import KEPT_LENGTH_MAX
from podium.base.log import Log
from podium.machinery.errors import Object

SUBJECTS_KEPT_MAX = 4096
SHAPES_KEPT_MAX = 512
"""Flows are remembered by who asks, and for each by what is asked for. When there are too many, all go."""
LOOP_S = 0.0003
_SURPRISE = 4
_LEARNING = 0.2
"""How much of what is thought of a flow comes from its latest request."""

_log = Log("podium.apiserver.flowcontrol")

Headers = tuple[tuple[str, str], ...]


class Flow:
    """Where requests of one shape by one user belong."""

    __slots__ = ("exempt", "figures", "hand", "headers", "level", "loop_s", "name", "schema", "service_s")

    def __init__(self, schema: Schema, level: Level, name: str, hand: Hand, figures: SchemaFigures) -> None:
        self.schema = schema
        self.level = level
        self.name = name
        """The flow's distinguisher."""
        self.hand = hand
        self.figures = figures
        self.exempt = level.spec.exempt
        self.loop_s = LOOP_S
        """How long such requests have kept the event loop busy lately."""
        self.service_s = SERVICE_S
        """How long they have lasted."""
        self.headers: Headers = (
            ("x-kubernetes-pf-flowschema-uid", schema.uid),
            ("x-kubernetes-pf-prioritylevel-uid", level.spec.uid),
        )

    def had_loop(self, took_s: float) -> float:
        """One of them has taken so much of the loop's time; return how much of that to believe.

        Seldom is one much slower than all before it: there may have been something else to do meanwhile.
        """
        took_s = min(took_s, self.loop_s * _SURPRISE)
        self.loop_s += (took_s - self.loop_s) * _LEARNING
        return took_s

    def lasted(self, took_s: float) -> None:
        """One of them is over."""
        self.service_s += (took_s - self.service_s) * _LEARNING

    def read_at_once(self, took_s: float) -> None:
        """Count a read that held up nobody."""
        self.figures.at_once += 1
        self.figures.execution.noted.append(took_s)


class Configuration:
    """Levels and flows of one API server."""

    def __init__(
        self,
        schemas: Served,
        levels: Served,
        metrics: FlowControlMetrics,
        total_seats: int,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed` is called when something is to be digested, whether or not a request comes by."""
        self._schemas_served, self._levels_served = schemas, levels
        self._metrics = metrics
        self._total_seats = total_seats
        self._schemas: list[Schema] = []
        self._figures: dict[tuple[str, str], SchemaFigures] = {}
        self._flows: dict[tuple[str, tuple[str, ...]], dict[Any, Flow]] = {}
        self._dirty = True
        self._tell = changed
        self.levels: dict[str, Level] = {}
        schemas.root.subscribe(self._changed)
        levels.root.subscribe(self._changed)

    def _changed(self, _event: Event) -> None:
        self._dirty = True
        self._tell()

    # --- flows

    def flow(self, user: User, info: RequestInfo, now_s: float) -> Flow:
        """Return the flow of a request."""
        self.refresh(now_s)
        who = (user.name, user.groups)
        shapes = self._flows.get(who)
        if shapes is None:
            if len(self._flows) >= SUBJECTS_KEPT_MAX:
                self._flows.clear()
            shapes = self._flows[who] = {}
        shape = (
            (info.verb, info.resource, info.namespace, info.subresource, info.api_group)
            if info.is_resource
            else (info.verb, info.path)
        )
        found = shapes.get(shape)
        if found is None and len(info.path) > KEPT_LENGTH_MAX:
            return self._classify(user, info)
        if found is None:
            if len(shapes) >= SHAPES_KEPT_MAX:
                shapes.clear()
            found = shapes[shape] = self._classify(user, info)
        return found

    def _classify(self, user: User, info: RequestInfo) -> Flow:
        schema = match(self._schemas, user, info)
        level = self.levels[schema.level]
        name = ""
        hand: Hand = ()
        queues = level.spec.queues
        if queues > 1:
            name = schema.flow_of(user, info)
            hand = deal(flow_hash(schema.name, name), queues, level.spec.hand_size)
        elif queues:
            hand = (0,)
        return Flow(schema, level, name, hand, self._figures_of(level.name, schema.name))

    def _figures_of(self, level: str, schema: str) -> SchemaFigures:
        figures = self._figures.get((level, schema))
        if figures is None:
            figures = self._figures[level, schema] = SchemaFigures(self._metrics, level, schema)
        return figures

    # --- the objects

    def refresh(self, now_s: float) -> None:
        """Digest what has changed."""
        if self._dirty:
            self.digest(now_s)

    def digest(self, now_s: float) -> None:
        """Bring levels and schemas up to date with the objects."""
        self._dirty = False
        self._flows.clear()
        specs = {spec.name: spec for spec in map(read_level, _objects(self._levels_served)) if spec}
        schemas = [compile_schema(obj) for obj in _objects(self._schemas_served)]
        # What refers to a level that is not there, or is broken, does not count.
        self._schemas = in_order(schema for schema in schemas if schema.level in specs)
        for name in (EXEMPT, CATCH_ALL):
            specs.setdefault(name, mandatory(name))
        quiescing = {
            name: level
            for name, level in self.levels.items()
            if name not in specs and not level.queues.is_idle
        }
        for name, level in quiescing.items():
            level.quiescing = True
            specs[name] = level.spec
        shares_sum = sum(spec.shares for spec in specs.values())
        self.levels = {
            name: self._level(spec, quiescing=name in quiescing, shares_sum=shares_sum, now_s=now_s)
            for name, spec in sorted(specs.items())
        }
        self.share_out(now_s)

    def _level(self, spec: LevelSpec, *, quiescing: bool, shares_sum: float, now_s: float) -> Level:
        level = self.levels.get(spec.name)
        if level is None:
            level = Level(spec, LevelFigures(self._metrics, spec.name), now_s)
        level.configure(
            spec,
            limits(
                spec.shares,
                spec.lendable_percent,
                spec.borrowing_percent,
                shares_sum=shares_sum,
                total=self._total_seats,
            ),
        )
        level.quiescing = quiescing
        found, metrics, name = level.limits, self._metrics, spec.name
        metrics.nominal.labels(name).set(found.nominal)
        metrics.nominal_formerly.labels(name).set(found.nominal)
        metrics.lower.labels(name).set(found.minimum)
        metrics.upper.labels(name).set(found.maximum)
        return level

    # --- lending and borrowing

    def share_out(self, now_s: float) -> None:
        """Set the seats of every level for the time to come, by what they have asked for lately."""
        if self._dirty:
            self.digest(now_s)
            return
        if any(level.quiescing and level.queues.is_idle for level in self.levels.values()):
            self._dirty = True  # The last trace of a level that is gone goes with the next look.
        for level in self.levels.values():
            observed = level.observed(now_s)
            if observed is not None:
                level.demand.take(**observed._asdict())
        members = {
            name: Member(
                limits=level.limits,
                demand=replace(level.demand),
                current=level.queues.limit,
                exempt=level.spec.exempt,
            )
            for name, level in self.levels.items()
        }
        seats, fair = share_out(members)
        self._metrics.fair_fraction.labels().set(fair)
        for name, level in self.levels.items():
            level.queues.limit = seats[name]
            level.figures.limit(
                seats[name] or max(1, round(self._total_seats / 10)),
                level.spec.queues * level.spec.length_max,
            )
            self._note(level, members[name].target)

    def _note(self, level: Level, target: float) -> None:
        metrics, name, demand = self._metrics, level.name, level.demand
        metrics.current.labels(name).set(level.queues.limit)
        metrics.demand_high.labels(name).set(demand.high)
        metrics.demand_average.labels(name).set(demand.average)
        metrics.demand_deviation.labels(name).set(demand.deviation)
        metrics.demand_smoothed.labels(name).set(demand.smoothed)
        metrics.target.labels(name).set(target)

    def collect(self, now_s: float) -> None:
        """Bring the figures up to date, before somebody reads them."""
        self.refresh(now_s)
        for (name, _), figures in self._figures.items():
            level = self.levels.get(name)
            figures.fold(limited=level is None or not level.spec.exempt)
        for level in self.levels.values():
            level.fold(now_s)
            self._metrics.current_r.labels(level.name).set(level.queues.virtual)


def _objects(served: Served) -> Iterable[Object]:
    resource = served.resource
    return [entry.shared(resource.kind, resource.api_version) for entry in served.root.entries.values()]
