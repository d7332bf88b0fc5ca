"""Strategic merge patch: a merge patch that knows from the schema which lists merge, and by which key.

Directives in the patch: `$patch` (replace, delete, merge), `$deleteFromPrimitiveList/F`,
`$setElementOrder/F`, `$retainKeys`. Nothing is mutated; the result shares what did not change. Upstream:
apimachinery/pkg/util/strategicpatch, whose order of merged lists and whose errors are kept.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import orjson

from podium.machinery.errors import ApiError, BadRequest, Invalid, Json, Object, PlainError
from podium.machinery.golang import as_text, found_kind, plain, type_name
from podium.machinery.schema import Schema
from podium.machinery.shape import Field, Shape

_PATCH = "$patch"
_RETAIN_KEYS = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_SET_ORDER = "$setElementOrder/"

_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
_BAD_ORDER = "invalid patch format of setElementOrder list"


def apply(obj: Object, patch: Json, schema: Schema) -> Object:
    """Return `obj` with `patch` merged in by `schema`; both stay as they are.

    Null changes nothing. Raises BadRequest for a malformed patch, PlainError (500, as upstream) for
    directives that make no sense.
    """
    if patch is None:
        return obj
    if not isinstance(patch, dict):
        raise BadRequest(
            f"json: cannot unmarshal {found_kind(patch)} into Go value of type map[string]interface {{}}"
        )
    return _merged_map(obj, patch, schema.shape)


def with_integers(patch: Json) -> Json:
    """Return `patch` with floats that are whole as integers; itself when there are none."""
    if isinstance(patch, float):
        return int(patch) if patch.is_integer() and abs(patch) < 2**63 else patch
    if isinstance(patch, dict):
        made = {key: with_integers(part) for key, part in patch.items()}
        return made if any(made[key] is not part for key, part in patch.items()) else patch
    if isinstance(patch, list):
        parts = [with_integers(part) for part in patch]
        return parts if any(one is not other for one, other in zip(parts, patch, strict=True)) else patch
    return patch


def _merged_map(original: Object, patch: Object, shape: Shape) -> Object:
    if _PATCH in patch:
        return _by_directive(patch[_PATCH], patch)
    result = _retained(original, patch)
    ordered = _apply_orders(result, patch, shape)
    for key, value in patch.items():
        if key in ordered or key == _RETAIN_KEYS or key.startswith(_SET_ORDER):
            continue
        if key.startswith(_DELETE_FROM):
            if value is None:
                result.pop(key.removeprefix(_DELETE_FROM), None)
            else:
                _delete_from(result, key.removeprefix(_DELETE_FROM), value)
        elif value is None:
            result.pop(key, None)
        else:
            _merge_field(result, key, value, shape)
    return result


def _by_directive(directive: Json, patch: Object) -> Object:
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _PATCH}
    if directive == "delete":
        return {}
    raise _unknown_directive(directive, patch)


def _unknown_directive(directive: Json, patch: Object) -> ApiError:
    return PlainError(f"unknown patch type: {as_text(directive)} in map: {plain(patch)}")


def _merge_field(result: Object, key: str, value: Json, shape: Shape) -> None:
    """Merge one field of the patch into `result`."""
    before = result.get(key)
    if isinstance(before, dict) and isinstance(value, dict):
        field = _field(shape, key)
        if "replace" in field.strategies:
            result[key] = value
        else:
            result[key] = _merged_map(before, value, field.shape)
    elif isinstance(before, list) and isinstance(value, list):
        field = _field(shape, key)
        if "merge" in field.strategies:
            result[key] = _merged_list(before, value, field)
        else:
            result[key] = value
    else:
        _put_new(result, key, value)


def _put_new(result: Object, key: str, value: Json) -> None:
    """Put a value where nothing of its kind was: without directives and nulls."""
    if isinstance(value, dict) and _PATCH in value:
        result.pop(key, None)
    else:
        result[key] = _without_directives(value)


def _without_directives(value: Json) -> Json:
    """Return a value as it stands when there is nothing to merge it with."""
    if isinstance(value, dict):
        return {
            key: _without_directives(part)
            for key, part in value.items()
            if part is not None and not _is_directive(key) and not (isinstance(part, dict) and _PATCH in part)
        }
    if isinstance(value, list):
        return [
            _without_directives(part) for part in value if not (isinstance(part, dict) and _PATCH in part)
        ]
    return value


def _is_directive(key: str) -> bool:
    return key == _RETAIN_KEYS or key.startswith((_DELETE_FROM, _SET_ORDER))


def _field(shape: Shape, key: str) -> Field:
    """Return what the schema says of a field; a map's values are fields of their element's shape."""
    field = shape.fields.get(key)
    if field is not None:
        return field
    if shape.kind == "struct" and not shape.preserve_unknown:
        name = shape.struct_name
        raise PlainError(f'unable to find api field in struct {name} for the json field "{key}"')
    element = shape.element or _SCHEMALESS
    return Field(name=key, shape=element, pointer=True, always=False)


_SCHEMALESS = Shape(kind="any", go_type="interface {}")


def _retained(original: Object, patch: Object) -> Object:
    """Return a copy of the original with only the keys that `$retainKeys` keeps, if it is there."""
    keep = patch.get(_RETAIN_KEYS)
    if _RETAIN_KEYS not in patch:
        return dict(original)
    if not isinstance(keep, list):
        raise BadRequest(_BAD_RETAIN_KEYS)
    named = {_token(key) for key in keep}
    for key, value in patch.items():
        if value is not None and key not in named and not _is_directive(key):
            raise BadRequest(_BAD_RETAIN_KEYS)
    kept = {key for key in keep if isinstance(key, str)}
    return {key: value for key, value in original.items() if key in kept}


def _delete_from(result: Object, key: str, values: Json) -> None:
    before = result.get(key)
    if isinstance(before, list) and isinstance(values, list):
        gone = {_token(value) for value in values}
        result[key] = [value for value in before if _token(value) not in gone]


# --- lists ---


def _apply_orders(result: Object, patch: Object, shape: Shape) -> frozenset[str]:
    """Merge the lists whose order the patch sets; return the names of the fields that are done with."""
    done = set()
    for directive, order in patch.items():
        if not directive.startswith(_SET_ORDER):
            continue
        key = directive.removeprefix(_SET_ORDER)
        if not isinstance(order, list):
            raise PlainError(f"expected a []interface {{}}, but received a {type_name(order)}")
        before, changes = result.get(key), patch.get(key)
        for value in (before, changes):
            if value is not None and not isinstance(value, list):
                raise PlainError(f"expected a []interface {{}}, but received a {type_name(value)}")
        if key in patch and changes is None:
            raise PlainError("expected a []interface {}, but received a %!s(<nil>)")
        field = _field(shape, key)
        if before is None and changes is None:
            continue
        _check_order(changes or [], order, field.merge_key)
        if changes is None:
            merged = before or []
        elif before is None:
            merged = _without_directives(changes)
        elif "merge" in field.strategies:
            merged = _merged_list(before, changes, field)
        else:
            merged = changes
        result[key] = _in_order(merged, order, before or [], field.merge_key)
        done.add(key)
    return frozenset(done)


def _check_order(changes: list[Json], order: list[Json], merge_key: str) -> None:
    """Raise unless the patch's elements come in the order it sets."""
    kept = [change for change in changes if not (isinstance(change, dict) and _PATCH in change)]
    if not order or not changes:
        return
    position = 0
    for change in kept:
        wanted = _identity(change, merge_key)
        while position < len(order) and _identity(order[position], merge_key) != wanted:
            position += 1
        if position == len(order):
            raise PlainError(
                f"The order in patch list:\n{plain(changes)}\n doesn't match $setElementOrder list:\n"
                f"{plain(order)}\n"
            )
        position += 1


def _merged_list(original: list[Json], changes: list[Json], field: Field) -> list[Json]:
    """Merge two lists of a field whose strategy is merge."""
    if not original and not changes:
        return original
    if not _holds_maps(original, changes):
        merged = list(dict.fromkeys([*original, *changes]))
        return _in_order(merged, changes, original, "")
    key = field.merge_key
    if not key:
        raise PlainError(f"cannot merge lists without merge key for {field.shape.struct_name}")
    element = field.shape.element or _SCHEMALESS
    base, plain_changes = _apply_list_directives(original, changes, key)
    merged = _merged_elements(base, plain_changes, key, element)
    return _in_order(merged, plain_changes, base, key)


def _holds_maps(*lists: list[Json]) -> bool:
    """Tell whether the elements are maps. Raises when they are mixed, or lists themselves."""
    kinds = {type_name(value) for values in lists for value in values}
    if len(kinds) > 1:
        raise PlainError(f"list element types are not identical: {plain(list(lists))}")
    if "[]interface {}" in kinds:
        raise Invalid("the server rejected our request due to an error in our request", details={})
    return kinds == {"map[string]interface {}"}


def _apply_list_directives(
    original: list[Json], changes: list[Json], key: str
) -> tuple[list[Json], list[Json]]:
    """Return the list to merge into and the elements to merge: deletions done, directives gone."""
    rest: list[Json] = []
    gone: set[Hashable] = set()
    replaced = False
    for change in changes:
        directive = change.get(_PATCH)
        if _PATCH not in change:
            rest.append(change)
        elif directive == "delete":
            gone.add(_token(_identity(change, key)))
        elif directive == "replace":
            replaced = True
        elif directive == "merge":
            raise PlainError("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(directive, change)
    if replaced:
        return rest, []
    if gone:
        original = [element for element in original if _token(element.get(key)) not in gone]
    return original, rest


def _merged_elements(original: list[Json], changes: list[Json], key: str, element: Shape) -> list[Json]:
    merged = list(original)
    places = _positions(before.get(key) for before in merged)
    for change in changes:
        token = _token(_identity(change, key))
        index = places.get(token)
        if index is not None:
            merged[index] = _merged_map(merged[index], change, element)
        else:
            # As it is: what looks like a directive in it will be an unknown field.
            places[token] = len(merged)
            merged.append(change)
    return merged


def _identity(element: Json, key: str) -> Json:
    """Return what tells an element from the others: its merge key's value, or itself when a scalar."""
    if not key:
        return element
    if not isinstance(element, dict):
        raise PlainError(f"expected a map[string]interface {{}}, but received a {type_name(element)}")
    if key not in element:
        raise PlainError(f"map: {plain(element)} does not contain declared merge key: {key}")
    return element[key]


def _in_order(
    merged: list[Json], patch_order: Sequence[Json], server_order: Sequence[Json], key: str
) -> list[Json]:
    """Arrange a merged list: the patch's elements in its order, the others in theirs.

    The two runs are woven so that elements both sides know keep the server's order where that is possible,
    and otherwise the patch's come first: server [A, B], patch [B, C] gives [A, B, C]; server [v], patch [w]
    gives [w, v].
    """
    wanted = _positions(_identity(element, key) for element in patch_order)
    served = _positions(_identity(element, key) for element in server_order)

    def position(element: Json) -> int:
        return served.get(_token(_identity(element, key)), -1)

    patched = [element for element in merged if _token(_identity(element, key)) in wanted]
    others = [element for element in merged if _token(_identity(element, key)) not in wanted]
    patched.sort(key=lambda element: wanted[_token(_identity(element, key))])
    others.sort(key=position)
    result: list[Json] = []
    left = right = 0
    while left < len(others) and right < len(patched):
        mine = position(others[left])
        theirs = position(patched[right])
        if 0 <= mine < theirs:
            result.append(others[left])
            left += 1
        else:
            result.append(patched[right])
            right += 1
    return result + others[left:] + patched[right:]


def _token(identity: Json) -> Hashable:
    """Return what stands for an identity in a dictionary: long lists are merged, too. True is not 1."""
    if isinstance(identity, bool):
        return bool, identity
    if isinstance(identity, dict | list):
        return orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)
    scalar: Hashable = identity
    return scalar


def _positions(identities: Iterable[Json]) -> dict[Hashable, int]:
    """Return where each identity comes first."""
    found: dict[Hashable, int] = {}
    for index, identity in enumerate(identities):
        found.setdefault(_token(identity), index)
    return found
