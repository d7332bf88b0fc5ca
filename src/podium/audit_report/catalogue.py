"""All families of checks, and their rules by id."""

from __future__ import annotations

from podium.audit_report.checks import Family
from podium.audit_report.checks.accounts import ACCOUNTS
from podium.audit_report.checks.health import HEALTH
from podium.audit_report.checks.images import IMAGES
from podium.audit_report.checks.isolation import ISOLATION
from podium.audit_report.checks.labels import LABELS
from podium.audit_report.checks.namespaces import NAMESPACES
from podium.audit_report.checks.processes import PROCESSES
from podium.audit_report.checks.rbac import RBAC
from podium.audit_report.checks.secrets import SECRETS
from podium.audit_report.checks.versions import VERSIONS
from podium.audit_report.finding import Rule

FAMILIES: tuple[Family, ...] = (
    RBAC,
    ISOLATION,
    ACCOUNTS,
    HEALTH,
    IMAGES,
    SECRETS,
    PROCESSES,
    LABELS,
    NAMESPACES,
    VERSIONS,
)
RULES: dict[str, Rule] = {rule.id: rule for family in FAMILIES for rule in family.rules}
