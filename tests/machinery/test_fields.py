"""Field selectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.machinery import fields
from podium.machinery.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("", ()),
        ("metadata.name=a", (("metadata.name", "=", "a"),)),
        ("metadata.name==a", (("metadata.name", "=", "a"),)),
        ("a!=b,c=d", (("a", "!=", "b"), ("c", "=", "d"))),
        ("a=", (("a", "=", ""),)),
        ("=x", (("", "=", "x"),)),
        ("a=b,", (("a", "=", "b"),)),
        (r"a=b\,c\=d\\", (("a", "=", "b,c=d\\"),)),
    ],
)
def test_parse(text: str, requirements: tuple[tuple[str, str, str], ...]) -> None:
    assert fields.parse(text).requirements == requirements


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("metadata.name>a", "invalid selector: 'metadata.name>a'; can't understand 'metadata.name>a'"),
        ("a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"),
        (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        fields.parse(text)
    assert caught.value.message == message


def test_matches() -> None:
    values = {"a": "1", "b": "2"}
    assert fields.parse("a=1,b!=3").matches(values.__getitem__)
    assert not fields.parse("a=1,b!=2").matches(values.__getitem__)
    assert fields.parse("a=1").exact("a") == "1"
    assert fields.parse("a!=1").exact("a") is None


@given(st.lists(st.tuples(st.text("abc.", min_size=1), st.sampled_from(["=", "!="]), st.text())))
def test_parse_reads_what_str_writes(requirements: list[tuple[str, fields.Operator, str]]) -> None:
    selector = fields.FieldSelector(tuple(requirements))
    assert set(fields.parse(str(selector)).requirements) == set(requirements)


def test_what_names_neither_field_nor_value_asks_for_nothing() -> None:
    assert fields.parse("=,==,!=") == fields.EVERYTHING


def test_terms_are_looked_at_in_order() -> None:
    with pytest.raises(BadRequest, match="can't understand 'b'"):
        fields.parse("c,b,a=1")
