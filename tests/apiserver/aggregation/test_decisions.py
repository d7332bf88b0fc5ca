"""What aggregation decides without asking anybody: availability, order, identity, merged documents."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from podium.apiserver.aggregation import autoregister, remote_discovery, remote_openapi
from podium.apiserver.aggregation.availability import judge
from podium.apiserver.aggregation.identity import set_identity
from podium.apiserver.aggregation.registration import (
    Placed,
    Registration,
    in_order,
    registration,
    with_condition,
)
from podium.apiserver.bootstrap.planning import AUTOMANAGED
from podium.apiserver.chain import User
from podium.apiserver.openapi.documents import v3_of_v2
from podium.base.http.message import Headers
from podium.machinery.errors import Object

WANTED = Registration(name="v1.a", group="a", version="v1", namespace="ns", service="api")
SERVICE: Object = {"spec": {"type": "ClusterIP", "ports": [{"port": 443, "name": "https"}]}}


def endpoint_slice(*ready: bool | None, port: str | None = "https") -> Object:
    return {
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {} if one is None else {"ready": one}} for one in ready
        ],
        "ports": [{"name": port, "port": 8443}],
    }


@pytest.mark.parametrize(
    ("service", "slices", "reason"),
    [
        pytest.param(None, [], "ServiceNotFound", id="no service"),
        pytest.param({"spec": {"ports": [{"port": 80}]}}, [], "ServicePortError", id="another port"),
        pytest.param(SERVICE, [], "EndpointsNotFound", id="no slices"),
        pytest.param(SERVICE, [endpoint_slice(False)], "MissingEndpoints", id="not ready"),
        pytest.param(SERVICE, [endpoint_slice(True, port="b")], "MissingEndpoints", id="another port name"),
        pytest.param(SERVICE, [endpoint_slice()], "MissingEndpoints", id="no endpoints"),
        pytest.param(
            SERVICE, [endpoint_slice(False), endpoint_slice(None)], "", id="ready unless said otherwise"
        ),
        pytest.param({"spec": {"type": "ExternalName"}}, [], "", id="elsewhere"),
    ],
)
def test_what_the_objects_tell_of_availability(
    service: Object | None, slices: list[Object], reason: str
) -> None:
    verdict = judge(WANTED, service, slices)
    assert (verdict.reason if verdict else "") == reason
    assert verdict is None or verdict.status == "False"


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    others = [{"type": "Other", "status": "True"}]
    first = with_condition(others, "False", "A", "a", "t1")
    second = with_condition(first, "False", "B", "b", "t2")
    third = with_condition(second, "True", "Passed", "c", "t3")
    assert [one["type"] for one in third] == ["Other", "Available"]
    assert [made[1]["lastTransitionTime"] for made in (first, second, third)] == ["t1", "t1", "t3"]
    assert (second[1]["reason"], second[1]["message"]) == ("B", "b")


def test_registrations_are_read_with_their_defaults() -> None:
    api_service: Object = {
        "metadata": {"name": "v1.a"},
        "spec": {
            "group": "a",
            "version": "v1",
            "service": {"namespace": "ns", "name": "api"},
            "caBundle": "Zm8=",
        },
        "status": {"conditions": [{"type": "Available", "status": "True"}]},
    }
    found = registration(api_service)
    assert found is not None
    assert (found.port, found.ca_pem, found.available, found.path) == (443, b"fo", True, "/apis/a/v1")
    del api_service["spec"]["service"]
    assert registration(api_service) is None


def test_groups_and_versions_come_by_priority_and_then_by_name() -> None:
    placed = [
        Placed("b", "v1", 100, 5),
        Placed("b", "v2", 300, 5),
        Placed("a", "v1", 100, 1),
        Placed("c", "v1beta1", 100, 9),
        Placed("c", "v1", 50, 1),
        Placed("b", "v1beta1", 1, 50),
    ]
    assert in_order(placed) == {"b": ["v1beta1", "v2", "v1"], "a": ["v1"], "c": ["v1beta1", "v1"]}
    assert list(in_order(placed)) == ["b", "a", "c"]


def test_identity_replaces_what_was_there() -> None:
    headers = Headers([("X-Remote-User", "forged"), ("X-Remote-Extra-A", "b"), ("accept", "*/*")])
    user = User(name="jané", uid="7", groups=("g1", "g2"), extra={"Acme.com/a%b": ("x", "y")})
    set_identity(headers, user)
    assert list(headers) == [
        ("accept", "*/*"),
        ("x-remote-user", "jané".encode().decode("latin-1")),
        ("x-remote-uid", "7"),
        ("x-remote-group", "g1"),
        ("x-remote-group", "g2"),
        ("x-remote-extra-acme.com%2fa%25b", "x"),
        ("x-remote-extra-acme.com%2fa%25b", "y"),
    ]


@pytest.mark.parametrize("name", ["a\r\nX-Remote-Group: system:masters", "admin ", "a\0b"])
def test_an_identity_that_headers_would_change_is_not_told(name: str) -> None:
    with pytest.raises(ValueError, match="cannot tell"):
        set_identity(Headers(), User(name=name))


def test_plain_discovery_is_put_into_the_aggregated_form() -> None:
    resources = [
        {"name": "flunders/status", "kind": "Flunder", "verbs": ["get"]},
        {
            "name": "flunders",
            "singularName": "flunder",
            "namespaced": True,
            "kind": "Flunder",
            "verbs": ["list"],
        },
        {"name": "fischers", "kind": "Fischer", "verbs": ["get", 7], "shortNames": ["f"]},
        {"kind": "nameless"},
        "nonsense",
    ]
    found = remote_discovery.from_plain(orjson.dumps({"resources": resources}))
    assert [one["resource"] for one in found] == ["flunders", "fischers"]
    assert found[0]["subresources"][0]["subresource"] == "status"
    assert (found[0]["scope"], found[1]["scope"]) == ("Namespaced", "Cluster")
    assert found[1]["verbs"] == ["get"]


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'"text"'])
def test_what_is_no_discovery_document_is_refused(body: bytes) -> None:
    for read in (remote_discovery.from_plain, remote_discovery.from_aggregated):
        with pytest.raises(ValueError):
            read(body)


def test_aggregated_discovery_is_taken_for_what_fits_in_it() -> None:
    versions: Any = [
        {"version": "v1", "resources": [{"resource": "a", "verbs": None}, {"scope": "x"}, 3]},
        None,
    ]
    items = [{"metadata": {"name": "g"}, "versions": versions}, 7, {"metadata": []}]
    found = remote_discovery.from_aggregated(orjson.dumps({"items": items}))
    assert [one["resource"] for one in found["g", "v1"]] == ["a"]
    assert found["g", "v1"][0]["responseKind"] == {"group": "", "version": "", "kind": ""}
    assert remote_discovery.is_aggregated(
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    )
    assert not remote_discovery.is_aggregated("application/json")


def _document(definition: Object, path: str) -> bytes:
    reference = {"$ref": "#/definitions/x.A"}
    return orjson.dumps(
        {
            "paths": {path: {"get": {"parameters": [{"$ref": "#/parameters/p"}], "schema": reference}}},
            "parameters": {"p": {"name": "pretty", "in": "query"}},
            "definitions": {"x.A": definition, "x.Unused": {}},
        }
    )


def test_openapi_documents_are_merged_and_clashing_names_renamed() -> None:
    kept = remote_openapi.keep(_document({"type": "object"}, "/apis/g/v1/a"), "e", "g", "v1")
    assert remote_openapi.keep(_document({}, "/apis/h/v1/a"), "", "g", "v1").document()["paths"] == {}
    paths: Object = {"/apis/g/v1/b": {}}
    definitions: Object = {"x.A": {"type": "string"}}
    remote_openapi.merge(paths, definitions, [kept.document(), kept.document()])
    assert sorted(definitions) == ["x.A", "x.A_v2"]
    assert definitions["x.A"] == {"type": "string"}
    assert paths["/apis/g/v1/a"]["get"] == {
        "parameters": [{"name": "pretty", "in": "query"}],
        "schema": {"$ref": "#/definitions/x.A_v2"},
    }


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(7, id="a number for a path"),
        pytest.param({"get": "x"}, id="a text for an operation"),
        pytest.param({"get": {"parameters": 1}}, id="a number for parameters"),
        pytest.param({"get": {"parameters": ["x"]}}, id="a text for a parameter"),
        pytest.param({"get": {"responses": {"200": None}}}, id="nothing for a response"),
        pytest.param({"get": {"responses": {"200": {"schema": {"maximum": "x"}}}}}, id="a text for a number"),
        pytest.param({"get": {"tags": 5}}, id="a number for tags"),
    ],
)
def test_a_malformed_document_is_refused_as_a_whole(item: Any) -> None:
    body = orjson.dumps({"paths": {"/apis/g/v1/a": item}, "definitions": {}})
    with pytest.raises(ValueError, match=r"malformed|could not|convert"):
        remote_openapi.keep(body, "", "g", "v1")


def test_a_document_of_v2_is_told_in_v3() -> None:
    reference = {"$ref": "#/definitions/x.A"}
    operation = {
        "operationId": "createA",
        "x-kubernetes-action": "post",
        "consumes": ["application/json"],
        "produces": ["application/json", "application/yaml"],
        "parameters": [
            {"name": "body", "in": "body", "required": True, "schema": reference},
            {"name": "dryRun", "in": "query", "type": "string", "description": "No."},
        ],
        "responses": {"200": {"description": "OK", "schema": reference}, "401": {"description": "No"}},
    }
    item = {"post": operation, "parameters": [{"name": "namespace", "in": "path", "required": True}]}
    document = {"paths": {"/apis/g/v1/a": item}, "definitions": {"x.A": {"type": "object"}}}
    made = v3_of_v2(document, "1.36.2")
    post = made["paths"]["/apis/g/v1/a"]["post"]
    schema = {"schema": {"$ref": "#/components/schemas/x.A"}}
    assert post == {
        "operationId": "createA",
        "x-kubernetes-action": "post",
        "parameters": [{"name": "dryRun", "in": "query", "description": "No.", "schema": {"type": "string"}}],
        "requestBody": {"content": {"application/json": schema}},
        "responses": {
            "200": {
                "description": "OK",
                "content": {"application/json": schema, "application/yaml": schema},
            },
            "401": {"description": "No"},
        },
    }
    assert made["paths"]["/apis/g/v1/a"]["parameters"] == [
        {"name": "namespace", "in": "path", "required": True, "schema": {}}
    ]
    assert made["components"]["schemas"] == {"x.A": {"type": "object"}}


def test_where_an_index_says_a_document_is() -> None:
    good = "/openapi/v3/apis/g/v1?hash=1"
    index = {
        "paths": {"apis/g/v1": {"serverRelativeURL": good}, "apis/g/v2": {"serverRelativeURL": "//evil/"}}
    }
    body = orjson.dumps(index)
    assert remote_openapi.v3_url(body, "g", "v1") == good
    assert remote_openapi.v3_url(body, "g", "v2") == ""
    assert remote_openapi.v3_url(b"[]", "g", "v1") == ""


CUSTOM = autoregister.custom_api_service("g", "v1")


@pytest.mark.parametrize(
    ("desired", "label", "spec", "from_before", "verb"),
    [
        pytest.param(CUSTOM, None, None, False, "create", id="new"),
        pytest.param(CUSTOM, "true", CUSTOM["spec"], False, "", id="as it should be"),
        pytest.param(CUSTOM, "true", {}, False, "update", id="changed"),
        pytest.param(CUSTOM, "", {}, True, "", id="somebody else's"),
        pytest.param(None, "true", {}, False, "delete", id="the definition has gone"),
        pytest.param(None, "onstart", {}, True, "delete", id="left over from an older server"),
        pytest.param(None, "onstart", {}, False, "", id="made since"),
        pytest.param(None, "", {}, True, "", id="never ours"),
        pytest.param(None, None, None, True, "", id="nothing to do"),
    ],
)
def test_auto_registration(
    desired: Object | None, label: str | None, spec: Object | None, from_before: bool, verb: str
) -> None:
    current = None
    if spec is not None:
        labels = {AUTOMANAGED: label} if label else {}
        current = {"metadata": {"name": "v1.g", "labels": labels}, "spec": spec}
    step = autoregister.plan(desired, current, builtin=False, from_before=from_before)
    assert (step.verb if step else "") == verb
    assert autoregister.plan(desired, current, builtin=True, from_before=from_before) is None
