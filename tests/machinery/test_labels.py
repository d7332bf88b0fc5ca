"""Label selectors: grammar, messages, matching, text form."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.machinery import labels
from podium.machinery.errors import BadRequest

MATCHING = [
    ("", {}, True),
    ("", {"a": "b"}, True),
    ("a=b", {"a": "b"}, True),
    ("a==b", {"a": "b"}, True),
    ("a=b", {"a": "c"}, False),
    ("a=b", {}, False),
    ("a!=b", {}, True),
    ("a!=b", {"a": "b"}, False),
    ("a", {"a": ""}, True),
    ("a", {}, False),
    ("!a", {}, True),
    ("!a", {"a": "x"}, False),
    ("a in (b,c)", {"a": "c"}, True),
    ("a in (b,c)", {}, False),
    ("a notin (b,c)", {}, True),
    ("a notin (b,c)", {"a": "b"}, False),
    ("a in ()", {"a": ""}, True),
    ("a in ()", {"a": "b"}, False),
    ("a notin ()", {"a": ""}, False),
    ("a in (,)", {"a": ""}, True),
    ("a=", {"a": ""}, True),
    ("a>5", {"a": "6"}, True),
    ("a>5", {"a": "5"}, False),
    ("a>5", {"a": "x"}, False),
    ("a<5", {"a": "4"}, True),
    ("a<5", {}, False),
    ("a=b,c=d", {"a": "b", "c": "d"}, True),
    ("a=b,c=d", {"a": "b"}, False),
    (" a = b , c ", {"a": "b", "c": ""}, True),
    ("in in (in)", {"in": "in"}, True),
    ("notin", {"notin": "x"}, True),
]


@pytest.mark.parametrize(("text", "given_labels", "expected"), MATCHING, ids=str)
def test_matching(text: str, given_labels: dict[str, str], expected: bool) -> None:
    assert labels.parse(text).matches(given_labels) is expected


MESSAGES = [
    ("a in b", "unable to parse requirement: found 'b' expected: '('"),
    ("a=b=c", "found '=', expected: ',' or 'end of string'"),
    ("!", "unable to parse requirement: found '', expected: identifier"),
    ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
    ("=x", "found '=', expected: !, identifier, or 'end of string'"),
    ("a,,b", "found ',', expected: identifier after ','"),
    ("bad key=x", "unable to parse requirement: found 'key', expected: in, notin, =, ==, !=, gt, lt"),
    ("a gt 5", "unable to parse requirement: found 'gt', expected: in, notin, =, ==, !=, gt, lt"),
    ("a=bad value!", "found 'value', expected: ',' or 'end of string'"),
    (
        "a>x",
        'unable to parse requirement: values[0]: Invalid value: "x": '
        "for 'Gt', 'Lt' operators, the value must be an integer",
    ),
    (
        "-a=b",
        'unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of alphanumeric '
        "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName', "
        " or 'my.name',  or '123-abc', regex used for validation is "
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    ),
]


@pytest.mark.parametrize(("text", "message"), MESSAGES, ids=[text for text, _ in MESSAGES])
def test_what_is_wrong_is_said_in_upstreams_words(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        labels.parse(text)
    assert caught.value.message == message


SELECTORS: list[tuple[dict[str, Any] | None, dict[str, str], bool]] = [
    (None, {"a": "b"}, False),
    ({}, {"a": "b"}, True),
    ({"matchLabels": {"a": "b"}}, {"a": "b", "c": "d"}, True),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, {"a": "b"}, True),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
    ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
    ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {}, True),
]


@pytest.mark.parametrize(("selector", "given_labels", "expected"), SELECTORS, ids=str)
def test_label_selector_objects(
    selector: dict[str, Any] | None, given_labels: dict[str, str], expected: bool
) -> None:
    assert labels.from_label_selector(selector).matches(given_labels) is expected


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ValueError, match='"Near" is not a valid label selector operator'):
        labels.from_label_selector({"matchExpressions": [{"key": "a", "operator": "Near"}]})


def test_the_text_form_is_sorted_by_key() -> None:
    assert str(labels.parse("z=1, a in (y,x), !m")) == "a in (x,y),!m,z=1"
    assert str(labels.from_map({"b": "1", "a": "2"})) == "a=2,b=1"


def test_exact_finds_the_only_value() -> None:
    selector = labels.parse("a=b,c in (d),e in (f,g),h!=i")
    assert [selector.exact(key) for key in "aceh"] == ["b", "d", None, None]


_names = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
_keys = st.one_of(_names, st.builds(lambda a, b: f"{a}.example/{b}", _names.map(str.lower), _names))
_values = st.frozensets(_names, min_size=1, max_size=3)
_numbers = st.integers(-99, 99).map(lambda number: frozenset((str(number),)))
_requirements = st.one_of(
    st.builds(labels.Requirement, _keys, st.sampled_from(["in", "notin"]), _values),
    st.builds(
        labels.Requirement, _keys, st.sampled_from(["=", "==", "!="]), _names.map(lambda v: frozenset((v,)))
    ),
    st.builds(labels.Requirement, _keys, st.sampled_from(["exists", "!"])),
)


@given(st.lists(_requirements, max_size=5))
def test_parse_reads_what_str_writes(requirements: list[labels.Requirement]) -> None:
    selector = labels.Selector(tuple(sorted(requirements, key=lambda requirement: requirement.key)))
    assert labels.parse(str(selector)) == selector


@given(st.text(alphabet="ab =!(),<>in", max_size=20))
def test_any_text_parses_or_is_a_bad_request(text: str) -> None:
    try:
        selector = labels.parse(text)
    except BadRequest:
        return
    assert labels.parse(str(selector)) == selector
