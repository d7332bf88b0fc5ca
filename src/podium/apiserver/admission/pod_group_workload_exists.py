"""PodGroupWorkloadExists: the template that a group of pods says it was made from must exist."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused
from podium.apiserver.chain import Attributes, Reader
from podium.machinery import meta
from podium.resources.scheduling.podgroups import PODGROUPS
from podium.resources.scheduling.workloads import WORKLOADS


class PodGroupWorkloadExists(Plugin):
    name = "PodGroupWorkloadExists"
    resources = (PODGROUPS,)

    def __init__(self, reader: Reader) -> None:
        self._workloads = reader.cached(WORKLOADS)

    async def validate(self, attributes: Attributes) -> None:
        group = concerns(attributes, PODGROUPS, "CREATE")
        reference = meta.dig(group or {}, "spec", "podGroupTemplateRef", "workload")
        if reference is None:
            return
        name, template = reference.get("workloadName") or "", reference.get("podGroupTemplateName") or ""
        workload = self._workloads.get(attributes.namespace, name)
        if workload is None:
            raise refused(attributes, f'PodGroup rejected: Workload "{name}" not found')
        if workload["metadata"].get("deletionTimestamp"):
            raise refused(attributes, f'PodGroup rejected: Workload "{name}" is being deleted')
        templates = meta.dig(workload, "spec", "podGroupTemplates", default=())
        if all(one.get("name") != template for one in templates):
            missing = f'PodGroupTemplate "{template}" not found in Workload "{name}"'
            raise refused(attributes, f"PodGroup rejected: {missing}")
