"""Controllers at work with upstream's rights alone: what one may not do would show in the log."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.controllers.test_csr_signing import CLIENT, parsed, request
from tests.volumes import storage_class
from tests.wire.server import Running, controllers, running

TRIES_MAX = 200
GATES = (
    "ClusterTrustBundle,DRADeviceTaintRules,DRAResourcePoolStatus,GenericWorkload,PodCertificateRequest"
    ",StorageVersionAPI"
)
"""Features that are off by default and have controllers."""
GATES_ON = f"--feature-gates={GATES.replace(',', '=true,')}=true"
SERVED = (
    "certificates.k8s.io/v1beta1,resource.k8s.io/v1alpha3,resource.k8s.io/v1beta2,scheduling.k8s.io/v1alpha2"
    ",internal.apiserver.k8s.io/v1alpha1"
)
MANAGED = "volumes.kubernetes.io/controller-managed-attach-detach"


@dataclass
class Cluster:
    server: Running
    directory: Path

    def kubectl(self, *arguments: str, stdin: Any = None) -> str:
        flags = [f"--server={self.server.url}", f"--certificate-authority={self.server.ca_file}"]
        flags += [f"--token={self.server.token}", f"--cache-dir={self.directory / 'cache'}"]
        done = subprocess.run(
            ["kubectl", *flags, *arguments],
            input="" if stdin is None else json.dumps(stdin),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *objects: Any) -> None:
        self.kubectl("apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": objects})

    def wait(self, condition: str, *what: str) -> None:
        self.kubectl("wait", f"--for={condition}", *what, "--timeout=30s")

    def until(self, arguments: str, seen: Callable[[str], bool]) -> str:
        for _ in range(TRIES_MAX):
            text = self.kubectl(*arguments.split())
            if seen(text):
                return text
        raise AssertionError(text)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("rights")
    with running(directory, GATES_ON, f"--runtime-config={SERVED}") as server:
        flags = ("--enable-hostpath-provisioner", "--controllers=*,selinux-warning", GATES_ON)
        with controllers(server, directory, *flags):
            yield Cluster(server, directory)
        log = (directory / "kube-controller-manager.log").read_text()
        assert "Forbidden(" not in log and "Invalid(" not in log and "crashed" not in log, log


def _claim(name: str, storage_class: str) -> Any:
    spec = {
        "storageClassName": storage_class,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def test_a_volume_is_made_and_deleted(cluster: Cluster) -> None:
    cluster.apply(storage_class("made", "kubernetes.io/host-path", default=True))
    without_class = _claim("data", "")
    del without_class["spec"]["storageClassName"]
    cluster.apply(without_class)
    cluster.wait("jsonpath={.status.phase}=Bound", "pvc/data")
    volume = json.loads(cluster.kubectl("get", "pv", "-o", "json"))["items"][0]
    path = Path(volume["spec"]["hostPath"]["path"])
    assert path.is_dir()
    assert volume["metadata"]["annotations"]["pv.kubernetes.io/provisioned-by"] == "kubernetes.io/host-path"
    cluster.kubectl("delete", "pvc/data")
    cluster.wait("delete", f"pv/{volume['metadata']['name']}")
    assert not path.exists()


def test_a_volume_is_emptied_by_a_pod(cluster: Cluster) -> None:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Recycle",
        "storageClassName": "old",
        "hostPath": {"path": "/data"},
    }
    cluster.apply(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "old"}, "spec": spec},
        _claim("old", "old"),
    )
    cluster.wait("jsonpath={.status.phase}=Bound", "pvc/old")
    cluster.kubectl("delete", "pvc/old")
    cluster.wait("create", "pod/recycler-for-old")
    done = {"status": {"phase": "Succeeded"}}
    cluster.kubectl("patch", "pod/recycler-for-old", "--subresource=status", "-p", json.dumps(done))
    cluster.wait("jsonpath={.status.phase}=Available", "pv/old")
    cluster.wait("delete", "pod/recycler-for-old")


def test_a_kubelets_request_is_approved_and_signed(cluster: Cluster) -> None:
    asked = request(parsed("system:node:a", "system:nodes"), "kube-apiserver-client-kubelet", CLIENT)
    made = {**asked, "metadata": {"name": "kubelet"}}
    del made["status"], made["spec"]["username"]
    cluster.apply(made)
    cluster.wait("condition=Approved", "csr/kubelet")
    cluster.until("get csr kubelet -o jsonpath={.status.certificate}", bool)


def test_a_range_of_addresses_comes_and_goes(cluster: Cluster) -> None:
    cluster.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": "more"},
            "spec": {"cidrs": ["10.200.0.0/24"]},
        }
    )
    cluster.wait("condition=Ready", "servicecidr/more")
    cluster.kubectl("delete", "servicecidr/more", "--wait=false")


def test_endpoints_are_mirrored(cluster: Cluster) -> None:
    subset = {"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "db"},
            "spec": {"ports": [{"port": 80}]},
        },
        {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "db"}, "subsets": [subset]},
    )
    cluster.until(
        "get endpointslices -l kubernetes.io/service-name=db -o jsonpath={.items[*].endpoints[*].addresses}",
        lambda text: text == '["10.1.2.3"]',
    )


def test_a_disk_is_attached_and_detached_and_grows(cluster: Cluster) -> None:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "disks",
        "csi": {"driver": "disks.example.com", "volumeHandle": "h"},
    }
    pod = {
        "nodeName": "n1",
        "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "disk"}}],
    }
    cluster.apply(
        storage_class("disks", allowVolumeExpansion=True),
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "annotations": {MANAGED: "true"}}},
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "disk"}, "spec": spec},
        _claim("disk", "disks"),
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user"}, "spec": pod},
    )
    name = cluster.until("get volumeattachments -o name", bool).strip()
    attached = {"status": {"attached": True}}
    cluster.kubectl("patch", name, "--subresource=status", "--type=merge", "-p", json.dumps(attached))
    cluster.wait(
        "jsonpath={.status.volumesAttached[0].name}=kubernetes.io/csi/disks.example.com^h", "node/n1"
    )
    more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    cluster.kubectl("patch", "pvc/disk", "-p", json.dumps(more))
    cluster.until(
        "get events -o jsonpath={.items[*].message}",
        lambda text: "waiting for an external controller to expand this PVC" in text,
    )
    cluster.kubectl("delete", "pod/user", "--force")
    cluster.wait("delete", name)


def _pod(name: str, **spec: Any) -> Any:
    spec = {"containers": [{"name": "c", "image": "i"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_a_group_of_pods_stays_until_they_are_gone(cluster: Cluster) -> None:
    group = {
        "apiVersion": "scheduling.k8s.io/v1alpha2",
        "kind": "PodGroup",
        "metadata": {"name": "crew"},
        "spec": {"schedulingPolicy": {"basic": {}}},
    }
    cluster.apply(group, _pod("sailor", schedulingGroup={"podGroupName": "crew"}))
    cluster.kubectl("delete", "podgroup/crew", "--wait=false")
    cluster.wait("jsonpath={.metadata.deletionTimestamp}", "podgroup/crew")
    cluster.kubectl("delete", "pod/sailor", "--force")
    cluster.wait("delete", "podgroup/crew")


def test_the_servers_ca_is_published(cluster: Cluster) -> None:
    signer = "spec.signerName=kubernetes.io/kube-apiserver-serving"
    read = f"get clustertrustbundles --field-selector={signer} -o jsonpath={{.items[*].spec.trustBundle}}"
    ca = cluster.server.ca_file.read_text()
    assert cluster.until(read, bool) == ca
    other = cluster.until(f"get clustertrustbundles --field-selector={signer} -o name", bool).strip()
    assert other.split("/")[1].startswith("kubernetes.io:kube-apiserver-serving:")
    cluster.kubectl("delete", other)
    cluster.until(read, lambda text: text == ca)


def test_rules_and_questions_about_devices_are_answered(cluster: Cluster) -> None:
    taint = {"key": "broken", "effect": "NoExecute"}
    device_slice = {
        "nodeName": "n1",
        "driver": "gpu.example.com",
        "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": "a"}, {"name": "b"}],
    }
    cluster.apply(
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceSlice",
            "metadata": {"name": "s"},
            "spec": device_slice,
        },
        {
            "apiVersion": "resource.k8s.io/v1beta2",
            "kind": "DeviceTaintRule",
            "metadata": {"name": "r"},
            "spec": {"deviceSelector": {"pool": "p"}, "taint": taint},
        },
        {
            "apiVersion": "resource.k8s.io/v1alpha3",
            "kind": "ResourcePoolStatusRequest",
            "metadata": {"name": "q"},
            "spec": {"driver": "gpu.example.com"},
        },
    )
    cluster.wait("jsonpath={.status.conditions[0].reason}=NotStarted", "devicetaintrule/r")
    cluster.wait("condition=Complete", "resourcepoolstatusrequest/q")
    pools = "get resourcepoolstatusrequest/q -o jsonpath={.status.pools[0].availableDevices}"
    assert cluster.kubectl(*pools.split()) == "2"


def test_how_a_server_that_is_gone_stored_things_is_forgotten(cluster: Cluster) -> None:
    cluster.apply(
        {
            "apiVersion": "internal.apiserver.k8s.io/v1alpha1",
            "kind": "StorageVersion",
            "metadata": {"name": "apps.deployments"},
            "spec": {},
        }
    )
    entry = {"apiServerID": "gone", "encodingVersion": "apps/v1", "decodableVersions": ["apps/v1"]}
    status = {"status": {"commonEncodingVersion": "apps/v1", "storageVersions": [entry]}}
    cluster.kubectl(
        *("patch", "storageversion/apps.deployments", "--subresource=status", "--type=merge"),
        *("-p", json.dumps(status)),
    )
    cluster.wait("delete", "storageversion/apps.deployments")


def test_labels_that_do_not_go_together_are_told_of(cluster: Cluster) -> None:
    disk = {"targetPortal": "192.0.2.1:3260", "iqn": "iqn.2001-04.com.example:disk", "lun": 0}
    mount = {"name": "c", "image": "i", "volumeMounts": [{"name": "d", "mountPath": "/d"}]}
    for name, level in (("low", "s0:c1,c2"), ("high", "s0:c3,c4")):
        context = {"seLinuxOptions": {"level": level}}
        cluster.apply(
            _pod(name, containers=[mount], volumes=[{"name": "d", "iscsi": disk}], securityContext=context)
        )
    cluster.until(
        "get events -o jsonpath={range.items[*]}{.involvedObject.name}:{.reason},{end}",
        lambda text: "low:SELinuxLabelConflict" in text and "high:SELinuxLabelConflict" in text,
    )
