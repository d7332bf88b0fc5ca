"""Bodies and addresses that a hostile or careless client sends, answered as upstream answers them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.registry.patch import APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from podium.machinery.codec import json
from tests.apiserver.harness import Api, api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
ARRAY_FOR_TEXT = "json: cannot unmarshal array into Go struct field"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any


def answers(directory: Path, *requests: tuple[str, str, bytes, str]) -> list[Answer]:
    """Send each (method, target, body, media type) to a server that has the ConfigMap `a`."""

    async def main() -> list[Answer]:
        async with api(directory) as server:
            await server.ok("POST", CONFIGMAPS, {"metadata": {"name": "a"}, "data": {"k": "v"}})
            return [await _send(server, *request) for request in requests]

    return asyncio.run(main())


async def _send(server: Api, method: str, target: str, body: bytes, type: str) -> Answer:
    return Answer(*await server.call(method, target, body or None, type=type))


REPEATED = {
    "an earlier one of another type": (
        b'{"metadata": {"name": [], "name": "b"}}',
        400,
        f'ConfigMap in version "v1" cannot be handled as a ConfigMap: {ARRAY_FOR_TEXT} '
        "ObjectMeta.metadata.name of type string",
    ),
    "a kind that is no text at first": (
        b'{"kind": [], "kind": "ConfigMap"}',
        400,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; "
        f"json parse error: {ARRAY_FOR_TEXT} .kind of type string "
        '({"kind": [], "kind": "ConfigMa ...)',
    ),
    "a version of three parts": (
        b'{"apiVersion": "a/b/c"}',
        400,
        "the object provided is unrecognized (must be of type ConfigMap): unexpected GroupVersion string: "
        'a/b/c ({"apiVersion": "a/b/c"})',
    ),
    "no name at all": (
        b'{"": {"": 1, "": 2}, "": {"": 3}}',
        422,
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ),
}


@pytest.mark.parametrize(("body", "status", "message"), REPEATED.values(), ids=REPEATED)
def test_every_occurrence_of_a_field_is_decoded(
    tmp_path: Path, body: bytes, status: int, message: str
) -> None:
    (answer,) = answers(tmp_path, ("POST", CONFIGMAPS, body, "application/json"))
    assert (answer.status, answer.body["message"]) == (status, message)


def test_objects_that_occur_twice_add_up(tmp_path: Path) -> None:
    body = b'{"metadata": {"name": "b"}, "data": {"a": "1", "c": "1"}, "data": {"c": "2"}}'
    (answer,) = answers(tmp_path, ("POST", CONFIGMAPS, body, "application/json"))
    assert answer.body["data"] == {"a": "1", "c": "2"}


STRICT = f"{CONFIGMAPS}/a?fieldManager=m&fieldValidation=Strict"


@pytest.mark.parametrize(
    ("type", "body"),
    [
        (MERGE_PATCH, b'{"odd": 1}'),
        (STRATEGIC_MERGE_PATCH, b'{"odd": 1}'),
        (JSON_PATCH, b'[{"op": "add", "path": "/odd", "value": 1}]'),
    ],
)
def test_a_strict_patch_with_an_unknown_field_is_an_invalid_one(
    tmp_path: Path, type: str, body: bytes
) -> None:
    (answer,) = answers(tmp_path, ("PATCH", STRICT, body, type))
    assert answer.status == 422
    cause = answer.body["details"]["causes"][0]
    assert cause["field"] == "patch"
    assert cause["message"].endswith('strict decoding error: unknown field "odd"')


def test_members_of_json_patches(tmp_path: Path) -> None:
    unknown = b'[{"op": "test", "path": "/none", "value": null, "to": 1}]'
    mistyped = b'[{"op": "test", "path": 1}]'
    strict, warned, wrong, ignored = answers(
        tmp_path,
        ("PATCH", STRICT, unknown, JSON_PATCH),
        ("PATCH", f"{CONFIGMAPS}/a", unknown, JSON_PATCH),
        ("PATCH", f"{CONFIGMAPS}/a", mistyped, JSON_PATCH),
        ("PATCH", f"{CONFIGMAPS}/a?fieldValidation=Ignore", mistyped, JSON_PATCH),
    )
    assert strict.status == 422
    assert "strict decoding error: json patch unknown field" in strict.body["message"]
    assert warned.status == 200
    assert wrong.status == 400
    assert ignored.status == 422


def test_whether_there_is_such_an_object_comes_before_whether_the_patch_can_be_read(tmp_path: Path) -> None:
    (answer,) = answers(tmp_path, ("PATCH", f"{CONFIGMAPS}/none", b"{", MERGE_PATCH))
    assert answer.status == 404


def test_applied_elements_may_leave_out_keys_that_have_a_zero(tmp_path: Path) -> None:
    """Validation says then what is missing; the merge would only know that it has no key."""
    body = b"""{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"image": "i"}]}}}}"""
    (answer,) = answers(tmp_path, ("PATCH", f"{DEPLOYMENTS}/d?fieldManager=m", body, APPLY))
    assert answer.status == 422
    assert [cause["field"] for cause in answer.body["details"]["causes"]] == [
        "spec.template.spec.containers[0].name"
    ]


def test_applied_text_is_read_as_yaml(tmp_path: Path) -> None:
    head = b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": '
    target = f"{CONFIGMAPS}/a?fieldManager=m&force=true"
    slash, half, twice, strict = answers(
        tmp_path,
        ("PATCH", target, head + rb'{"k": "\/"}}', APPLY),
        ("PATCH", target, head + rb'{"k": "\ud83d\ude00"}}', APPLY),
        ("PATCH", target, head + b'{"k": "1", "k": "2"}}', APPLY),
        ("PATCH", f"{target}&fieldValidation=Strict", head + b'{"k": "1", "k": "2"}}', APPLY),
    )
    assert slash.body["message"].endswith("yaml: found unknown escape character")
    assert half.status == 400
    assert twice.body["data"] == {"k": "2"}
    assert strict.body["message"] == (
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
        '  line 1: key "k" already set in map'
    )


UNNAMEABLE = {"%2e%2e": "\"..\": may not be '..'", "a%25": "\"a%\": may not contain '%'"}


@pytest.mark.parametrize(("name", "why"), UNNAMEABLE.items())
def test_names_that_no_path_has(tmp_path: Path, name: str, why: str) -> None:
    got, deleted = answers(
        tmp_path, ("GET", f"{CONFIGMAPS}/{name}", b"", ""), ("DELETE", f"{CONFIGMAPS}/{name}", b"", "")
    )
    for answer in (got, deleted):
        assert (answer.status, answer.body["message"]) == (400, f"Name parameter invalid: {why}")


def test_what_is_only_asked_has_no_objects(tmp_path: Path) -> None:
    reviews = "/apis/authentication.k8s.io/v1/tokenreviews"
    one, all_ = answers(tmp_path, ("GET", f"{reviews}/a", b"", ""), ("GET", reviews, b"", ""))
    assert (one.status, all_.status) == (404, 405)


def test_messages_quote_what_cannot_be_printed(tmp_path: Path) -> None:
    (answer,) = answers(tmp_path, ("GET", f"{CONFIGMAPS}/a%00b", b"", ""))
    assert answer.body["message"] == r'configmaps "a\x00b" not found'


def test_malformed_parameters_are_not_there(tmp_path: Path) -> None:
    for answer in answers(
        tmp_path,
        ("GET", f"{CONFIGMAPS}?limit=%zz", b"", ""),
        ("GET", f"{CONFIGMAPS}?limit=1;limit=x", b"", ""),
    ):
        assert answer.status == 200


def test_pod_templates_have_a_generation(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            path = "/api/v1/namespaces/default/podtemplates"
            spec = {"containers": [{"name": "c", "image": "i"}]}
            made = await server.ok("POST", path, {"metadata": {"name": "t"}, "template": {"spec": spec}})
            assert made["metadata"]["generation"] == 1
            made["template"]["spec"]["containers"][0]["image"] = "j"
            changed = await server.ok("PUT", f"{path}/t", made)
            assert changed["metadata"]["generation"] == 2

    asyncio.run(main())


def test_owners_are_compared_in_time(tmp_path: Path) -> None:
    """Looking for each among all before it took minutes, in which nobody else was served."""
    owners = [{"apiVersion": "v1", "kind": "Pod", "name": f"p{n}", "uid": f"{n}"} for n in range(60_000)]
    body = json.encode({"metadata": {"name": "b", "ownerReferences": [*owners, owners[0]]}})
    (answer,) = answers(tmp_path, ("POST", CONFIGMAPS, body, "application/json"))
    assert len(answer.body["metadata"]["ownerReferences"]) == 60_000


def test_versions_of_what_is_yet_to_be_created(tmp_path: Path) -> None:
    body = b'{"metadata": {"name": "b", "resourceVersion": "7"}}'
    dry, real = answers(
        tmp_path,
        ("POST", f"{CONFIGMAPS}?dryRun=All", body, "application/json"),
        ("POST", CONFIGMAPS, body, "application/json"),
    )
    assert dry.status == 201
    assert dry.body["metadata"]["resourceVersion"] == "7"
    assert real.status == 500
