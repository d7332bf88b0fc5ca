"""The API server's figures, under upstream's names, labels and buckets.

One `ApiServerMetrics` belongs to one server. The request path keeps the children of what it has seen, so that
a request costs one look-up and a few additions. Labels hold only what the server knows, never what a client
wrote. `docs/reference/metrics.md` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter

from podium.apiserver.admission.metrics import ADMISSION_BOUNDS, AdmissionMetrics
from podium.apiserver.audit.metrics import AuditMetrics
from podium.apiserver.chain import Decision, RequestInfo, User
from podium.apiserver.crd.metrics import CustomResourceMetrics
from podium.apiserver.flowcontrol.metrics import FlowControlMetrics
from podium.apiserver.registry.special.address_figures import AddressFigures, PortFigures
from podium.apiserver.state_metrics import InFlight, StateMetrics
from podium.base.http.message import RawConnection, Request, Response, StreamWriter
from podium.base.metrics import Counter, Gauge, Registry, exponential
from podium.machinery.resource import Resource
from podium.runtime.metrics import QueueMetrics

_SLOW = (0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
REQUEST_BOUNDS = (0.005, 0.025, 0.05, 0.1, 0.2, *_SLOW)
INDICATOR_BOUNDS = (0.05, 0.1, 0.2, *_SLOW)

WATCH_LIST_BOUNDS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 15, 20, 30, 45, 60)

_REQUEST = ("verb", "group", "version", "resource", "subresource", "scope", "component")
_GROUP_RESOURCE = ("group", "resource")
_GROUP_VERSION_RESOURCE = ("group", "version", "resource")
_CONNECTS = ("log", "exec", "portforward", "attach", "proxy")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_APPLY = "application/apply-patch+"
_NOTED_MAX = 1024
"""After so many requests of one kind, all that was noted of any is counted."""
_KNOWN_USERS = (
    "admin",
    "client",
    "kube_proxy",
    "kubelet",
    "system:serviceaccount:kube-system:default",
)
_PLAIN = frozenset({"/healthz", "/livez", "/readyz", "/metrics", "/version", "/openapi/v2", "/openapi/v3"})


class _Seen:
    """The children of one kind of request."""

    __slots__ = ("codes", "duration", "indicator", "labels", "running", "size", "total")

    def __init__(self, metrics: ApiServerMetrics, labels: tuple[str, ...], dry_run: str) -> None:
        verb, rest = labels[0], labels[1:]
        self.labels = (verb, dry_run, *rest)
        self.codes: dict[int, Counter] = {}
        self.total = metrics.requests
        self.duration = metrics.durations.labels(*self.labels)
        self.indicator = metrics.indicators.labels(*labels) if not dry_run else None
        self.size = metrics.sizes.labels(*labels) if verb in ("GET", "LIST") else None
        self.running: Gauge | None = None

    def code(self, status: int) -> Counter:
        counter = self.codes.get(status)
        if counter is None:
            counter = self.codes[status] = self.total.labels(*self.labels, str(status))
        return counter


class ApiServerMetrics:
    """Everything that the API server counts."""

    def __init__(
        self,
        registry: Registry | None = None,
        *,
        is_served: Callable[[RequestInfo], bool] = lambda info: False,
    ) -> None:
        """`is_served` tells whether a request names a resource, and a subresource, that exist."""
        self.registry = registry or Registry()
        self._is_served = is_served
        self._seen: dict[tuple[str, ...], _Seen] = {}
        self._lists: dict[tuple[str, str], tuple[Counter, Counter, Counter]] = {}
        self._declare_requests()
        self._declare_access()
        self._declare_storage()
        self._declare_aggregation()
        self.admission = AdmissionMetrics(self.registry)
        self.custom = CustomResourceMetrics(self.registry)
        self.state = StateMetrics(self.registry)
        self.in_flight = InFlight(self.registry)
        self.flow_control = FlowControlMetrics(self.registry)
        self.queues = QueueMetrics(self.registry)
        self.audit = AuditMetrics(self.registry)
        self.addresses = AddressFigures(self.registry)
        self.node_ports = PortFigures(self.registry)

    def _declare_requests(self) -> None:
        make = self.registry
        self.requests = make.counter(
            "apiserver_request_total",
            "Requests answered.",
            *("verb", "dry_run", *_REQUEST[1:], "code"),
        )
        self.durations = make.histogram(
            "apiserver_request_duration_seconds",
            "Time until a request was answered; of a watch, until it ended.",
            REQUEST_BOUNDS,
            *("verb", "dry_run", *_REQUEST[1:]),
        )
        self.indicators = make.histogram(
            "apiserver_request_sli_duration_seconds",
            "As the request duration, without the time in webhooks.",
            INDICATOR_BOUNDS,
            *_REQUEST,
        )
        self.sizes = make.histogram(
            "apiserver_response_sizes",
            "Bytes of the answers to reads.",
            exponential(1000, 10, 7),
            *_REQUEST,
        )
        self.long_running = make.gauge(
            "apiserver_longrunning_requests", "Watches, execs and the like that are open.", *_REQUEST
        )
        self.terminations = make.counter(
            "apiserver_request_terminations_total",
            "Requests that were ended in self-defence: too many at a time, or too long under way.",
            *(*_REQUEST, "code"),
        )
        self.aborts = make.counter(
            "apiserver_request_aborts_total",
            "Requests whose connection broke while they were answered.",
            *_REQUEST[:-1],
        )
        self.watch_lists = make.histogram(
            "apiserver_watch_list_duration_seconds",
            "Time until a watch that asked for a list has been sent all of it.",
            WATCH_LIST_BOUNDS,
            *(*_GROUP_VERSION_RESOURCE, "scope"),
        )
        self.deprecated = make.gauge(
            "apiserver_requested_deprecated_apis",
            "1 for each deprecated API that somebody has asked for.",
            *("group", "version", "resource", "subresource", "removed_release"),
        )
        self.watch_event_sizes = make.histogram(
            "apiserver_watch_events_sizes",
            "Bytes of the events sent to watchers.",
            exponential(1024, 2, 8),
            *_GROUP_VERSION_RESOURCE,
        )
        self.watch_events = make.counter(
            "apiserver_watch_events_total", "Events sent to watchers.", *_GROUP_VERSION_RESOURCE
        )
        make.before_collection(self._read_requests)

    def _declare_access(self) -> None:
        make = self.registry
        bounds = exponential(0.001, 2, 15)
        self.users = make.counter(
            "authenticated_user_requests", "Requests with good credentials, by user.", "username"
        )
        self.attempts = make.counter(
            "authentication_attempts", "Requests by what came of their credentials.", "result"
        )
        self.authentication_time = make.histogram(
            "authentication_duration_seconds", "Time to find out who asks.", bounds, "result"
        )
        self.authorizations = make.counter(
            "authorization_attempts_total", "Requests by the decision about them.", "result"
        )
        self.authorization_time = make.histogram(
            "authorization_duration_seconds", "Time to decide who may.", bounds, "result"
        )
        self._authentication = {
            result: (self.attempts.labels(result), self.authentication_time.labels(result))
            for result in ("success", "failure", "error")
        }
        self._authorization = {
            result: (self.authorizations.labels(result), self.authorization_time.labels(result))
            for result in ("allowed", "denied", "no-opinion", "error")
        }
        self._users: dict[str, Counter] = {}
        self.admission_plugins = make.histogram(
            "apiserver_admission_controller_admission_duration_seconds",
            "Time in one admission plugin.",
            ADMISSION_BOUNDS,
            *("name", "type", "operation", "rejected"),
        )
        self.admission_steps = make.histogram(
            "apiserver_admission_step_admission_duration_seconds",
            "Time in all admission plugins of one step.",
            ADMISSION_BOUNDS,
            *("type", "operation", "rejected"),
        )

    def _declare_storage(self) -> None:
        make = self.registry
        self.objects = make.gauge(
            "apiserver_resource_objects", "Objects in the store, by resource.", *_GROUP_RESOURCE
        )
        self.objects_by_resource = make.gauge(
            "apiserver_storage_objects", "Objects in the store; deprecated upstream.", "resource"
        )
        self.size_estimates = make.gauge(
            "apiserver_resource_size_estimate_bytes", "Bytes of the stored objects.", *_GROUP_RESOURCE
        )
        self.size = make.gauge(
            "apiserver_storage_size_bytes", "Bytes of the store's file.", "storage_cluster_id"
        )
        self.init_events = make.counter(
            "apiserver_init_events_total",
            "Objects sent to watchers as their initial state.",
            *_GROUP_RESOURCE,
        )
        self.cache_lists = make.counter(
            "apiserver_cache_list_total", "Lists answered from the cache.", *_GROUP_RESOURCE, "index"
        )
        self.cache_fetched = make.counter(
            "apiserver_cache_list_fetched_objects_total",
            "Objects looked at for lists.",
            *_GROUP_RESOURCE,
            "index",
        )
        self.cache_returned = make.counter(
            "apiserver_cache_list_returned_objects_total", "Objects in lists.", *_GROUP_RESOURCE
        )
        self.store_time = make.histogram(
            "etcd_request_duration_seconds",
            "Time of one operation of the store, whichever engine it has.",
            REQUEST_BOUNDS,
            *("operation", *_GROUP_RESOURCE),
        )
        self.store_requests = make.counter(
            "etcd_requests_total", "Operations of the store.", "operation", *_GROUP_RESOURCE
        )
        self.store_errors = make.counter(
            "etcd_request_errors_total",
            "Operations of the store that failed, conflicts included.",
            *("operation", *_GROUP_RESOURCE),
        )

    def _declare_aggregation(self) -> None:
        make = self.registry
        self.aggregations = make.counter(
            "aggregator_discovery_aggregation_count_total",
            "How often the aggregated form of discovery was made anew.",
        ).labels()
        self.unavailable = make.gauge(
            "aggregator_unavailable_apiservice", "1 for each APIService that is not available.", "name"
        )
        self.unavailable_count = make.counter(
            "aggregator_unavailable_apiservice_total",
            "How often an APIService was found unavailable.",
            *("name", "reason"),
        )

    # --- requests

    def answered(self, request: Request, info: RequestInfo, response: Response, started: float) -> None:
        """Record an answer, now or, when it lasts (a watch, an exec), when it has ended."""
        seen = self._of(request, info)
        if response.stream is not None or response.upgrade is not None:
            self._when_over(seen, response, started)
            return
        elapsed = perf_counter() - started
        seen.code(response.status).value += 1
        noted = seen.duration.noted
        noted.append(elapsed)
        if seen.indicator is not None:
            seen.indicator.noted.append(elapsed)
        if seen.size is not None:
            body = response.body
            seen.size.noted.append(len(body) if isinstance(body, bytes) else sum(map(len, body)))
        if len(noted) >= _NOTED_MAX:
            self.registry.fold()

    def terminated(self, request: Request, info: RequestInfo, status: int) -> None:
        """Record a request that the server has ended in self-defence."""
        verb, _dry_run, *rest = self._of(request, info).labels
        self.terminations.labels(verb, *rest, str(status)).inc()

    def aborted(self, request: Request, info: RequestInfo) -> None:
        """Record a request that nobody is there to be answered any more."""
        verb, _dry_run, *rest = self._of(request, info).labels
        self.aborts.labels(verb, *rest[:-1]).inc()

    def read_at_once(
        self, request: Request, info: RequestInfo, user: User, response: Response, started: float
    ) -> None:
        """Record all that the chain records of a read by somebody who is known and may."""
        self.authenticated(user, started)
        self._authorized("allowed", started)
        self.answered(request, info, response, started)

    def _when_over(self, seen: _Seen, response: Response, started: float) -> None:
        running = seen.running
        if running is None:
            verb, _dry_run, *rest = seen.labels
            running = seen.running = self.long_running.labels(verb, *rest)
        stream, upgrade = response.stream, response.upgrade
        gauge, status = running, response.status

        def over() -> None:
            gauge.value -= 1
            elapsed = perf_counter() - started
            seen.code(status).value += 1
            seen.duration.observe(elapsed)

        async def measured_stream(writer: StreamWriter) -> None:
            assert stream is not None
            gauge.value += 1
            try:
                await stream(writer)
            finally:
                over()

        async def measured_upgrade(connection: RawConnection) -> None:
            assert upgrade is not None
            gauge.value += 1
            try:
                await upgrade(connection)
            finally:
                over()

        if stream is not None:
            response.stream = measured_stream
        else:
            response.upgrade = measured_upgrade

    def _of(self, request: Request, info: RequestInfo) -> _Seen:
        dry_run = _dry_run(request) if "dryRun" in request.raw_query else ""
        verb = info.verb
        if verb == "patch" and request.headers.get("content-type").startswith(_APPLY):
            verb = "apply"
        path = "" if info.is_resource else info.path
        named = "n" if info.name else "ns" if info.namespace else ""
        key = (
            verb,
            dry_run,
            info.api_group,
            info.api_version,
            info.resource,
            info.subresource,
            named,
            path,
        )
        seen = self._seen.get(key)
        if seen is None:
            seen = self._first_of(request, info, verb, dry_run)
            if (path in _PLAIN) if path else self._is_served(info):
                self._seen[key] = seen
        return seen

    def _first_of(self, request: Request, info: RequestInfo, verb: str, dry_run: str) -> _Seen:
        if not info.is_resource:
            reported = request.method if request.method in _METHODS else "other"
            known = info.path if info.path in _PLAIN else ""
            return _Seen(self, (reported, "", "", "", known, "", ""), "")
        if not self._is_served(info):
            # A name that a client made up must not become a label.
            return _Seen(self, ("other", "", "", "", "", "", ""), "")
        labels = (
            reported_verb(verb, info),
            info.api_group,
            info.api_version,
            info.resource,
            info.subresource,
            scope(info),
            "apiserver",
        )
        return _Seen(self, labels, dry_run)

    def _read_requests(self) -> None:
        # Both families count the same sends; the histogram alone is kept current.
        for values, child in self.watch_event_sizes.children():
            self.watch_events.labels(*values).value = child.count

    # --- access

    def authenticated(self, user: User | None, started: float, *, wrong: bool = False) -> None:
        result = "error" if wrong else "success" if user is not None else "failure"
        count, time = self._authentication[result]
        count.value += 1
        time.noted.append(perf_counter() - started)
        if user is not None:
            counter = self._users.get(user.name)
            if counter is None:
                counter = self.users.labels(short_user(user.name))
                if len(self._users) < 1024:
                    self._users[user.name] = counter
            counter.value += 1

    def authorized(self, decision: Decision, started: float) -> None:
        if decision.allowed:
            self._authorized("allowed", started)
        elif decision.error:
            self._authorized("error", started)
        else:
            self._authorized("denied" if decision.denied else "no-opinion", started)

    def _authorized(self, result: str, started: float) -> None:
        count, time = self._authorization[result]
        count.value += 1
        time.noted.append(perf_counter() - started)

    # --- storage

    def listed(self, resource: Resource, fetched: int, returned: int) -> None:
        """Record a list answered from the cache."""
        key = (resource.group, resource.plural)
        children = self._lists.get(key)
        if children is None:
            children = self._lists[key] = (
                self.cache_lists.labels(*key, ""),
                self.cache_fetched.labels(*key, ""),
                self.cache_returned.labels(*key),
            )
        children[0].value += 1
        children[1].value += fetched
        children[2].value += returned

    def read_api_services(self, availability: Iterable[tuple[str, bool]]) -> None:
        """Set which APIServices are available: (name, whether it is)."""
        self.unavailable.clear()
        for name, available in availability:
            self.unavailable.labels(name).set(0 if available else 1)

    def read_objects(self, roots: Iterable[tuple[str, str, int, int]]) -> None:
        """Set the figures of what is stored: (group, resource, objects, bytes) of each resource."""
        for family in (self.objects, self.objects_by_resource, self.size_estimates):
            family.clear()
        for group, resource, count, size_bytes in roots:
            self.objects.labels(group, resource).set(count)
            self.objects_by_resource.labels(f"{resource}.{group}" if group else resource).set(count)
            self.size_estimates.labels(group, resource).set(size_bytes)


def scope(info: RequestInfo) -> str:
    """Return upstream's word for how much a request is about."""
    if info.name or info.verb == "create":
        return "resource"
    return "namespace" if info.namespace else "cluster"


def reported_verb(verb: str, info: RequestInfo) -> str:
    """Return the verb as metrics tell it: methods, with LIST, WATCH, APPLY and CONNECT among them."""
    if verb == "watch":
        return "WATCH"
    if info.subresource in _CONNECTS:
        return "CONNECT"
    match verb:
        case "create":
            return "POST"
        case "update":
            return "PUT"
        case "deletecollection":
            return "DELETE"
        case "get" | "list":
            return "GET" if scope(info) == "resource" else "LIST"
        case _:
            return verb.upper()


def short_user(name: str) -> str:
    """Return the label of a user: names of people do not belong into metrics."""
    if name in _KNOWN_USERS:
        return name
    return "email_id" if "@" in name else "other"


def _dry_run(request: Request) -> str:
    given = request.query.get("dryRun") or []
    return "All" if set(given) == {"All"} else "invalid" if given else ""
