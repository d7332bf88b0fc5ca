"""Writes docs/reference/ from the code itself, by `make docs`. A test fails when a page is out of date."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from podium.apiserver import admission
from podium.apiserver.authn.impersonation_metrics import ImpersonationMetrics
from podium.apiserver.authn.oidc.metrics import JwtMetrics
from podium.apiserver.authn.service_account_metrics import ServiceAccountMetrics
from podium.apiserver.authn.token_cache import TokenCacheMetrics
from podium.apiserver.authz.metrics import AuthorizationMetrics
from podium.apiserver.encryption.metrics import EncryptionMetrics
from podium.apiserver.metrics import ApiServerMetrics
from podium.apiserver.state_metrics import HealthMetrics
from podium.audit_report.catalogue import FAMILIES
from podium.audit_report.judge import IGNORE
from podium.base.metrics import Registry
from podium.base.process_metrics import add_process_metrics
from podium.client.measured import ClientMetrics
from podium.client.throttled import ThrottleMetrics
from podium.cloud.metrics import CloudMetrics
from podium.cmd import audit
from podium.cmd.cloud_controller_manager import all_controllers
from podium.cmd.feature_gates import VERSION
from podium.controllers.catalogue import Settings, catalogue
from podium.controllers.clustertrustbundle_publisher import BundleMetrics
from podium.controllers.device_taint_eviction import DeviceTaintMetrics
from podium.controllers.figures import FIGURES
from podium.controllers.resourcepoolstatusrequest import PoolMetrics
from podium.controllers.selinux_warning import conflict_figures
from podium.kubelet.metrics import KubeletMetrics
from podium.machinery.feature_gates import table
from podium.machinery.resource import Resource
from podium.resources.catalogue import declared
from podium.runtime.leader import LeaderMetrics
from podium.runtime.metrics import QueueMetrics, RunningMetrics
from podium.scheduler.metrics import SchedulerMetrics
from podium.scheduler.profile import default_profile

REFERENCE = Path(__file__).parent / "reference"
PROGRAMS = {
    "podium": "podium",
    "kube-apiserver": "kube_apiserver",
    "kube-controller-manager": "kube_controller_manager",
    "kube-scheduler": "kube_scheduler",
    "cloud-controller-manager": "cloud_controller_manager",
    "kubelet": "kubelet",
    "kube-proxy": "kube_proxy",
    "podium-dns": "podium_dns",
    "podium-simulate": "simulate",
}


def _managing(registry: Registry) -> object:
    return (
        QueueMetrics(registry),
        LeaderMetrics(registry),
        RunningMetrics(registry, "manager"),
        ClientMetrics(registry),
        ThrottleMetrics(registry),
    )


METRICS: dict[str, Callable[[Registry], object]] = {
    "every program": add_process_metrics,
    "kube-apiserver": lambda registry: (
        ApiServerMetrics(registry),
        ServiceAccountMetrics(registry),
        JwtMetrics(registry),
        TokenCacheMetrics(registry),
        AuthorizationMetrics(registry),
        ImpersonationMetrics(registry),
    ),
    "kube-apiserver, at /metrics/slis": HealthMetrics,
    "kube-apiserver, with --encryption-provider-config": EncryptionMetrics,
    "kube-controller-manager": lambda registry: (
        _managing(registry),
        BundleMetrics(registry),
        DeviceTaintMetrics(registry),
        PoolMetrics(registry),
        conflict_figures(registry),
        *(figures(registry) for figures in FIGURES),
    ),
    "cloud-controller-manager": lambda registry: (_managing(registry), CloudMetrics(registry)),
    "kube-scheduler": lambda registry: (
        SchedulerMetrics(registry, "default-scheduler"),
        LeaderMetrics(registry),
        ClientMetrics(registry),
    ),
    "kubelet": lambda registry: (
        KubeletMetrics(registry, "node", lambda: (0, 0, 0)),
        ClientMetrics(registry),
    ),
}
_MADE = "<!-- Made from the code by docs/generate.py; `make docs` makes it anew. -->\n"


def pages() -> dict[str, str]:
    """Return every page of the reference: file name -> text."""
    return {
        "commands.md": "\n".join(_commands()) + "\n",
        "components.md": "\n".join(_components()) + "\n",
        "feature-gates.md": "\n".join(_feature_gates()) + "\n",
        "metrics.md": "\n".join(_metrics()) + "\n",
        "audit-rules.md": "\n".join(_audit_rules()) + "\n",
    }


def _audit_rules() -> Iterator[str]:
    yield "# What `podium audit` looks for"
    yield _MADE
    yield (
        f"An object may break a rule that its annotation `{IGNORE}` names (several by commas, all by `*`);\n"
        "the annotation counts on the object, its pod template, its namespace. `--skip` leaves out rules.\n"
    )
    yield "The command's exit codes:\n"
    yield from _list(f"{code}: {text}" for code, text in audit.EXIT_CODES.items())
    yield ""
    for family in FAMILIES:
        yield f"## {family.name}"
        yield "| rule | severity | | why | what to do |"
        yield "|---|---|---|---|---|"
        for rule in family.rules:
            yield f"| `{rule.id}` | {rule.severity.word} | {rule.title} | {rule.why} | {rule.fix} |"
        yield ""


def _commands() -> Iterator[str]:
    yield "# Commands and flags"
    yield _MADE
    for program, module in PROGRAMS.items():
        parser: argparse.ArgumentParser = importlib.import_module(f"podium.cmd.{module}").parser()
        yield f"## {program}"
        yield from _flags(parser)
        for name, command in _subcommands(parser):
            yield f"### {program} {name}"
            yield f"{_sentence(command.description or '')}\n"
            yield from _flags(command)
        yield ""


def _subcommands(
    parser: argparse.ArgumentParser, prefix: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                if any(isinstance(a, argparse._SubParsersAction) for a in command._actions):
                    yield from _subcommands(command, f"{prefix}{name} ")
                else:
                    yield f"{prefix}{name}", command


def _flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    shown = [
        action
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
        and action.help != argparse.SUPPRESS
    ]
    if not shown:
        return
    yield "| flag | default | |"
    yield "|---|---|---|"
    for action in shown:
        names = (
            ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
        )
        yield f"| {names} | {_default(action)} | {_cell(action.help or '', parser.prog, action)} |"
    hidden = sorted(
        name
        for action in parser._actions
        if action.help == argparse.SUPPRESS
        for name in action.option_strings
    )
    yield ""
    if hidden:
        names = ", ".join(f"`{name}`" for name in hidden)
        yield f"Upstream's flags that are accepted and make no difference: {names}.\n"


def _default(action: argparse.Action) -> str:
    if action.required or not action.option_strings:
        return "required" if action.nargs not in ("?", "*") else ""
    value = action.default
    if value in (None, "", [], False) or "state-dir" in action.option_strings[-1]:
        return ""
    # Names and paths of the machine the page is made on are none of its business.
    if action.dest == "hostname_override":
        return "the machine's name"
    return f"`{value}`".lower() if isinstance(value, bool) else f"`{value}`"


def _cell(text: str, prog: str, action: argparse.Action) -> str:
    text = text.removesuffix(" (default: %(default)s)")
    return (text % {"default": action.default, "prog": prog} if "%(" in text else text).replace("|", "\\|")


def _components() -> Iterator[str]:
    yield "# Controllers, plugins and resources"
    yield _MADE
    yield "## Controllers"
    yield "In `kube-controller-manager`, chosen by `--controllers`.\n"
    yield from _list(controller.name for controller in catalogue(Settings()))
    yield "\nIn `cloud-controller-manager`, where the provider has what they need.\n"
    yield from _list(controller.name for controller in all_controllers())
    yield "\n## Scheduler plugins"
    yield "In `kube-scheduler`, in the order in which they run.\n"
    profile = default_profile()
    yield "Filters:\n"
    yield from _list(plugin.name for plugin in profile.filters)
    yield "\nScores, with their weights:\n"
    yield from _list(f"{plugin.name} ({plugin.weight})" for plugin in profile.scores)
    yield "\n## Admission plugins"
    yield "In `kube-apiserver`, in the order in which they run, but for `--disable-admission-plugins`.\n"
    yield from _list(admission.names())
    yield "\nOff by default, chosen by `--enable-admission-plugins`; some are configured in a file"
    yield "(`--admission-control-config-file`).\n"
    yield from _list(admission.rare_names())
    yield "\n## Resources"
    yield "What is not served by default is asked for with `--runtime-config`, by the key shown or by its own"
    yield "name. What stands behind a feature gate needs that too.\n"
    yield "| group and version | resource | kind | short names | served |"
    yield "|---|---|---|---|---|"
    for resource in declared(legacy=True):
        short = ", ".join(resource.short_names)
        shown = f"| `{resource.api_version}` | `{resource.plural}` | {resource.kind} | {short} "
        yield f"{shown}| {_served(resource)} |"


def _served(resource: Resource) -> str:
    """Say what has a resource served."""
    key = "by default"
    if resource.legacy:
        key = "`api/legacy`"
    elif "alpha" in resource.version:
        key = "`api/alpha`"
    elif "beta" in resource.version:
        key = "`api/beta`"
    return f"{key}, `{resource.gate}`" if resource.gate else key


def _feature_gates() -> Iterator[str]:
    yield "# Feature gates"
    yield _MADE
    yield f"The gates of {VERSION}, for `--feature-gates` of kube-apiserver, kube-controller-manager,"
    yield "kube-scheduler, kubelet and kube-proxy, which share them as upstream's do. `AllAlpha` and"
    yield "`AllBeta` turn all of a stage. A gate decides which resources are served and which fields of"
    yield "objects are kept; of what a gate means to upstream's programs besides, most has no counterpart"
    yield "here. A locked gate cannot be turned.\n"
    yield "| gate | stage | default | depends on |"
    yield "|---|---|---|---|"
    for gate in table(VERSION).values():
        default = ("on" if gate.default else "off") + (", locked" if gate.locked else "")
        yield f"| `{gate.name}` | {gate.stage} | {default} | {', '.join(gate.depends_on)} |"


def _metrics() -> Iterator[str]:
    yield "# Metrics"
    yield _MADE
    yield (
        "At `/metrics` of each. Names, types, labels and buckets are upstream's where it has them; "
        "what is left out, and why, is in [metrics.md](../metrics.md).\n"
    )
    for program, declare in METRICS.items():
        registry = Registry()
        declare(registry)
        yield f"## {program}"
        yield "| name | type | labels | |"
        yield "|---|---|---|---|"
        for name, family in sorted(registry.families.items()):
            labels = ", ".join(f"`{label}`" for label in family.label_names)
            yield f"| `{name}` | {family.kind} | {labels} | {family.text} |"
        yield ""


def _list(names: Iterable[str]) -> Iterator[str]:
    yield from (f"- {name}" for name in names)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def main() -> int:
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
