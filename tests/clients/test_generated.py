"""A client generated from the published OpenAPI, by a generator that knows nothing of Kubernetes."""

from __future__ import annotations

import base64
import importlib
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import RunningCluster

pytest.importorskip("openapi_python_client")

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]

# Patches are no JSON schema's business.
_OVERRIDES = {
    "application/apply-patch+yaml": "application/json",
    "application/json-patch+json": "application/json",
    "application/merge-patch+json": "application/json",
    "application/strategic-merge-patch+json": "application/json",
}


@pytest.fixture(scope="module")
def package(cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    work = tmp_path_factory.mktemp("generated")
    document, config = work / "core_v1.json", work / "config.json"
    # Upstream, too, says `*/*` of request bodies, which this generator would send as the Content-Type, and
    # that structures default to {}, which it does not take.
    published = cluster.kubectl("get", "--raw", "/openapi/v3/api/v1")
    published = published.replace(',"default":{}', "")
    document.write_text(published.replace('"*/*"', '"application/json"'))
    config.write_text(json.dumps({"content_type_overrides": _OVERRIDES, "post_hooks": []}))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta=none"),
            *(
                "--path",
                str(document),
                "--config",
                str(config),
                "--output-path",
                str(work / "generated_core"),
            ),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(work))
    yield "generated_core"
    sys.path.remove(str(work))


@pytest.fixture
def client(package: str, cluster: RunningCluster, tmp_path: Path) -> Iterator[Any]:
    config = json.loads((cluster.state_dir / "kubeconfig").read_text())
    files = {}
    for name, value in {**config["users"][0]["user"], **config["clusters"][0]["cluster"]}.items():
        if name.endswith("-data"):
            files[name] = tmp_path / name
            files[name].write_bytes(base64.b64decode(value))
    context = ssl.create_default_context(cafile=str(files["certificate-authority-data"]))
    context.load_cert_chain(files["client-certificate-data"], files["client-key-data"])
    url = config["clusters"][0]["cluster"]["server"]
    with importlib.import_module(f"{package}.client").Client(base_url=url, verify_ssl=context) as made:
        yield made


def test_what_it_creates_it_reads_back(package: str, client: Any, namespace: str) -> None:
    def operation(name: str) -> Any:
        return importlib.import_module(f"{package}.api.core_v1.{name}")

    models = importlib.import_module(f"{package}.models")
    config_map = models.IoK8SApiCoreV1ConfigMap.from_dict({"metadata": {"name": "made"}, "data": {"a": "1"}})
    created = operation("create_core_v1_namespaced_config_map").sync(
        namespace, client=client, body=config_map
    )
    assert created.metadata.uid, created
    read = operation("read_core_v1_namespaced_config_map").sync(namespace, "made", client=client)
    assert read.data.to_dict() == {"a": "1"}
    listed = operation("list_core_v1_namespaced_config_map").sync(
        namespace, client=client, label_selector="", field_selector="metadata.name=made"
    )
    assert [item.metadata.name for item in listed.items] == ["made"]
    gone = operation("delete_core_v1_namespaced_config_map").sync(
        namespace, "made", client=client, body=models.IoK8SApimachineryPkgApisMetaV1DeleteOptions()
    )
    assert gone is not None
