"""Writing RBAC rules down in one line each: `rule(READ, "core apps", "pods deployments")`."""

from __future__ import annotations

from podium.machinery.errors import Object

READ = "get list watch"
WATCH = "list watch"
WRITE = "create delete deletecollection patch update"
ALL_VERBS = f"{READ} {WRITE}"


def _words(text: str) -> list[str]:
    return sorted(text.split())


def rule(verbs: str, groups: str, resources: str, names: str = "") -> Object:
    """Return a rule on resources. Words are separated by spaces; the group of pods is called `core`."""
    made: Object = {
        "verbs": _words(verbs),
        "apiGroups": sorted("" if group == "core" else group for group in groups.split()),
        "resources": _words(resources),
    }
    if names:
        made["resourceNames"] = _words(names)
    return made


def paths(verbs: str, urls: str) -> Object:
    """Return a rule on paths that are no resources."""
    return {"verbs": _words(verbs), "nonResourceURLs": _words(urls)}


EVENTS = rule("create patch update", "core events.k8s.io", "events")
