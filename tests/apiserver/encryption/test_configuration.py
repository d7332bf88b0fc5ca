"""EncryptionConfiguration: what is taken, and upstream's words for what is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podium.apiserver.encryption.configuration import InvalidConfiguration, Key, Kms, Provider, Rule, parse
from tests.apiserver.encryption.builders import IDENTITY, configuration, provider, rule, secret

SECRETBOX = provider("secretbox", "key1")
KMS_V2: dict[str, Any] = {"apiVersion": "v2", "name": "a", "endpoint": "unix:///run/kms.sock"}
OVERLAP = (
    "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they "
    "will be masked"
)


def complaint(content: bytes) -> str:
    with pytest.raises(InvalidConfiguration) as refused:
        parse(content, "/etc/enc.yaml")
    return str(refused.value)


def test_a_configuration() -> None:
    content = b"""
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets, pandas.awesome.bears.example]
  providers:
  - aescbc: {keys: [{name: key1, secret: c2VjcmV0IGlzIHNlY3VyZQ==}]}
  - identity:
- resources: ['*.*']
  providers:
  - kms: {apiVersion: v2, name: vault, endpoint: unix:///run/kms.sock, timeout: 1m30s}
  - kms: {apiVersion: v2, name: other, endpoint: unix:///run/kms.sock}
"""
    assert parse(content, "f") == [
        Rule(
            resources=["secrets", "pandas.awesome.bears.example"],
            providers=[
                Provider(kind="aescbc", keys=[Key(name="key1", secret=b"secret is secure")]),
                Provider(kind="identity"),
            ],
        ),
        Rule(
            resources=["*.*"],
            providers=[
                Provider(kind="kms", kms=Kms(name="vault", endpoint="unix:///run/kms.sock", timeout_s=90)),
                Provider(kind="kms", kms=Kms(name="other", endpoint="unix:///run/kms.sock", timeout_s=3)),
            ],
        ),
    ]


def test_a_configuration_of_old() -> None:
    content = (
        b"kind: EncryptionConfig\napiVersion: v1\n"
        b"resources: [{resources: [secrets], providers: [identity: {}]}]"
    )
    assert parse(content, "f") == [Rule(resources=["secrets"], providers=[Provider(kind="identity")])]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", 'encryption provider configuration file "/etc/enc.yaml" is empty'),
        (b"{", 'error decoding encryption provider configuration file "/etc/enc.yaml": '),
        (b"[]", "not an object"),
        (b"apiVersion: v1\nkind: Secret", 'no kind "Secret" is registered for version "v1"'),
        (configuration(rule(["secrets"], {"aes": {}})), 'unknown field "resources[0].providers[0].aes"'),
        (configuration({"resources": "secrets"}), '"resources[0].resources" is no list'),
        (
            configuration(rule(["secrets"], {"aesgcm": {"keys": [{"name": 1, "secret": "x"}]}})),
            '"resources[0].providers[0].aesgcm.keys[0].name" is no string',
        ),
    ],
)
def test_no_configuration(content: bytes, words: str) -> None:
    assert words in complaint(content)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([], "resources: Required value: at least one resources is required"),
        (
            [rule([], IDENTITY)],
            "resources[0].resources: Required value: at least one resources[0].resources is required",
        ),
        (
            [rule(["secrets"])],
            "resources[0].providers: Required value: at least one resources[0].providers is required",
        ),
        (
            [rule(["secrets", "secrets"], IDENTITY)],
            'resources[0].resources: Invalid value: ["secrets","secrets"]: the same resource cannot be '
            "specified multiple times",
        ),
        ([rule(["secrets", "*."], IDENTITY)], OVERLAP),
        ([rule(["secrets", "*.*"], IDENTITY)], OVERLAP),
        ([rule(["deployments.apps", "*.apps"], IDENTITY)], OVERLAP),
        (
            [rule(["Secrets"], IDENTITY)],
            'resources[0].resources[0]: Invalid value: "Secrets": resource name should not contain capital '
            "letters",
        ),
        ([rule(["*"], IDENTITY)], "use '*.' to encrypt all the resources from core API group or *.*"),
        ([rule(["serviceipallocations"], IDENTITY)], "resources which do not have REST API/s"),
        ([rule(["events.events.k8s.io"], IDENTITY)], "Use 'events' instead in the config file"),
        ([rule(["ingresses.extensions"], IDENTITY)], "'extensions' group has been removed"),
        ([rule(["secrets.*"], IDENTITY)], "encrypting the same resource across groups is not supported"),
        (
            [rule(["*."], IDENTITY), rule(["secrets"], SECRETBOX)],
            'resource "secrets" is masked by earlier rule "*."',
        ),
        (
            [rule(["*.*"], IDENTITY), rule(["pods"], SECRETBOX)],
            'resource "pods" is masked by earlier rule "*.*"',
        ),
        ([rule(["secrets"], {})], "provider does not contain any of the expected providers: KMS, AESGCM, "),
        (
            [rule(["secrets"], {**IDENTITY, **SECRETBOX})],
            "more than one provider specified in a single element, should split into different list elements",
        ),
        (
            [rule(["secrets"], {"aesgcm": {}})],
            "resources[0].providers[0].aesgcm.keys: Required value: at least one keys is required",
        ),
        (
            [rule(["secrets"], {"aesgcm": {"keys": [{}]}})],
            "[resources[0].providers[0].aesgcm.keys[0].name: Required value: name is a mandatory field "
            "for a key, resources[0].providers[0].aesgcm.keys[0].secret: Required value: secret is a "
            "mandatory field for a key]",
        ),
        (
            [rule(["secrets"], {"aesgcm": {"keys": [{"name": "a", "secret": "%%"}]}})],
            'resources[0].providers[0].aesgcm.keys[0].secret: Invalid value: "REDACTED": secrets must be '
            "base64 encoded",
        ),
        (
            [rule(["secrets"], provider("aescbc", "a", size=15))],
            'Invalid value: "REDACTED": secret is not of the expected length, got 15, expected one of '
            "[16 24 32]",
        ),
        ([rule(["secrets"], provider("secretbox", "a", size=16))], "got 16, expected one of [32]"),
        ([rule(["secrets"], {"kms": {**KMS_V2, "name": ""}})], "name is a mandatory field for a provider"),
        (
            [rule(["secrets"], {"kms": {**KMS_V2, "name": "a:b"}})],
            "invalid KMS provider name a:b, must not contain ':'",
        ),
        (
            [rule(["secrets"], {"kms": KMS_V2}, {"kms": KMS_V2})],
            'resources[0].providers[1].kms.name: Invalid value: "a": duplicate KMS provider name a, names '
            "must be unique",
        ),
        ([rule(["secrets"], {"kms": {**KMS_V2, "timeout": "-1s"}})], "timeout should be a positive value"),
        ([rule(["secrets"], {"kms": {**KMS_V2, "timeout": "soon"}})], "timeout should be a positive value"),
        ([rule(["secrets"], {"kms": {**KMS_V2, "endpoint": ""}})], "endpoint is a mandatory field for a kms"),
        (
            [rule(["secrets"], {"kms": {**KMS_V2, "endpoint": "tcp://a:1"}})],
            'unsupported scheme "tcp" for KMS provider, only unix is supported',
        ),
        ([rule(["secrets"], {"kms": {**KMS_V2, "cachesize": 9}})], "cachesize is not supported in v2"),
        ([rule(["secrets"], {"kms": {**KMS_V2, "apiVersion": "v3"}})], "only v1 and v2 are supported"),
        (
            [rule(["secrets"], {"kms": {**KMS_V2, "apiVersion": "v1"}})],
            "Set --feature-gates=KMSv1=true to use the deprecated KMSv1 feature.",
        ),
    ],
)
def test_refusals(rules: list[dict[str, Any]], words: str) -> None:
    found = complaint(configuration(*rules))
    assert words in found
    assert secret(1) not in found


def test_secrets_are_never_shown() -> None:
    rules = parse(configuration(rule(["secrets"], SECRETBOX)), "f")
    assert "key1" in repr(rules)
    assert "secret=" not in repr(rules)


TEXTS = st.sampled_from(
    ["", "secrets", "*.", "*.*", "*.apps", "pods", "v1", "v2", "unix:///a", "tcp://[", "1s", "a:b", "AAAA"]
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-1, 9), TEXTS)
KEYS = st.fixed_dictionaries(
    {},
    optional={
        "keys": st.one_of(
            LEAVES,
            st.lists(
                st.one_of(LEAVES, st.fixed_dictionaries({}, optional={"name": LEAVES, "secret": LEAVES})),
                max_size=2,
            ),
        )
    },
)
PLUGINS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("apiVersion", "name", "endpoint", "timeout", "cachesize"), LEAVES),
)
PROVIDERS = st.fixed_dictionaries(
    {},
    optional={
        "aesgcm": st.one_of(LEAVES, KEYS),
        "secretbox": st.one_of(LEAVES, KEYS),
        "identity": st.one_of(LEAVES, st.just({})),
        "kms": st.one_of(LEAVES, PLUGINS),
    },
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "resources": st.one_of(LEAVES, st.lists(LEAVES, max_size=3)),
        "providers": st.one_of(LEAVES, st.lists(st.one_of(LEAVES, PROVIDERS), max_size=2)),
    },
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules=st.lists(st.one_of(LEAVES, RULES), max_size=2), kms_v1=st.booleans())
def test_nothing_but_a_complaint_comes_of_nonsense(rules: list[Any], kms_v1: bool) -> None:
    try:
        found = parse(configuration(*rules), "f", kms_v1=kms_v1)
    except InvalidConfiguration as error:
        assert str(error)
    else:
        assert all(one.providers and one.resources for one in found)
