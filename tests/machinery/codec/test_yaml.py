"""YAML as upstream reads it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.machinery.codec import yaml

PLAIN = [
    ("y", True),
    ("yes", True),
    ("On", True),
    ("n", False),
    ("off", False),
    ("yEs", "yEs"),
    ("~", None),
    ("Null", None),
    ("", None),
    ("010", 8),
    ("0o10", 8),
    ("0x1F", 31),
    ("0b11", 3),
    ("08", 8),
    ("1_000", 1000),
    ("+5", 5),
    ("-5", -5),
    ("1.0", 1),
    ("1.5", 1.5),
    (".5", 0.5),
    ("1e3", 1000),
    ("1:30", "1:30"),
    ("2020-01-01", "2020-01-01"),
    ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
    ("1.2.3", "1.2.3"),
    ("500m", "500m"),
    ("'1'", "1"),
    ('"yes"', "yes"),
    ("!!str 1", "1"),
    ("18446744073709551615", 18446744073709551615),
]


@pytest.mark.parametrize(("text", "value"), PLAIN, ids=[text for text, _ in PLAIN])
def test_scalars(text: str, value: Any) -> None:
    decoded = yaml.decode(f"a: {text}\n".encode())["a"]
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("---\na: 1\n---\nb: 2\n", {"a": 1}),
        ("1: a\ntrue: b\n1.5: c\n", {"1": "a", "true": "b", "1.5": "c"}),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}\n", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("a: &x {b: 1}\nc: {<<: *x, b: 2}\n", {"a": {"b": 1}, "c": {"b": 2}}),
        ("a: &x {b: 1}\nc: {b: 2, <<: *x}\n", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: !!binary eHg=\n", {"a": "xx"}),
        ("a: &x {k: 1}\nb: &y {k: 2}\nc: {<<: [*x, *y]}\n", {"a": {"k": 1}, "b": {"k": 2}, "c": {"k": 1}}),
        ('{"a": [1, "yes"]}', {"a": [1, "yes"]}),
        ("{a: [1, yes]}", {"a": [1, True]}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
    ],
    ids=[
        "empty",
        "first document",
        "keys",
        "merge",
        "merge loses",
        "merge wins",
        "binary",
        "merge list",
        "JSON",
        "flow",
        "block",
    ],
)
def test_documents(text: str, value: Any) -> None:
    assert yaml.decode(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("x: 1\na: b: c", "yaml: line 2: mapping values are not allowed in this context"),
        ("a: .inf", "json: unsupported value: +Inf"),
        ("\ta: 1", "yaml: found character that cannot start any token"),
        ("a: *x", "yaml: unknown anchor 'x' referenced"),
        ("b: &y {c: [*y]}", "yaml: anchor 'y' value contains itself"),
        ("null: d", 'unsupported map key of type: %!s(<nil>), key: <nil>, value: "d"'),
        (
            "? [a, {b: 1}]\n: c",
            'yaml: invalid map key: []interface {}{"a", map[interface {}]interface {}{"b":1}}',
        ),
        ("a: !!binary '*'", "yaml: !!binary value contains invalid base64 data"),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(yaml.YamlError) as caught:
        yaml.decode(text.encode())
    assert str(caught.value) == f"error converting YAML to JSON: {message}"


def test_a_billion_laughs_are_refused() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    with pytest.raises(yaml.YamlError, match="excessive aliasing"):
        yaml.decode("\n".join(lines).encode())


def test_an_anchor_in_itself_is_refused() -> None:
    with pytest.raises(yaml.YamlError, match="contains itself"):
        yaml.decode(b"a: &x [*x]")


REPEATS = [
    ("metadata:\n  name: y\ndata:\n  k: v\n  k: w\nextra: 1\n", ['line 5: key "k" already set in map']),
    ("a: 1\nb: {a: 2}\n", []),
    # Where the second value begins, and inner ones first.
    (
        "a: {}\na:\n  b: 1\n  b: 2\n",
        ['line 4: key "b" already set in map', 'line 3: key "a" already set in map'],
    ),
    ("1: a\n'1': b\n", []),
    ("1: a\n0x1: b\n", ["line 2: key 1 already set in map"]),
    ("y: a\nyes: b\n", ["line 2: key true already set in map"]),
    ("{<<: {a: b}, a: c}", ['line 1: key "a" already set in map']),
    ('{"a": 1, "a": 2}', ['line 1: key "a" already set in map']),
    ('{ "a": 1 }', []),
]


@pytest.mark.parametrize(("text", "lines"), REPEATS, ids=[text for text, _ in REPEATS])
def test_duplicates(text: str, lines: list[str]) -> None:
    found = yaml.decode_strictly(text.encode())[1]
    whole = ["yaml: unmarshal errors:\n" + "\n".join(f"  {line}" for line in lines)] if lines else []
    assert found == whole == yaml.duplicates(text.encode())
    assert [part for complaint in found for part in yaml.complaints(complaint)] == lines


def test_encoding_quotes_what_would_be_read_as_something_else() -> None:
    value = {"b": "yes", "a": "y", "c": ["1", 1, None, True, "x: y", "multi\nline\n"], "d": {}, "e": []}
    text = yaml.encode(value).decode()
    assert text.startswith('a: "y"\nb: "yes"\nc:\n- "1"\n- 1\n- null\n- true\n- \'x: y\'\n')
    assert yaml.decode(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-01-01T00:00:00Z", '"2026-01-01T00:00:00Z"'),
        ("2026-01-01", '"2026-01-01"'),
        ("1:30", '"1:30"'),
        ("", '""'),
        ("1.2.3", "1.2.3"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("2026-01-01-x", "2026-01-01-x"),
    ],
)
def test_encoding_quotes_what_other_readers_take_for_a_time(text: str, written: str) -> None:
    assert yaml.encode({"a": text}).decode() == f"a: {written}\n"


_text = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_text, _values, max_size=3))
def test_what_is_encoded_decodes(value: Any) -> None:
    assert yaml.decode(yaml.encode(value)) == value


def test_importing_the_codec_imports_no_yaml() -> None:
    code = "import sys, podium.machinery.codec.yaml; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
