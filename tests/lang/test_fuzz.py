"""Whatever the bytes are: a tree, or a DiagnosticsError with places; never another exception, never a hang."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobspec.ir.errors import CompileError
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.format import format_source
from jobspec.lang.parse import parse
from jobspec.lang.source import Source

TEXTS = [path.read_bytes() for path in sorted((Path(__file__).parent / "jobs").glob("*.job"))]
TEXTS += [path.read_bytes() for path in sorted((Path(__file__).parent / "golden").glob("*.job"))]
PIECES = b"( ) [ ] { } ; , : = := -> .. | ~ ^ - # \" ' b3: . 1e 1e9999 // && x' \xff \xc3\xa9 \xe2\x80\xa8".split()
PIECES += [b" x ", b" T ", b" 1.5k ", b" if ", b" else ", b" scan T (", b" repeat ", b" param ", b" not ", b" as "]
PIECES += [b"job ", b" of ", b"\r", b"\t", b"\n"]
QUICK = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def check(data: bytes) -> None:
    """Parses; what parses can be formatted, what does not has places that can be shown."""
    try:
        source = Source.from_bytes("fuzz.job", data)
    except CompileError:
        return
    try:
        parse(source)
    except DiagnosticsError as error:
        assert error.diagnostics and str(error)
        for diagnostic in error.diagnostics:
            span = diagnostic.span
            assert span.source is source and 0 <= span.start <= span.end <= len(source.text)
            assert 1 <= span.line <= len(source.line_starts) and span.column >= 1
        return
    once = format_source(source)
    assert format_source(Source("again.job", once)) == once


def mutated(text: bytes, chance: random.Random, times: int) -> bytes:
    """Cuts, copies, swaps and inserts at random places."""
    for _ in range(times):
        i, j = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        j = min(j, i + chance.choice([0, 1, 3, 20, 200]))
        new = chance.choice([b"", chance.choice(PIECES), text[i:j] * 2, bytes([chance.randrange(256)])])
        text = text[:i] + new + text[j:]
    return text


@QUICK
@given(st.binary(max_size=200))
def test_bytes(data: bytes) -> None:
    check(data)


@QUICK
@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
def test_pieces(data: bytes) -> None:
    check(b"job j\n" + data)
    check(b"job j\ntrain { " + data + b" }")


@pytest.mark.parametrize("seed", range(3))
def test_mutations(seed: int) -> None:
    chance = random.Random(seed)
    for text in TEXTS:
        check(mutated(text, chance, chance.choice([1, 1, 2, 5])))


def test_every_beginning() -> None:
    """A job cut off at every 7th byte."""
    text = TEXTS[0]
    for end in range(0, len(text), 7):
        check(text[:end])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_many_mutations(seed: int) -> None:
    chance = random.Random(1000 + seed)
    for text in TEXTS:
        for _ in range(4):
            check(mutated(text, chance, chance.choice([1, 1, 2, 5, 50])))
