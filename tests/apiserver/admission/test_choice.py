"""Which plugins run, in which order, and what the flags and the configuration file say to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from podium.apiserver import admission, authz
from podium.apiserver.admission import Choice, Misconfigured, configuration
from podium.cmd import admission_flags, kube_apiserver
from podium.machinery.errors import Object
from tests.apiserver.fakes import FakeReader

UPSTREAM_DEFAULTS = (
    "NamespaceLifecycle",
    "LimitRanger",
    "ServiceAccount",
    "TaintNodesByCondition",
    "PodSecurity",
    "Priority",
    "DefaultTolerationSeconds",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PodGroupProtection",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "PodTopologyLabels",
    "PodGroupWorkloadExists",
    "NodeDeclaredFeatureValidator",
    "JobValidation",
    "PodResizeValidator",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
)
UPSTREAM_OTHERS = (
    "AlwaysAdmit",
    "NamespaceAutoProvision",
    "NamespaceExists",
    "LimitPodHardAntiAffinityTopology",
    "NodeRestriction",
    "AlwaysPullImages",
    "ImagePolicyWebhook",
    "PodNodeSelector",
    "PodTolerationRestriction",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "OwnerReferencesPermissionEnforcement",
    "DenyServiceExternalIPs",
    "AlwaysDeny",
)


def test_all_of_upstreams_plugins_are_known() -> None:
    assert sorted(admission.ORDER) == sorted(UPSTREAM_DEFAULTS + UPSTREAM_OTHERS)
    assert set(admission.names()) == ({*UPSTREAM_DEFAULTS} - admission.IDLE) | {"NodeRestriction"}
    assert set(admission.rare_names()) == set(UPSTREAM_OTHERS) - {"NodeRestriction"}


def test_those_that_are_on_by_default_run_in_upstreams_order() -> None:
    reader = FakeReader()
    plugins = admission.build(reader, authz.build(reader).authorizer)
    assert [plugin.name for plugin in plugins] == [
        "NamespaceLifecycle",
        "LimitRanger",
        "ServiceAccount",
        "NodeRestriction",
        "TaintNodesByCondition",
        "PodSecurity",
        "Priority",
        "DefaultTolerationSeconds",
        "DefaultStorageClass",
        "StorageObjectInUseProtection",
        "PodGroupProtection",
        "PersistentVolumeClaimResize",
        "RuntimeClass",
        "CertificateApproval",
        "CertificateSigning",
        "ClusterTrustBundleAttest",
        "CertificateSubjectRestriction",
        "DefaultIngressClass",
        "PodTopologyLabels",
        "PodGroupWorkloadExists",
        "PodResizeValidator",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionWebhook",
        "ResourceQuota",
    ]


@pytest.mark.parametrize("name", admission.rare_names())
def test_each_other_plugin_runs_where_it_is_asked_for(name: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1/policy'}}]\n"
        "users: [{name: u, user: {}}]\n"
    )
    configurations: dict[str, Object] = {
        "EventRateLimit": {"limits": [{"type": "Server", "qps": 1, "burst": 1}]},
        "ImagePolicyWebhook": {"imagePolicy": {"kubeConfigFile": str(kubeconfig)}},
    }
    reader = FakeReader()
    choice = Choice(enabled=[name], configurations=configurations)
    plugins = admission.build(reader, authz.build(reader).authorizer, choice=choice)
    names = [plugin.name for plugin in plugins]
    assert name in names
    assert names == [one for one in admission.ORDER if one in names]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(enabled=["Nonsense"]), 'enable-admission-plugins plugin "Nonsense" is unknown'),
        (Choice(disabled=["Nonsense"]), 'disable-admission-plugins plugin "Nonsense" is unknown'),
        (
            Choice(enabled=["AlwaysDeny"], disabled=["AlwaysDeny"]),
            r"\[AlwaysDeny\] in enable-admission-plugins and disable-admission-plugins overlapped",
        ),
        (Choice(only=["LimitRanger"], enabled=["AlwaysDeny"]), "flags are mutually exclusive"),
        (Choice(enabled=["EventRateLimit"]), "EventRateLimit: limits: Invalid value: .*: must not be empty"),
        (
            Choice(enabled=["ImagePolicyWebhook"]),
            "ImagePolicyWebhook: imagePolicy.kubeConfigFile is",
        ),
    ],
)
def test_choices_that_make_no_sense(choice: Choice, message: str) -> None:
    reader = FakeReader()
    with pytest.raises(Misconfigured, match=message):
        admission.build(reader, authz.build(reader).authorizer, choice=choice)


def _chosen(*flags: str) -> list[str]:
    made = kube_apiserver.parser()
    return admission_flags.choice(made, made.parse_args(list(flags))).chosen()


def test_flags(capsys: pytest.CaptureFixture[str]) -> None:
    usual = _chosen()
    assert usual == list(admission.names())
    assert "AlwaysPullImages" in _chosen("--enable-admission-plugins=NodeRestriction,AlwaysPullImages")
    assert "PodSecurity" not in _chosen("--disable-admission-plugins=PodSecurity")
    assert _chosen("--enable-admission-plugins=JobValidation") == usual
    assert capsys.readouterr().err == ""
    # The list of old says it all, in whatever order; the order is ours.
    assert _chosen("--admission-control=ResourceQuota,PersistentVolumeLabel,NamespaceLifecycle") == [
        "NamespaceLifecycle",
        "ResourceQuota",
    ]
    told = capsys.readouterr().err
    assert "--admission-control is deprecated" in told
    assert "PersistentVolumeLabel is no more" in told


def test_flags_that_make_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _chosen("--enable-admission-plugins=Nonsense")
    assert 'enable-admission-plugins plugin "Nonsense" is unknown' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        _chosen("--admission-control-config-file=/nowhere/at/all")
    assert "--admission-control-config-file" in capsys.readouterr().err


def test_configuration_files(tmp_path: Path) -> None:
    (tmp_path / "selector.yaml").write_text("podNodeSelectorPluginConfig: {default: a=b}\n")
    whole = tmp_path / "whole.yaml"
    whole.write_text(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n"
        "- {name: PodNodeSelector, path: selector.yaml}\n"
        "- {name: EventRateLimit, configuration: {limits: []}}\n"
        "- {name: PodSecurity}\n"
    )
    assert configuration.read(str(whole)) == {
        "PodNodeSelector": {"podNodeSelectorPluginConfig": {"default": "a=b"}},
        "EventRateLimit": {"limits": []},
    }
    legacy = configuration.read(str(tmp_path / "selector.yaml"))
    assert list(legacy) == ["PodNodeSelector"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "flow sequence|expected"),
        ("[]", "not an object"),
        ("kind: Pod\napiVersion: v1", "got v1, Kind=Pod"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        configuration.read(str(path))
