"""Imports: this edition's library, files by their hash."""

from __future__ import annotations

import pytest

from jobspec.ir.digest import blob_digest
from jobspec.ir.job import Job
from jobspec.lang.check import load
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.modules import EDITION, EDITIONS, edition_digest, std_names, std_tree
from jobspec.lang.source import SIZE_LIMIT, Source

JOB = """job j
{imports}
dim B=4, X=3
data d = table(b3:00000000, x=f32[X])
optim sgd(p, g, lr) {{ p := p - lr*g }}
layer net(x) {{ param w: X -> X' ~ normal(1)
  {body} }}
train {{ seed = 1; steps = 2; batch = shuffle(d)
  loss = mean[B X'](net(batch.x))
  update all by sgd(.1) }}
"""


def job(imports: str, body: str, files: dict[str, bytes] | None = None) -> Job:
    return load(Source("j.job", JOB.format(imports=imports, body=body)), fetch=(files or {}).get)


def test_this_edition_is_pinned() -> None:
    """A change of std/ is a new edition; before the first release, write its digest into modules.EDITIONS."""
    assert str(edition_digest()) == EDITIONS[EDITION]


@pytest.mark.parametrize("name", std_names())
def test_library_files_are_libraries(name: str) -> None:
    source, file = std_tree(name)
    assert (file.kind, file.name.text) == ("library", name)
    assert len(source.text.encode()) <= SIZE_LIMIT


def test_an_imported_function_is_the_written_one() -> None:
    mine = JOB.format(imports="def relu(x) = max(x, 0)", body="relu(x @ w)")
    assert (
        load(Source("j.job", mine))
        == job("import std.nn", "nn.relu(x @ w)")
        == job("import std.nn as n", "n.relu(x @ w)")
    )


def test_import_by_hash() -> None:
    text = b"library mine\ndef twice(x) = 2*x\n"
    name = str(blob_digest(text))
    found = job(f"import {name} as mine", "mine.twice(x @ w)", {name: text})
    assert found == load(Source("j.job", JOB.format(imports="", body="2*(x @ w)")))


def refused(imports: str, files: dict[str, bytes]) -> set[str]:
    with pytest.raises(DiagnosticsError) as caught:
        job(imports, "x @ w", files)
    return {d.code for d in caught.value.diagnostics}


def test_a_file_that_is_not_what_its_hash_says() -> None:
    name = str(blob_digest(b"library a\n"))
    assert refused(f"import {name} as a", {name: b"library a\ndef f(x) = x\n"}) == {"E0272"}


def test_a_library_with_data() -> None:
    text = b"library a\ndim X=3\n"
    assert refused(f"import {blob_digest(text)} as a", {str(blob_digest(text)): text}) == {"E0273"}


def test_syntax_errors_of_a_library_name_it() -> None:
    text = b"library a\ndef f(x) = (\n"
    name = str(blob_digest(text))
    with pytest.raises(DiagnosticsError) as caught:
        job(f"import {name} as a", "x @ w", {name: text})
    assert caught.value.diagnostics[0].span.source.name == name


def test_names_of_the_job_are_not_seen_in_a_library() -> None:
    text = b"library a\ndef f(x) = mean[B](x)\n"
    name = str(blob_digest(text))
    with pytest.raises(DiagnosticsError) as caught:
        job(f"import {name} as a", "a.f(x @ w)", {name: text})
    (found,) = caught.value.diagnostics
    assert found.code == "E0201" and found.labels[0][1] == "in this library function"
