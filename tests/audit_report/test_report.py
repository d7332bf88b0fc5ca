"""What is judged, what is left out, where it stands, and how it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.audit_report import live, manifests
from podium.audit_report.catalogue import RULES
from podium.audit_report.finding import Loaded, Severity, Source
from podium.audit_report.judge import IGNORE, Report, Settings, judge
from podium.audit_report.output import json, sarif, text
from podium.cmd import podium
from podium.machinery.errors import Object
from tests.audit_report.building import container, namespace, security, workload

# ruff: noqa: E501
MANIFEST = """\
# what is wrong here stands on line 17, and the second document begins on line 20
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  template:
    spec:
      serviceAccountName: web
      containers:
      - name: a
        image: registry.example.com/a:1
      - name: b
        image: registry.example.com/b:1
        securityContext:
          privileged: true

---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Endpoints, metadata: {name: a}}
- apiVersion: v1
  kind: Endpoints
  metadata: {name: b}
"""


def judged(*objects: Object, **settings: Any) -> Report:
    return judge(Loaded(sources=[Source(object=one) for one in objects]), Settings(**settings))


def ids(report: Report) -> list[str]:
    return [finding.rule.id for finding in report.findings]


BAD = workload(container(image="app"))


def owned(kind: str, name: str, by: Object, **metadata: Any) -> Object:
    owner = {
        "kind": by["kind"],
        "name": by["metadata"]["name"],
        "uid": by["metadata"].get("uid"),
        "controller": True,
    }
    return workload(
        container(image="app"), kind=kind, name=name, metadata={"ownerReferences": [owner], **metadata}
    )


def test_what_a_workload_made_is_not_told_twice() -> None:
    deployment = workload(container(image="app"), metadata={"uid": "1"})
    replicas = owned("ReplicaSet", "web-1", deployment, uid="2")
    pod = owned("Pod", "web-1-a", replicas)
    assert ids(judged(deployment, replicas, pod)) == ["image-tag"]
    # Whose owner is not there, or is another one of that name, is judged itself.
    assert ids(judged(pod)) == ["image-tag"]
    other = workload(container(image="app"), metadata={"uid": "3"})
    assert ids(judged(other, replicas)) == ["image-tag", "image-tag"]
    # A pod that names a Deployment, which makes ReplicaSets alone, was not made by it.
    assert ids(judged(deployment, owned("Pod", "forged", deployment))) == ["image-tag", "image-tag"]
    custom = {
        "apiVersion": "example.com/v1",
        "kind": "Database",
        "metadata": {"name": "web", "namespace": "default"},
    }
    assert ids(judged(custom, owned("Pod", "db", custom))) == ["image-tag"]


EXCEPTIONS = [
    ({"metadata": {"annotations": {IGNORE: "image-tag"}}}, {}, 1),
    ({"metadata": {"annotations": {IGNORE: " privileged , image-tag "}}}, {}, 1),
    ({"metadata": {"annotations": {IGNORE: "*"}}}, {}, 1),
    ({"metadata": {"annotations": {IGNORE: "privileged"}}}, {}, 0),
    ({"metadata": {"annotations": {IGNORE: 1}}}, {}, 0),
    ({}, {"skipped": {"image-tag"}}, 1),
    ({}, {"skipped": {"privileged"}}, 0),
]


@pytest.mark.parametrize(("changes", "settings", "excepted"), EXCEPTIONS)
def test_exceptions(changes: dict[str, Any], settings: dict[str, Any], excepted: int) -> None:
    report = judged(workload(container(image="app"), **changes), **settings)
    assert (len(report.findings), report.excepted) == (1 - excepted, excepted)


def test_a_template_and_a_namespace_may_except_too() -> None:
    made = workload(container(image="app"))
    made["spec"]["template"]["metadata"] = {"annotations": {IGNORE: "image-tag"}}
    assert ids(judged(made)) == []
    home = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "default", "annotations": {IGNORE: "*"}},
    }
    assert ids(judged(home, BAD)) == []


def test_of_an_owner_that_was_not_seen_one_stands_for_all() -> None:
    owner = {"kind": "ReplicaSet", "metadata": {"name": "web", "uid": "1"}}
    other = {"kind": "ReplicaSet", "metadata": {"name": "web", "uid": "2"}}
    pods = [owned("Pod", f"web-{n}", owner) for n in range(3)]
    assert len(ids(judged(*pods))) == 1
    # But one that is different has something to tell.
    odd = owned("Pod", "odd", owner)
    odd["spec"]["hostPID"] = True
    assert ids(judged(*pods, odd)) == ["host-namespaces", "image-tag"]
    assert (
        len(ids(judged(*pods, owned("Pod", "more", other), workload(container(image="app"), kind="Pod"))))
        == 3
    )


def test_what_is_kubernetes_own_is_left_out_unless_asked_for() -> None:
    system = workload(container(image="app"), metadata={"namespace": "kube-system"})
    label = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "admin", "labels": label},
        "rules": [{"verbs": ["*"], "apiGroups": [""], "resources": ["pods"]}],
    }
    assert judged(system, role).objects == 0
    # Whoever writes a role into kube-system, or calls it one of the cluster's, hides it by neither.
    mine = {**role, "kind": "Role", "metadata": {"name": "mine", "namespace": "kube-system", "labels": label}}
    assert ids(judged(mine)) == ["rbac-wildcard-verbs"]
    assert sorted(ids(judged(system, role, system=True))) == ["image-tag", "rbac-wildcard-verbs"]


def test_one_namespace() -> None:
    there = workload(container(image="app"), metadata={"namespace": "a"})
    report = judged(BAD, there, namespace(), namespace="a")
    assert report.objects == 2
    assert {finding.namespace or finding.name for finding in report.findings} == {"a"}


def test_the_worst_comes_first() -> None:
    report = judged(BAD, workload(container(securityContext=security(privileged=True)), name="x"))
    assert ids(report) == ["privileged", "image-tag"]
    assert report.worst() is Severity.CRITICAL
    assert judged().worst() is None


# --- files


def loaded(raw: str) -> Loaded:
    found = Loaded()
    manifests.read(raw.encode(), "a.yaml", found)
    return found


def found(raw: str, **settings: Any) -> Report:
    return judge(loaded(raw), Settings(**settings))


def test_lines() -> None:
    lines = {(one.rule.id, one.path): one.line for one in found(MANIFEST).findings}
    at = "spec.template.spec.containers[1]"
    assert lines["privileged", f"{at}.securityContext.privileged"] == 17
    assert lines["missing-limits", f"{at}.resources.limits"] == 14
    assert lines["missing-limits", "spec.template.spec.containers[0].resources.limits"] == 12
    assert lines["missing-labels", "metadata.labels"] == 6
    assert lines["automounted-token", "spec.template.spec.automountServiceAccountToken"] == 9
    endpoints = sorted(one.line for one in found(MANIFEST).findings if one.rule.id == "deprecated-api")
    assert endpoints == [23, 24]


def test_a_directory_with_files_that_are_no_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(MANIFEST)
    (tmp_path / "template.yaml").write_text("{{- if .Values.a }}\na: b\n{{- end }}\n")
    code, out, _ = command(capsys, "-f", str(tmp_path))
    assert code == 2
    assert "privileged" in out
    assert f"  {tmp_path}/template.yaml: the document from line 1 on is no YAML" in out
    assert command(capsys, "-f", str(tmp_path), "--fail-on=high")[0] == 1


def test_json_with_tabs() -> None:
    raw = orjson.dumps(BAD, option=orjson.OPT_INDENT_2).replace(b"  ", b"\t").decode()
    (finding,) = found(raw).findings
    assert raw.splitlines()[finding.line - 1].strip().startswith('"image"')


def test_a_release_decides_what_is_gone() -> None:
    raw = "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: a}\n"
    severities = {
        release: [
            one.severity for one in found(raw, release=release).findings if one.rule.id == "deprecated-api"
        ]
        for release in ((1, 20), (1, 21), (1, 25))
    }
    assert severities == {(1, 20): [], (1, 21): [Severity.MEDIUM], (1, 25): [Severity.HIGH]}


@pytest.mark.parametrize(
    "api_version", ["flowcontrol.apiserver.k8s.io/v1beta2", "flowcontrol.apiserver.k8s.io/v1beta3"]
)
def test_versions_that_podium_never_served(api_version: str) -> None:
    (finding,) = found(f"apiVersion: {api_version}\nkind: FlowSchema\nmetadata: {{name: a}}\n").findings
    assert finding.severity is Severity.HIGH
    assert finding.detail.endswith("; use flowcontrol.apiserver.k8s.io/v1 FlowSchema")


# --- forms


def test_json() -> None:
    value = orjson.loads(json.render(found(MANIFEST)))
    (first, *_) = value["findings"]
    assert first["rule"] == "privileged"
    assert first["object"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "namespace": "default",
        "name": "web",
    }
    assert (first["file"], first["line"], first["severity"]) == ("a.yaml", 17, "critical")
    counts = value["summary"]
    assert counts["objects"] == 3
    assert sum(counts[word] for word in ("low", "medium", "high", "critical")) == len(value["findings"])


def test_text() -> None:
    told = text.render(found(MANIFEST))
    assert told.startswith(
        "Deployment default/web  (a.yaml)\n  critical privileged: container b is privileged\n"
    )
    assert "line 17" in told
    assert told.splitlines()[-1].endswith("low")
    assert text.render(judged()) == "0 findings in 0 objects: 0 critical, 0 high, 0 medium, 0 low\n"
    assert "1 are excepted" in text.render(judged(BAD, skipped={"image-tag"}))


def test_sarif_holds_what_its_schema_requires() -> None:
    log = orjson.loads(sarif.render(found(MANIFEST)))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("/sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    rules = driver["rules"]
    assert [rule["id"] for rule in rules] == list(RULES)
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        assert physical["artifactLocation"]["uri"] == "a.yaml"
        assert physical["region"]["startLine"] >= 1
        assert location["logicalLocations"][0]["fullyQualifiedName"]
    (invocation,) = run["invocations"]
    assert invocation == {"executionSuccessful": True, "toolExecutionNotifications": []}
    prints = [result["partialFingerprints"]["objectAndPath/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    moved = orjson.loads(sarif.render(found("# one line more\n" + MANIFEST)))
    assert {one["partialFingerprints"]["objectAndPath/v1"] for one in moved["runs"][0]["results"]} == set(
        prints
    )


def test_what_was_not_looked_at_is_told() -> None:
    report = judge(Loaded(unseen=["secrets: forbidden"]), Settings())
    assert "Not looked at:\n  secrets: forbidden\n" in text.render(report)
    assert orjson.loads(json.render(report))["unseen"] == ["secrets: forbidden"]
    (run,) = orjson.loads(sarif.render(report))["runs"]
    assert run["invocations"][0]["toolExecutionNotifications"] == [
        {"level": "warning", "message": {"text": "secrets: forbidden"}}
    ]


def test_sarif_of_a_cluster_has_no_files() -> None:
    log = orjson.loads(sarif.render(judged(BAD)))
    (result,) = log["runs"][0]["results"]
    assert "physicalLocation" not in result["locations"][0]


# --- the command


def command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = podium.main(["audit", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(MANIFEST)
    code, out, _ = command(capsys, "-f", str(path))
    assert code == 0
    assert "privileged" in out
    assert command(capsys, "-f", str(path), "--fail-on", "critical")[0] == 1
    assert command(capsys, "-f", str(path), "--fail-on=critical", "--skip=privileged")[0] == 0
    code, out, _ = command(capsys, "-f", str(path), "-o", "json", "--allowed-registry", "other.example.com")
    assert "image-registry" in {one["rule"] for one in orjson.loads(out)["findings"]}
    code, out, _ = command(capsys, "--list-rules")
    assert [line.split()[0] for line in out.splitlines()] == list(RULES)
    assert command(capsys, "-f", str(path), "--kubeconfig=x")[0] == 2
    code, out, _ = command(capsys, "-f", str(path), "-f", str(tmp_path / "missing"))
    assert (code, "missing: No such file or directory" in out) == (2, True)
    code, out, err = command(
        capsys, "-f", str(path), "-f", str(tmp_path / "missing"), "-o", "sarif", "--fail-on=high"
    )
    assert (code, err) == (1, f"podium: not looked at: {tmp_path}/missing: No such file or directory\n")
    code, _, err = command(capsys, "-f", str(path), "--skip=made-up")
    assert (code, err.startswith("podium: --skip: there is no rule made-up; --list-rules")) == (2, True)
    assert command(capsys, "-f", str(tmp_path / "missing"))[0] == 2
    assert command(capsys, "--kubeconfig", str(tmp_path / "missing"))[0] == 2
    assert command(capsys, "-f", str(path), "--kubernetes-version=x")[0] == 2


def test_the_example_is_as_it_should_be(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(__file__).parents[2] / "examples"
    code, out, _ = command(capsys, "-f", str(folder), "--fail-on=low", "--allowed-registry=podium.local")
    assert code == 0, out


def test_what_metrics_tell_of_deprecated_apis() -> None:
    figures = """\
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="",version="v1",resource="endpoints",subresource="",removed_release=""} 1
apiserver_requested_deprecated_apis{group="batch",version="v1beta1",resource="cronjobs",subresource="",removed_release="1.25"} 1
apiserver_requested_deprecated_apis_other{group="x"} 1
"""
    assert live.requested(figures) == [
        {"version": "v1", "resource": "endpoints"},
        {"group": "batch", "version": "v1beta1", "resource": "cronjobs", "removedRelease": "1.25"},
    ]
