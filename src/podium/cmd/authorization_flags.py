"""kube-apiserver's flags of authorization: which authorizers, in which order, and where they look."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from podium.apiserver.authz import Options
from podium.apiserver.authz.configuration import (
    AUTHORIZED_TTL_S,
    MODES,
    UNAUTHORIZED_TTL_S,
    Webhook,
    of_modes,
    parse,
)
from podium.cmd.durations import duration_s

if TYPE_CHECKING:
    from podium.apiserver.authz.abac import Policy

DEFAULT_MODES = "Node,RBAC"
_WEBHOOK_VERSION = "v1beta1"
_LEGACY = (
    "authorization_mode",
    "authorization_webhook_config_file",
    "authorization_webhook_version",
    "authorization_webhook_cache_authorized_ttl",
    "authorization_webhook_cache_unauthorized_ttl",
)


def add_flags(made: argparse.ArgumentParser) -> None:
    """Declare the flags. What is not given is None, because a configuration file excludes most of them."""
    add = made.add_argument
    add(
        "--authorization-mode",
        default=None,
        help=f"authorizers in the order they are asked, comma-separated: {', '.join(MODES)} "
        f"(default {DEFAULT_MODES})",
    )
    add(
        "--authorization-config", default="", help="file with the chain of authorizers, read again on changes"
    )
    add("--authorization-policy-file", default="", help="policies of mode ABAC, one to a line")
    add("--authorization-webhook-config-file", default=None, help="kubeconfig of mode Webhook's server")
    add(
        "--authorization-webhook-version",
        default=None,
        help=f"version of the SubjectAccessReviews sent to it: v1 or v1beta1 (default {_WEBHOOK_VERSION})",
    )
    add(
        "--authorization-webhook-cache-authorized-ttl",
        type=duration_s,
        default=None,
        help="how long what the webhook allows is kept (default 5m)",
    )
    add(
        "--authorization-webhook-cache-unauthorized-ttl",
        type=duration_s,
        default=None,
        help="how long what the webhook does not allow is kept (default 30s)",
    )


def options(made: argparse.ArgumentParser, arguments: argparse.Namespace, version: str) -> Options:
    """Return what the flags ask for; ends the program with a message when they make no sense.

    `version` is the minor Kubernetes version that is served.
    """
    if arguments.authorization_config:
        return _of_file(made, arguments, version)
    modes = _names(
        arguments.authorization_mode if arguments.authorization_mode is not None else DEFAULT_MODES
    )
    errors = _errors(modes, arguments)
    if errors:
        made.error("; ".join(errors))
    webhook = _webhook(arguments) if "Webhook" in modes else None
    policies = _policies(made, arguments.authorization_policy_file)
    return Options(chain=of_modes(modes, webhook), policies=policies, version=version)


def _of_file(made: argparse.ArgumentParser, arguments: argparse.Namespace, version: str) -> Options:
    if any(getattr(arguments, name) is not None for name in _LEGACY):
        made.error(
            "--authorization-config can not be specified when --authorization-mode or "
            "--authorization-webhook-* flags are defined"
        )
    path = arguments.authorization_config
    try:
        content = Path(path).read_bytes()
        chain = parse(content, version=version)
    except (OSError, ValueError) as error:
        made.error(f"--authorization-config: {error}")
    types = {one.type for one in chain}
    if "ABAC" in types and not arguments.authorization_policy_file:
        made.error("--authorization-config: ABAC needs --authorization-policy-file")
    policies = _policies(made, arguments.authorization_policy_file)
    return Options(chain=chain, policies=policies, file=path, file_content=content, version=version)


def _errors(modes: Sequence[str], arguments: argparse.Namespace) -> list[str]:
    errors = []
    if not modes:
        errors.append("at least one authorization-mode must be passed")
    policy_file, config_file = (
        arguments.authorization_policy_file,
        arguments.authorization_webhook_config_file,
    )
    for mode in modes:
        if mode not in MODES:
            errors.append(f'authorization-mode "{mode}" is not a valid mode')
        if mode == "ABAC" and not policy_file:
            errors.append("authorization-mode ABAC's authorization policy file not passed")
        if mode == "Webhook" and not config_file:
            errors.append("authorization-mode Webhook's authorization config file not passed")
    if policy_file and "ABAC" not in modes:
        errors.append("cannot specify --authorization-policy-file without mode ABAC")
    if config_file and "Webhook" not in modes:
        errors.append("cannot specify --authorization-webhook-config-file without mode Webhook")
    if len(modes) != len(set(modes)):
        shown = " ".join(f'"{mode}"' for mode in modes)
        errors.append(f"authorization-mode [{shown}] has mode specified more than once")
    version = arguments.authorization_webhook_version
    if version not in (None, "v1", "v1beta1"):
        supported = 'supported versions are "v1", "v1beta1"'
        errors.append(f'unsupported webhook authorizer version "{version}", {supported}')
    return errors


def _webhook(arguments: argparse.Namespace) -> Webhook:
    authorized_s = arguments.authorization_webhook_cache_authorized_ttl
    unauthorized_s = arguments.authorization_webhook_cache_unauthorized_ttl
    return Webhook(
        authorized_ttl_s=AUTHORIZED_TTL_S if authorized_s is None else authorized_s,
        unauthorized_ttl_s=UNAUTHORIZED_TTL_S if unauthorized_s is None else unauthorized_s,
        version=arguments.authorization_webhook_version or _WEBHOOK_VERSION,
        kubeconfig=arguments.authorization_webhook_config_file,
    )


def _policies(made: argparse.ArgumentParser, path: str) -> Sequence[Policy]:
    if not path:
        return ()
    from podium.apiserver.authz import abac  # noqa: PLC0415 - few clusters have policies in a file

    try:
        return abac.read(path)
    except (OSError, ValueError) as error:
        made.error(f"--authorization-policy-file: {error}")


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]
