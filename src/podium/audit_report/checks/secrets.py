"""Where passwords and keys are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

from podium.audit_report.checks import Family
from podium.audit_report.context import Context
from podium.audit_report.finding import Problem, Rule, Severity
from podium.audit_report.workloads import Container, as_list, as_object, workload_of
from podium.machinery.errors import Object

PLAIN = Rule(
    id="plain-secret",
    severity=Severity.HIGH,
    title="A password or key stands in the manifest",
    why="Whoever may read the workload, its history or the repository that it came from, has it.",
    fix="Put it into a Secret, and mount that as a file.",
)
IN_ENVIRONMENT = Rule(
    id="secret-in-environment",
    severity=Severity.LOW,
    title="A Secret becomes an environment variable",
    why="All programs inherit variables; they show up in crash reports and logs, and do not change with it.",
    fix="Mount the Secret as a volume and read the file.",
)

_NAMES = re.compile(
    r"(?:PASSWORD|PASSWD|PASSPHRASE|(?:^|_)(?:PASS|PWD|SECRET|TOKEN|CREDENTIALS?|API_?KEY|ACCESS_?KEY"
    r"|PRIVATE_?KEY|SECRET_?KEY|ENCRYPTION_?KEY|AUTH_?KEY))(?:_[A-Z0-9]+)?$",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(
    r"_(?:FILE|PATH|DIR|NAME|URL|URI|TTL|TIMEOUT|LENGTH|ENABLED|EXPIRY|POLICY|TYPE)$", re.IGNORECASE
)
_CREDENTIALS = re.compile(r"^[a-z][a-z0-9+.-]*://[^/\s:@]+:(?!\$\()[^/\s@]+@", re.IGNORECASE)
"""A URL with a password in it."""
_KEY = "-----BEGIN "
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
"""Where a word begins in `dbPassword`."""
_SWITCH = re.compile(r"true|false|yes|no|on|off|none", re.IGNORECASE)


def _check(obj: Object, _context: Context) -> Iterator[Problem]:
    workload = workload_of(obj)
    if workload is None:
        return
    for container in workload.containers():
        yield from _container(container)


def _container(container: Container) -> Iterator[Problem]:
    for index, one in enumerate(as_list(container.spec.get("env"))):
        variable = as_object(one)
        name, value = str(variable.get("name") or ""), variable.get("value")
        path = (*container.path, "env", index)
        if isinstance(value, str) and _is_secret(name, value):
            yield Problem(PLAIN, (*path, "value"), f"variable {name} of container {container.name}")
        reference = as_object(as_object(variable.get("valueFrom")).get("secretKeyRef"))
        if reference:
            detail = f"variable {name} of container {container.name} holds Secret {reference.get('name', '')}"
            yield Problem(IN_ENVIRONMENT, (*path, "valueFrom", "secretKeyRef"), detail)
    for index, one in enumerate(as_list(container.spec.get("envFrom"))):
        reference = as_object(as_object(one).get("secretRef"))
        if reference:
            detail = f"variables of container {container.name} hold Secret {reference.get('name', '')}"
            yield Problem(IN_ENVIRONMENT, (*container.path, "envFrom", index, "secretRef"), detail)


def _is_secret(name: str, value: str) -> bool:
    if not value or value.startswith("$("):
        return False
    if _CREDENTIALS.search(value) or (_KEY in value and "PRIVATE KEY" in value):
        return True
    words = _HUMP.sub("_", name)
    is_named_so = _NAMES.search(words) is not None and _NOT_SECRET.search(words) is None
    return is_named_so and _SWITCH.fullmatch(value) is None


SECRETS = Family(name="Secrets", rules=(PLAIN, IN_ENVIRONMENT), check=_check)
