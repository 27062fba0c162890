"""Every error of meaning, as the user sees it: refused/NAME.job gives exactly refused/NAME.err."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobspec.lang.check import load
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.explain import entries
from jobspec.lang.source import Source

REFUSED = Path(__file__).parent / "refused"
JOBS = sorted(REFUSED.glob("*.job"))
#: of meaning, but only a file beside the job can show them
WITH_FILES = {"E0273", "E0274", "E0351", "E0352", "E0291"}

TEMPLATE = """job j
dim B=4, X=3, H=2
data d = table(b3:00000000, x=f32[X], y=f32)
layer net(x) {{
  param w: X -> H ~ normal(.1)
  h = x @ w
  {example}
  sum[H](h)
}}
optim sgd(p, g, lr) {{ p := p - lr*g }}
train {{ seed = 1; steps = 2; batch = shuffle(d)
  loss = mean[B]((net(batch.x) - batch.y)^2)
  update all by sgd(.1) }}
"""


def errors(source: Source) -> DiagnosticsError:
    with pytest.raises(DiagnosticsError) as caught:
        load(source)
    return caught.value


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_message(path: Path, golden: Callable[[Path, str], None]) -> None:
    golden(path.with_suffix(".err"), f"{errors(Source.from_bytes(path.name, path.read_bytes()))}\n")


@pytest.mark.parametrize("path", [p for p in JOBS if p.stem[1:5].isdigit()], ids=lambda path: path.stem)
def test_named_code_is_there(path: Path) -> None:
    found = errors(Source.from_bytes(path.name, path.read_bytes()))
    assert path.stem[:5].upper() in {d.code for d in found.diagnostics}


def test_every_code_of_meaning_has_a_golden_file() -> None:
    mine = {c for c in entries() if c[:3] in ("E02", "E03") or c[:4] == "E043"} - WITH_FILES
    assert mine - {path.stem[:5].upper() for path in JOBS} == set()


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in REFUSED.glob("*.err")} == {path.stem for path in JOBS}


def test_errors_come_in_the_order_of_the_text() -> None:
    found = errors(Source("j.job", TEMPLATE.format(example="a = zz + 1\n  b = sum[Q](h)")))
    assert [d.code for d in found.diagnostics] == ["E0202", "E0201"]


def test_what_follows_from_an_error_is_not_shown() -> None:
    text = TEMPLATE.format(example="a = zz + 1\n  b = a*2\n  h = h + b\n  repeat X { h = h + a }")
    assert len(errors(Source("j.job", text)).diagnostics) == 1
