"""The laws of server-side apply, over generated schemas, against a model of a few lines.

The model knows no trees. An object is its leaves, each a path with a value; each leaf has owners. What it
says of conflicts, hand-overs and removals is what upstream documents.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.machinery.errors import Conflict
from podium.machinery.fieldset import SELF
from podium.machinery.fieldset import paths as member_paths
from podium.machinery.patch.apply import apply
from podium.machinery.schema import Schema
from podium.machinery.shape import Field, Shape

NOW = datetime(2026, 1, 1, tzinfo=UTC)
API_VERSION, KIND = "example.com/v1", "Thing"
Path = tuple[str, ...]
Leaves = dict[Path, Any]

STRING = Shape(kind="string", go_type="string")


# --- schemas


def struct(**fields: Shape) -> Shape:
    made = {
        name: Field(name=name, shape=shape, pointer=True, always=False, atomic=shape.atomic)
        for name, shape in fields.items()
    }
    return Shape(kind="struct", go_type="t", lazy_fields=lambda: dict(made))


def map_of(element: Shape, *, atomic: bool = False) -> Shape:
    return Shape(kind="map", go_type="m", element=element, atomic=atomic)


def list_of(element: Shape, list_type: Any, keys: Path = ()) -> Shape:
    atomic = list_type == "atomic"
    return Shape(kind="list", go_type="l", element=element, list_type=list_type, map_keys=keys, atomic=atomic)


def some_shape(chance: random.Random, depth: int) -> Shape:
    """Return a schema of one of the kinds that apply treats in its own way."""
    flat = (
        STRING,
        list_of(STRING, "set"),
        list_of(STRING, "atomic"),
        map_of(STRING),
        map_of(STRING, atomic=True),
    )
    if depth == 0 or chance.random() < 0.3:
        return chance.choice(flat)
    below = some_shape(chance, depth - 1)
    return chance.choice(
        (
            map_of(below),
            struct(a=below, b=some_shape(chance, depth - 1)),
            list_of(struct(k=STRING, v=below), "map", ("k",)),
            list_of(struct(k=STRING, l=STRING, v=below), "map", ("k", "l")),
        )
    )


def some_value(chance: random.Random, shape: Shape) -> Any:
    """Return a value that fits a schema, nowhere empty."""
    words, keys = ("u", "v", "w"), ("x", "y")
    if shape.kind == "string":
        return chance.choice(words)
    if shape.kind == "struct":
        return {name: some_value(chance, shape.fields[name].shape) for name in some(chance, shape.fields)}
    assert shape.element is not None
    if shape.kind == "map":
        return {key: some_value(chance, shape.element) for key in some(chance, keys)}
    if shape.list_type != "map":
        return some(chance, words)
    all_keys = list(itertools.product(keys, repeat=len(shape.map_keys)))
    items = []
    for chosen in some(chance, all_keys):
        item = dict(zip(shape.map_keys, chosen, strict=True))
        if chance.random() < 0.7:
            item["v"] = some_value(chance, shape.element.fields["v"].shape)
        items.append(item)
    return items


def some(chance: random.Random, choices: Iterable[Any]) -> list[Any]:
    """Return one or more of the choices, in any order."""
    every = list(choices)
    return chance.sample(every, k=chance.randrange(1, len(every) + 1))


@dataclass(frozen=True)
class Case:
    """A schema, and configurations of objects of it."""

    schema: Schema
    configs: list[Any]
    chance: random.Random


def case_of(seed: int, *, count: int) -> Case:
    chance = random.Random(seed)
    spec = struct(**{name: some_shape(chance, 2) for name in some(chance, "abcd")})
    metadata = struct(name=STRING, labels=map_of(STRING))
    shape = struct(apiVersion=STRING, kind=STRING, metadata=metadata, spec=spec)
    configs = []
    for _ in range(count):
        config: Any = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "t"}}
        config["spec"] = some_value(chance, spec)
        configs.append(config)
    return Case(Schema("thing", shape), configs, chance)


SEEDS = st.integers(min_value=0, max_value=2**32)


def applied(live: Any, config: Any, schema: Schema, manager: str, *, force: bool = False, at: int = 0) -> Any:
    return apply(
        live,
        config,
        manager=manager,
        force=force,
        api_version=API_VERSION,
        kind=KIND,
        now=NOW + timedelta(minutes=at),
        schema=schema,
    )


# --- the model


def leaves(value: Any, shape: Shape, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield what a value consists of: scalars, whole atomics, elements of sets, items by their keys."""
    if shape.atomic or shape.kind == "string":
        yield path, orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    elif isinstance(value, dict):
        for name, part in value.items():
            inner = shape.fields[name].shape if shape.kind == "struct" else shape.element
            assert inner is not None
            if shape.kind == "map":
                yield (*path, name), "entry"
            yield from leaves(part, inner, (*path, name))
    else:
        assert shape.element is not None
        for item in value:
            if shape.list_type == "set":
                yield (*path, f"={item}"), "element"
            else:
                key = ",".join(item[name] for name in shape.map_keys)
                yield (*path, f"[{key}]"), "item"
                yield from leaves(item, shape.element, (*path, f"[{key}]"))


def spec_leaves(obj: Any, schema: Schema) -> Leaves:
    return dict(leaves(obj.get("spec") or {}, schema.shape.fields["spec"].shape))


@dataclass
class Model:
    """An object as leaves, and who owns each."""

    values: Leaves = field(default_factory=dict)
    owners: dict[Path, set[str]] = field(default_factory=dict)

    def conflicts(self, config: Leaves, manager: str) -> set[Path]:
        return {
            path
            for path, value in config.items()
            if path in self.values and self.values[path] != value and self.owners[path] - {manager}
        }

    def apply(self, config: Leaves, manager: str) -> None:
        for path, value in config.items():
            if self.values.get(path) != value:
                self.owners[path] = set()
            self.values[path] = value
            self.owners[path].add(manager)
        for path in [
            path for path, owners in self.owners.items() if manager in owners and path not in config
        ]:
            self.owners[path].discard(manager)
            if not self.owners[path]:
                del self.values[path], self.owners[path]


# --- the laws


@settings(max_examples=300, deadline=None)
@given(SEEDS)
def test_any_history_of_applies_ends_where_the_model_does(seed: int) -> None:
    case = case_of(seed, count=6)
    model, live = Model(), None
    for number, config in enumerate(case.configs):
        manager, force = case.chance.choice("mno"), case.chance.random() < 0.6
        wanted = spec_leaves(config, case.schema)
        conflicts = model.conflicts(wanted, manager)
        try:
            live = applied(live, config, case.schema, manager, force=force, at=number)
        except Conflict as conflict:
            assert conflicts, "a conflict over nothing"
            assert not force
            assert conflict.details is not None
            assert len({cause["field"] for cause in conflict.details["causes"]}) == len(conflicts)
            continue
        assert force or not conflicts, f"no conflict over {conflicts}"
        model.apply(wanted, manager)
        assert spec_leaves(live, case.schema) == model.values
        entries = {entry["manager"] for entry in live["metadata"].get("managedFields") or ()}
        assert entries == {owner for owners in model.owners.values() for owner in owners}
        assert_managed_fields_exist(live)


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_applying_again_changes_nothing_at_all(seed: int) -> None:
    case = case_of(seed, count=3)
    first, second, third = case.configs
    live = applied(None, first, case.schema, "m")
    live = applied(live, second, case.schema, "n", force=True, at=1)
    live = applied(live, third, case.schema, "m", force=True, at=2)
    again = applied(live, third, case.schema, "m", at=3)
    assert orjson.dumps(again) == orjson.dumps(live), "times and order included"


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_appliers_who_agree_do_not_depend_on_their_order(seed: int) -> None:
    case = case_of(seed, count=2)
    first, second = case.configs
    one, other = spec_leaves(first, case.schema), spec_leaves(second, case.schema)
    if any(one[path] != other[path] for path in one.keys() & other.keys()):
        return
    results = []
    for order in ((("m", first), ("n", second)), (("n", second), ("m", first))):
        live = None
        for manager, config in order:
            live = applied(live, config, case.schema, manager)
        assert live is not None
        owned = {entry["manager"]: entry["fieldsV1"] for entry in live["metadata"]["managedFields"]}
        results.append((spec_leaves(live, case.schema), owned))
    assert results[0] == results[1]


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_force_hands_over_everything(seed: int) -> None:
    case = case_of(seed, count=2)
    first, second = case.configs
    live = applied(None, first, case.schema, "m")
    live = applied(live, second, case.schema, "n", force=True, at=1)
    wanted = spec_leaves(second, case.schema)
    assert wanted.items() <= spec_leaves(live, case.schema).items()
    # What the loser applies again is now in conflict, or was the same.
    differs = {
        path for path, value in spec_leaves(first, case.schema).items() if wanted.get(path, value) != value
    }
    try:
        applied(live, first, case.schema, "m", at=2)
    except Conflict:
        assert differs
    else:
        assert not differs


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_what_the_last_owner_leaves_out_is_gone_and_nothing_else(seed: int) -> None:
    case = case_of(seed, count=2)
    first, second = case.configs
    live = applied(None, first, case.schema, "m")
    live = applied(live, second, case.schema, "n", force=True, at=1)
    bare = {key: value for key, value in first.items() if key != "spec"}
    live = applied(live, bare, case.schema, "m", at=2)
    assert spec_leaves(live, case.schema) == spec_leaves(second, case.schema)


def assert_managed_fields_exist(obj: Any) -> None:
    for entry in obj["metadata"].get("managedFields") or ():
        for path in member_paths(entry["fieldsV1"]):
            assert exists(obj, path), (entry["manager"], path)


def exists(value: Any, path: Path) -> bool:
    for element in path:
        kind, _, name = element.partition(":")
        if element == SELF:
            return True
        if kind == "f":
            if not isinstance(value, dict) or name not in value:
                return False
            value = value[name]
        elif kind == "k":
            keys = orjson.loads(name)
            found = [item for item in value if all(item.get(key) == keys[key] for key in keys)]
            if not found:
                return False
            value = found[0]
        else:
            return orjson.loads(name) in value
    return True
