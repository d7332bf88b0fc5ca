"""An API server with an extension server behind it, both real, and kubectl to use them with."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.base import pki
from tests.apiserver.aggregation.extension import (
    API_SERVICE,
    GROUP,
    NAMESPACE,
    SERVICE,
    VERSION,
    Extension,
)
from tests.wire.server import Running, running

WITHIN = "--timeout=30s"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True)
class Front:
    """The API server in front, with what is needed to speak to it."""

    server: Running
    extension: Extension
    directory: Path
    front_proxy_ca: Path

    def kubectl(self, *arguments: str, stdin: str = "", fails: bool = False) -> str:
        flags = [f"--server={self.server.url}", f"--certificate-authority={self.server.ca_file}"]
        flags += [f"--token={self.server.token}", f"--cache-dir={self.directory / 'cache'}"]
        done = subprocess.run(
            ["kubectl", *flags, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stderr
        return done.stderr if fails else done.stdout

    def api(self, *path: str) -> Any:
        return json.loads(self.kubectl("get", "--raw", "".join(path)))

    def connection(self, *, certificate: str = "") -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.server.ca_file))
        if certificate:
            context.load_cert_chain(
                self.directory / f"{certificate}.crt", self.directory / f"{certificate}.key"
            )
        host, _, port = self.server.url.removeprefix("https://").partition(":")
        return http.client.HTTPSConnection(host, int(port), context=context, timeout=30)

    def request(
        self, method: str, path: str, headers: dict[str, str], *, certificate: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        connection = self.connection(certificate=certificate)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return response.status, fields, response.read()
        finally:
            connection.close()

    def as_admin(self, **headers: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.server.token}", **headers}

    def register(self, **spec: Any) -> None:
        api_service = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API_SERVICE},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "groupPriorityMinimum": 2000,
                "versionPriority": 200,
                "service": {"namespace": NAMESPACE, "name": SERVICE, "port": self.extension.port},
                "caBundle": base64.b64encode(self.extension.ca_pem).decode(),
                **spec,
            },
        }
        self.kubectl("apply", "-f", "-", stdin=json.dumps(api_service))

    def offer(self) -> None:
        """Make the Service that leads to the extension server, without any kube-proxy."""
        self.kubectl("create", "namespace", NAMESPACE)
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
        self.kubectl("create", "-f", "-", stdin=json.dumps(service))

    def wait(self, status: str = "True") -> None:
        """Return when the APIService has this status and, if available, its documents have been read."""
        self.kubectl("wait", f"--for=condition=Available={status}", f"apiservice/{API_SERVICE}", WITHIN)
        deadline = time.monotonic() + 30
        while status == "True" and not self._is_described():
            assert time.monotonic() < deadline, "the extension server's documents were not read"

    def _is_described(self) -> bool:
        _, _, body = self.request("GET", "/apis", self.as_admin(Accept=DISCOVERY))
        (versions,) = [
            item["versions"] for item in json.loads(body)["items"] if item["metadata"]["name"] == GROUP
        ]
        return bool(versions[0]["freshness"] == "Current")

    def available(self) -> dict[str, str]:
        (found,) = [
            condition
            for condition in self.api("/apis/apiregistration.k8s.io/v1/apiservices/", API_SERVICE)["status"][
                "conditions"
            ]
            if condition["type"] == "Available"
        ]
        return dict(found)


Make = Callable[..., Front]


@contextlib.contextmanager
def makers(directory: Path) -> Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def start(*flags: str, **extension_options: Any) -> Front:
            front_ca = pki.create_ca("front-proxy-ca")
            client = pki.issue(front_ca, common_name="front-proxy-client", client=True)
            other = pki.issue(front_ca, common_name="somebody-else", client=True)
            for name, pair in (("front-proxy", client), ("other-proxy", other)):
                (directory / f"{name}.crt").write_bytes(pair.certificate_pem)
                (directory / f"{name}.key").write_bytes(pair.key_pem)
            ca_file = directory / "front-proxy-ca.crt"
            ca_file.write_bytes(front_ca.certificate_pem)
            extension = Extension(directory, **extension_options)
            extension.start(ca_file)
            stack.callback(extension.stop)
            server = stack.enter_context(
                running(
                    directory,
                    f"--proxy-client-cert-file={directory / 'front-proxy.crt'}",
                    f"--proxy-client-key-file={directory / 'front-proxy.key'}",
                    f"--requestheader-client-ca-file={ca_file}",
                    "--requestheader-allowed-names=front-proxy-client",
                    *flags,
                )
            )
            return Front(server, extension, directory, ca_file)

        yield start


def flunder(name: str) -> str:
    return json.dumps({"apiVersion": f"{GROUP}/{VERSION}", "kind": "Flunder", "metadata": {"name": name}})
