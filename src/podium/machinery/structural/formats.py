"""The formats of strings that upstream checks in custom resources; an unknown format means nothing."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from datetime import date
from string import digits

from podium.machinery import regexp, validation

_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})")
_HOSTNAME_BYTES_MAX, _LABEL_BYTES_MAX = 255, 63
_DURATION = r"^[+-]?(?:0|(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)$"
_AMOUNT = r"[0-9]+\s*([A-Za-zµ]+)"
_SHORT_UNITS = frozenset(("ns", "us", "µs", "ms", "s", "m", "h", "hr", "d", "w", "wk"))
_LONG_UNITS = ("nano", "micro", "milli", "sec", "min", "hour", "day", "week")
_ATOM = r"[^\x00-\x20\x7f()<>@,;:\\\".\[\]]+"
_DOTTED = rf"{_ATOM}(?:\.{_ATOM})*"
_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"'
_ADDRESS = rf"(?:{_DOTTED}|{_QUOTED})@(?:{_DOTTED}|\[[^\[\]\\]*\])"
_EMAIL = rf"^\s*(?:{_ADDRESS}|(?:(?:{_DOTTED}|{_QUOTED})\s*)*<{_ADDRESS}>)\s*$"
"""For RE2, as those above without `re.compile`: another engine would be kept busy by a long text."""
_UUID = r"[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}"
_PART = r"(?:0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])"
_RGB = rf"rgb\(\s*{_PART}\s*,\s*{_PART}\s*,\s*{_PART}\s*\)"
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
_CREDIT_CARD = re.compile(
    r"4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11}"
)


def _date(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        # There is a year 0, which has the days of any leap year.
        date.fromisoformat(text.replace("0000-", "2000-", 1))
    except ValueError:
        return False
    return True


def _date_time(text: str) -> bool:
    day, separator, rest = text.lower().partition("t")
    match = _CLOCK.fullmatch(rest.partition("t")[0])
    if not separator or not _date(day) or match is None:
        return False
    return match[1] <= "23" and match[2] <= "59" and match[3] <= "59"


def _duration(text: str) -> bool:
    if regexp.compiled(_DURATION).search(text) is not None:
        return True
    units = [match[1].lower() for match in regexp.compiled(_AMOUNT).finditer(text)]
    return any(unit in _SHORT_UNITS or unit.startswith(_LONG_UNITS) for unit in units)


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII | re.IGNORECASE)
    return lambda text: compiled.fullmatch(text) is not None


def _hostname(text: str) -> bool:
    *labels, last = text.split(".")
    if len(text.encode()) > _HOSTNAME_BYTES_MAX or len(last.encode()) > _LABEL_BYTES_MAX:
        return False
    if not labels:
        # A dash may stand behind the first character alone.
        return bool(last) and all(map(_is_of_label, last[:1] + last[1:].removeprefix("-")))
    return len(last) > 1 and all(map(_is_letter, last)) and all(map(_is_label, labels))


def _is_label(text: str) -> bool:
    if not text or len(text.encode()) > _LABEL_BYTES_MAX or text[0] == "-" or text[-1] == "-":
        return False
    return all(map(_is_of_label, text.replace("-", "")))


def _is_of_label(char: str) -> bool:
    return char in digits or unicodedata.category(char)[0] in "LS"


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] == "L"


def _address(text: str, sign: str) -> bool:
    """Whether a text is an address with the sign of its family; decimal parts may begin with zeros."""
    if sign == ".":
        text = re.sub(r"(^|[.:])0+(?=[0-9]+(?:\.|$))", r"\1", text)
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return sign in text and "%" not in text


def _cidr(text: str) -> bool:
    address, slash, prefix = text.partition("/")
    if not slash or not re.fullmatch(r"[0-9]+", prefix):
        return False
    if not (_address(address, ".") or _address(address, ":")):
        return False
    return int(prefix) <= (32 if ":" not in address else 128)


def _uri(text: str) -> bool:
    from podium.machinery.cel.library.network import is_url  # noqa: PLC0415 - CEL is loaded by who uses it

    return is_url(text)


def _isbn(length: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        figures = re.sub(r"[\s-]+", "", text, flags=re.ASCII)
        pattern = r"[0-9]{9}[0-9X]" if length == 10 else r"[0-9]{13}"
        if not re.fullmatch(pattern, figures):
            return False
        values = [10 if char == "X" else int(char) for char in figures]
        if length == 10:
            return sum((10 - index) * value for index, value in enumerate(values)) % 11 == 0
        return sum(value * (3 if index % 2 else 1) for index, value in enumerate(values)) % 10 == 0

    return check


def _credit_card(text: str) -> bool:
    figures = re.sub(r"[^0-9]+", "", text)
    if not _CREDIT_CARD.fullmatch(figures):
        return False
    total = 0
    for index, char in enumerate(reversed(figures)):
        value = int(char) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches(r"[0-9a-f]{24}"),
    "uri": _uri,
    "email": lambda text: regexp.compiled(_EMAIL).search(text) is not None,
    "hostname": _hostname,
    "ipv4": lambda text: _address(text, "."),
    "ipv6": lambda text: _address(text, ":"),
    "cidr": _cidr,
    "mac": _matches(
        r"[0-9a-f]{12}|[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}(?:(?:[0-9a-f]{2}\1){2}|(?:[0-9a-f]{2}\1){14})?[0-9a-f]{2}"
        r"|[0-9a-f]{4}\.[0-9a-f]{4}\.(?:[0-9a-f]{4}\.(?:(?:[0-9a-f]{4}\.){6})?)?[0-9a-f]{4}"
    ),
    "uuid": _matches(_UUID % ("[0-9a-f]", "[0-9a-f]")),
    "uuid3": _matches(_UUID % ("3", "[0-9a-f]")),
    "uuid4": _matches(_UUID % ("4", "[89ab]")),
    "uuid5": _matches(_UUID % ("5", "[89ab]")),
    "isbn": lambda text: _isbn(10)(text) or _isbn(13)(text),
    "isbn10": _isbn(10),
    "isbn13": _isbn(13),
    "creditcard": _credit_card,
    "ssn": _matches(r"\d{3}[- ]\d{2}[- ]\d{4}"),
    "hexcolor": _matches(r"#?(?:[0-9a-f]{3}|[0-9a-f]{6})"),
    "rgbcolor": lambda text: re.fullmatch(_RGB, text, re.ASCII) is not None,
    "byte": lambda text: _BASE64.fullmatch(text) is not None,
    "password": lambda _text: True,
    "date": _date,
    "duration": _duration,
    "datetime": _date_time,
    "k8s-short-name": lambda text: not validation.dns1123_label_errors(text),
    "k8s-long-name": lambda text: not validation.dns1123_subdomain_errors(text),
}


_NUMERIC = {"integer": ("int32", "int64"), "number": ("float", "double")}


def is_known(format: str, type: str) -> bool:
    """Whether a format says anything of values of a type."""
    if type in ("", "string"):
        return check_of(format) is not None
    return format in _NUMERIC.get(type, ())


def check_of(format: str) -> Callable[[str], bool] | None:
    """Return the check of a format as schemas spell it (`date-time`), None for one that nobody checks."""
    return FORMATS.get(format) or FORMATS.get(format.replace("-", ""))
