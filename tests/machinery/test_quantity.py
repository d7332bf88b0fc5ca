"""Quantities: exact values, canonical forms, upstream's messages."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.machinery import quantity

CANONICAL = [
    ("0", "0"),
    ("0.0", "0"),
    ("1.250", "1.250"),
    ("1.500000", "1500m"),
    ("1e0", "1e0"),
    ("8Ki", "8Ki"),
    ("8192", "8192"),
    ("0m", "0"),
    ("1", "1"),
    ("1000m", "1"),
    ("100m", "100m"),
    ("1500m", "1500m"),
    ("0.5", "500m"),
    ("1.25", "1250m"),
    ("0.1m", "100u"),
    ("1n", "1n"),
    ("0.1n", "1n"),
    ("1000", "1k"),
    ("1500", "1500"),
    ("1000000", "1M"),
    ("1G", "1G"),
    ("1000E", "1000E"),
    ("1Ki", "1Ki"),
    ("1024Ki", "1Mi"),
    ("1.5Gi", "1536Mi"),
    ("0.5Mi", "512Ki"),
    ("0.5Ki", "512"),
    ("1025Mi", "1025Mi"),
    ("0.0001Ki", "102400u"),
    ("1e3", "1e3"),
    ("12e6", "12e6"),
    ("1E3", "1E3"),
    ("3e-3", "3e-3"),
    ("100e1", "1e3"),
    ("-3", "-3"),
    ("-1024Mi", "-1Gi"),
    ("+5", "+5"),
    ("5.", "5."),
    (".5", "500m"),
    ("007", "007"),
]


@pytest.mark.parametrize(("text", "canonical"), CANONICAL)
def test_canonical(text: str, canonical: str) -> None:
    assert quantity.canonical(text) == canonical
    assert quantity.canonical(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "value", "milli"),
    [
        ("1", 1, 1000),
        ("100m", 1, 100),
        ("1001m", 2, 1001),
        ("0.0001", 1, 1),
        ("-1.5", -2, -1500),
        ("2Ki", 2048, 2048000),
        ("0", 0, 0),
    ],
)
def test_value_and_milli_round_away_from_zero(text: str, value: int, milli: int) -> None:
    assert quantity.parse(text).value() == value
    assert quantity.parse(text).milli() == milli


@pytest.mark.parametrize(("number", "canonical"), [(5, "5"), (0.5, "500m"), (1e3, "1k"), (1000, "1k")])
def test_numbers_are_read_as_their_text(number: float, canonical: str) -> None:
    assert quantity.canonical(number) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", quantity.FORMAT_MESSAGE),
        ("lots", quantity.FORMAT_MESSAGE),
        ("1 Gi", quantity.FORMAT_MESSAGE),
        ("1.2.3", quantity.FORMAT_MESSAGE),
        ("--1", quantity.SUFFIX_MESSAGE),
        ("1GiB", quantity.FORMAT_MESSAGE),
        ("1K", quantity.SUFFIX_MESSAGE),
        ("1mm", quantity.SUFFIX_MESSAGE),
        ("1e", quantity.SUFFIX_MESSAGE),
    ],
)
def test_what_is_no_quantity(text: str, message: str) -> None:
    with pytest.raises(quantity.QuantityError) as caught:
        quantity.parse(text)
    assert str(caught.value) == message


def test_a_monstrous_exponent_is_capped_at_once() -> None:
    assert quantity.parse("1e999999999").value() == 2**63 - 1
    assert quantity.parse("1e-999999999").nanos == 1


def test_equal_amounts_are_equal() -> None:
    assert quantity.parse("1024Ki") == quantity.parse("1Mi") == quantity.parse("1048576")
    assert quantity.parse("999m") < quantity.parse("1") <= quantity.parse("1k")
    assert hash(quantity.parse("1000m")) == hash(quantity.parse("1"))


def test_arithmetic_keeps_the_family() -> None:
    assert str(quantity.parse("1Gi") + quantity.parse("1024Mi")) == "2Gi"
    assert str(quantity.ZERO + quantity.parse("1Gi")) == "1Gi"
    assert str(quantity.parse("2") - quantity.parse("500m")) == "1500m"
    assert str(quantity.parse("250m") * 4) == "1"


@given(
    st.integers(-(10**12), 10**12),
    st.sampled_from(["n", "u", "m", "", "k", "M", "Ki", "Mi", "Gi", "e3", "e-2"]),
)
def test_the_canonical_form_means_the_same(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    scale: Fraction = {
        "n": Fraction(1, 10**9),
        "u": Fraction(1, 10**6),
        "m": Fraction(1, 1000),
        "": Fraction(1),
        "k": Fraction(1000),
        "M": Fraction(10**6),
        "Ki": Fraction(2**10),
        "Mi": Fraction(2**20),
        "Gi": Fraction(2**30),
        "e3": Fraction(1000),
        "e-2": Fraction(1, 100),
    }[suffix]
    expected = number * scale
    parsed = quantity.parse(text)
    if abs(expected) < 2**63:
        assert Fraction(parsed.nanos, 10**9) == expected
    assert quantity.parse(str(parsed)) == parsed
    assert str(quantity.parse(str(parsed))) == str(parsed)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1" + "0" * 5000 + "Ki", str(2**63 - 1)),
        ("0" * 5000 + "1", "1"),
        ("1." + "0" * 5000, "1"),
        ("0." + "0" * 5000 + "1", "1n"),
        ("1e-" + "9" * 5000, "1e-9"),
        ("0e" + "9" * 5000, "0"),
    ],
)
def test_thousands_of_digits_cost_nothing(text: str, shown: str) -> None:
    assert str(quantity.parse(text)) == shown
