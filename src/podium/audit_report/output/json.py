"""The report for programs."""

from __future__ import annotations

import orjson

from podium.audit_report.finding import Finding, Severity
from podium.audit_report.judge import Report
from podium.machinery.errors import Object


def render(report: Report) -> str:
    """Return the report as one JSON object."""
    value = {
        "findings": [_finding(one) for one in report.findings],
        "unseen": list(report.unseen),
        "summary": {
            "objects": report.objects,
            "excepted": report.excepted,
            **{
                severity.word: sum(one.severity is severity for one in report.findings)
                for severity in sorted(Severity, reverse=True)
            },
        },
    }
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n"


def _finding(finding: Finding) -> Object:
    made: Object = {
        "rule": finding.rule.id,
        "severity": finding.severity.word,
        "title": finding.rule.title,
        "object": {
            "apiVersion": finding.api_version,
            "kind": finding.kind,
            "namespace": finding.namespace,
            "name": finding.name,
        },
        "path": finding.path,
        "detail": finding.detail,
        "why": finding.rule.why,
        "fix": finding.rule.fix,
    }
    if finding.file:
        made["file"], made["line"] = finding.file, finding.line
    return made
