"""What expressions come to, library by library."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery import cel
from tests.machinery.cel.shared import BINDINGS, VARIABLES, run

TRUE = {
    "operators": [
        "1 + 2 * 3 == 7 && 7 % 4 == 3 && -7 / 2 == -3 && -7 % 3 == -1",
        "'a' + 'b' == 'ab' && [1] + [2] == [1, 2] && b'a' + b'b' == b'ab'",
        "1 < 2 && 'a' < 'b' && 1.5 >= 1.5 && !(true && false) && (false || true)",
        "2 in [1, 2] && 'k' in any && !(3 in [1, 2])",
        "dyn(1) == 1.0 && dyn(1) < 1.5 && dyn(2u) > 1",
        "{'a': 1}['a'] == 1 && {'a': 1}.a == 1 && [1, 2][1] == 2",
        "(1 > 0 ? 'big' : 'small') == 'big'",
        "1 / 0 == 1 || true",
        "!(false && 1 / 0 == 1)",
    ],
    "literals": [
        r'"\u00e9\x41\101\n" == "éAA" + "\n"',
        r"""r'\d' == '\\d' && '''it's''' == "it's" """,
        "0x1F == 31 && 1e3 == 1000.0 && 5u == uint(5) && -9223372036854775808 < 0",
        "b'\\xff' != b'a' && null == null // a comment",
    ],
    "conversions": [
        "int('12') + int(3.9) + int(4u) == 19",
        "string(1.5) == '1.5' && string(true) == 'true' && string(b'abc') == 'abc'",
        "double('1.25') == 1.25 && bool('true') && uint(7) == 7u",
        "type(1) == int && type('') == string && type(null) == null_type && type([1]) == list",
        "string(timestamp('2024-02-29T12:00:00+02:00')) == '2024-02-29T12:00:00+02:00'",
        "string(duration('1h30m')) == '5400s'",
    ],
    "schema": [
        "self.b__dash__c == 7 && self.__namespace__ == 'prod'",
        "self.ratio == 2.0 && type(self.ratio) == double",
        "self.data == b'hello' && self.span == duration('90m')",
        "self.when.getHours() == 10 && self.when.getHours('Europe/Berlin') == 11",
        "!has(self.gone) && has(self.name) && has(self.labels.app)",
        "self.set == [2, 1] && self.set + [2, 3] == [1, 2, 3]",
        "self.ports == [self.ports[1], self.ports[0]]",
        "self.labels.app == 'web' && self.labels['empty'] == ''",
        "type(self.either) == string && self.either.endsWith('%')",
        "any['null'] == null && 'null' in any",
    ],
    "macros": [
        "self.list.all(x, x in ['a', 'b']) && self.list.exists(x, x == 'b')",
        "self.ports.exists_one(p, p.port > 100) && self.ports.existsOne(i, p, i == 0)",
        "self.ports.filter(p, p.port < 100).map(p, p.name) == ['http']",
        "[1, 2, 3].map(x, x > 1, x * 10) == [20, 30]",
        "self.labels.all(k, v, k != v) && self.labels.exists(k, v, v == '')",
        "[5, 6].transformList(i, v, v * i) == [0, 6]",
        "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
        "{'a': 1}.transformMap(k, v, v > 1, v) == {}",
        "{'a': 1}.transformMapEntry(k, v, {k + 'b': v}) == {'ab': 1}",
        "[[1, 2], [3]].all(l, l.all(x, x > 0))",
    ],
    "optionals": [
        "maybe.value() == 4 && maybe.hasValue() && !optional.none().hasValue()",
        "any.?nosuch.orValue('x') == 'x' && any[?'k'].hasValue() && ![1][?3].hasValue()",
        "self.?gone.orValue('x') == 'x' && self.?name.value() == 'web'",
        "maybe.optMap(m, m + 1).value() == 5 && maybe.optFlatMap(m, optional.none()) == optional.none()",
        "optional.none().or(optional.of(1)).value() == 1 && optional.ofNonZeroValue(0) == optional.none()",
        "[?any.?nosuch] == [] && {?'a': any.?k, ?'b': any.?nosuch} == {'a': [1, 2]}",
    ],
    "strings": [
        "'tacocat'.charAt(2) == 'c' && 'tacocat'.indexOf('c', 3) == 4 && 'tacocat'.lastIndexOf('a') == 5",
        "'TacoCat'.lowerAscii().replace('c', 'k') == 'takokat' && 'aaa'.replace('a', 'b', 2) == 'bba'",
        "' a b '.trim().split(' ') == ['a', 'b'] && 'a,b,c'.split(',', 2) == ['a', 'b,c']",
        "'tacocat'.substring(1, 3) == 'ac' && ['a', 'b'].join('-') == 'a-b' && 'ab'.upperAscii() == 'AB'",
        "'%s %d %.2f %x %b %o'.format(['a', 3, 1.5, 255, 5, 8]) == 'a 3 1.50 ff 101 10'",
        "'%s'.format([{'a': [1, true]}]) == '{\"a\":[1, true]}' && '%e'.format([3.14]) == '3.140000×10⁰⁰'",
        "strings.quote('a\"b') == '\"a\\\\\"b\"' && jsonpatch.escapeKey('a/b~c') == 'a~1b~0c'",
        "'abc'.matches('^a.c$') && matches('xabc', 'b') && size('héé') == 3",
        "'a1b22'.find('[0-9]+') == '1' && 'a1b22'.findAll('[0-9]+') == ['1', '22']",
        "'a1b22'.findAll('[0-9]+', 1) == ['1']",
    ],
    "lists": [
        "[1, 3, 2].sum() == 6 && [1, 3, 2].max() == 3 && ['b', 'a'].min() == 'a' && ![2, 1].isSorted()",
        "[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [1].indexOf(5) == -1",
        "[3, 1, 2].sort() == [1, 2, 3] && ['bb', 'a'].sortBy(x, size(x)) == ['a', 'bb']",
        "[[1], [2, 3]].flatten() == [1, 2, 3] && lists.range(3) == [0, 1, 2]",
        "[1, 1, 2].distinct() == [1, 2] && [1, 2, 3].reverse() == [3, 2, 1] && [1, 2, 3].slice(1, 2) == [2]",
        "sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])",
    ],
    "network": [
        "isURL('https://a.b:80/c?x=1') && !isURL('../relative')",
        "url('https://a.b:80/c%20d?x=1&x=2').getQuery() == {'x': ['1', '2']}",
        "url('https://[::1]:80/c').getHostname() == '::1' && url('https://a.b:80/').getPort() == '80'",
        "url('https://a.b:80/').getScheme() == 'https'",
        "url('https://a/b%20c').getEscapedPath() == '/b%20c'",
        "isIP('10.0.0.1') && !isIP('10.0.0.256') && ip('::1').family() == 6 && ip('127.0.0.1').isLoopback()",
        "ip.isCanonical('::1') && !ip.isCanonical('0:0::1') && string(ip('0:0::1')) == '::1'",
        "cidr('10.0.0.0/8').containsIP('10.1.1.1') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
        "cidr('10.1.0.0/8').masked() == cidr('10.0.0.0/8') && cidr('10.0.0.0/8').prefixLength() == 8",
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && isCIDR('::/0') && !isCIDR('::')",
    ],
    "quantities": [
        "quantity('1.5Gi').isGreaterThan(quantity('1G')) && isQuantity('20Mi') && !isQuantity('20Mo')",
        "quantity('50k').add(quantity('20')) == quantity('50020')",
        "quantity('50k').sub(1).asInteger() == 49999",
        "quantity('200M').compareTo(quantity('0.2G')) == 0 && quantity('-1').sign() == -1",
        "quantity('1500m').asApproximateFloat() == 1.5 && !quantity('1500m').isInteger()",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && !isSemver('v1.0') && isSemver('v1.0', true)",
        "semver('v1.2', true).minor() == 2 && semver('1.0.0-rc.1').compareTo(semver('1.0.0')) == -1",
    ],
    "formats": [
        "!format.dns1123Label().validate('my-name').hasValue()",
        "format.dns1123Label().validate('My').value().size() == 1",
        "format.named('uuid').value().validate('x').hasValue() && !format.named('nosuch').hasValue()",
        "!format.date().validate('2024-02-29').hasValue() && format.byte().validate('?').hasValue()",
    ],
    "times": [
        "timestamp('2024-02-29T12:00:00Z').getDayOfMonth() == 28 && duration('90s').getMinutes() == 1",
        "timestamp('2024-02-29T12:00:00Z').getDayOfYear() == 59",
        "timestamp('2024-01-01T00:00:00Z') + duration('1h') == timestamp('2024-01-01T01:00:00Z')",
        "timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z') == duration('24h')",
        "duration('1.5s').getMilliseconds() == 1500 && duration('-1h') < duration('0s')",
    ],
}


@pytest.mark.parametrize("expression", [each for group in TRUE.values() for each in group])
def test_is_true(expression: str) -> None:
    assert run(expression).value is True


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 / (self.replicas - 3) == 1", "division by zero"),
        ("1 % (self.replicas - 3) == 1", "modulus by zero"),
        ("9223372036854775807 + self.replicas > 0", "integer overflow"),
        ("uint(self.replicas - 5) > 0u", "unsigned integer overflow"),
        ("any.nosuch == 1", "no such key: nosuch"),
        ("self.labels.nosuch == ''", "no such key: nosuch"),
        ("self.gone == ''", "no such key: gone"),
        ("any.k[5] == 1", "index out of bounds: 5"),
        ("optional.none().value() == 1", "optional.none() dereference"),
        ("any.k + 1 == 2", "no such overload"),
        ("dyn(1).compareTo(dyn(2)) == 1", "no such overload"),
        ("dyn({'a': 1}).sort() == []", "no such overload"),
        ("'abc'.charAt(7) == ''", "index out of range: 7"),
        ("[].max() == 1", "max called on empty list"),
        ("'a'.matches('(' + 'a')", "error parsing regexp: missing closing ): `(a`"),
        ("'%d'.format(['a']) == ''", "error during formatting: decimal clause can only be used on integers"),
        ("'%s'.format([]) == ''", "index 0 out of range"),
        ("self.list.exists(x, any.nosuch == x)", "no such key: nosuch"),
    ],
)
def test_fails_with_upstreams_text(expression: str, message: str) -> None:
    with pytest.raises(cel.CelRuntimeError) as caught:
        run(expression)
    assert str(caught.value).startswith(message)


def test_a_variable_without_a_binding_is_an_error_only_where_it_is_used() -> None:
    program = cel.compile("true || any.x", variables=VARIABLES)
    assert program.evaluate({}).value is True
    with pytest.raises(cel.CelRuntimeError, match=r"no such attribute\(s\): any"):
        cel.compile("any.x", variables=VARIABLES).evaluate({})


def test_bindings_are_not_changed() -> None:
    before: dict[str, Any] = {"self": {"set": [1, 2]}, "any": [3]}
    cel.compile("self.set + [4] == [1] && any + [4] == []", variables=VARIABLES).evaluate(before)
    assert before == {"self": {"set": [1, 2]}, "any": [3]}


def test_a_costly_pattern_takes_linear_time() -> None:
    """Python's own engine would not come back from this one."""
    program = cel.compile("any.matches('^(a+)+$')", variables=VARIABLES)
    assert program.evaluate({"any": "a" * 50_000 + "!"}).value is False


def test_used_variables_are_known() -> None:
    program = cel.compile("self.list.all(maybe, maybe == 'a')", variables=VARIABLES)
    assert program.used == {"self"}
    assert program.evaluate(BINDINGS).value is False
