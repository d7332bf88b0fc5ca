"""Lifecycle hooks: postStart and preStop, by exec, httpGet or sleep."""

from __future__ import annotations

import asyncio
import ssl

from podium.kubelet.cri.runtime import Runtime, RuntimeFault
from podium.kubelet.probes import http_get
from podium.machinery.errors import Object

HOOK_TIMEOUT_S = 3600.0
"""An exec hook's own bound; a preStop hook's true bound is the pod's grace period."""


class HookFault(Exception):
    """The hook ran and failed, or could not be run."""


async def run_hook(runtime: Runtime, hook: Object, container: Object, container_id: str, ip: str) -> None:
    """Run a hook to its end. Raises HookFault."""
    if action := hook.get("exec"):
        command = [str(word) for word in action.get("command") or ()]
        try:
            result = await runtime.exec_sync(container_id, command, timeout_s=HOOK_TIMEOUT_S)
        except RuntimeFault as fault:
            raise HookFault(str(fault)) from fault
        if result.exit_code != 0:
            output = (result.stdout + result.stderr).decode(errors="replace").strip()
            words = " ".join(command)
            raise HookFault(f"command '{words}' exited with {result.exit_code}: {output}")
    elif action := hook.get("httpGet"):
        try:
            outcome = await http_get(action, container, ip)
        except (OSError, ssl.SSLError) as error:
            raise HookFault(str(error)) from error
        if not outcome.success:
            raise HookFault(outcome.output)
    elif action := hook.get("sleep"):
        await asyncio.sleep(int(action.get("seconds") or 0))
