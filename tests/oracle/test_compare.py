"""Ratios are of one round or of one pair; who trains otherwise is no peer; who is lost is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.test_contenders import counting

pytest.importorskip("torch", reason="PyTorch is a contender: pip install '.[oracle]'")

from bench import compare as subject
from bench.compare import FREE, FUSED, OURS, Comparison, Effort, Row, measured
from bench.contenders import Child
from bench.report import Findings, json_of, text_of
from bench.timing import Timing

pytestmark = pytest.mark.oracle

SLOWER = (1.0, 1.1, 1.2, 1.3, 1.4)


def row(contender: str, *seconds: float, threads: int = 1, difference: float = 0.0) -> Row:
    return Row(contender, threads, Timing(seconds), difference)


@pytest.mark.parametrize(("difference", "void"), [(0.0, False), (1e-3, False), (1.1e-3, True), (float("nan"), True)])
def test_another_training_is_void(difference: float, void: bool) -> None:
    """It is no peer: the ratio is against the others on as many threads."""
    fast = row("fast", 1.0, difference=difference)
    found = Comparison("x", 1, (row(OURS, 2.0), fast, row("slow", 6.0), row("elsewhere", 0.1, threads=2)))
    assert fast.void == void
    assert set(found.ratios(1)) == ({"slow"} if void else {"fast", "slow"})
    ratio = found.ratio(1)
    assert ratio and ratio.median == (3.0 if void else 0.5)


def drifting(*, void: bool = False) -> Comparison:
    """A machine that gets slower by 40 % while it is looked at: a peer takes twice our time, a free order 2 % less."""
    pairs = [(1.02 * slow, slow) for slow in SLOWER]
    free = row(FREE, *(free for _, free in pairs), difference=1.0 if void else 0.0)
    rows = (row(OURS, *SLOWER), free, row(FUSED, *(2 * slow for slow in SLOWER)))
    return Comparison("x", 1, rows, {OURS: 55_000_000, FUSED: 90_000_000}, 9_000_000, {"jax": "no jax"}, {1: pairs})


def test_a_machine_that_drifts_changes_no_ratio() -> None:
    ratio, price = drifting().ratio(1), drifting().price(1)
    assert ratio and (ratio.low, ratio.median, ratio.high) == pytest.approx((2.0, 2.0, 2.0))
    assert price and (price.low, price.median, price.high) == pytest.approx((1.02, 1.02, 1.02))


def test_a_free_order_that_trains_otherwise_gives_no_price() -> None:
    assert drifting(void=True).price(1) is None


def test_the_table_and_the_json_say_the_same() -> None:
    found = Findings({1: 100.0}, [drifting()], [], {}, {})
    text, kept = text_of(found), json.loads(json.dumps(json_of(found)))
    assert "**2.00×** (2.00–2.00)" in text and "+2.0% (+2.0% to +2.0%)" in text
    assert "| x | 9 MB | 55 MB | 50% | 90 MB |" in text
    assert "jax did not run x: no jax." in text
    on_one = kept["workloads"][0]["threads"]["1"]
    assert on_one["price"]["median"] == pytest.approx(1.02) and len(on_one["pairs"]) == len(SLOWER)
    assert on_one["against"][FUSED]["median"] == on_one["ratio"]["median"] == pytest.approx(2.0)


def with_ends(monkeypatch: pytest.MonkeyPatch, ends: dict[str, int]) -> None:
    """Contenders that answer with numbers, of whom some end at the request of such a number."""

    def opened(name: str, folder: Path, threads: int) -> Child:
        return counting(folder, name, ends.get(name, -1))

    monkeypatch.setattr(subject, "opened", opened)


EFFORT = Effort(2, 1.0, (), (), 2)


@pytest.mark.parametrize(("lost", "there"), [(FUSED, [OURS, FREE]), (FREE, [OURS, FUSED])])
@pytest.mark.parametrize("last", [0, 1, 2, 3])
def test_a_contender_that_is_lost_is_named(
    lost: str, there: list[str], last: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_ends(monkeypatch, {lost: last})
    found = measured((OURS, FREE, FUSED), tmp_path, 1, EFFORT, all_losses=True)
    assert found.failed == {lost: "out of memory"}
    assert {row.contender for row in found.rows} == set(there)
    assert bool(found.pairs) == (FREE in there)


def test_without_ours_there_is_no_comparison(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_ends(monkeypatch, {OURS: 3})
    with pytest.raises(ChildProcessError, match="out of memory"):
        measured((OURS, FREE), tmp_path, 1, EFFORT, all_losses=True)
