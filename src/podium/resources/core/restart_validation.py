"""What is wrong with how containers end, start again, and take new resources while they run."""

from __future__ import annotations

from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, objects
from podium.resources.defaulting import given

POLICIES = ("Always", "Never", "OnFailure")
RULES_MAX = 20
EXIT_CODES_MAX = 255
_ACTIONS = ("Restart", "RestartAllContainers")
_OPERATORS = ("In", "NotIn")
_RESIZABLE = ("cpu", "memory")
_RESIZES = ("NotRequired", "RestartContainer")
_SIGNALS = {
    "linux": tuple(
        sorted(
            f"SIG{name}"
            for name in (
                *[
                    "ABRT",
                    "ALRM",
                    "BUS",
                    "CHLD",
                    "CLD",
                    "CONT",
                    "FPE",
                    "HUP",
                    "ILL",
                    "INT",
                    "IO",
                    "IOT",
                    "KILL",
                    "PIPE",
                    "POLL",
                    "PROF",
                    "PWR",
                    "QUIT",
                ],
                *[
                    "SEGV",
                    "STKFLT",
                    "STOP",
                    "SYS",
                    "TERM",
                    "TRAP",
                    "TSTP",
                    "TTIN",
                    "TTOU",
                    "URG",
                    "USR1",
                    "USR2",
                    "VTALRM",
                    "WINCH",
                    "XCPU",
                    "XFSZ",
                ],
                "RTMIN",
                "RTMAX",
                *(f"RTMIN+{number}" for number in range(1, 16)),
                *(f"RTMAX-{number}" for number in range(1, 15)),
            )
        )
    ),
    "windows": ("SIGKILL", "SIGTERM"),
}


def validate_restarts(container: Object, path: str, *, init: bool = False) -> Errors:
    """Check when a container starts again, by its own policy and rules.

    Of an init container without a policy, the rules are not looked at.
    """
    policy, rules = container.get("restartPolicy"), objects(container.get("restartPolicyRules"))
    errors: Errors = []
    if policy is None:
        if not rules:
            return []
        detail = "must specify restartPolicy when restart rules are used"
        errors.append(FieldError.required(f"{path}.restartPolicy", detail))
        if init:
            return errors
    elif policy not in POLICIES:
        errors.append(FieldError.not_supported(f"{path}.restartPolicy", policy, POLICIES))
    if len(rules) > RULES_MAX:
        errors.append(FieldError.too_many(f"{path}.restartPolicyRules", len(rules), RULES_MAX))
    for index, rule in enumerate(rules):
        errors += _rule(rule, f"{path}.restartPolicyRules[{index}]")
    return errors


def _rule(rule: Object, path: str) -> Errors:
    errors: Errors = []
    action, codes = str(rule.get("action") or ""), given(rule, "exitCodes")
    if action not in _ACTIONS:
        errors.append(FieldError.not_supported(f"{path}.action", action, _ACTIONS))
    if codes is None:
        return [*errors, FieldError.required(f"{path}.exitCodes", "must be specified")]
    operator, values = str(codes.get("operator") or ""), codes.get("values") or []
    if operator not in _OPERATORS:
        errors.append(FieldError.not_supported(f"{path}.exitCodes.operator", operator, _OPERATORS))
    if len(values) > EXIT_CODES_MAX:
        errors.append(FieldError.too_many(f"{path}.exitCodes.values", len(values), EXIT_CODES_MAX))
    return errors


def validate_resize_policy(container: Object, pod_restart_policy: str, path: str) -> Errors:
    """Check what new resources do to a container. Upstream names the list, not its items."""
    errors: Errors = []
    seen: set[str] = set()
    for index, policy in enumerate(objects(container.get("resizePolicy"))):
        name, restart = str(policy.get("resourceName") or ""), str(policy.get("restartPolicy") or "")
        if name in seen:
            errors.append(FieldError.duplicate(f"{path}[{index}]", name))
        seen.add(name)
        for value, values in ((name, _RESIZABLE), (restart, _RESIZES)):
            if not value:
                errors.append(FieldError.required(path))
            elif value not in values:
                errors.append(FieldError.not_supported(path, value, values))
        if pod_restart_policy == "Never" and restart != "NotRequired":
            detail = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            errors.append(FieldError.invalid(path, restart, detail))
    return errors


def validate_init_resize_policy(container: Object, path: str) -> Errors:
    """Refuse a restart to init containers that end by themselves."""
    if container.get("restartPolicy") == "Always":
        return []
    detail = "must not be set to 'RestartContainer' for non-sidecar initContainers"
    return [
        FieldError.invalid(f"{path}.resizePolicy[{index}].restartPolicy", "RestartContainer", detail)
        for index, policy in enumerate(objects(container.get("resizePolicy")))
        if policy.get("restartPolicy") == "RestartContainer"
    ]


def validate_stop_signal(signal: str, system: str, field: str) -> Errors:
    """Check the signal that a container is stopped with, which its system must know."""
    if not system:
        return [FieldError.forbidden(field, "may not be set for containers with empty `spec.os.name`")]
    known = _SIGNALS.get(system, ())
    return [FieldError.not_supported(field, signal, known)] if known and signal not in known else []
