"""JSON: what is malformed, and what occurs twice."""

from __future__ import annotations

import json as standard
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.machinery.codec import json
from podium.machinery.errors import BadRequest

from ..shared import needs_recordings, steps

SYNTAX = [
    (b"", "unexpected end of JSON input"),
    (b"{", "unexpected end of JSON input"),
    (b'{"a"', "unexpected end of JSON input"),
    (b"not json", "invalid character 'o' in literal null (expecting 'u')"),
    (b"x", "invalid character 'x' looking for beginning of value"),
    (b"nul", "invalid character ' ' in literal null (expecting 'l')"),
    (b"-", "invalid character ' ' in numeric literal"),
    (b"\xff", "invalid character '\xff' looking for beginning of value"),
    ("é".encode(), "invalid character '\xc3' looking for beginning of value"),
    (b'{"a":}', "invalid character '}' looking for beginning of value"),
    (b"{'a':1}", r"invalid character '\'' looking for beginning of object key string"),
    (b'{"a" 1}', "invalid character '1' after object key"),
    (b'{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
    (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
    (b"[1 2]", "invalid character '2' after array element"),
    (b"{} x", "invalid character 'x' after top-level value"),
    (b"[01]", "invalid character '1' after array element"),
    (b"[-]", "invalid character ']' in numeric literal"),
    (b"[1.]", "invalid character ']' after decimal point in numeric literal"),
    (b"[1e]", "invalid character ']' in exponent of numeric literal"),
    (b"[tru]", "invalid character ']' in literal true (expecting 'e')"),
    (b'["\n"]', r"invalid character '\n' in string literal"),
    (b'["\\x"]', "invalid character 'x' in string escape code"),
    (b'["\\u12g4"]', r"invalid character 'g' in \u hexadecimal character escape"),
]


@pytest.mark.parametrize(("body", "message"), SYNTAX, ids=[repr(body) for body, _ in SYNTAX])
def test_syntax_errors(body: bytes, message: str) -> None:
    with pytest.raises(json.JsonError) as caught:
        json.decode(body)
    assert str(caught.value) == message


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(json.JsonError):
        json.decode(b"[" * 100_000)


@pytest.mark.parametrize(
    ("body", "value"), [(b'["\\ud800"]', ["�"]), (b'["\xff"]', ["�"])], ids=["lone surrogate", "no UTF-8"]
)
def test_text_that_is_no_text_is_replaced(body: bytes, value: Any) -> None:
    assert json.decode(body) == value


@needs_recordings
def test_recorded_malformed_bodies() -> None:
    for step in steps("requests", "malformed-json"):
        body = step.get("text", "").encode()
        expected = step["expect"]["body"]["message"]
        if body == b"null":
            assert json.decode_object(body, "ConfigMap") == {}
            continue
        with pytest.raises(BadRequest) as caught:
            json.decode_object(body, "ConfigMap")
        assert caught.value.message == expected


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", "<empty>"),
        (b'{"a":1}', '{"a":1}'),
        (b"[1]", "5b315d"),
        (b"{" + b"x" * 40, "{" + "x" * 29 + " ..."),
        (b"x" * 40, "78" * 30 + " ..."),
    ],
    ids=["empty", "object", "array", "long object", "long other"],
)
def test_summary(body: bytes, shown: str) -> None:
    assert json.summary(body) == shown


DUPLICATES = [
    (b"{}", []),
    (b'{ "a": 1, "b": {"a": 1} }', []),
    (b'{"a":1,"a":2}', ["a"]),
    (b'{"a":1,"a":2,"a":3}', ["a", "a"]),
    (b'{"l":[{"x":1,"x":2},{"x":1}]}', ["l[0].x"]),
    (
        b'{"metadata": {"name": "a", "name": "b"}, "data": {"k": "1", "k": "2"}, "data": {"z": "1"}}',
        ["metadata.name", "data.k", "data"],
    ),
]


@pytest.mark.parametrize(("body", "paths"), DUPLICATES, ids=[repr(body)[:40] for body, _ in DUPLICATES])
def test_duplicates(body: bytes, paths: list[str]) -> None:
    assert json.duplicates(body, json.decode(body)) == paths


_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_values)
def test_what_is_encoded_decodes(value: Any) -> None:
    try:
        body = json.encode(value)
    except TypeError:  # a lone surrogate is no text
        return
    assert json.decode(body) == value
    assert json.duplicates(body, value) == []


@given(st.text(alphabet='{}[]",:0-1.e truefalsn\\u', max_size=12))
def test_refuses_what_the_standard_library_refuses(text: str) -> None:
    try:
        standard.loads(text, parse_constant=_no_constant)
        is_json = True
    except ValueError:
        is_json = False
    try:
        json.decode(text.encode())
        assert is_json
    except json.JsonError:
        assert not is_json


def _no_constant(_name: str) -> Any:
    raise ValueError
