"""Named formats: `format.dns1123Label().validate(name)` is none when all is well, else the messages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from podium.machinery import validation
from podium.machinery.cel.declarations import declare
from podium.machinery.cel.errors import CelRuntimeError
from podium.machinery.cel.library.network import url
from podium.machinery.cel.values import NONE, Optional, parse_date, parse_timestamp

_UUID = re.compile(r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Format:
    """`pattern_size` is what upstream takes for the length of the format's pattern in its cost."""

    name: str
    validate: Callable[[str], list[str]]
    pattern_size: int
    cel_type: ClassVar[str] = "kubernetes.NamedFormat"


def _prefix(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """A name may end in a dash when a generated part follows it."""
    return lambda text: check(text[:-1] + "a" if len(text) > 1 and text.endswith("-") else text)


def _when(good: Callable[[str], object], message: str) -> Callable[[str], list[str]]:
    def check(text: str) -> list[str]:
        try:
            return [] if good(text) else [message]
        except ValueError:
            return [message]

    return check


def _uri(text: str) -> list[str]:
    try:
        url(text)
    except CelRuntimeError as error:
        return [str(error).removeprefix("URL parse error during conversion from string: ")]
    return []


def _base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(text)


FORMATS = {
    "dns1123Label": Format("DNS1123Label", validation.dns1123_label_errors, 30),
    "dns1123Subdomain": Format("DNS1123Subdomain", validation.dns1123_subdomain_errors, 60),
    "dns1035Label": Format("DNS1035Label", validation.dns1035_label_errors, 30),
    "qualifiedName": Format("QualifiedName", validation.qualified_name_errors, 60),
    "dns1123LabelPrefix": Format("DNS1123LabelPrefix", _prefix(validation.dns1123_label_errors), 30),
    "dns1123SubdomainPrefix": Format(
        "DNS1123SubdomainPrefix", _prefix(validation.dns1123_subdomain_errors), 60
    ),
    "dns1035LabelPrefix": Format("DNS1035LabelPrefix", _prefix(validation.dns1035_label_errors), 30),
    "labelValue": Format("LabelValue", validation.label_value_errors, 40),
    "uri": Format("URI", _uri, 1700),
    "uuid": Format("uuid", _when(_UUID.fullmatch, "does not match the UUID format"), 76),
    "byte": Format("byte", _when(_base64, "invalid base64"), 84),
    "date": Format("date", _when(parse_date, "invalid date"), 154),
    "datetime": Format("datetime", _when(parse_timestamp, "invalid datetime"), 154),
}


def _validate(format_: Format, text: str) -> Optional:
    messages = format_.validate(text)
    return Optional(messages) if messages else NONE


def _named(name: str) -> Optional:
    return Optional(FORMATS[name]) if name in FORMATS else NONE


def _constant(format_: Format) -> Callable[[], Any]:
    return lambda: format_


OVERLOADS = declare(
    [
        *((f"format.{name}", f"format.{name}", "", "Format", _constant(FORMATS[name])) for name in FORMATS),
        ("format-named", "format.named", "string", "optional(Format)", _named),
        ("format-validate", ".validate", "Format, string", "optional(list(string))", _validate),
    ],
    since=31,
)
