"""`podium audit`: a report on a cluster, or on manifests, for people, programs and code hosts."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from podium.cmd import layout

if TYPE_CHECKING:
    from podium.audit_report.finding import Loaded
    from podium.audit_report.judge import Report, Settings

FOUND, FAILED = 1, 2
EXIT_CODES = {
    0: "nothing was found that is as severe as --fail-on says",
    FOUND: "something was",
    FAILED: "not all that was asked for could be looked at: wrong flags, a server that does not answer "
    "or shows nothing, a file that is missing, broken or holds no object",
}
FORMS = ("text", "json", "sarif")
SEVERITIES = ("low", "medium", "high", "critical")


def add_flags(made: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    made.epilog = "exit codes: " + "; ".join(f"{code}: {text}" for code, text in EXIT_CODES.items())
    add = made.add_argument
    add(
        *("-f", "--filename"),
        action="append",
        default=[],
        metavar="FILE|DIR|-",
        help="manifests to look at instead of a cluster: a file, a directory with all below it, standard "
        "input; may be repeated",
    )
    add("--kubeconfig", default="", metavar="PATH", help="the cluster (default: the one of --state-dir)")
    add("--context", default="", help="the kubeconfig's context")
    add("-n", "--namespace", default="", help="look at this namespace only")
    add("-o", "--output", choices=FORMS, default="text", help="form of the report (default: %(default)s)")
    add(
        "--allowed-registry",
        action="append",
        default=[],
        metavar="REGISTRY[/PATH]",
        help="where images may come from; may be repeated (default: anywhere)",
    )
    add("--fail-on", choices=SEVERITIES, help=f"exit with {FOUND} for findings that are as severe")
    add(
        "--skip",
        action="append",
        default=[],
        metavar="RULE,...",
        help="rules not to look at; single objects name theirs in the annotation audit.podium.dev/ignore",
    )
    add("--list-rules", action="store_true", help="print the rules, and look at nothing")
    add("--include-system", action="store_true", help="also kube-* namespaces and Kubernetes' own roles")
    add(
        "--kubernetes-version", default="", help="release that objects are for (default: the one served here)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the report; return the exit code."""
    from podium.audit_report.judge import judge  # noqa: PLC0415
    from podium.machinery.errors import ApiError  # noqa: PLC0415

    if arguments.list_rules:
        return _list_rules()
    try:
        settings = _settings(arguments)
        loaded = _load(arguments)
    except (OSError, ValueError, ApiError) as error:
        print(f"podium: {error}", file=sys.stderr)
        return FAILED
    report = judge(loaded, settings)
    sys.stdout.write(_rendered(report, arguments.output))
    if arguments.output != "text":
        for line in report.unseen:
            print(f"podium: not looked at: {line}", file=sys.stderr)
    return _code(report, arguments.fail_on) or (FAILED if loaded.failed else 0)


def _list_rules() -> int:
    from podium.audit_report.catalogue import RULES  # noqa: PLC0415

    width = max(map(len, RULES))
    for rule in RULES.values():
        print(f"{rule.id:{width}}  {rule.severity.word:8}  {rule.title}")
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    from podium.audit_report.catalogue import RULES  # noqa: PLC0415
    from podium.audit_report.checks.versions import release_of  # noqa: PLC0415
    from podium.audit_report.judge import Settings  # noqa: PLC0415
    from podium.cmd.feature_gates import VERSION  # noqa: PLC0415

    skipped = {name.strip() for given in arguments.skip for name in given.split(",")} - {""}
    if unknown := sorted(skipped - RULES.keys()):
        raise ValueError(f"--skip: there is no rule {', '.join(unknown)}; --list-rules tells which there are")
    if arguments.filename and (arguments.kubeconfig or arguments.context):
        raise ValueError("--filename looks at manifests: --kubeconfig and --context mean nothing with it")
    release = release_of(arguments.kubernetes_version or VERSION)
    if release is None:
        raise ValueError(f"--kubernetes-version: no release: {arguments.kubernetes_version!r}")
    return Settings(
        namespace=arguments.namespace,
        registries=arguments.allowed_registry,
        skipped=skipped,
        system=arguments.include_system,
        release=release,
    )


def _load(arguments: argparse.Namespace) -> Loaded:
    if arguments.filename:
        from podium.audit_report import manifests  # noqa: PLC0415

        return manifests.load(arguments.filename, namespace=arguments.namespace)
    return asyncio.run(_live(_kubeconfig(arguments), arguments))


def _kubeconfig(arguments: argparse.Namespace) -> str:
    """Return whose cluster it is: the one named, this machine's, or the one that kubectl would ask."""
    if arguments.kubeconfig:
        return str(Path(arguments.kubeconfig).expanduser())
    cluster = layout.load(arguments.state_dir)
    if cluster is not None and cluster.kubeconfig.exists():
        return str(cluster.kubeconfig)
    named = os.environ.get("KUBECONFIG", "").partition(os.pathsep)[0]
    return named or str(Path("~/.kube/config").expanduser())


async def _live(path: str, arguments: argparse.Namespace) -> Loaded:
    from podium.audit_report import live  # noqa: PLC0415
    from podium.client.kubeconfig import client_from_kubeconfig  # noqa: PLC0415

    client = client_from_kubeconfig(path, user_agent="podium-audit", context=arguments.context)
    try:
        return await live.load(client, namespace=arguments.namespace)
    finally:
        await client.close()


def _rendered(report: Report, form: str) -> str:
    from podium.audit_report.output import json, sarif, text  # noqa: PLC0415

    renders = {"text": text.render, "json": json.render, "sarif": sarif.render}
    return renders[form](report)


def _code(report: Report, fail_on: str | None) -> int:
    from podium.audit_report.finding import SEVERITIES  # noqa: PLC0415

    worst = report.worst()
    return FOUND if fail_on and worst is not None and worst >= SEVERITIES[fail_on] else 0
