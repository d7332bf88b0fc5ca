"""Which certificates of pods a node may ask for: those of real pods on it, with everything named as it is."""

from __future__ import annotations

from podium.apiserver.admission.writes import refused
from podium.apiserver.authz.node_references import MIRROR_POD
from podium.apiserver.chain import Attributes, Reader
from podium.machinery import meta
from podium.machinery.errors import PlainError
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS


class PodCertificates:
    """Compares a PodCertificateRequest with what it names."""

    def __init__(self, reader: Reader) -> None:
        self._pods = reader.cached(PODS)
        self._nodes = reader.cached(NODES)
        self._accounts = reader.cached(SERVICEACCOUNTS)

    def check(self, node: str, attributes: Attributes) -> None:
        """Refuse what does not fit. Raises `Forbidden`, and `PlainError` for what a retry may mend."""
        if attributes.operation != "CREATE":
            raise refused(attributes, f"unexpected operation {attributes.operation}")
        if attributes.subresource:
            raise refused(attributes, f"unexpected subresource {attributes.subresource}")
        spec = (attributes.object or {}).get("spec") or {}
        asked, what = spec.get("nodeName"), "PodCertificateRequest"
        if asked != node:
            why = f'{what}.Spec.NodeName="{asked}", which is not the requesting node "{node}"'
            raise refused(attributes, why)
        found = self._nodes.get(None, node)
        if found is None:
            raise PlainError(f'while retrieving node "{node}" named in the {what}: node "{node}" not found')
        namespace, name = attributes.namespace, spec.get("podName") or ""
        shown = f'"{namespace}/{name}"'
        if meta.uid(found) != spec.get("nodeUID"):
            uids = f'"{spec.get("nodeUID")}", inconsistent with the running node ("{meta.uid(found)}")'
            raise PlainError(f"{what} for pod {shown} names node UID {uids}")
        pod = self._pods.get(namespace, name)
        if pod is None:
            raise PlainError(f'while retrieving pod {shown} named in the {what}: pod "{name}" not found')
        if meta.uid(pod) != spec.get("podUID"):
            uids = f'("{spec.get("podUID")}") which differs from running pod "{meta.uid(pod)}"'
            raise PlainError(f"{what} for pod {shown} contains pod UID {uids}")
        if meta.dig(pod, "spec", "nodeName") != node:
            raise refused(attributes, f'pod {shown} is not running on node "{node}" named in the {what}')
        if MIRROR_POD in meta.annotations(pod):
            raise refused(attributes, f"pod {shown} is a mirror pod")
        self._check_account(attributes, shown, meta.dig(pod, "spec", "serviceAccountName", default=""))

    def _check_account(self, attributes: Attributes, shown: str, running: str) -> None:
        spec = (attributes.object or {}).get("spec") or {}
        asked, what = spec.get("serviceAccountName") or "", "PodCertificateRequest"
        if asked != running:
            names = f'("{asked}") that differs from running pod ("{running}")'
            raise refused(attributes, f"{what} for pod {shown} contains serviceAccountName {names}")
        account = self._accounts.get(attributes.namespace, asked)
        if account is None:
            missing = f'serviceaccount "{asked}" not found'
            named = f'"{attributes.namespace}/{asked}" named in the {what}'
            raise PlainError(f"while retrieving service account {named}: {missing}")
        if meta.uid(account) != spec.get("serviceAccountUID"):
            uids = f'"{spec.get("serviceAccountUID")}", which differs from the running service account '
            raise PlainError(
                f'{what} for pod {shown} names service account UID {uids}("{meta.uid(account)}")'
            )
