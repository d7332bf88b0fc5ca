"""AlwaysPullImages: nobody runs an image that is on the node without showing that they may pull it."""

from __future__ import annotations

from collections.abc import Iterator

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused
from podium.apiserver.chain import Attributes
from podium.machinery.errors import FieldError, Object
from podium.resources.core.pods import PODS

ALWAYS = "Always"
_LISTS = ("initContainers", "containers", "ephemeralContainers")


class AlwaysPullImages(Plugin):
    name = "AlwaysPullImages"
    resources = (PODS,)

    async def admit(self, attributes: Attributes) -> None:
        pod = _concerned(attributes)
        if pod is None:
            return
        for _, container in _containers(pod):
            container["imagePullPolicy"] = ALWAYS
        for volume in (pod.get("spec") or {}).get("volumes") or ():
            if volume.get("image") is not None:
                volume["image"]["pullPolicy"] = ALWAYS

    async def validate(self, attributes: Attributes) -> None:
        pod = _concerned(attributes)
        if pod is None:
            return
        wrong = [
            FieldError.not_supported(
                f"{path}.imagePullPolicy", container.get("imagePullPolicy") or "", (ALWAYS,)
            )
            for path, container in _containers(pod)
            if container.get("imagePullPolicy") != ALWAYS
        ]
        for index, volume in enumerate((pod.get("spec") or {}).get("volumes") or ()):
            image = volume.get("image")
            if image is not None and image.get("pullPolicy") != ALWAYS:
                path = f"spec.volumes[{index}].image.pullPolicy"
                wrong.append(FieldError.not_supported(path, image.get("pullPolicy") or "", (ALWAYS,)))
        if wrong:
            raise refused(attributes, str(wrong[0]))


def _concerned(attributes: Attributes) -> Object | None:
    """Return the pod of a write that brings images; None for any other."""
    pod = concerns(attributes, PODS, "CREATE", "UPDATE")
    if pod is None or attributes.old_object is None:
        return pod
    old = {container.get("image") for _, container in _containers(attributes.old_object)}
    return pod if any(container.get("image") not in old for _, container in _containers(pod)) else None


def _containers(pod: Object) -> Iterator[tuple[str, Object]]:
    for key in _LISTS:
        for index, container in enumerate((pod.get("spec") or {}).get(key) or ()):
            yield f"spec.{key}[{index}]", container
