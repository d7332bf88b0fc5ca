"""CBOR: what is written is deterministic, what is read is any form of a value of JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.machinery.codec import cbor

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_json)
def test_what_is_written_reads_back(value: Any) -> None:
    written = cbor.encode(value)
    assert written.startswith(cbor.MAGIC)
    assert cbor.decode(written) == value


@given(st.binary(max_size=40))
def test_any_bytes_mean_something_or_are_refused(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except cbor.CborError:
        return
    assert cbor.decode(cbor.encode(value)) == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"b": 1, "a": 2, "aa": 3}, "a3 4161 02 4162 01 426161 03"),
        ([], "80"),
        ("ü", "42 c3bc"),
        (23, "17"),
        (24, "1818"),
        (-1, "20"),
        (-(2**63), "3b7fffffffffffffff"),
        (1.5, "f93e00"),
        (100000.0, "fa47c35000"),
        (1.1, "fb3ff199999999999a"),
        ([True, False, None], "83 f5 f4 f6"),
    ],
    ids=repr,
)
def test_the_shortest_form_with_keys_in_order(value: Any, written: str) -> None:
    assert cbor.encode(value) == cbor.MAGIC + bytes.fromhex(written)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("6161", "a"),
        ("bf 6161 01 ff", {"a": 1}),
        ("9f 01 9f 02 ff ff", [1, [2]]),
        ("5f 4161 4162 ff", "ab"),
        ("7f 6161 6162 ff", "ab"),
        ("d6 43 010203", "AQID"),
        ("d7 42 ab01", "ab01"),
        ("d5 42 ffff", "__8"),
        ("c0 74 323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"),
        ("c1 1a514b67b0", "2013-03-21T20:04:00Z"),
        ("d81e 01", 1),
        ("d9d9f7 d9d9f7 80", []),
        ("f97bff", 65504.0),
    ],
)
def test_other_forms_are_read_too(written: str, value: Any) -> None:
    assert cbor.decode(bytes.fromhex(written)) == value


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "unexpected EOF"),
        ("82 01", "unexpected EOF"),
        ("9a ffffffff", "unexpected EOF"),
        ("01 02", "extraneous data"),
        ("a2 4161 01 6161 02", "duplicate map key"),
        ("a1 01 02", "no string"),
        ("61 ff", "invalid UTF-8"),
        ("41 ff", "invalid UTF-8"),
        ("1b ffffffffffffffff", "overflows"),
        ("c2 41 01", "any size"),
        ("f7", "simple value 23"),
        ("f8 18", "simple value 24"),
        ("f97e00", "NaN"),
        ("ff", "break"),
        ("a1 4161 ff", "break"),
        ("1c", "additional information"),
    ],
    ids=lambda value: value if " " not in value else "",
)
def test_what_json_cannot_say_is_refused(written: str, why: str) -> None:
    with pytest.raises(cbor.CborError, match=why):
        cbor.decode(bytes.fromhex(written))


def test_how_deep_something_nests_costs_no_stack() -> None:
    deepest = b"\x81" * cbor.NESTING_MAX + b"\x80"
    assert cbor.encode(cbor.decode(deepest)) == cbor.MAGIC + deepest
    with pytest.raises(cbor.CborError, match="max nested level"):
        cbor.decode(b"\x81" * 100_000)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**63, b"bytes"], ids=repr)
def test_what_cannot_be_written(value: Any) -> None:
    with pytest.raises(cbor.CborError):
        cbor.encode(value)
