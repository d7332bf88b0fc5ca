"""Costs: the figures by which upstream stops expressions, and by which it refuses them beforehand.

The numbers are those of upstream's own tests (`pkg/cel/library/cost_test.go` of the API server library;
`celcoststability_test.go` and `compilation_test.go` of custom resources) or follow from them.
"""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery import cel
from podium.machinery.cel import estimate
from podium.machinery.cel.spans import Span
from podium.machinery.cel.types import Type
from tests.machinery.cel.shared import BINDINGS, VARIABLES, run


def typed(schema: dict[str, Any]) -> dict[str, Type]:
    found = cel.types_from_schema(schema)
    assert found is not None
    return {"self": found}


def most(expression: str, schema: dict[str, Any]) -> int:
    return cel.estimate_cost(cel.compile(expression, variables=typed(schema)))


def array(items: dict[str, Any], limit: int | None) -> dict[str, Any]:
    return {"type": "array", "items": items} | ({} if limit is None else {"maxItems": limit})


def mapping(values: dict[str, Any], limit: int | None) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values} | (
        {} if limit is None else {"maxProperties": limit}
    )


NUMBER, STRING, BOOLEAN = {"type": "number"}, {"type": "string"}, {"type": "boolean"}
OBJECT = {"type": "object", "properties": {"required": STRING, "optional": STRING}, "required": ["required"]}


@pytest.mark.parametrize(
    ("expression", "schema", "cost"),
    [
        ("self.all(x, true)", array(NUMBER, None), 4718591),
        ("self.all(x, true)", array(NUMBER, 10), 32),
        ("self.all(x, true)", array(STRING, None), 3145727),
        ("self.all(x, true)", array(BOOLEAN, None), 1887437),
        ("self.all(x, true)", array(array(NUMBER, None), None), 3145727),
        ("self.all(x, true)", array(OBJECT, None), 555128),
        ("self.all(x, true)", array(OBJECT, 50), 152),
        ("self.all(x, true)", mapping(NUMBER, None), 1348169),
        ("self.all(x, true)", mapping(STRING, None), 1179647),
        ("self.all(x, true)", mapping(BOOLEAN, None), 943718),
        ("has(self.x)", mapping(NUMBER, None), 1),
        ("self.contains('test')", STRING, 314574),
        ("self.contains('test')", STRING | {"maxLength": 10}, 5),
        ("self.startsWith('test')", STRING, 2),
        ("size(self + 'hello') > size('hello')", STRING, 314578),
        ("size(self + 'hello') > size('hello')", STRING | {"maxLength": 4}, 7),
    ],
)
def test_an_estimate_follows_from_the_schema(expression: str, schema: dict[str, Any], cost: int) -> None:
    assert most(expression, schema) == cost


@pytest.mark.parametrize(
    ("expression", "least", "greatest"),
    [
        ("{'a': 1, 'b': 2}.all(k, v, v > 0)", 37, 41),
        ("{'a': 1, 'b': 2}.exists(k, v, v > 0)", 39, 43),
        ("{'a': 1, 'b': 2}.existsOne(k, v, v > 0)", 38, 40),
        ("{'a': 1, 'b': 2}.transformMap(k, v, v + 1)", 71, 71),
        ("{'a': 1, 'b': 2}.transformMap(k, v, v < 5, v + 1)", 67, 75),
        ("{'a': 1, 'b': 2}.transformMapEntry(k, v, {k: v + 1})", 131, 131),
        ("[1, 2].transformList(i, v, v < 5, v + 1)", 27, 53),
        ("['0123456789', '0123456789'].isSorted()", 12, 16),
        ("url('https:://kubernetes.io/').getHost()", 4, 4),
        ("url('https:://kubernetes.io/') == url('http://x.b')", 5, 5),
        ("cidr('192.168.0.0/16').containsIP('192.168.0.1')", 5, 8),
        ("sets.contains([1, 2], [2])", 23, 23),
        ("sets.equivalent([1, 2], [2])", 25, 25),
        ("quantity('50k').add(quantity('20')) == quantity('50.02k')", 5, 5),
        ("format.dns1123Label().validate('my-name')", 33, 33),
        ("'ABCDEFGHIJ abcdefghij'.lowerAscii()", 3, 3),
        ("[3, 1, 2].sort()", 39, 39),
        ("optional.of('a').optMap(v, v == 'value').hasValue()", 4, 18),
    ],
)
def test_the_least_and_the_greatest_cost(expression: str, least: int, greatest: int) -> None:
    """With texts of unknown origin taken to have up to 12 characters, as upstream's test has it."""

    def size_of(_: tuple[str, ...], type_: Type) -> Span | None:
        return Span(0, 12) if type_.kind in ("string", "bytes") else None

    assert estimate.cost(cel.compile(expression, variables={}).checked, size_of) == Span(least, greatest)


@pytest.mark.parametrize(
    ("expression", "cost"),
    [
        ("self.replicas == 3", 3),
        ("self.replicas + 1 == 3 + 1", 5),
        ("type(self.replicas) == int", 4),
        ("has(self.name) && self.name == 'web'", 4),
        ("self.name in ['web', 'db']", 2),
        ("self.name.startsWith('w')", 3),
        ("self.list.all(x, x != 'z')", 13),
        ("self.labels.all(k, self.labels[k] != 'z')", 16),
        ("self.ports.exists_one(p, p.port == 80)", 12),
        ("self.list.map(x, x + 'a').size() == 2", 33),
        ("maybe.optMap(v, v == 4).hasValue()", 8),
        ("self.list.exists(x, x == 'z' ? true : any.k[0] == 5)", 23),
        ("self.?gone.orValue('x') == 'x'", 2),
        ("1 / (self.replicas - 3) == 1 || true", 5),
        ("'0123456789012345678901'.contains('0123')", 3),
        ("'0123456789'.matches('[0-9]*')", 4),
        ("[3, 1, 2].sort() == [1, 2, 3]", 30),
    ],
)
def test_an_evaluation_costs_what_upstreams_costs(expression: str, cost: int) -> None:
    assert run(expression).cost == cost


def test_an_evaluation_ends_at_its_limit() -> None:
    program = cel.compile("lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))", variables={})
    with pytest.raises(cel.CostExceeded, match="actual cost limit exceeded"):
        program.evaluate({}, cost_limit=cel.CALL_COST_MAX)


def test_an_error_does_not_hide_that_the_limit_is_passed() -> None:
    program = cel.compile("self.list.all(x, any.nosuch) || true", variables=VARIABLES)
    with pytest.raises(cel.CostExceeded):
        program.evaluate(BINDINGS, cost_limit=5)


@pytest.mark.parametrize(
    ("schema", "count"),
    [({"type": "boolean"}, 629145), ({"type": "integer"}, 1572864), (OBJECT, 185042)],
)
def test_cardinality_of_an_unbounded_list(schema: dict[str, Any], count: int) -> None:
    assert cel.cardinality_max(typed(schema)["self"]) == count
