"""Names of resources such as cpu and example.com/gpu: which may stand where."""

from __future__ import annotations

from podium.machinery.errors import FieldError, Json
from podium.machinery.validation import qualified_name_errors
from podium.resources.checks import Errors, named, nonnegative_quantity, parse_quantity

CONTAINER = ("cpu", "memory", "ephemeral-storage")
POD = ("cpu", "memory")
INTEGER = (
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
)
QUOTA = (
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    *INTEGER,
)
STANDARD = (
    "cpu",
    "memory",
    "ephemeral-storage",
    "storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "requests.storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    *INTEGER,
)
HUGE_PAGES = "hugepages-"
NATIVE_PREFIX = "kubernetes.io/"
REQUESTS_PREFIX = "requests."
_HUGE_PAGES_ANYHOW = (HUGE_PAGES, REQUESTS_PREFIX + HUGE_PAGES)
_NOT_INTEGER = "must be an integer"


def is_huge_pages(name: str) -> bool:
    """Say whether the name is of huge pages of some size."""
    return name.startswith(HUGE_PAGES)


def is_native(name: str) -> bool:
    """Say whether Kubernetes itself defines the resource."""
    return "/" not in name or NATIVE_PREFIX in name


def is_extended(name: str) -> bool:
    """Say whether somebody else defines the resource, as device plugins do."""
    if is_native(name) or name.startswith(REQUESTS_PREFIX):
        return False
    return not qualified_name_errors(f"{REQUESTS_PREFIX}{name}")


def overcommit_allowed(name: str) -> bool:
    """Say whether limits may be above requests."""
    return is_native(name) and not is_huge_pages(name)


def is_integer(name: str) -> bool:
    """Say whether only whole numbers of the resource make sense."""
    return name in INTEGER or is_extended(name)


def name_errors(field: str, name: str) -> Errors:
    """Check a resource's name wherever it stands."""
    errors = named(field, name, qualified_name_errors)
    if not errors and "/" not in name and name not in STANDARD and not name.startswith(_HUGE_PAGES_ANYHOW):
        errors.append(FieldError.invalid(field, name, "must be a standard resource type or fully qualified"))
    return errors


def container_name_errors(field: str, name: str) -> Errors:
    """Check the name of a resource that a container asks for."""
    errors = name_errors(field, name)
    if "/" not in name:
        if name not in CONTAINER and not is_huge_pages(name):
            errors.append(FieldError.invalid(field, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        errors.append(FieldError.invalid(field, name, "doesn't follow extended resource name standard"))
    return errors


def pod_name_errors(field: str, name: str) -> Errors:
    """Check the name of a resource that a pod asks for as a whole."""
    errors = name_errors(field, name)
    if not errors and name not in POD and not is_huge_pages(name):
        errors.append(FieldError.not_supported(field, name, (*POD[:1], HUGE_PAGES, *POD[1:])))
    return errors


def quantity_errors(field: str, name: str, value: Json) -> Errors:
    """Check how much of a resource is named."""
    errors = nonnegative_quantity(field, value)
    if is_integer(name) and parse_quantity(value).milli() % 1000:
        errors.append(FieldError.invalid(field, str(value), _NOT_INTEGER))
    return errors
