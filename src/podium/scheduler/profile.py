"""The default scheduler's plugins, in upstream's order."""

from __future__ import annotations

from podium.scheduler.framework import Profile
from podium.scheduler.plugins.node_affinity import NodeAffinity, NodeAffinityNames
from podium.scheduler.plugins.node_name import NodeName
from podium.scheduler.plugins.node_ports import NodePorts
from podium.scheduler.plugins.node_resources_fit import NodeResourcesFit
from podium.scheduler.plugins.node_unschedulable import NodeUnschedulable
from podium.scheduler.plugins.pod_topology_spread import PodTopologySpread
from podium.scheduler.plugins.taint_toleration import TaintToleration
from podium.scheduler.plugins.volume_binding import VolumeBinding, VolumeClaims
from podium.scheduler.volumes import Volumes


def default_profile(volumes: Volumes | None = None) -> Profile:
    """Return what a pod without a word about its scheduler gets. `volumes`: what is known of those."""
    known = volumes or Volumes()
    return Profile(
        filters=(
            NodeAffinityNames(),
            VolumeClaims(known),
            NodeUnschedulable(),
            NodeName(),
            TaintToleration(),
            NodeAffinity(),
            NodePorts(),
            NodeResourcesFit(),
            VolumeBinding(known),
            PodTopologySpread(),
        ),
        scores=(TaintToleration(), NodeAffinity(), NodeResourcesFit(), PodTopologySpread()),
    )
