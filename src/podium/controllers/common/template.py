"""Pod templates as identities: comparing them, and hashing them into names. Pure."""

from __future__ import annotations

import hashlib

import orjson

from podium.base.ids import safe_encode
from podium.machinery import meta
from podium.machinery.errors import Json, Object

POD_TEMPLATE_HASH = "pod-template-hash"


def _significant(value: Json) -> Json:
    """Return `value` without what means the same as being absent: null, empty lists and mappings."""
    if isinstance(value, dict):
        parts = {key: _significant(part) for key, part in value.items()}
        return {key: part for key, part in parts.items() if part not in (None, {}, [])}
    if isinstance(value, list):
        return [_significant(part) for part in value]
    return value


def _identity(template: Object) -> Json:
    template = meta.copy_path(template, "metadata", "labels")
    template["metadata"]["labels"].pop(POD_TEMPLATE_HASH, None)
    return _significant(template)


def same_template(one: Object, other: Object) -> bool:
    """Tell whether two pod templates make the same pods, whatever hash label they carry."""
    return bool(_identity(one) == _identity(other))


def template_hash(template: Json, collisions: int | None) -> str:
    """Return a short name-safe hash of `template`; another one for each number of `collisions`."""
    content = orjson.dumps(_significant(template), option=orjson.OPT_SORT_KEYS)
    if collisions is not None:
        content += b"#%d" % collisions
    number = int.from_bytes(hashlib.blake2b(content, digest_size=4).digest(), "big")
    return safe_encode(str(number))
