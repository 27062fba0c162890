"""The text form: exact round trip, one text per program, and a clear refusal of anything else."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobspec.ir.attributes import ATTRIBUTES
from jobspec.ir.ops import OPS
from jobspec.ir.program import Program, make
from jobspec.ir.regions import body_input
from jobspec.ir.text import TextError, parse_program, print_program
from jobspec.ir.types import Type
from tests.passes.gradient_cases import CASES, Case
from tests.random_programs import programs

RELAXED = settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))

SMALL = """\
program {
  %0 = input() dtype=f32 name="x" shape=[2] : f32[2]
  %1 = input() dtype=i32 name="unused \\"name\\"" shape=[] : i32[]
  %2 = input() dtype=f32 name="w" shape=[2 3] : f32[2 3]
  %3 = const() bits=[0x3f800000] dtype=f32 shape=[] : f32[]
  %4 = loop(%3, %2, %0) body=program {
    %0 = input() dtype=i32 name="t" shape=[] : i32[]
    %1 = input() dtype=f32 name="h" shape=[] : f32[]
    %2 = input() dtype=f32 name="c" shape=[3] : f32[3]
    %3 = input() dtype=f32 name="s" shape=[2] : f32[2]
    %4 = sum(%3) axes=[0] : f32[]
    %5 = add(%1, %4) : f32[]
    output "h" = %5
    output "c" = %2
  } carried=1 count=2 reverse=false sliced=1 : f32[] f32[2 3]
  %5 = get(%4) index=0 : f32[]
  %6 = gradient(%5, %2) : f32[2 3]
  output "loss" = %5
  output "dw" = %6
}
"""
CONSTANT = "  %3 = const() bits=[0x3f800000] dtype=f32 shape=[] : f32[]\n"
WEIGHTS = '  %2 = input() dtype=f32 name="w" shape=[2 3] : f32[2 3]\n'


def test_every_op_has_its_attributes_listed() -> None:
    assert set(ATTRIBUTES) == set(OPS)


def test_text_is_printed_in_one_form() -> None:
    program = parse_program(SMALL)
    assert print_program(program) == SMALL
    assert [node["name"] for node in program.inputs] == ["x", 'unused "name"', "w"]
    late = SMALL.replace(WEIGHTS + CONSTANT, CONSTANT + WEIGHTS).replace("\n    ", "\n")
    assert late != SMALL and parse_program(late) == program


@RELAXED
@given(programs())
def test_random_programs_come_back(program: Program) -> None:
    text = print_program(program)
    assert parse_program(text) == program
    assert print_program(parse_program(text)) == text


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_programs_with_gradients_come_back(case: Case) -> None:
    program = case.with_gradients()
    assert parse_program(print_program(program)) == program


@given(st.text(max_size=20))
@example("\ud800")
@example("é \u2028 \\ \" \x00")
def test_any_name_comes_back(name: str) -> None:
    x = body_input(name, Type("f32", (2,)))
    program = Program((x,), ((name, x), (name + "'", make("neg", x))))
    assert parse_program(print_program(program)) == program


WRONG = [
    ("", 1, "'program' expected"),
    ("program {", 1, "'node' expected"),
    ("program {}\nmore", 2, "'end' expected"),
    (SMALL.replace("%5 = add(%1, %4) : f32[]", "%5 = plus(%1, %4) : f32[]"), 12, "no operation is called 'plus'"),
    (SMALL.replace("add(%1, %4)", "add(%1, %9)"), 12, "'%9' is not defined above"),
    (SMALL.replace("add(%1, %4)", "add(%1)"), 12, "add takes 2 operands, got 1"),
    (SMALL.replace("add(%1, %4)", "add(%1, %2)"), 12, "operands differ in type or shape"),
    (SMALL.replace("%5 = add(%1, %4) : f32[]", "%5 = add(%1, %4) : f32[1]"), 12, "the result is f32[]"),
    (SMALL.replace("axes=[0]", "axes=[1]"), 11, "no such axis"),
    (SMALL.replace("axes=[0]", "axes=[-1]"), 11, "no such axis"),
    (SMALL.replace("axes=[0]", "axis=[0]"), 11, "'axes' expected"),
    (SMALL.replace("[0x3f800000]", "[0x13f800000]"), 5, "nothing starts with"),
    (SMALL.replace("[0x3f800000]", "[4294967296]"), 5, "is no bit pattern of f32"),
    (SMALL.replace("dtype=i32", "dtype=i64"), 3, "'i64' is no dtype"),
    (SMALL.replace("reverse=false", "reverse=no"), 15, "'no' is no flag"),
    (SMALL.replace("count=2", "count=3"), 15, "slices must be count long"),
    (SMALL.replace("%5 = get(%4) index=0", "%5 = get(%4) index=2"), 16, "no such result"),
    (SMALL.replace("%6 = gradient(%5, %2)", "%6 = gradient(%4, %2)"), 17, "use get"),
    (SMALL.replace("%6 = gradient", "%5 = gradient"), 17, "%5 is defined twice"),
    (SMALL.replace('output "dw"', 'output "loss"'), 1, "two outputs are called `loss`"),
    (SMALL.replace('name="w"', 'name="x"'), 1, "two inputs are called `x`"),
    (SMALL.replace('name="w"', 'name="\\q"'), 4, "is no name"),
    ("program { %0 = reshape() shape=[] : f32[] }", 1, "reshape takes 1 operands"),
    ("program { %0 = iota() size=99999999999 : i32[1] }", 1, "size must be in"),
]


@pytest.mark.parametrize(("text", "line", "reason"), WRONG)
def test_other_text_is_refused_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(TextError, match=re.escape(reason)) as caught:
        parse_program(text)
    assert caught.value.line == line


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    opening = "program { %0 = loop() body="
    with pytest.raises(TextError, match="loops deeper than"):
        parse_program(opening * 5000)


PATCHES = ["", "0", "-1", "7", "%2", "[", "]", "=", "true", "f32", "i32", "x", "1 2", "\n", "{"]
SOURCES = [SMALL, *(print_program(case.with_gradients()) for case in CASES[::6])]


@RELAXED
@given(st.sampled_from(SOURCES), st.data())
def test_damaged_text_is_refused_or_read_never_a_crash(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        width = data.draw(st.integers(0, 6))
        patch = data.draw(st.sampled_from(PATCHES))
        text = text[:at] + patch + text[at + width :]
    try:
        program = parse_program(text)
    except TextError:
        return
    assert parse_program(print_program(program)) == program
