"""The parameters of operations: names and types are upstream's, what they are for is said in our words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query, or (`placed`) a part of the path."""

    name: str
    type: str
    description: str
    placed: bool = False


def placed(name: str, kind: str) -> Parameter:
    """Return the parameter that stands in a path as `{name}`."""
    match name:
        case "name":
            description = f"name of the {kind}"
        case "namespace":
            description = "the namespace that the object is in"
        case "path":
            description = "path below the proxied server's root"
        case _:
            description = ""
    return Parameter(name, "string", description, placed=True)


PRETTY = Parameter("pretty", "string", "'true' asks for output that is easy to read.")

_DRY_RUN = Parameter(
    "dryRun", "string", "'All' has the request go through every stage, but nothing is stored."
)
_CONTINUE = Parameter(
    "continue", "string", "The token that the previous page of a list ended with; asks for the next page."
)
_FIELDS = Parameter("fieldSelector", "string", "Only objects whose fields match, such as metadata.name=a.")
_LABELS = Parameter("labelSelector", "string", "Only objects whose labels match.")
_LIMIT = Parameter("limit", "integer", "The most objects to answer at once; a list says how to go on.")
RESOURCE_VERSION = Parameter(
    "resourceVersion", "string", "The version that the answer must be as new as, or begin after."
)
_VERSION_MATCH = Parameter(
    "resourceVersionMatch", "string", "How resourceVersion is meant for lists: Exact or NotOlderThan."
)
_INITIAL = Parameter(
    "sendInitialEvents",
    "boolean",
    "Begins a watch with the objects there are, and a bookmark behind them.",
)
_SHARDS = Parameter("shardSelector", "string", "Only objects in ranges of a hash of their uid.")
_TIMEOUT = Parameter("timeoutSeconds", "integer", "After how many seconds a list or watch ends.")

LIST = (
    Parameter("allowWatchBookmarks", "boolean", "Asks for events that tell no more than a newer version."),
    _CONTINUE,
    _FIELDS,
    _LABELS,
    _LIMIT,
    RESOURCE_VERSION,
    _VERSION_MATCH,
    _INITIAL,
    _SHARDS,
    _TIMEOUT,
    Parameter("watch", "boolean", "Stream changes instead of answering a list."),
)
WRITE = (
    _DRY_RUN,
    Parameter("fieldManager", "string", "Who makes this change; managedFields remembers it."),
    Parameter(
        "fieldValidation",
        "string",
        "What becomes of unknown and of repeated fields: Ignore, Warn or Strict.",
    ),
)
PATCH = (
    *WRITE,
    Parameter("force", "boolean", "Takes fields over from other managers; for apply patches alone."),
)
_DELETION = (
    Parameter("gracePeriodSeconds", "integer", "How long the object has until it is gone; 0 is at once."),
    Parameter(
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
        "Deletes even what can no longer be read from the store, without finalizers or hooks.",
    ),
    Parameter("orphanDependents", "boolean", "Deprecated: use propagationPolicy. Whether dependents stay."),
    Parameter("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."),
)
DELETE = (_DRY_RUN, *_DELETION)
DELETE_COLLECTION = (
    _CONTINUE,
    _FIELDS,
    _LABELS,
    _LIMIT,
    RESOURCE_VERSION,
    _VERSION_MATCH,
    _INITIAL,
    _SHARDS,
    _TIMEOUT,
    *DELETE,
)

_CONTAINER = Parameter("container", "string", "Which container; the only one by default.")
_STREAMS = (
    Parameter("stderr", "boolean", "Whether standard error is passed on."),
    Parameter("stdin", "boolean", "Whether standard input is passed on."),
    Parameter("stdout", "boolean", "Whether standard output is passed on."),
    Parameter("tty", "boolean", "Whether a terminal is allocated."),
)
CONNECT = {
    "attach": (_CONTAINER, *_STREAMS),
    "exec": (
        Parameter("command", "string", "The program and its arguments, one each time; there is no shell."),
        _CONTAINER,
        *_STREAMS,
    ),
    "portforward": (Parameter("ports", "integer", "The ports to forward."),),
    "proxy": (Parameter("path", "string", "The path to ask the proxied server for."),),
    "log": (
        _CONTAINER,
        Parameter("follow", "boolean", "Go on as long as the container writes."),
        Parameter(
            "insecureSkipTLSVerifyBackend", "boolean", "Believe whatever certificate the kubelet shows."
        ),
        Parameter("limitBytes", "integer", "The most bytes to answer."),
        PRETTY,
        Parameter("previous", "boolean", "Of the container that ran before this one."),
        Parameter("sinceSeconds", "integer", "Nothing older than so many seconds."),
        Parameter("stream", "string", "Which output: All, Stdout or Stderr."),
        Parameter("tailLines", "integer", "So many lines from the end."),
        Parameter("timestamps", "boolean", "Begin each line with its time."),
    ),
}
