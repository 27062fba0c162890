"""Parser and checker on texts that nobody wrote: each is a job, or refused with a place; never a crash or a hang.

Texts are those of the specs with tokens or characters changed, and ones that a small grammar makes. The quick suite
draws a few dozen of each; `-m slow` goes on for ten minutes (docs/testing.md).
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobspec.ir.errors import CompileError
from jobspec.lang.check import load
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.source import Source
from tests.lang.examples import BASE, TRAIN, composed

#: seconds that one text may take, on a slow and busy machine: the largest spec takes one or two
LIMIT = 60.0
#: seconds of the long suite, for each of its three tests
LONG = 200.0
SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.job"))
TEXTS = [path.read_text("utf-8") for path in SPECS]
TOKEN = re.compile(r"[A-Z][A-Za-z0-9]*'*|[a-z_][a-z0-9_]*|b3:[0-9a-f]+|\d[\d.]*|\s+|\S")
PIECES = [
    "0", "1", "-1", "2", ".5", "1e400", "99999999999", "4Ki", "B", "T", "X", "x", "loss", "batch", "step", "steps",
    "tokens", "lr", "all", "(", ")", "[", "]", "{", "}", "=", "==", ":=", "->", ",", ";", ":", "|", "~", "^", "@",
    "+", "-", "*", "/", "%", "if", "else", "repeat", "scan", "phase", "update", "average", "freeze", "by", "of",
    "state", "param", "shards", "compute", "training", "inf", "true", "rand", "normal", "sum", "mean", "dot",
    "top", "sort", "window", "select", "stop", "iota", "T'", "..", ".", "'", '"', "#",
]
QUICK = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True)
ROUND = settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck), database=None)


@contextmanager
def limited(text: str) -> Iterator[None]:
    """Fails where the block takes longer than LIMIT."""

    def late(signum: int, frame: FrameType | None) -> None:
        raise AssertionError(f"takes longer than {LIMIT} s:\n{text}")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check(text: str) -> None:
    """A job, or errors that can be shown: each with words and a place in a text."""
    try:
        with limited(text):
            source = Source.from_bytes("fuzz.job", text.encode("utf-8", "replace"))
            load(source)
    except DiagnosticsError as error:
        assert error.diagnostics and str(error)
        for diagnostic in error.diagnostics:
            span = diagnostic.span
            assert diagnostic.message and 0 <= span.start <= span.end <= len(span.source.text)
            assert span.line >= 1 and span.column >= 1
    except CompileError as error:
        assert error.code in ("E0111", "E0112")


def changed_tokens() -> st.SearchStrategy[str]:
    """A spec with one to four tokens exchanged, left out or put in."""
    edit = st.tuples(st.integers(0, 1 << 20), st.sampled_from(["put", "out", "swap", "copy"]), st.sampled_from(PIECES))
    return st.builds(with_edits, st.sampled_from(TEXTS), st.lists(edit, min_size=1, max_size=4))


def with_edits(text: str, edits: list[tuple[int, str, str]]) -> str:
    tokens = TOKEN.findall(text)
    for place, how, piece in edits:
        at = place % len(tokens)
        other = tokens[(place * 7 + 3) % len(tokens)]
        tokens[at] = {"put": f"{tokens[at]} {piece} ", "out": "", "swap": piece, "copy": other}[how]
    return "".join(tokens)


def changed_characters() -> st.SearchStrategy[str]:
    """A spec with a few characters cut, doubled or put in."""
    edit = st.tuples(st.integers(0, 1 << 20), st.integers(0, 30), st.text(max_size=3))
    return st.builds(with_cuts, st.sampled_from(TEXTS), st.lists(edit, min_size=1, max_size=4))


def with_cuts(text: str, edits: list[tuple[int, int, str]]) -> str:
    for place, length, new in edits:
        at = place % (len(text) + 1)
        text = text[:at] + new + text[at + length :]
    return text


NUMBERS = st.sampled_from(["0", "1", "2", ".5", "-3", "1e30", "X", "step", "steps"])
AXES = st.sampled_from(["B", "X", "H", "X'", "H'", "B X", "X H", "Q"])
LEAVES = st.one_of(NUMBERS, st.sampled_from(["x", "h", "w", "batch", "net", "inf", "training", "iota[H]", "rand[B]()"]))


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions over expressions: every operator, view, fold and choice that the language has."""
    two = st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%", "^", "@", "<", "==", "and", "or"]), inner)
    call = st.tuples(st.sampled_from(["exp", "log", "sqrt", "tanh", "floor", "stop", "bf16", "sign", "not"]), inner)
    fold = st.tuples(st.sampled_from(["sum", "mean", "max", "argmax", "count", "sort", "cumsum", "flip"]), AXES, inner)
    view = st.sampled_from(["X->H", "X->X'", "X: 0", "H: 1..", "X: ..2", "H: h", "X H->Q", "X->H Q", "B: 9"])
    return st.one_of(
        two.map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        call.map(lambda p: f"{p[0]}({p[1]})"),
        fold.map(lambda p: f"{p[0]}[{p[1]}]({p[2]})"),
        st.tuples(inner, view).map(lambda p: f"{p[0]}[{p[1]}]"),
        st.tuples(AXES, inner, inner).map(lambda p: f"dot[{p[0]}]({p[1]}, {p[2]})"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
        st.tuples(inner, inner, inner).map(lambda p: f"select({p[0]}, {p[1]}, {p[2]})"),
    )


EXPRESSIONS = st.recursive(LEAVES, larger, max_leaves=10)
NAMES = st.sampled_from(["h", "x", "y", "z", "w"])


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map("; ".join)
    return st.one_of(
        st.tuples(st.sampled_from(["2", "X", "H", "0", "h"]), body).map(lambda p: f"repeat {p[0]} {{ {p[1]} }}"),
        st.tuples(EXPRESSIONS, body, body).map(lambda p: f"if {p[0]} {{ {p[1]} }} else {{ {p[2]} }}"),
        st.tuples(AXES, body, EXPRESSIONS).map(lambda p: f"y = scan {p[0]} (s: B = 0) {{ {p[1]}; s = {p[2]}; s }}"),
    )


PLAIN = st.one_of(
    st.tuples(NAMES, EXPRESSIONS).map(lambda p: f"{p[0]} = {p[1]}"),
    st.tuples(NAMES, AXES, EXPRESSIONS).map(lambda p: f"{p[0]}: {p[1]} = {p[2]}"),
    st.tuples(NAMES, AXES, EXPRESSIONS).map(lambda p: f"param {p[0]}2: {p[1]} = {p[2]}"),
    st.tuples(AXES, AXES).map(lambda p: f"param v: {p[0]} -> {p[1]} ~ normal(.1); h = h @ v"),
    EXPRESSIONS.map(lambda e: f"state q: H = 0; if training {{ q := {e} }}"),
)
STATEMENTS = st.recursive(PLAIN, blocks, max_leaves=5)
SETTINGS = st.sampled_from(
    ["shards = 2", "shards = per_piece(2)", "compute = bf16", "clip = 1", "freeze w", "phase a { steps = 3 }"]
)


def made() -> st.SearchStrategy[str]:
    """A small job with statements, and a setting, that the grammar makes."""

    def put(body: list[str], extra: list[str]) -> str:
        return composed(BASE, {**TRAIN, "extra": "\n  ".join(extra)}, "\n  ".join(body))

    return st.builds(put, st.lists(STATEMENTS, min_size=1, max_size=4), st.lists(SETTINGS, max_size=2))


@QUICK
@given(changed_tokens())
def test_changed_tokens(text: str) -> None:
    check(text)


@QUICK
@given(changed_characters())
def test_changed_characters(text: str) -> None:
    check(text)


@QUICK
@given(made())
def test_made_texts(text: str) -> None:
    check(text)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tokens", "characters", "made"])
def test_ten_minutes(kind: str) -> None:
    texts = {"tokens": changed_tokens, "characters": changed_characters, "made": made}[kind]()
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        ROUND(given(texts)(check))()
