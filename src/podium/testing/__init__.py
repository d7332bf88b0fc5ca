"""Podium for tests of other projects: a whole cluster in a `with` block, or in a pytest fixture.

    from podium.testing import Cluster

    with Cluster(simulated_nodes=3) as cluster:
        subprocess.run(["kubectl", "apply", "-f", "app.yaml"], env={"KUBECONFIG": str(cluster.kubeconfig)})

    def test_my_operator(cluster):          # the fixture `cluster`, one for the whole test session
        config = kubernetes.config.load_kube_config(str(cluster.kubeconfig))

The control plane is the true one; nodes are simulated: their pods become Ready without containers. It needs
no root, no container runtime and no download.
"""

from podium.testing.cluster import Cluster, ClusterFailed

__all__ = ["Cluster", "ClusterFailed"]
