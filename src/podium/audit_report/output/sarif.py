"""The report in SARIF 2.1.0, which code hosts and editors show beside the lines."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from urllib.parse import quote

import orjson

from podium.audit_report.catalogue import FAMILIES, RULES
from podium.audit_report.finding import Finding, Rule, Severity
from podium.audit_report.judge import Report
from podium.machinery.errors import Object

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}
_SCORES = {Severity.LOW: "3.0", Severity.MEDIUM: "5.5", Severity.HIGH: "8.0", Severity.CRITICAL: "9.5"}
"""What code hosts sort security findings by."""


def render(report: Report) -> str:
    """Return the report as one SARIF log."""
    unseen = [{"level": "warning", "message": {"text": line}} for line in report.unseen]
    indexes = {id: index for index, id in enumerate(RULES)}
    driver = {
        "name": "podium audit",
        "version": version("podium"),
        "rules": [_rule(rule, family.name) for family in FAMILIES for rule in family.rules],
    }
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": unseen}],
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, indexes[finding.rule.id]) for finding in report.findings],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return orjson.dumps(log, option=orjson.OPT_INDENT_2).decode() + "\n"


def _rule(rule: Rule, family: str) -> Object:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"security-severity": _SCORES[rule.severity], "tags": ["kubernetes", family]},
    }


def _result(finding: Finding, index: int) -> Object:
    location: Object = {
        "logicalLocations": [
            {
                "name": finding.name,
                "fullyQualifiedName": f"{finding.object} {finding.path}",
                "kind": "object",
            }
        ]
    }
    if finding.file:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": quote(finding.file)},
            "region": {"startLine": max(1, finding.line)},
        }
    told = f"{finding.object}: {finding.detail}. {finding.rule.why} {finding.rule.fix}"
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": told},
        "locations": [location],
        "partialFingerprints": {"objectAndPath/v1": _fingerprint(finding)},
    }


def _fingerprint(finding: Finding) -> str:
    """Return what stays the same while lines move."""
    parts = (finding.rule.id, finding.file, finding.object, finding.path)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
