"""How deep values may nest, and that all that passes can be walked."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.codec import json, yaml
from podium.machinery.depth import DEPTH_MAX, too_deep
from podium.machinery.golang import plain
from podium.machinery.meta import deep_copy


def nested(depth: int, *, lists: bool = False) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if lists else {"a": value}
    return value


@pytest.mark.parametrize("lists", [False, True])
def test_the_bound(lists: bool) -> None:
    assert not too_deep(nested(DEPTH_MAX, lists=lists))
    assert too_deep(nested(DEPTH_MAX + 1, lists=lists))
    deepest = {"wide": [1] * 1000, "deep": nested(100_000, lists=lists)}
    refused = too_deep(deepest)
    deepest.clear()  # lest a failure try to print it
    assert refused


def test_scalars_and_empty_containers_are_shallow() -> None:
    values: list[Any] = [None, 1, "[{[{", [], {}, [[]]]
    for value in values:
        assert not too_deep(value)


@pytest.mark.parametrize("lists", [False, True])
def test_what_passes_the_decoders_can_be_walked(lists: bool) -> None:
    text = json.encode(nested(DEPTH_MAX, lists=lists))
    for value in (json.decode(text), yaml.decode(text), yaml.decode(b"# block\n" + text)):
        assert deep_copy(value) == value
        assert json.encode(value) == text
        assert plain(value)
        assert yaml.encode(value)


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 253])
def test_what_is_deeper_is_refused_in_both_forms(depth: int, lists: bool) -> None:
    text = json.encode(nested(depth, lists=lists))
    with pytest.raises(json.JsonError, match="exceeded max depth"):
        json.decode(text)
    for body in (text, b"# block\n" + text):
        with pytest.raises(yaml.YamlError, match="exceeded max depth"):
            yaml.decode(body)


def test_brackets_in_text_are_no_depth() -> None:
    assert json.decode(json.encode(["[{" * 1000])) == ["[{" * 1000]
