"""Text and tree, forth and back: writing, parsing, formatting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobspec.lang import tree
from jobspec.lang.diagnostics import DiagnosticsError, Reporter
from jobspec.lang.format import format_source
from jobspec.lang.parse import parse
from jobspec.lang.source import Source
from jobspec.lang.tokens import COMMENT, tokenize
from tests.lang import trees
from tests.lang.write import write

JOBS = sorted((Path(__file__).parent / "jobs").glob("*.job"))
GENEROUS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def read(text: str) -> tree.Job:
    return parse(Source("test.job", text))


def formatted(text: str) -> str:
    return format_source(Source("test.job", text))


def comments(text: str) -> list[str]:
    return [t.text.rstrip() for t in tokenize(Source("test.job", text), Reporter()) if t.kind == COMMENT]


@GENEROUS
@given(trees.job)
def test_a_tree_is_what_its_text_parses_to(job: tree.Job) -> None:
    assert read(write(job)) == job


@GENEROUS
@given(trees.job)
def test_formatting_keeps_the_tree_and_is_idempotent(job: tree.Job) -> None:
    once = formatted(write(job))
    assert read(once) == job
    assert formatted(once) == once


SPACES = st.sampled_from([" ", "  ", "\t", "\n", "\n\n\n", " # why\n", "\n  # what\n", ";", "\r\n", ""])


@GENEROUS
@given(st.sampled_from(JOBS), st.data())
def test_formatting_keeps_every_comment_wherever_it_stands(path: Path, data: st.DataObject) -> None:
    """Blanks of a real job are replaced at random; where it parses, formatting changes neither tree nor comments."""
    source = Source.read(path)
    tokens = tokenize(source, Reporter())
    start = data.draw(st.integers(0, len(tokens) - 1))
    gaps = {i: data.draw(SPACES) for i in range(start, min(start + 8, len(tokens) - 1))}
    text = "".join(
        token.text + gaps.get(i, source.text[token.end : following.start])
        for i, (token, following) in enumerate(zip(tokens, [*tokens[1:], tokens[-1]], strict=True))
    )
    try:
        job = read(text)
    except DiagnosticsError:
        return
    once = formatted(text)
    assert read(once) == job
    assert comments(once) == comments(text)
    assert formatted(once) == once


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_formatted_job(path: Path, golden: Callable[[Path, str], None]) -> None:
    golden(path.with_suffix(".fmt"), format_source(Source.read(path)))


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_job_round_trip(path: Path) -> None:
    job = parse(Source.read(path))
    assert read(write(job)) == job
    assert formatted(write(job)).count("\n") > len(job.items)
