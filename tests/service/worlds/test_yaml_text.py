"""YAML as plain values: bounded, safe, with lines; and every way in which text is not YAML that we take."""

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from service.worlds.limits import MAX_SOURCE_BYTES
from service.worlds.yaml_text import read_yaml, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None), ("~", None), ("", None), ("true", True), ("False", False),
        ("7", 7), ("-7", -7), ("+7", 7), ("0017", 17), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0),
        ("-1.5E-2", -0.015), (".inf", math.inf), ("-.INF", -math.inf),
        ("yes", "yes"), ("No", "No"), ("on", "on"), ("12:30", "12:30"), ("0x1F", "0x1F"), ("2026-11-23", "2026-11-23"),
        ("1_000", "1_000"), ("e3", "e3"), (".", "."), ("-", "-"), ("=", "="), ("<<", "<<"), ("9" * 41, "9" * 41),
    ],
)  # fmt: skip
def test_unquoted_scalars_are_those_of_yaml_1_2(text, value):
    found = scalar(text)
    assert found == value and type(found) is type(value)


def test_nan_is_a_number():
    assert math.isnan(scalar(".NaN"))


def test_quoted_scalars_are_text():
    assert read_yaml(b"a: '7'\nb: \"true\"\nc: |\n  12\n").value == {"a": "7", "b": "true", "c": "12\n"}


def test_lines_are_those_of_keys_and_items():
    text = read_yaml(b"a: 1\nb:\n  - x\n  -\n    c: 2\n")
    assert text.value == {"a": 1, "b": ["x", {"c": 2}]}
    assert text.is_whole and not text.problems
    lines = {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 5, ("b", 1, "c"): 5}
    assert {path: text.line(path) for path in lines} == lines
    assert text.line(("b", 1, "c", "nothing", "here")) == 5


BROKEN = {
    b"": (1, "got an empty file"),
    b" \n \n": (1, "got an empty file"),
    b"# only words\n": (1, "got an empty file"),
    b"null": (1, "got an empty file"),
    b"a: 1\nb: \xff\xfe": (2, "got the byte 0xff at offset 8, allowed UTF-8 text"),
    b"\x7fELF\x02\x01": (1, "got the control character 0x7f at offset 0"),
    b"PK\x03\x04": (1, "got the control character 0x03 at offset 2"),
    b"a: \xc3\xa9\n\x00": (2, "got the control character 0x00 at offset 6"),
    b"x" * (MAX_SOURCE_BYTES + 1): (1, "got 1,048,577 bytes, allowed at most 1,048,576"),
    b"a: 1\n\tb: 2": (2, "got a tab in the indentation, allowed spaces"),
    b"a:\n\t- 1": (2, "got a tab in the indentation, allowed spaces"),
    b"a: [1, 2": (2, "got text that is not YAML"),
    b"a: 'x": (1, "got text that is not YAML"),
    b"a: b: c": (1, "got text that is not YAML"),
    b"%YAML 9.9\n---\na: 1": (1, "got text that is not YAML"),
    b"a: 1\n---\nb: 2": (2, "got a second YAML document (---), allowed one"),
    b"a: !!python/object/apply:os.system [x]": (1, "got the tag tag:yaml.org,2002:python/object/apply:os.system"),
    b"a: !secret x": (1, "got the tag !secret, allowed no tags"),
    b"a: &x 1": (1, "got the anchor &x, allowed only values written out"),
    b"a: *x": (1, "alias"),
    b"{[1]: 2}": (1, "got a list or mapping as a key, allowed text"),
    b"a: 1\nb: 2\na: 3": (3, "got the key 'a' again, allowed once (first in line 1)"),
    b"[" * 100_000: (1, "got nesting deeper than 32 levels"),
    b"- " * 40 + b"x": (1, "got nesting deeper than 32 levels"),
    b"[" + b"1," * 100_001 + b"]": (1, "got more than 100,000 values"),
}  # fmt: skip


@pytest.mark.parametrize("source", BROKEN, ids=lambda source: repr(source[:24]))
def test_what_is_wrong_is_said_with_its_line(source):
    line, words = BROKEN[source]
    found = [(problem.line, problem.text) for problem in read_yaml(source).problems]
    assert any(at == line and words in text for at, text in found), found


def test_a_bomb_of_aliases_stays_small():
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    text = read_yaml(("l0: &l0 lol\n" + levels).encode())
    assert sum("got the alias" in problem.text for problem in text.problems) == 29 * 9
    assert len(repr(text.value)) < 10_000


def test_repeated_keys_keep_the_first_value_and_hide_nothing():
    text = read_yaml(b"a: {x: 1}\na: {x: 2, y: [3, {z: 4}]}\nb: 5")
    assert text.value == {"a": {"x": 1}, "b": 5}
    assert [(problem.line, problem.field) for problem in text.problems] == [(2, "a")]


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc xyz:#-[]{}'\"\n", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", min_size=1), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abcxyz", min_size=1), plain, min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_whatever_pyyaml_writes_is_read_back(value):
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    text = read_yaml(yaml.dump(value, Dumper=Plain, allow_unicode=True).encode())
    assert not text.problems
    assert text.value == value


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=80, deadline=None)
def test_any_bytes_give_values_or_problems_and_never_an_error(source):
    text = read_yaml(source)
    assert text.is_whole or text.problems
