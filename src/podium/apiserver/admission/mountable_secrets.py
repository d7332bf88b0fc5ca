"""Which secrets a pod may name, where its service account says that only its own may be.

By the annotation `kubernetes.io/enforce-mountable-secrets`. Upstream: plugin/pkg/admission/serviceaccount.
"""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery import meta
from podium.machinery.errors import Object

ANNOTATION = "kubernetes.io/enforce-mountable-secrets"
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_CONTAINERS = {"initContainers": "init container", "containers": "container"}
_EPHEMERAL = {"ephemeralContainers": "ephemeral container"}


def enforced(account: Object) -> bool:
    """Whether the account limits what its pods may name."""
    return meta.annotations(account).get(ANNOTATION) in _TRUE


def forbidden(account: Object, pod: Object, *, ephemeral: bool) -> str:
    """Return what is said of the first secret that the account does not name, "" when there is none.

    `ephemeral`: it is only about ephemeral containers, the others were there before.
    """
    spec: Object = pod.get("spec") or {}
    named = {one.get("name") for one in account.get("secrets") or ()}
    name = meta.name(account)
    for secret, where in _of_containers(spec, _EPHEMERAL) if ephemeral else _of_pod(spec):
        if secret not in named:
            return f"{where} is not allowed because service account {name} does not reference that secret"
    if ephemeral:
        return ""
    pulled = {one.get("name") for one in account.get("imagePullSecrets") or ()}
    for index, one in enumerate(spec.get("imagePullSecrets") or ()):
        if one.get("name") not in pulled:
            where = f'imagePullSecrets[{index}].name="{one.get("name") or ""}"'
            why = f"because service account {name} does not reference that imagePullSecret"
            return f"{where} is not allowed {why}"
    return ""


def _of_pod(spec: Object) -> Iterator[tuple[str, str]]:
    for volume in spec.get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName")
        if secret:
            yield secret, f'volume with secret.secretName="{secret}"'
    yield from _of_containers(spec, _CONTAINERS)


def _of_containers(spec: Object, kinds: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the secrets that environments name, each with how it is spoken of."""
    for field, kind in kinds.items():
        for container in spec.get(field) or ():
            who = f"{kind} {container.get('name') or ''}"
            for variable in container.get("env") or ():
                secret = meta.dig(variable, "valueFrom", "secretKeyRef", "name", default="")
                if secret:
                    named = f'envVar {variable.get("name") or ""} referencing secret.secretName="{secret}"'
                    yield secret, f"{who} with {named}"
            for source in container.get("envFrom") or ():
                secret = meta.dig(source, "secretRef", "name", default="")
                if secret:
                    yield secret, f'{who} with envFrom referencing secret.secretName="{secret}"'
