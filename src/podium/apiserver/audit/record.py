"""What is known of one request while it is worked on: each stop of the chain adds what it learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from podium.apiserver.audit import latency, objects
from podium.apiserver.audit.event import API_VERSION, Event
from podium.apiserver.audit.levels import RECEIVED, Level
from podium.apiserver.audit.policy import Ruling
from podium.apiserver.audit.source import source_ips, user_agent
from podium.apiserver.chain import Decision, RequestInfo, User
from podium.apiserver.flowcontrol.limiter import is_long_running
from podium.base.clock import rfc3339_micro
from podium.base.http.message import Request, Response
from podium.base.log import Log
from podium.machinery.errors import Object

VALIDATING = "validating-webhook"
_DECISION, _REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"
_JSON = "application/json"
_NOTHING_YET = Ruling(level=Level.REQUEST_RESPONSE)

_log = Log("podium.apiserver.audit")


class Record:
    """One request's, from its arrival to its end. What `ruling` leaves out is not even looked at."""

    def __init__(self, request: Request, info: RequestInfo, *, audit_id: str, received: datetime) -> None:
        self.info = info
        self.received = received
        self.begun = False
        """The policy has been asked, and an event of the first stage sent where it wants one."""
        self.ruling = _NOTHING_YET
        self.annotations: dict[str, str] = {}
        """By qualified name; the first word stands."""
        self.status: Object | None = None
        """What an event says of the answer."""
        self.fault: BaseException | None = None
        """What made the request fail that should not have."""
        self._request = request
        self._audit_id = audit_id
        self._shown_user: Object = {}
        self._shown_client: Object = {}
        self._impersonated: User | None = None
        self._constraint = ""
        self._reference: Object = {}
        self._sent = b""
        self._body: bytes | Sequence[bytes] | None = None
        self._answer = b""
        self._latencies_s: dict[str, float] = {}

    @property
    def lasting(self) -> bool:
        """Whether the request is one that may go on for ever (a watch, an exec)."""
        return is_long_running(self.info)

    def rule(self, ruling: Ruling, user: User | None) -> None:
        """Take what the policy says, now that it is known who asks (None: nobody)."""
        self.begun = True
        self.ruling = ruling
        self._shown_user = _user(user) if user is not None else {}
        if ruling.level is Level.NONE:
            return
        if addresses := source_ips(self._request):
            self._shown_client["sourceIPs"] = addresses
        if agent := user_agent(self._request):
            self._shown_client["userAgent"] = agent

    # --- what the stops of the chain tell

    @property
    def wants_requests(self) -> bool:
        """Whether events hold what clients send, and notes that quote it."""
        return self.ruling.level >= Level.REQUEST

    def annotate(self, key: str, text: str) -> None:
        """Leave a note under a qualified name; what has been said under it stays."""
        said = self.annotations.setdefault(key, text)
        if said != text:
            _log.warning("an audit annotation is set already", key=key, audit_id=self._audit_id)

    def authorized(self, decision: Decision) -> None:
        """Tell what the authorizer says."""
        if not decision.allowed and decision.error:
            self.annotate(_REASON, "internal error")
            return
        self.annotate(_DECISION, "allow" if decision.allowed else "forbid")
        self.annotate(_REASON, decision.reason)

    def impersonated(self, user: User, constraint: str = "") -> None:
        """Tell whom the sender has become, and by which constrained verb, if by one."""
        self._impersonated, self._constraint = user, constraint

    def took(self, stop: str, elapsed_s: float) -> None:
        """Add to the time that a stop of the chain has cost."""
        before_s = self._latencies_s.get(stop, 0.0)
        # Validating webhooks are asked side by side: together they cost what the slowest does.
        together = stop == VALIDATING
        self._latencies_s[stop] = max(before_s, elapsed_s) if together else before_s + elapsed_s

    def sent(self, obj: Object, *, refers: bool = True) -> None:
        """Tell what the client sent, decoded. `refers`: it is the object that the request is about."""
        if self.ruling.level < Level.METADATA:
            return
        metadata = obj.get("metadata")
        if refers and isinstance(metadata, dict):
            for name in ("namespace", "name", "uid", "resourceVersion"):
                if metadata.get(name):
                    self._reference.setdefault(name, metadata[name])
        if self.wants_requests:
            self._sent = objects.encoded(obj, omits_managed_fields=self.ruling.omits_managed_fields)

    def patched(self, raw: bytes, media_type: str) -> None:
        """Tell what patch the client sent."""
        if self.wants_requests:
            self._sent = objects.encoded_patch(raw, media_type)

    def answers(self, body: bytes | Sequence[bytes]) -> None:
        """Tell an answer in JSON, before it takes the form that the client wants."""
        self._body = body

    # --- the answer

    def finish(self, response: Response) -> None:
        """Take in the answer as it is about to leave."""
        body = self._body
        if body is None and response.headers.get("content-type") == _JSON:
            body = response.body
        if body and (self.info.is_resource or objects.is_object(body)):
            self.status = objects.status_in(body)
            if self.ruling.level >= Level.REQUEST_RESPONSE:
                omits = self.ruling.omits_managed_fields
                self._answer = objects.answered(body, omits_managed_fields=omits)
        self._body = None
        self.status = {**(self.status or {"metadata": {}}), "code": response.status}

    def add_latencies(self, now: datetime) -> None:
        """Note where the time went, if it was much."""
        total_s = (now - self.received).total_seconds()
        for key, text in latency.notes(self._latencies_s, total_s).items():
            self.annotate(key, text)

    # --- events

    def event(self, stage: str, now: datetime) -> Event:
        """Return the event of a stage, with what is known by then."""
        received = rfc3339_micro(self.received)
        fields: Object = {
            "kind": "Event",
            "apiVersion": API_VERSION,
            "level": self.ruling.level.word,
            "auditID": self._audit_id,
            "stage": stage,
            "requestURI": self._request.target,
            "verb": self.info.verb,
            "user": self._shown_user,
        }
        if self._impersonated is not None:
            fields["impersonatedUser"] = _user(self._impersonated)
            if self._constraint:
                fields["authenticationMetadata"] = {"impersonationConstraint": self._constraint}
        fields |= self._shown_client
        if self.info.is_resource:
            fields["objectRef"] = _reference(self.info, self._reference)
        if self.status is not None:
            fields["responseStatus"] = self.status
        fields["requestReceivedTimestamp"] = received
        fields["stageTimestamp"] = received if stage == RECEIVED else rfc3339_micro(now)
        if self.annotations:
            fields["annotations"] = dict(sorted(self.annotations.items()))
        return Event(fields, request=self._sent, response=self._answer)


def _user(user: User) -> Object:
    made: Object = {}
    if user.name:
        made["username"] = user.name
    if user.uid:
        made["uid"] = user.uid
    if user.groups:
        made["groups"] = list(user.groups)
    if user.extra:
        made["extra"] = {key: list(values) for key, values in sorted(user.extra.items())}
    return made


def _reference(info: RequestInfo, learnt: Mapping[str, str]) -> Object:
    """Return what the request is about: what its path says, and what the object says beyond that."""
    pairs = (
        ("resource", info.resource),
        ("namespace", info.namespace or learnt.get("namespace")),
        ("name", info.name or learnt.get("name")),
        ("uid", learnt.get("uid")),
        ("apiGroup", info.api_group),
        ("apiVersion", info.api_version),
        ("resourceVersion", learnt.get("resourceVersion")),
        ("subresource", info.subresource),
    )
    return {name: value for name, value in pairs if value}
