"""AuthorizationConfiguration: what is taken, and upstream's words for what is not."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from podium.apiserver.authz.configuration import AuthorizerConfig, of_modes, parse

HEAD = "apiVersion: apiserver.config.k8s.io/{}\nkind: AuthorizationConfiguration\n"
WEBHOOK = {
    "timeout": "3s",
    "subjectAccessReviewVersion": "v1",
    "matchConditionSubjectAccessReviewVersion": "v1",
    "failurePolicy": "Deny",
    "connectionInfo": "{type: InClusterConfig}",
}


def text(body: str, version: str = "v1") -> bytes:
    return (HEAD.format(version) + dedent(body)).encode()


def webhook(**changes: str) -> bytes:
    """Return a chain of one webhook; a field set to "" is left out."""
    fields = {key: value for key, value in {**WEBHOOK, **changes}.items() if value}
    lines = "\n".join(f"    {key}: {value}" for key, value in fields.items())
    return text(f"authorizers:\n- type: Webhook\n  name: one\n  webhook:\n{lines}\n")


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
def test_a_chain(version: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text("{}")
    body = f"""\
        authorizers:
        - type: Webhook
          name: first
          webhook:
            timeout: 1m30s
            unauthorizedTTL: 20s
            cacheAuthorizedRequests: false
            subjectAccessReviewVersion: v1
            matchConditionSubjectAccessReviewVersion: v1
            failurePolicy: Deny
            connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {kubeconfig}}}
            matchConditions:
            - expression: "has(request.resourceAttributes)"
        - {{type: Node, name: node}}
        - {{type: RBAC, name: rbac}}
        """
    chain = parse(text(body.replace("1m30s", "30s"), version), version="1.36")
    assert [(one.type, one.name) for one in chain] == [
        ("Webhook", "first"),
        ("Node", "node"),
        ("RBAC", "rbac"),
    ]
    found = chain[0].webhook
    assert found is not None
    assert (found.timeout_s, found.authorized_ttl_s, found.unauthorized_ttl_s) == (30.0, 0.0, 20.0)
    assert (found.denies_on_error, found.version, found.kubeconfig) == (True, "v1", str(kubeconfig))
    assert [one.text for one in found.conditions] == ["has(request.resourceAttributes)"]
    with pytest.raises(ValueError, match=r"timeout: Invalid value: \"1m30s\": must be > 0s and <= 30s"):
        parse(text(body, version), version="1.36")


def test_flags_are_a_chain_too() -> None:
    assert of_modes(["RBAC", "AlwaysDeny"]) == (
        AuthorizerConfig(type="RBAC", name="rbac"),
        AuthorizerConfig(type="AlwaysDeny", name="alwaysdeny"),
    )


_SAME = "authorizers[0]."
MANY = ", ".join(f"{{expression: '{number} == 1'}}" for number in range(65))


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "authorizers: Required value: at least one authorization mode must be defined"),
        (b"kind: X", "failed to load AuthorizationConfiguration from file: Object 'apiVersion' is missing"),
        (b"[1]", "failed to load AuthorizationConfiguration from file: couldn't get version/kind"),
        (b"a: b: c", "failed to load AuthorizationConfiguration from file: error converting YAML to JSON"),
        (
            text("", "v2"),
            'no kind "AuthorizationConfiguration" is registered for version "apiserver.config.k8s.io/v2"',
        ),
        (
            text("authorizers: [{type: Node, name: node, nmae: x}]"),
            'strict decoding error: unknown field "authorizers[0].nmae"',
        ),
        (text("authorizers: [{type: Node, name: 1}]"), "json: cannot unmarshal number into Go struct field"),
        (text("authorizers: [{}]"), f"{_SAME}type: Required value"),
        (
            text("authorizers: [{type: Magic, name: magic}]"),
            f'{_SAME}type: Unsupported value: "Magic": supported values: "ABAC", "AlwaysAllow", '
            '"AlwaysDeny", "Node", "RBAC", "Webhook"',
        ),
        (
            text("authorizers: [{type: Node, name: node}, {type: Node, name: x}]"),
            'authorizers[1].type: Duplicate value: "Node"',
        ),
        (text("authorizers: [{type: Node}]"), f"{_SAME}name: Required value"),
        (
            text("authorizers: [{type: Node, name: x}, {type: RBAC, name: x}]"),
            'authorizers[1].name: Duplicate value: "x"',
        ),
        (text("authorizers: [{type: Node, name: A_b}]"), "authorizer name is invalid: a lowercase RFC 1123"),
        (
            text("authorizers: [{type: Node, name: left}, {type: RBAC, name: right}]"),
            "[expected name node for authorizer Node instead of left, expected name rbac for authorizer RBAC "
            "instead of right]",
        ),
        (
            text("authorizers: [{type: RBAC, name: rbac, webhook: {}}]"),
            f'{_SAME}webhook: Invalid value: "non-null": may only be specified when type=Webhook',
        ),
        (
            text("authorizers: [{type: Webhook, name: x}]"),
            f"{_SAME}webhook: Required value: required when type=Webhook",
        ),
        (webhook(timeout=""), f"{_SAME}timeout: Required value"),
        (webhook(timeout="-1s"), f'{_SAME}timeout: Invalid value: "-1s": must be > 0s and <= 30s'),
        (webhook(timeout="soon"), 'time: invalid duration "soon"'),
        (webhook(authorizedTTL="-1s"), f'{_SAME}authorizedTTL: Invalid value: "-1s": must be > 0s'),
        (webhook(unauthorizedTTL="-2m"), f'{_SAME}unauthorizedTTL: Invalid value: "-2m0s": must be > 0s'),
        (webhook(subjectAccessReviewVersion=""), f"{_SAME}subjectAccessReviewVersion: Required value"),
        (
            webhook(subjectAccessReviewVersion="v2"),
            f'{_SAME}subjectAccessReviewVersion: Unsupported value: "v2": supported values: "v1", "v1beta1"',
        ),
        (
            webhook(matchConditionSubjectAccessReviewVersion="v1beta1"),
            f'{_SAME}matchConditionSubjectAccessReviewVersion: Unsupported value: "v1beta1": '
            'supported values: "v1"',
        ),
        (
            webhook(matchConditionSubjectAccessReviewVersion="", matchConditions="[{expression: 'true'}]"),
            f"{_SAME}matchConditionSubjectAccessReviewVersion: Required value: required if match conditions",
        ),
        (webhook(failurePolicy=""), f"{_SAME}failurePolicy: Required value"),
        (
            webhook(failurePolicy="Allow"),
            f'{_SAME}failurePolicy: Unsupported value: "Allow": supported values: "NoOpinion", "Deny"',
        ),
        (webhook(connectionInfo=""), f"{_SAME}connectionInfo.type: Required value"),
        (
            webhook(connectionInfo="{type: InClusterConfig, kubeConfigFile: /x}"),
            f'{_SAME}connectionInfo.kubeConfigFile: Invalid value: "/x": can only be set when '
            "type=KubeConfigFile",
        ),
        (
            webhook(connectionInfo="{type: KubeConfigFile}"),
            f"{_SAME}connectionInfo.kubeConfigFile: Required value",
        ),
        (
            webhook(connectionInfo="{type: KubeConfigFile, kubeConfigFile: x}"),
            f'{_SAME}connectionInfo.kubeConfigFile: Invalid value: "x": must be an absolute path',
        ),
        (
            webhook(connectionInfo="{type: KubeConfigFile, kubeConfigFile: /no/such}"),
            f'{_SAME}connectionInfo.kubeConfigFile: Invalid value: "/no/such": error loading file: '
            "stat /no/such: no such file or directory",
        ),
        (
            webhook(connectionInfo="{type: KubeConfigFile, kubeConfigFile: /}"),
            f'{_SAME}connectionInfo.kubeConfigFile: Invalid value: "/": must be a regular file',
        ),
        (webhook(matchConditions="[{expression: ' '}]"), "matchConditions[0].expression: Required value"),
        (
            webhook(matchConditions="[{expression: 'true'}, {expression: 'true'}]"),
            'matchConditions[1].expression: Duplicate value: "true"',
        ),
        (
            webhook(matchConditions="[{expression: '1'}]"),
            'matchConditions[0].expression: Invalid value: "1": must evaluate to bool but got int',
        ),
        (
            webhook(matchConditions="[{expression: 'request.nope'}]"),
            'matchConditions[0].expression: Invalid value: "request.nope": compilation failed: ERROR: <i',
        ),
        (
            webhook(matchConditions=f"[{MANY}]"),
            "matchConditions: Too many: 65: must have at most 64 items",
        ),
    ],
    ids=lambda value: value[-60:] if isinstance(value, str) else "",
)
def test_refused(body: bytes, complaint: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(body, version="1.36")
    assert complaint in str(error.value)


def test_modes_that_were_there_have_to_stay() -> None:
    with pytest.raises(ValueError, match=r"^missing required types: \[ABAC Node\]$"):
        parse(
            text("authorizers: [{type: RBAC, name: rbac}]"), version="1.36", required=["Node", "ABAC", "RBAC"]
        )
