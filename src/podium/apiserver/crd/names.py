"""Which of the names that a definition asks for it gets, and what its conditions say. Pure.

Names are per group, and first come, first served: plural, singular and short names share one space, kinds and
list kinds another.
"""

from __future__ import annotations

from collections.abc import Iterable

from podium.machinery.errors import Object

ESTABLISHED, NAMES_ACCEPTED, TERMINATING = "Established", "NamesAccepted", "Terminating"
APPROVED_CONDITION = "KubernetesAPIApprovalPolicyConformant"
APPROVAL_ANNOTATION = "api-approved.kubernetes.io"
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"

_NAMES = ("plural", "singular", "shortNames", "kind", "listKind", "categories")


def condition(definition: Object, type: str) -> Object | None:
    for found in (definition.get("status") or {}).get("conditions") or ():
        if found.get("type") == type:
            result: Object = found
            return result
    return None


def is_true(definition: Object, type: str) -> bool:
    found = condition(definition, type)
    return found is not None and found.get("status") == "True"


def is_deleting(definition: Object) -> bool:
    return bool(definition["metadata"].get("deletionTimestamp"))


def plan_status(definition: Object, others: Iterable[Object], now: str) -> Object:
    """Return the status that `definition` should have beside the `others` of its group."""
    status = dict(definition.get("status") or {})
    accepted, problem = plan_names(definition, others)
    status["acceptedNames"] = accepted
    if problem is None:
        names = made(NAMES_ACCEPTED, "True", "NoConflicts", "no conflicts found")
    else:
        names = made(NAMES_ACCEPTED, "False", *problem)
    conditions = with_condition(status.get("conditions") or [], names, now)
    if not is_true(definition, ESTABLISHED):
        if problem is None:
            reason, message = "InitialNamesAccepted", "the initial names have been accepted"
            established = made(ESTABLISHED, "True", reason, message)
        else:
            established = made(ESTABLISHED, "False", "NotAccepted", "not all names are accepted")
        conditions = with_condition(conditions, established, now)
    approval = _approval(definition)
    if approval is not None:
        conditions = with_condition(conditions, approval, now)
    status["conditions"] = conditions
    return status


def plan_names(definition: Object, others: Iterable[Object]) -> tuple[Object, tuple[str, str] | None]:
    """Return the accepted names, and (reason, message) of the last conflict."""
    asked: Object = definition["spec"].get("names") or {}
    before: Object = (definition.get("status") or {}).get("acceptedNames") or {}
    resources, kinds = _taken(others)
    accepted = {name: before[name] for name in _NAMES if before.get(name)}
    problem: tuple[str, str] | None = None
    for name, reason, taken in (
        ("plural", "PluralConflict", resources),
        ("singular", "SingularConflict", resources),
        ("shortNames", "ShortNamesConflict", resources),
        ("kind", "KindConflict", kinds),
        ("listKind", "ListKindConflict", kinds),
    ):
        conflicts = _conflicts(asked.get(name), before.get(name), taken)
        if conflicts:
            messages = [f'"{conflict}" is already in use' for conflict in conflicts]
            text = messages[0] if len(messages) == 1 else f"[{', '.join(messages)}]"
            problem = reason, text
        elif asked.get(name):
            accepted[name] = asked[name]
        else:
            accepted.pop(name, None)
    if asked.get("categories"):
        accepted["categories"] = asked["categories"]
    else:
        accepted.pop("categories", None)
    accepted.setdefault("plural", "")
    accepted.setdefault("kind", "")
    return {name: accepted[name] for name in _NAMES if name in accepted}, problem


def _conflicts(asked: object, before: object, taken: set[str]) -> list[str]:
    wanted = asked if isinstance(asked, list) else [asked] if asked else []
    own = before if isinstance(before, list) else [before]
    return [name for name in wanted if name not in own and name in taken]


def _taken(others: Iterable[Object]) -> tuple[set[str], set[str]]:
    resources: set[str | None] = set()
    kinds: set[str | None] = set()
    for other in others:
        names = (other.get("status") or {}).get("acceptedNames") or {}
        resources |= {names.get("plural"), names.get("singular"), *(names.get("shortNames") or ())}
        kinds |= {names.get("kind"), names.get("listKind")}
    return {name for name in resources if name}, {name for name in kinds if name}


def _approval(definition: Object) -> Object | None:
    """Return the condition about groups that belong to the Kubernetes project; None for any other group."""
    group = str(definition["spec"].get("group") or "")
    if group not in ("k8s.io", "kubernetes.io") and not group.endswith((".k8s.io", ".kubernetes.io")):
        return None
    text = (definition["metadata"].get("annotations") or {}).get(APPROVAL_ANNOTATION) or ""
    if text.startswith("unapproved"):
        reason, status, message = "UnapprovedAnnotation", "False", f"not approved: {text!r}"
    elif text.startswith(("https://", "http://")):
        reason, status, message = "ApprovedAnnotation", "True", f"approved in {text}"
    elif text:
        reason, status = "InvalidAnnotation", "False"
        message = (
            f'protected groups must have approval annotation "{APPROVAL_ANNOTATION}" with either a URL or a '
            'reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111'
        )
    else:
        reason, status = "MissingAnnotation", "False"
        message = (
            f'protected groups must have approval annotation "{APPROVAL_ANNOTATION}", see '
            "https://github.com/kubernetes/enhancements/pull/1111"
        )
    return made(APPROVED_CONDITION, status, reason, message)


# --- conditions


def made(type: str, status: str, reason: str, message: str) -> Object:
    return {"type": type, "status": status, "reason": reason, "message": message}


def with_condition(conditions: list[Object], new: Object, now: str) -> list[Object]:
    """Return the conditions with `new` in its type's place; its time moves only with its status."""
    for index, found in enumerate(conditions):
        if found.get("type") == new["type"]:
            moment = found.get("lastTransitionTime") if found.get("status") == new["status"] else now
            return [*conditions[:index], _ordered(new, moment or now), *conditions[index + 1 :]]
    return [*conditions, _ordered(new, now)]


def _ordered(new: Object, moment: str) -> Object:
    return {
        "type": new["type"],
        "status": new["status"],
        "lastTransitionTime": moment,
        "reason": new["reason"],
        "message": new["message"],
    }


def terminating(
    definition: Object, reason: str, message: str, now: str, status: str = "True"
) -> list[Object]:
    """Return the definition's conditions with one that says how far its deletion is."""
    conditions = (definition.get("status") or {}).get("conditions") or []
    return with_condition(conditions, made(TERMINATING, status, reason, message), now)
