"""The formats of strings: what upstream takes for one, and what it does not."""

from __future__ import annotations

import pytest

from podium.machinery.structural.formats import check_of, is_known


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("hostname", ["a-b", "a.example", "\u00e9.com"], ["a.b", "a--b", "1.2.3.4", "-a", "a" * 64, ""]),
        ("email", ['"a b"@c', "A <a@b.c>", "a@b"], ["mailto:x@y", "@b", "a b@c", ""]),
        ("ipv4", ["1.2.3.4", "01.2.3.4"], ["1.2.3", "::1"]),
        ("cidr", ["10.0.0.1/8", "010.0.0.0/8", "::/0"], ["10.0.0.0", "::/129", "10.0.0.0/33"]),
        ("mac", ["00:11:22:33:44:55", "0011.2233.4455", "001122334455"], ["00:11-22:33:44:55"]),
        ("creditcard", ["4111 1111 1111 1111"], ["2020-01-01T00:00:00", "4111111111111112"]),
        ("ssn", ["123-45-6789"], ["123456789"]),
        ("rgbcolor", ["rgb( 1 , 2 , 255 )"], ["rgb(256,1,1)"]),
        ("byte", ["YQ=="], ["", "YQ", "YQ==\n"]),
        ("date", ["0000-01-01", "2020-02-29"], ["2020-2-3", "2021-02-29"]),
        ("date-time", ["2020-01-01t00:00:00z", "2020-01-01T00:00:00,5Z"], ["2020-01-01T23:59:60Z"]),
        ("duration", ["0", "1h2m", "2 days", " 1s", "1 hour 2 minutes"], ["1", "1fortnight", ""]),
    ],
)
def test_formats(format: str, good: list[str], bad: list[str]) -> None:
    check = check_of(format)
    assert check is not None
    assert [text for text in good if not check(text)] == []
    assert [text for text in bad if check(text)] == []


def test_formats_belong_to_types() -> None:
    assert is_known("int32", "integer")
    assert not is_known("int32", "string")
    assert is_known("uuid", "")
