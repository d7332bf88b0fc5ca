"""What upstream says of expressions that do not compile."""

from __future__ import annotations

import pytest

from podium.machinery import cel
from tests.machinery.cel.shared import VARIABLES


@pytest.mark.parametrize(
    ("expression", "place", "message"),
    [
        ("nosuch > 1", "1:1", "undeclared reference to 'nosuch' (in container '')"),
        ("self.nosuch", "1:5", "undefined field 'nosuch'"),
        ("self.replicas + 'a'", "1:15", "found no matching overload for '_+_' applied to '(int, string)'"),
        ("self.replicas == 1.0", "1:15", "found no matching overload for '_==_' applied to '(int, double)'"),
        ("self.name.size(1)", "1:15", "found no matching overload for 'size' applied to 'string.(int)'"),
        ("self.name.nosuch()", "1:17", "undeclared reference to 'nosuch' (in container '')"),
        ("self.name && true", "1:5", "expected type 'bool' but found 'string'"),
        ("[1, 'a']", "1:5", "expected type 'int' but found 'string'"),
        ("{'a': 1, 'b': 'c'}", "1:15", "expected type 'int' but found 'string'"),
        ("duration('x')", "1:10", "invalid duration argument"),
        ("timestamp('2024-13-01T00:00:00Z')", "1:11", "invalid timestamp argument"),
        ("self.name.matches('(')", "1:19", "invalid matches argument"),
        (
            "self.replicas.all(x, true)",
            "1:5",
            "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
        ),
        ("self.name.x", "1:10", "type 'string' does not support field selection"),
        ("self.list.all(self.x, true)", "1:19", "argument must be a simple name"),
        ("self.list.all(a, a, true)", "1:18", "duplicate variable name: a"),
        ("has(self)", "1:5", "invalid argument to has() macro"),
        ("true &&\n  nosuch", "2:3", "undeclared reference to 'nosuch' (in container '')"),
    ],
)
def test_says_what_and_where(expression: str, place: str, message: str) -> None:
    with pytest.raises(cel.CelError) as caught:
        cel.compile(expression, variables=VARIABLES)
    first, line, pointer = str(caught.value).split("\n")[:3]
    assert first == f"ERROR: <input>:{place}: {message}"
    row, column = map(int, place.split(":"))
    assert line == " | " + expression.split("\n")[row - 1]
    assert pointer == " | " + "." * (column - 1) + "^"


def test_all_faults_are_reported_in_the_order_of_their_places() -> None:
    with pytest.raises(cel.CelError) as caught:
        cel.compile("b > 1 && a > 1", variables={})
    assert [issue.offset for issue in caught.value.issues] == [0, 9]


@pytest.mark.parametrize(
    "expression", ["x +", "'abc", "a..b", "(1", "[1", "1 2", "{1}", "if", "@", "a.b.(c)"]
)
def test_bad_syntax_is_refused(expression: str) -> None:
    with pytest.raises(cel.CelError, match="ERROR: <input>:1:"):
        cel.compile(expression, variables={"x": cel.INT, "a": cel.DYN})


def test_the_type_of_the_whole_must_be_the_one_asked_for() -> None:
    with pytest.raises(cel.CelError, match="must evaluate to bool") as caught:
        cel.compile("self.name", variables=VARIABLES, returns="bool")
    assert caught.value.wrong_type
    with pytest.raises(cel.CelError, match="must evaluate to bool"):
        cel.compile("any", variables=VARIABLES, returns="bool")


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("(" * 5000 + "1" + ")" * 5000, id="depth"),
        pytest.param("!" * 9000 + "true", id="signs"),
        pytest.param("true" + " && true" * 50_000, id="size"),
        pytest.param("[" * 1000, id="lists"),
        pytest.param("a" + ".b" * 20_000, id="selections"),
        pytest.param("1" + " ? 1 : 1" * 3000, id="conditions"),
    ],
)
def test_an_expression_without_measure_is_refused(expression: str) -> None:
    with pytest.raises(cel.CelError):
        cel.compile(expression, variables={"a": cel.BOOL}, returns="string")


@pytest.mark.parametrize(
    ("expression", "since"),
    [
        ("isURL('a')", "1.25"),
        ("quantity('1') == quantity('1')", "1.28"),
        ("sets.contains([1], [1])", "1.29"),
        ("isIP('::1')", "1.30"),
        ("format.named('x').hasValue()", "1.31"),
        ("semver('1.0.0').major() == 1", "1.33"),
        ("[1].sort() == [1]", "1.34"),
    ],
)
def test_a_release_has_its_own_libraries(expression: str, since: str) -> None:
    cel.compile(expression, variables={}, version=since)
    before = f"1.{int(since.split('.')[1]) - 1}"
    if since != "1.25":
        with pytest.raises(cel.CelError, match="undeclared reference"):
            cel.compile(expression, variables={}, version=before)


@pytest.mark.parametrize(
    ("expression", "type_"),
    [
        ("[]", "list(dyn)"),
        ("{}", "map(dyn, dyn)"),
        ("[] + [1]", "list(int)"),
        ("['a'] + []", "list(string)"),
        ("true ? [] : [JSONPatch{op: 'add'}]", "list(JSONPatch)"),
        ("true ? (false ? [JSONPatch{op: 'add'}] : []) : []", "list(JSONPatch)"),
        ("[[], [1]]", "list(list(int))"),
        ("[{}, {'a': 1}]", "list(map(string, int))"),
        ("[dyn(1)] + [1]", "list(dyn)"),
    ],
)
def test_an_empty_list_is_one_of_what_it_stands_with(expression: str, type_: str) -> None:
    assert str(cel.compile(expression, variables={}, mutation=True).result_type) == type_
