"""Files as people and Helm write them: every object with its lines, and what is no manifest named."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from podium.audit_report import manifests
from podium.audit_report.finding import Loaded
from podium.audit_report.judge import Settings, judge
from podium.audit_report.manifests import load

HELM = b"""\
---
# Source: shop/templates/empty.yaml
---
# Source: shop/templates/pod.yaml
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
spec:
  containers:
    - name: main
      image: web
      securityContext:
        privileged: true
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ServiceAccount
    metadata: {name: web}
  - apiVersion: v1
    kind: Pod
    metadata:
      name: other
    spec:
      hostNetwork: true
"""


def from_stdin(body: bytes, *names: str, namespace: str = "") -> Loaded:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))
        return load([*names, "-"], namespace=namespace)


def names(found: Loaded) -> list[str]:
    """Return kind, namespace and name of each object, as written."""
    metadata = [(one.object["kind"], one.object["metadata"]) for one in found.sources]
    return [f"{kind} {head.get('namespace', '')}/{head['name']}" for kind, head in metadata]


def lines(found: Loaded, rule: str) -> list[tuple[str, int]]:
    report = judge(found, Settings())
    return [(one.object, one.line) for one in report.findings if one.rule.id == rule]


def test_each_object_knows_its_lines() -> None:
    found = from_stdin(HELM)
    assert names(found) == ["Pod shop/web", "ServiceAccount /web", "Pod /other"]
    assert found.unseen == []
    assert not found.failed
    assert lines(found, "privileged") == [("Pod shop/web", 15)]
    assert lines(found, "image-tag") == [("Pod shop/web", 13)]
    assert lines(found, "host-namespaces") == [("Pod default/other", 28)]
    # What is missing is missing in what is there: the container, the pod's spec, the metadata.
    assert lines(found, "missing-liveness-probe") == [("Pod shop/web", 12)]
    assert lines(found, "automounted-token") == [("Pod shop/web", 10), ("Pod default/other", 27)]
    assert lines(found, "missing-labels") == [("Pod shop/web", 7), ("Pod default/other", 25)]


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"hostPID": True, "containers": []},
}
TYPED_LIST = {
    "apiVersion": "v1",
    "kind": "PodList",
    "items": [{"metadata": {"name": "q"}, "spec": {"hostPID": True}}],
}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (json.dumps(POD), [("Pod default/p", 1)]),
        (json.dumps(POD, indent=2), [("Pod default/p", 8)]),
        (json.dumps(POD, indent="\t"), [("Pod default/p", 8)]),
        # YAML has no surrogates, JSON has: the lines are not known then, but the object is.
        (json.dumps({**POD, "status": {"message": "\U0001f600"}}, indent=2), [("Pod default/p", 1)]),
        (json.dumps(TYPED_LIST, indent=1), [("Pod default/q", 10)]),
        ("\ufeff" + json.dumps(POD), [("Pod default/p", 1)]),
        ("--- # first\r\n" + json.dumps(POD) + "\r\n---\r\n", [("Pod default/p", 2)]),
        ("--- " + json.dumps(POD) + "\n...\n", [("Pod default/p", 1)]),
        ("%YAML 1.1\n---\n" + json.dumps(POD), [("Pod default/p", 3)]),
    ],
)
def test_forms_of_manifests(body: str, expected: list[tuple[str, int]]) -> None:
    found = from_stdin(body.encode())
    assert found.unseen == []
    assert lines(found, "host-namespaces") == expected


def test_large_json_is_read_without_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "LINES_OF_JSON_BYTES_MAX", 10)
    assert lines(from_stdin(json.dumps(POD, indent=2).encode()), "host-namespaces") == [("Pod default/p", 1)]


@pytest.mark.parametrize(
    ("body", "unseen", "failed"),
    [
        (b"", ["<stdin>: it holds no object"], True),
        (b"# nothing\n---\n", ["<stdin>: it holds no object"], True),
        (b"a: 1\n", ["<stdin>: what begins in line 1 is no object with apiVersion and kind"], True),
        (b"- a\n", ["<stdin>: what begins in line 1 is no object with apiVersion and kind"], True),
        (
            b"---\n# {{\n{{ if .x }}\n",
            [
                "<stdin>: the document from line 3 on is no YAML: "
                'invalid map key: map[interface {}]interface {}{"if .x":interface {}(nil)}'
            ],
            True,
        ),
        (b"\x00\xff\xfe", None, True),
        (b"[" * 100_000, None, True),
        (b"{" * 100_000, None, True),
        (b"a: &a [*a]\n", None, True),
    ],
)
def test_what_is_no_manifest_is_named(body: bytes, unseen: list[str] | None, failed: bool) -> None:
    found = from_stdin(body)
    assert found.sources == []
    assert found.failed is failed
    assert len(found.unseen) == 1
    if unseen is not None:
        assert found.unseen == unseen


def test_a_broken_document_does_not_hide_the_others() -> None:
    found = from_stdin(json.dumps(POD).encode() + b"\n---\na: b: c\n---\n" + json.dumps(POD).encode())
    assert len(found.sources) == 2
    assert found.failed
    assert found.unseen == [
        "<stdin>: the document from line 3 on is no YAML: line 3: "
        "mapping values are not allowed in this context"
    ]


def test_directories_are_read_with_all_below_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yml").write_bytes(HELM)
    (tmp_path / "b.json").write_text(json.dumps(POD))
    (tmp_path / "values.yaml").write_text("replicas: 1\n")
    (tmp_path / "run.sh").write_text("not asked for")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.yaml").write_text("a: [")
    found = load([str(tmp_path)])
    assert [name.partition("/")[2] for name in names(found)] == ["p", "web", "web", "other"]
    assert found.sources[0].origin.file == str(tmp_path / "b.json")
    assert found.unseen == [
        f"{tmp_path}/values.yaml: what begins in line 1 is no object with apiVersion and kind"
    ]
    assert not found.failed


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    found = from_stdin(HELM, str(tmp_path / "none.yaml"))
    assert found.unseen == [f"{tmp_path}/none.yaml: No such file or directory"]
    assert found.failed
    assert len(found.sources) == 3


def test_what_names_no_namespace_is_put_into_the_one_asked_for() -> None:
    role = b"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\n"
    found = from_stdin(role + HELM, namespace="other")
    assert names(found) == ["ClusterRole /r", "Pod shop/web", "ServiceAccount other/web", "Pod other/other"]
    report = judge(found, Settings(namespace="other"))
    assert {(one.object, one.line) for one in report.findings if one.rule.id == "host-namespaces"} == {
        ("Pod other/other", 31)
    }
