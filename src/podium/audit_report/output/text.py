"""The report for people."""

from __future__ import annotations

from collections.abc import Iterator

from podium.audit_report.finding import Finding, Severity
from podium.audit_report.judge import Report


def render(report: Report) -> str:
    """Return the findings object by object, the one with the worst first, and how many there are."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    by_object: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        by_object.setdefault((finding.file, finding.object), []).append(finding)
    for (file, name), findings in by_object.items():
        yield f"{name}  ({file})" if file else name
        for finding in findings:
            where = f":{finding.line}" if finding.line else ""
            yield f"  {finding.severity.word:<9}{finding.rule.id}: {finding.detail}"
            yield f"           at {finding.path}{f', line {where[1:]}' if where else ''}"
            yield f"           {finding.rule.why} {finding.rule.fix}"
        yield ""
    if report.unseen:
        yield "Not looked at:"
        yield from (f"  {line}" for line in report.unseen)
        yield ""
    yield summary(report)


def summary(report: Report) -> str:
    """Return one line that says how it stands."""
    counts = [
        f"{sum(finding.severity is severity for finding in report.findings)} {severity.word}"
        for severity in sorted(Severity, reverse=True)
    ]
    excepted = f"; {report.excepted} are excepted" if report.excepted else ""
    return f"{len(report.findings)} findings in {report.objects} objects: {', '.join(counts)}{excepted}"
