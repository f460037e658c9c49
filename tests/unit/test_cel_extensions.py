r"""The extensions of CEL that AutoKitteh's filters have, and times: cel-go's own examples, and what they may cost.

The expressions are those of cel-go 0.25.0: ext/*_test.go, ext/README.md, common/stdlib/standard.go. Left out are
messages, maps with keys that are no texts, and results above 64 bits with a sign.
"""

# ruff: noqa: RUF001 - letters of other alphabets are what is tested

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure_server.core.cel import CelError, Fault, compile_expression
from perdure_server.core.errors import PerdureError
from perdure_server.core.filters import compile_filter

VARIABLES: dict[str, Any] = {"a": 1, "b": 2, "numbers": [-21.0, -10.5, 1.0], "none": [], "words": ["hello"], "d": {}}


def value(expression: str, **more: Any) -> Any:
    found = VARIABLES | more
    return compile_expression(expression, found).value(found)


STRINGS = r"""
'hello'.charAt(4) == 'o'
'hello'.charAt(5) == ''
'tacocat'.charAt(3) == 'o'
'tacocat'.charAt(7) == ''
'©αT'.charAt(0) == '©' && '©αT'.charAt(1) == 'α' && '©αT'.charAt(2) == 'T'
'tacocat'.indexOf('') == 0
'tacocat'.indexOf('ac') == 1
'tacocat'.indexOf('none') == -1
'tacocat'.indexOf('', 3) == 3
'tacocat'.indexOf('a', 3) == 5
'tacocat'.indexOf('at', 3) == 5
'ta©o©αT'.indexOf('©') == 2
'ta©o©αT'.indexOf('©', 3) == 4
'ta©o©αT'.indexOf('©αT', 3) == 4
'ta©o©αT'.indexOf('©α', 5) == -1
'ijk'.indexOf('k') == 2
'hello wello'.indexOf('hello wello') == 0
'hello wello'.indexOf('ello', 6) == 7
'hello wello'.indexOf('elbo room!!') == -1
'hello mellow'.indexOf('ello', 20) == -1
'tacocat'.indexOf('a', 30) == -1
'tacocat'.lastIndexOf('') == 7
'tacocat'.lastIndexOf('at') == 5
'tacocat'.lastIndexOf('none') == -1
'tacocat'.lastIndexOf('', 3) == 3
'tacocat'.lastIndexOf('a', 3) == 1
'ta©o©αT'.lastIndexOf('©') == 4
'ta©o©αT'.lastIndexOf('©', 3) == 2
'ta©o©αT'.lastIndexOf('©α', 4) == 4
'hello wello'.lastIndexOf('ello', 6) == 1
'hello wello'.lastIndexOf('low') == -1
'hello wello'.lastIndexOf('elbo room!!!') == -1
'hello wello'.lastIndexOf('hello wello') == 0
'bananananana'.lastIndexOf('nana', 7) == 6
'hello mellow'.lastIndexOf('ello', 6) == 1
'tacocat'.lastIndexOf('a', 30) == -1
'TacoCÆt Xii'.lowerAscii() == 'tacocÆt xii'
'tacoCαt'.upperAscii() == 'TACOCαT'
"12 days 12 hours".replace("{0}", "2") == "12 days 12 hours"
"{0} days {0} hours".replace("{0}", "2") == "2 days 2 hours"
"{0} days {0} hours".replace("{0}", "2", 1).replace("{0}", "23") == "2 days 23 hours"
"1 ©αT taco".replace("αT", "o©α") == "1 ©o©α taco"
"hello hello".replace("", "_") == "_h_e_l_l_o_ _h_e_l_l_o_"
"hello hello".replace("h", "") == "ello ello"
'hello hello'.replace('he', 'we', -1) == 'wello wello'
'hello hello'.replace('he', 'we', 1) == 'wello hello'
'hello hello'.replace('he', 'we', 0) == 'hello hello'
"hello world".split(" ") == ["hello", "world"]
"hello world events!".split(" ", 0) == []
"hello world events!".split(" ", 1) == ["hello world events!"]
"o©o©o©o".split("©", -1) == ["o", "o", "o", "o"]
'hello hello hello'.split(' ', 2) == ['hello', 'hello hello']
'abc'.split('', 2) == ['a', 'bc'] && 'abc'.split('', 9) == ['a', 'b', 'c'] && ''.split('') == []
"tacocat".substring(4) == "cat"
"tacocat".substring(7) == ""
"tacocat".substring(0, 4) == "taco"
"tacocat".substring(4, 4) == ""
'ta©o©αT'.substring(2, 6) == "©o©α"
" \f\n\r\t\vtext  ".trim() == "text"
"\u0085\u00a0\u1680text".trim() == "text"
"text\u2000\u2001\u2002\u2003\u2004\u2004\u2006\u2007\u2008\u2009".trim() == "text"
"\u200atext\u2028\u2029\u202F\u205F\u3000".trim() == "text"
"\u180etext\u200b\u200c\u200d\u2060\ufeff".trim() == "\u180etext\u200b\u200c\u200d\u2060\ufeff"
"\u001ctext\u001f".trim().size() == 6
'gums'.reverse() == 'smug'
'John Smith'.reverse() == 'htimS nhoJ'
'\u180e\u200b\u200c\u200d\u2060\ufeff'.reverse() == '\ufeff\u2060\u200d\u200c\u200b\u180e'
['x', 'y'].join() == 'xy'
['x', 'y'].join('-') == 'x-y'
[].join() == '' && [].join('-') == ''
strings.quote("first\nsecond") == "\"first\\nsecond\""
strings.quote("bell\a") == "\"bell\\a\""
strings.quote("\bbackspace") == "\"\\bbackspace\""
strings.quote("\fform feed") == "\"\\fform feed\""
strings.quote("carriage \r return") == "\"carriage \\r return\""
strings.quote("horizontal tab\t") == "\"horizontal tab\\t\""
strings.quote("vertical \v tab") == "\"vertical \\v tab\""
strings.quote("double \\\\ slash") == "\"double \\\\\\\\ slash\""
strings.quote("mid string \" quote") == "\"mid string \\\" quote\""
strings.quote('single-quote with "double quote"') == "\"single-quote with \\\"double quote\\\"\""
strings.quote("\U0001F431\U0001F600\U0001F61B") == "\"\U0001F431\U0001F600\U0001F61B\""
strings.quote("size('ÿ')") == "\"size('ÿ')\"" && strings.quote("") == "\"\""
strings.quote('%s %s').format(['hello', 'world']) == "\"hello world\""
"""
FORMAT = r"""
"no substitution".format([]) == "no substitution"
"str is %s and some more".format(["filler"]) == "str is filler and some more"
"%% and also %%".format([]) == "% and also %"
"%%%s%%".format(["text"]) == "%text%"
"%d %d %d, %s %s %s".format([1, 2, 3, "A", "B", "C"]) == "1 2 3, A B C"
"\u0025\u0025escaped \u0025s\u0025\u0025".format(["percent"]) == "%escaped percent%"
"%.3f".format([1.2345]) == "1.234" && "%f".format([3.14]) == "3.140000"
"%b %b %b".format([5, -5, true]) == "101 -101 1"
"%o %o".format([11, -11]) == "13 -13"
"%x %X %x".format([30, 30, -30]) == "1e 1E -1e"
"%x".format(["Hello world!"]) == "48656c6c6f20776f726c6421"
"%X".format(["Hello world!"]) == "48656C6C6F20776F726C6421"
"%x".format([b"\x00\x00byte string\x00"]) == "00006279746520737472696e6700"
"%.6e".format([1052.032911275]) == "1.052033e+03" && "%e".format([2.71828]) == "2.718280e+00"
"%s %s".format([2.71, [2.71]]) == "2.71 [2.71]"
"%s %s".format([0.000000002, [0.000000002]]) == "0.000000002 [0.000000002]"
"%f %f %f".format([double("NaN"), double("Infinity"), double("-Infinity")]) == "NaN Infinity -Infinity"
"%s".format([[double("NaN"), double("+Infinity"), double("-Infinity")]]) == "[NaN, Infinity, -Infinity]"
"%d %d".format([uint(64), 5.5]) == "64 5.5"
"null: %s, some bytes: %s, type is %s".format([null, b"xyz", type("x")]) == "null: null, some bytes: xyz, type is string"
"%s".format([999999999999]) == "999999999999"
"%s".format([timestamp("2023-02-03T23:31:20+00:00")]) == "2023-02-03T23:31:20Z"
"%s %s".format([duration("1h45m47s"), duration("2ns")]) == "6347s 0.000000002s"
"%s".format([["abc", 3.14, null, [9, 8], timestamp("2023-02-03T23:31:20Z")]]) == "[abc, 3.14, null, [9, 8], 2023-02-03T23:31:20Z]"
"%s".format([{"k1": b"xyz", "k5": null, "k2": duration("2h"), "k4": true, "k3": 2.71828}]) == "{k1: xyz, k2: 7200s, k3: 2.71828, k4: true, k5: null}"
"true bool: %s, false bool: %s".format([true, false]) == "true bool: true, false bool: false"
"%s %s".format([[], {}]) == "[] {}"
"""  # noqa: E501
ENCODERS = """
base64.decode('aGVsbG8=') == b'hello'
base64.decode('aGVsbG8') == b'hello'
base64.decode('aGVs\\r\\nbG8=\\n') == b'hello'
base64.decode('') == b''
base64.encode(b'hello') == 'aGVsbG8='
string(base64.decode(base64.encode(bytes('ta©o')))) == 'ta©o'
"""
MATH = """
math.least(-0.5) == -0.5
math.least(1u) == 1u
math.least(42.0, -0.5) == -0.5
math.least(-1, -1) == -1
math.least(42.0, -0.5, -0.25) == -0.5
math.least(-1, 0, 1) == -1
math.least(1, 1.0) == 1
math.least(1, -2.0) == -2.0
math.least(1.5, -2) == -2
math.least(2u, 2.5) == 2u
math.least(1u, dyn(42), dyn(0.0)) == 0u
math.least([1u, 42u, 0u]) == 0u
math.least(a, b) == a
math.least(numbers) == -21
math.greatest(-0.5) == -0.5
math.greatest(42.0, -0.5) == 42.0
math.greatest(-1, 0, 1) == 1
math.greatest(1.5, 2) == 2
math.greatest(2u, 2.5) == 2.5
math.greatest([1u, dyn(0.0), 0u]) == 1
math.greatest(a, b) == b
math.greatest(numbers) == 1
math.greatest([-42.0, -21.5, -100.0]) == -21.5
math.bitAnd(1, 2) == 0 && math.bitAnd(1, -1) == 1 && math.bitAnd(3, 5) == 1 && math.bitAnd(-3, -5) == -7
math.bitOr(1, 2) == 3 && math.bitOr(-2, -4) == -2
math.bitXor(1, 3) == 2 && math.bitXor(3, 5) == 6
math.bitNot(1) == -2 && math.bitNot(0) == -1 && math.bitNot(-1) == 0
math.bitShiftLeft(1, 2) == 4 && math.bitShiftLeft(-1, 2) == -4
math.bitShiftLeft(1, 200) == 0 && math.bitShiftLeft(-1, 200) == 0
math.bitShiftLeft(1, 63) == -9223372036854775808 && math.bitShiftLeft(3, 63) == -9223372036854775808
math.bitShiftRight(1024, 2) == 256 && math.bitShiftRight(1024, 64) == 0
math.bitShiftRight(-1024, 3) == 2305843009213693824
math.bitShiftRight(-1024, 64) == 0 && math.bitShiftRight(-1024, 0) == -1024
math.isNaN(0.0/0.0) && !math.isNaN(1.0/0.0)
math.isFinite(1.0/1.5) && !math.isFinite(1.0/0.0) && !math.isFinite(0.0/0.0)
math.isInf(1.0/0.0) && math.isInf(-1.0/0.0) && !math.isInf(1.2)
math.ceil(1.2) == 2.0 && math.ceil(-1.2) == -1.0
math.floor(1.2) == 1.0 && math.floor(-1.2) == -2.0
math.round(1.2) == 1.0 && math.round(1.5) == 2.0 && math.round(-1.5) == -2.0 && math.round(-1.2) == -1.0
math.round(0.49999999999999994) == 0.0 && math.round(2.5) == 3.0 && math.round(4503599627370497.0) == 4503599627370497.0
math.isNaN(math.round(0.0/0.0)) && math.isInf(math.ceil(1.0/0.0))
math.trunc(-1.3) == -1.0 && math.trunc(1.3) == 1.0
math.sign(-42) == -1 && math.sign(0) == 0 && math.sign(42u) == 1u
math.sign(-0.3) == -1.0 && math.sign(0.0) == 0.0 && math.sign(1.0/0.0) == 1.0 && math.isNaN(math.sign(0.0/0.0))
math.abs(-1) == 1 && math.abs(1) == 1 && math.abs(-234.5) == 234.5
"""
LISTS = """
lists.range(4) == [0,1,2,3] && lists.range(0) == [] && lists.range(-1) == []
[5,1,2,3].reverse() == [3,2,1,5]
[].reverse() == []
['are', 'you', 'as', 'bored'].reverse() == ['bored', 'as', 'you', 'are']
[1,2,3,4].slice(0, 4) == [1,2,3,4]
[1,2,3,4].slice(0, 0) == [] && [1,2,3,4].slice(1, 1) == [] && [1,2,3,4].slice(4, 4) == []
[1,2,3,4].slice(1, 3) == [2, 3]
dyn([]).flatten() == []
dyn([1,2,3,4]).flatten() == [1,2,3,4]
[1,[2,[3,4]]].flatten() == [1,2,[3,4]]
[1,2,[],[],[3,4]].flatten() == [1,2,3,4]
[1,[2,[3,4]]].flatten(2) == [1,2,3,4]
[1,[2,[3,[4]]]].flatten(2) == [1, 2, 3, [4]]
[1,[2]].flatten(0) == [1,[2]]
[].sort() == [] && [1].sort() == [1]
[4, 3, 2, 1].sort() == [1, 2, 3, 4]
["d", "a", "b", "c"].sort() == ["a", "b", "c", "d"]
[duration('2s'), duration('1s')].sort()[0] == duration('1s')
[].sortBy(e, e) == [] && ["a"].sortBy(e, e) == ["a"]
[-3, 1, -5, -2, 4].sortBy(e, -(e * e)) == [-5, 4, -3, -2, 1]
[-3, 1, -5, -2, 4].map(e, e * 2).sortBy(e, -(e * e)) == [-10, 8, -6, -4, 2]
lists.range(3).sortBy(e, -e) == [2, 1, 0]
["a", "c", "b", "first"].sortBy(e, e == "first" ? "" : e) == ["first", "a", "b", "c"]
[{'field': 'lo'}, {'field': 'hi'}].sortBy(m, m.field) == [{'field': 'hi'}, {'field': 'lo'}]
[].distinct() == [] && [1].distinct() == [1]
[-2, 5, -2, 1, 1, 5, -2, 1].distinct() == [-2, 5, 1]
['c', 'a', 'a', 'b', 'a', 'b', 'c', 'c'].distinct() == ['c', 'a', 'b']
[1, 2.0, "c", 3, "c", 1].distinct() == [1, 2.0, "c", 3]
[1, 1.0, 2].distinct() == [1, 2]
[[1], [1], [2]].distinct() == [[1], [2]]
[1, 2, 2].existsOne(i, i < 2) && ![1, 2, 3, 4].existsOne(num, num % 2 == 0)
"""
SETS = """
sets.contains([], []) && !sets.contains([], [1]) && sets.contains([1], [])
sets.contains([1], [1, 1]) && sets.contains([1, 2, 3, 4], [2, 3])
sets.contains([1], [1.0, 1]) && sets.contains([1, 2.0, 3u], [1.0, 2u, 3])
sets.contains([[1], [2, 3]], [[2, 3.0]])
!sets.contains([1], [2]) && !sets.contains([1], ["1", 1]) && !sets.contains([1], [1.1, 1u])
sets.equivalent([], []) && sets.equivalent([1], [1, 1]) && sets.equivalent([1], [1u, 1.0])
sets.equivalent([1, 2, 3], [3u, 2.0, 1]) && !sets.equivalent([2, 1], [1]) && !sets.equivalent([1], [1, 2])
sets.intersects([1], [1, 2]) && !sets.intersects([1], []) && !sets.intersects([], [])
sets.intersects([[1], [2, 3]], [[1, 2], [2, 3.0]]) && !sets.intersects([1], ["1", 2])
"""
BINDINGS = """
cel.bind(a, 'hell' + 'o' + '!', "%s, %s, %s".format([a, a, a])) == 'hello!, hello!, hello!'
cel.bind(a, 'hello!', cel.bind(b, 'goodbye', a + ' and, ' + b)) == 'hello! and, goodbye'
cel.bind(a, 'hello', cel.bind(b, 'world', a + b + b + a)) == 'helloworldworldhello'
cel.bind(valid, [1, 2], [2, 3].exists(elem, elem in valid))
cel.bind(x, 1 / 0, true)
cel.bind(x, d.missing, has(d.missing) && x == 1) == false
cel.bind(x, d.missing, x == 1 || true)
cel.bind(x, 1, cel.bind(x, x + 1, x) + x) == 3
cel.bind(x, 1 / 0, [1].all(x, x == 1))
cel.bind(math, [1.5], math.ceil(math[0])) == 2.0
"""
TIMES = """
duration('24h') + timestamp('2023-01-01T00:00:00Z') == timestamp('2023-01-02T00:00:00Z')
timestamp('2023-01-01T00:00:00Z') + duration('24h1m2s') == timestamp('2023-01-02T00:01:02Z')
timestamp('2023-01-10T12:00:00Z') - duration('12h') == timestamp('2023-01-10T00:00:00Z')
timestamp('2023-01-10T12:00:00Z') - timestamp('2023-01-10T00:00:00Z') == duration('12h')
timestamp('2001-01-01T02:03:04Z') < timestamp('2002-02-02T02:03:04Z')
timestamp('2001-01-01T02:03:04Z') >= timestamp('2001-01-01T02:03:04Z') && timestamp(2) <= timestamp(2)
timestamp(0) == timestamp(0) && timestamp(1) != timestamp(2) && timestamp(1) != duration('1s')
timestamp('2023-02-03T23:31:20+02:00') == timestamp('2023-02-03T21:31:20Z')
timestamp('2023-02-03T23:31:20.5Z') - timestamp('2023-02-03T23:31:20Z') == duration('500ms')
duration('1h') + duration('1m') == duration('1h1m') && duration('1h') - duration('1m') == duration('59m')
duration('1h2m3s') == duration('3723s') && duration('-1.5h') < duration('0')
duration('1us') == duration('1000ns') && duration('1µs') == duration('1μs') && duration('+1s') == duration('1s')
duration(string(7 * 24) + 'h') == duration('604800s')
duration(duration('1s')) == duration('1s') && timestamp(timestamp(1)) == timestamp('1970-01-01T00:00:01Z')
int(timestamp('1970-01-01T00:00:01Z')) == 1 && int(duration('1s')) == 1000000000
int(timestamp('1969-12-31T23:59:59.5Z')) == -1
string(timestamp('1970-01-01T00:00:00Z')) == '1970-01-01T00:00:00Z'
string(timestamp('2023-07-14T10:30:45.120Z')) == '2023-07-14T10:30:45.12Z'
string(timestamp('0001-01-01T00:00:00Z')) == '0001-01-01T00:00:00Z'
string(duration('1h30m')) == '5400s' && string(duration('1.5s')) == '1.5s'
timestamp('2023-07-14T10:30:45.123Z').getFullYear() == 2023
timestamp('2023-01-01T05:30:00Z').getFullYear('-08:00') == 2022
timestamp('2023-07-14T10:30:45.123Z').getMonth() == 6
timestamp('2023-01-01T05:30:00Z').getMonth('America/Los_Angeles') == 11
timestamp('2023-01-02T00:00:00Z').getDayOfYear() == 1
timestamp('2023-01-01T05:00:00Z').getDayOfYear('America/Los_Angeles') == 364
timestamp('2023-07-14T10:30:45.123Z').getDayOfMonth() == 13
timestamp('2023-07-01T05:00:00Z').getDayOfMonth('America/Los_Angeles') == 29
timestamp('2023-07-14T10:30:45.123Z').getDate() == 14
timestamp('2023-07-01T05:00:00Z').getDate('America/Los_Angeles') == 30
timestamp('2023-07-14T10:30:45.123Z').getDayOfWeek() == 5
timestamp('2023-07-16T05:00:00Z').getDayOfWeek('America/Los_Angeles') == 6
timestamp('2023-07-14T10:30:45.123Z').getHours() == 10
timestamp('2023-07-14T10:30:45.123Z').getHours('America/Los_Angeles') == 3
timestamp('2023-07-14T10:30:45.123Z').getHours('+05:30') == 16
timestamp('2023-07-14T10:30:45.123Z').getMinutes('05:30') == 0
timestamp('2023-07-14T10:30:45.123Z').getSeconds() == 45
timestamp('2023-07-14T10:30:45.123Z').getMilliseconds() == 123
duration('3723s').getHours() == 1 && duration('3723s').getMinutes() == 62 && duration('3723s').getSeconds() == 3723
duration('-3723s').getHours() == -1 && duration('1.5s').getMilliseconds() == 1500
type(timestamp(0)) == 'timestamp' && type(1) == int && type('') == string && type(null) == null_type
bytes('a') == b'a' // a comment
"""


@pytest.mark.parametrize(
    "text",
    [
        line
        for table in (STRINGS, FORMAT, ENCODERS, MATH, LISTS, SETS, BINDINGS, TIMES)
        for line in table.strip().split("\n")
    ],
)
def test_what_holds_there_holds_here(text: str) -> None:
    assert value(text) is True


FAULTS = {
    "'hello'.charAt(-1)": "index out of range: -1",
    "'tacocat'.charAt(30)": "index out of range: 30",
    "'hello mellow'.indexOf('ello', -1)": "index out of range: -1",
    "'tacocat'.lastIndexOf('a', -1)": "index out of range: -1",
    '"tacocat".substring(40)': "no such part",
    '"tacocat".substring(-1)': "no such part",
    '"tacocat".substring(4, 3)': "no such part",
    "42.charAt(2)": "takes string, not int",
    "'hello'.charAt(true)": "takes int, not bool",
    "'42'.indexOf('4', '0')": "takes int, not string",
    '"42".replace("2", "1", "1")': "takes int, not string",
    '42.split("")': "takes string, not int",
    "[1].join()": "only strings can be joined",
    "{}.reverse()": "takes string or list, not map",
    "['%d', ''][0].format([])": "index 0 out of range",
    "['%d %d %d', ''][0].format([0, 1])": "index 2 out of range",
    "['%a', ''][0].format([1])": 'unrecognized formatting clause "a"',
    "['%E', ''][0].format([0.5])": 'unrecognized formatting clause "E"',
    "['%', ''][0].format([1])": "unexpected end",
    "['%.', ''][0].format([1])": "unexpected end",
    "['%.f', ''][0].format([1.0])": "precision",
    "['%.999999999f', ''][0].format([1.0])": "precision",
    '"string is %b".format(["abc"])': "%b takes bool or int, not string",
    '"%d".format([duration("30m2s")])': "%d takes int or double, not duration",
    '"octal: %o".format(["a string"])': "%o takes int, not string",
    '"double is %x".format([0.5])': "%x takes int or string or bytes, not double",
    '"null: %e".format([null])': "not null",
    "base64.decode(b'aGVsbG8=')": "takes string, not bytes",
    "base64.encode('hello')": "takes bytes, not string",
    "base64.decode('a')": "no Base64",
    "base64.decode('aGVsbG8==')": "no Base64",
    "base64.decode('aGVs!G8=')": "no Base64",
    "base64.decode('äöü=')": "no Base64",
    "math.least(none, b)": "takes numbers, not list",
    "math.least(b, none)": "takes numbers, not list",
    "math.least(none)": "must not be empty",
    "math.greatest(words)": "takes numbers, not string",
    "math.greatest(dyn('string'))": "takes numbers, not string",
    "math.abs(-9223372036854775808)": "64 bits",
    "math.ceil(1)": "takes double, not int",
    "math.bitAnd(1, 1.0)": "takes int, not double",
    "math.bitShiftLeft(1, -1)": "negative offset: -1",
    "math.bitShiftRight(-1, -20)": "negative offset: -20",
    "[1,2,3,4].slice(3, 0)": "cannot slice(3, 0), start index must be less than or equal to end index",
    "[1,2,3,4].slice(0, 10)": "cannot slice(0, 10), list is length 4",
    "[1,2,3,4].slice(-5, -3)": "cannot slice(-5, -3), negative indexes not supported",
    "[1,[2,[3,[4]]]].flatten(-1)": "level must be non-negative",
    "dyn({}).flatten()": "takes list, not map",
    "[].flatten(dyn('1'))": "takes int, not string",
    '["d", 3, 2, "c"].sort()': "list elements must have the same type",
    "[1, 2.5].sort()": "list elements must have the same type",
    "[[1, 2, 3]].sort()": "list elements must be comparable",
    "[1, 2].sortBy(e, null)": "list elements must be comparable",
    "{'a': 1}.sortBy(e, e)": "map has no elements",
    "sets.contains(1, [1])": "takes list, not int",
    "cel.bind(x, 1 / 0, x == 1)": "division by zero",
    "cel.bind(x, d.missing, [1, 2].all(y, x == y))": "there is no 'missing'",
    "duration('1')": "no duration",
    "duration('1d')": "no duration",
    "duration('1nns')": "no duration",
    "duration('')": "no duration",
    "duration('.s')": "no duration",
    "duration('12hh3')": "no duration",
    "duration('9999999h')": "64 bits",
    "duration('1s') + 1": "duration + int",
    "duration('1s') * 2": "duration * int",
    "duration('292y')": "no duration",
    "timestamp('123')": "no timestamp",
    "timestamp('1000-00-00T00:00:00Z')": "no timestamp",
    "timestamp('1000-01-01T00:00:00ZZ')": "no timestamp",
    "timestamp('2023-01-01T24:00:00Z')": "no timestamp",
    "timestamp('2023-01-01T23:59:60Z')": "no timestamp",
    "timestamp('2023-01-01t00:00:00z')": "no timestamp",
    "timestamp(-62135596801)": "overflow",
    "timestamp(253402300800)": "overflow",
    "timestamp('0001-01-01T00:00:00+01:00')": "overflow",
    "timestamp('9999-12-31T23:59:59Z') + duration('1s')": "overflow",
    "timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z')": "overflow",
    "timestamp('9999-12-31T23:59:59Z').getHours('+01:00')": "overflow",
    "duration('2000000h') + duration('2000000h')": "overflow",
    "-duration('1s')": "- duration has no meaning",
    "timestamp('2023-01-01T00:00:00Z') < 5": "have no order",
    "timestamp(0).getHours('Mars/Olympus')": "unknown time zone",
    "timestamp(0).getHours('../../etc/passwd')": "unknown time zone",
    "timestamp(0).getHours('a\\x00b')": "unknown time zone",
    "duration('1s').getHours('UTC')": "no time zone",
    "duration('1s').getDate()": "takes timestamp, not duration",
}


@pytest.mark.parametrize("text", FAULTS)
def test_what_is_an_error_there_has_no_value_here(text: str) -> None:
    with pytest.raises(Fault) as caught:
        value(text)
    assert FAULTS[text] in str(caught.value)


REFUSED = {
    "'42'.indexOf('4', 0, 1) == 0": (6, "takes 1 or 2 arguments"),
    '"42".replace("2", 1, 1, false) == ""': (6, "takes 2 or 3 arguments"),
    "'hello'.substring(1, 2, 3) == ''": (9, "takes 1 or 2 arguments"),
    "math.least() == 1": (6, "takes 1 or more arguments"),
    "math.least('hello') == 1": (12, "takes numbers"),
    "math.least({}) == 1": (12, "takes numbers"),
    "math.least(1, 2, true) == 1": (18, "takes numbers"),
    "math.greatest([]) == 1": (15, "takes numbers"),
    "math.greatest([1, true]) == 1": (15, "takes numbers"),
    "math.greatest([1], 2) == 1": (15, "takes numbers"),
    "math.absolute(1) == 1": (6, "unknown function math.absolute()"),
    "[1].sets() == 1": (5, "unknown method sets()"),
    "data.math.abs(1) == 1": (11, "unknown method abs()"),
    "'%d %d'.format([1]) == ''": (16, "format() needs 2 values, not 1"),
    "'%d'.format([1, 2]) == ''": (13, "format() needs 1 values, not 2"),
    "'%a'.format([1]) == ''": (1, "unrecognized formatting clause"),
    "cel.bind(1, 2, true)": (10, "is a name"),
    "cel.bind(x, 2) == 1": (5, "unknown function cel.bind()"),
    "cel.bind(x, x, true)": (13, "unknown variable 'x'"),
    "[1].sortBy(1, 2) == []": (12, "is a name"),
    "math == 1": (1, "unknown variable 'math'"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_clear_from_the_text_is_refused_at_its_column(text: str) -> None:
    with pytest.raises(PerdureError) as caught:
        compile_filter(text)
    assert (caught.value.code, caught.value.column) == ("P0105", REFUSED[text][0])
    assert REFUSED[text][1] in caught.value.message


COSTLY = (
    "lists.range(9223372036854775807).size() > 0",
    "lists.range(300).map(x, lists.range(300)).flatten().size() > 0",
    "lists.range(20000).sort() == []",
    "lists.range(20000).sortBy(x, -x) == []",
    "lists.range(2000).distinct() == []",
    "sets.contains(lists.range(2000), lists.range(2000).reverse())",
    "sets.intersects(data.l.map(x, data.s + 'a'), data.l.map(x, data.s + 'b'))",
    "lists.range(9999).all(x, base64.decode(data.s) != b'')",
    "lists.range(9999).all(x, strings.quote(data.s) != '')",
    "lists.range(9999).all(x, '%x'.format([data.s]) != '')",
    "lists.range(9999).all(x, '%s'.format([data.wide]) != '')",
    "lists.range(9999).all(x, '%.999f'.format([1.5]) != '' && '%.999f'.format([1.5]) != '')",
    "lists.range(9999).all(x, data.s.format(data.l) != '')",
    "lists.range(9999).all(x, data.s.reverse() != '')",
    "lists.range(9999).all(x, data.s.replace('', '--', 5000) != '')",
    "lists.range(9999).all(x, data.s.split('', 5000) != [])",
    "lists.range(9999).all(x, timestamp(0).getHours('No/Such' + string(x)) != 5 || true)",
    "cel.bind(a, data.s, " * 12 + "a" + ")" * 12 + " == data.s && lists.range(50000) != []",
    "".join(f"cel.bind(x{n + 1}, [x{n}, x{n}], " for n in range(30)).replace("[x0, x0]", "data.l")
    + "'%s'.format([x30]) != ''" + ")" * 30,
    "".join(f"cel.bind(x{n + 1}, [x{n}, x{n}], " for n in range(30)).replace("[x0, x0]", "data.l")
    + "x30.flatten(99) != []" + ")" * 30,
)  # fmt: skip


@pytest.mark.parametrize("text", COSTLY)
def test_what_costs_too_much_is_stopped(text: str) -> None:
    condition = compile_filter(text)
    data = {"s": "a" * 100_000, "l": list(range(100)), "wide": {"k" * 100_000: 1}}
    assert not condition.matches(data, "")
    assert condition.why == "it takes too many steps"


def test_deep_data_is_shown_and_flattened_without_recursion() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    assert value("'%s'.format([deep]) == '[' + text + ']'", deep=[deep], text="[" * 5000 + "1" + "]" * 5000) is True
    assert value("deep.flatten(9999)", deep=deep) == [1]


def test_numbers_that_no_int_has_room_for_are_faults() -> None:
    for text in ("math.abs(n)", "math.bitNot(n)", "lists.range(n)", "'%d'.format([n])", "'%b'.format([n])"):
        with pytest.raises(Fault, match="64 bits"):
            value(text, n=10**400)


def test_halves_of_pairs_are_no_trouble() -> None:
    assert value("strings.quote(s)", s="\ud83d!") == '"\ufffd!"'
    assert value("'%x'.format([s])", s="\ud83d") == "efbfbd"
    assert value("string(bytes(s))", s="\ud83d") == "\ufffd"


_NAMES = sorted(
    {"charAt", "format", "flatten", "sort", "slice", "distinct", "reverse", "getHours", "split", "lastIndexOf"}
)
_CALLS = (
    *("math.abs", "math.least", "math.ceil", "math.bitShiftLeft", "math.round", "sets.contains", "sets.equivalent"),
    *("lists.range", "base64.decode", "base64.encode", "strings.quote", "timestamp", "duration", "string", "int"),
    *("bytes", "double"),
)
_ATOMS = ("1", "-3", "0.5", "'a%s'", "'aGk='", "[1, [2]]", "['b', 'a']", "{'a': 1}", "null", "true", "b'x'", "data")


def _expression(chance: random.Random, depth: int) -> str:
    if depth == 0:
        return chance.choice(_ATOMS)
    inner = [_expression(chance, depth - 1) for _ in range(chance.randrange(1, 4))]
    match chance.randrange(4):
        case 0:
            return f"{chance.choice(_CALLS)}({', '.join(inner)})"
        case 1:
            return f"[{inner[0]}].{chance.choice(['map', 'sortBy', 'filter', 'exists'])}(x, {inner[-1]} == x)"
        case 2:
            return f"cel.bind(y, {inner[0]}, {inner[-1]} == y)"
        case _:
            return f"({inner[0]}).{chance.choice(_NAMES)}({', '.join(inner[1:])})"


@settings(max_examples=500, deadline=None)
@given(st.integers(), st.sampled_from([None, 0, 1.5, "text", [1, "a"], {"a": [None]}, 10**400, "\ud800", "9" * 500]))
def test_no_expression_does_anything_but_have_a_value_or_a_fault(seed: int, data: Any) -> None:
    text = _expression(random.Random(seed), 3)
    with contextlib.suppress(CelError, Fault):
        compile_expression(text, ["data"]).value({"data": data})
