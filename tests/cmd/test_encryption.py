"""Keys are rotated as upstream's documentation says, with kubectl, on an etcd."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from podium.cmd import kube_apiserver
from podium.store.etcd import EtcdStore
from tests.apiserver.encryption.builders import IDENTITY, configuration, provider, rule
from tests.store.etcd import etcd, needs_etcd
from tests.wire.server import Running, running

NAMES = ("one", "two", "three")
WORD = b"aGlkZGVu"

FIRST = rule(["secrets"], provider("aescbc", "key1"), IDENTITY)
SECOND = rule(["secrets"], provider("aescbc", "key2", "key1"))
LAST = rule(["secrets"], provider("aescbc", "key2"))


def _kubectl(server: Running, arguments: str, stdin: str = "") -> str:
    command = f"kubectl --server={server.url} --certificate-authority={server.ca_file} --token={server.token}"
    done = subprocess.run(
        shlex.split(f"{command} {arguments}"),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def _stored(url: str) -> dict[str, bytes]:
    async def read() -> dict[str, bytes]:
        store = await EtcdStore.open([url])
        try:
            page = await store.list("/registry/secrets/default/")
            return {record.key.rpartition("/")[2]: record.value for record in page.records}
        finally:
            await store.close()

    return asyncio.run(read())


@needs_etcd
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")
def test_keys_are_rotated(tmp_path: Path) -> None:
    file = tmp_path / "encryption.json"
    replace_all = "replace -f -"

    with etcd(tmp_path) as url:

        def served(one: dict[str, Any]) -> Any:
            file.write_bytes(configuration(one))
            return running(tmp_path, f"--etcd-servers={url}", f"--encryption-provider-config={file}")

        with served(FIRST) as server:
            for name in NAMES:
                _kubectl(server, f"create secret generic {name} --from-literal=word={WORD.decode()}")
        assert all(value.startswith(b"k8s:enc:aescbc:v1:key1:") for value in _stored(url).values())
        with served(SECOND) as server:
            listed = _kubectl(server, "get secrets -A -o json")
            assert _kubectl(server, replace_all, listed).count("replaced") == len(NAMES)
        assert all(value.startswith(b"k8s:enc:aescbc:v1:key2:") for value in _stored(url).values())
        with served(LAST) as server:
            assert _kubectl(server, "get secrets -o name").split() == [f"secret/{n}" for n in sorted(NAMES)]
            word = _kubectl(server, "get secret one -o go-template='{{.data.word | base64decode}}'")
            assert word == WORD.decode()
        found = _stored(url)
        assert set(found) == set(NAMES)
        assert not any(b"word" in value for value in found.values())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file or directory"),
        (b"", "is empty"),
        (
            configuration(rule(["secrets"], provider("aescbc", "a", size=5))),
            "got 5, expected one of [16 24 32]",
        ),
    ],
)
def test_files_that_cannot_be_meant(
    content: bytes | None, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "encryption.json"
    if content is not None:
        file.write_bytes(content)
    for flag in ("--encryption-provider-config", "--experimental-encryption-provider-config"):
        with pytest.raises(SystemExit) as stopped:
            kube_apiserver.main([f"{flag}={file}", f"--cert-dir={tmp_path}"])
        assert stopped.value.code == 2
        assert complaint in capsys.readouterr().err


def test_a_reload_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        kube_apiserver.main(["--encryption-provider-config-automatic-reload"])
    assert "must be set with --encryption-provider-config" in capsys.readouterr().err
