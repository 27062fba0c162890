"""Axes of the batch cut over a mesh: places of a window, examples without pieces; the step's own bits."""

from __future__ import annotations

import pytest

from jobspec.ir.job import Job
from jobspec.passes.split.graph import check_graph
from jobspec.passes.split.mesh import Meshed
from tests.passes.meshes import PLAIN, at_once, in_parts, job, meshed, same, spec
from tests.passes.task_graphs import runner

NATIVE = runner("llvm")
GPT = ("L=2", "D=16", "H=4", "V=16", "T=8", "B=4", "train.steps=4")
LLAMA = ("L=2", "D=32", "R=2", "G=2", "K=8", "F=64", "V=16", "T=8", "B=4", "train.steps=3")
LSTM = ("B=2", "T=8", "D=4", "H=6", "train.steps=3")
#: a map of each place of a row, and a norm's gain
PLACES = (
    PLAIN.replace("x=f32[X], y=u8", "x=f32[T X], y=u8[T]")
    .replace("Y=8", "Y=8, T=8")
    .replace("mean[B]", "mean[B T]")
    .replace("b1: H = .1", "b1: H = .1, g: X = 1")
    .replace("x @ w1", "x * g @ w1")
)


def check(one: Job) -> Meshed:
    cut = meshed(one)
    check_graph(cut.graph)
    run = runner("reference", one.profile)
    same(in_parts(one, cut, run), at_once(one, run))
    return cut


def largest(cut: Meshed, op: str = "contract") -> int:
    """Elements of the largest result of an operation in any task."""
    nodes = (node for task in cut.graph.tasks for node in task.program.nodes() if node.op == op)
    return max(node.type.size for node in nodes)


@pytest.mark.parametrize("run", ["mesh = [cp=2]; shard T over cp", "mesh = [cp=4]; shard T over cp"])
def test_places_of_rows(run: str) -> None:
    check(job(PLACES, run))


@pytest.mark.parametrize(
    ("run", "shards"),
    [
        ("mesh = [cp=2]; shard T over cp", 1),
        pytest.param("mesh = [cp=4]; shard T over cp", 4, marks=pytest.mark.slow),
        ("mesh = [tp=2, cp=2]; shard H F V over tp; shard T over cp", 2),
        pytest.param("mesh = [cp=2, tp=2]; shard H F V over tp; shard T over cp", 1, marks=pytest.mark.slow),
        ("mesh = [pp=2, cp=2]; shard L over pp; shard T over cp", 2),
        ("mesh = [dp=2, cp=2]; shard B over dp; shard T over cp", 2),
        pytest.param("mesh = [tp=2, pp=2, cp=2, dp=2]; shard H F over tp; shard L over pp; shard T over cp; "
                     "shard B over dp", 2, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_small_gpt(run: str, shards: int) -> None:
    """Its places have parameters too."""
    cut = check(spec("char_gpt", run, *GPT, f"train.shards={shards}"))
    assert {task.place for task in cut.graph.tasks} == set(range(spec("char_gpt", run).mesh("").count))


@pytest.mark.parametrize(
    "run",
    [
        "mesh = [cp=2]; shard T over cp",
        pytest.param("mesh = [tp=2, pp=2, cp=2, dp=2]; shard G F V over tp; shard L over pp; shard T over cp; "
                     "shard B over dp", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_small_llama(run: str) -> None:
    check(spec("llama3_8b", run, *LLAMA, "train.shards=2"))


def test_native_code_has_the_same_bits() -> None:
    one = job(PLACES, "mesh = [cp=2, tp=2]; shard T over cp; shard H over tp", "train.shards=2")
    same(in_parts(one, meshed(one), NATIVE), at_once(one, NATIVE))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["char_gpt", "llama3_8b"])
def test_language_models_as_native_code(name: str) -> None:
    run, sizes = "mesh = [cp=2, tp=2]; shard T over cp; shard F over tp", GPT if name == "char_gpt" else LLAMA
    one = spec(name, run, *sizes, "train.shards=2")
    run_on = runner("llvm", one.profile)
    same(in_parts(one, meshed(one), run_on), at_once(one, run_on))


def test_each_position_has_its_share_of_the_work() -> None:
    two, four = (meshed(spec("char_gpt", f"mesh = [cp={n}]; shard T over cp", *GPT)) for n in (2, 4))
    hidden = 4 * 8 * 64
    assert (largest(two), largest(four)) == (hidden // 2, hidden // 4)


def test_a_recurrence_goes_from_position_to_position() -> None:
    """Each has the loop over its own places."""
    cut = check(spec("lstm", "mesh = [cp=2]; shard T over cp", *LSTM))
    turns = {
        (task.place, node["count"]) for task in cut.graph.tasks for node in task.program.nodes() if node.op == "loop"
    }
    assert turns == {(0, 4), (1, 4)}


@pytest.mark.parametrize(("places", "examples", "each"), [(512, 2, 1), (1536, 1, 3)])
def test_whole_leaves_of_places_are_summed_where_they_lie(places: int, examples: int, each: int) -> None:
    """A weight's gradient is a sum over all places of all examples: so many subtrees on each of two positions."""
    one = job(PLACES, "mesh = [cp=2]; shard T over cp", f"T={places}", f"B={examples}", "H=16", "X=12", "Y=20")
    cut = check(one)
    leaves = places // 2 // each
    sums = [node for task in cut.graph.tasks for node in task.program.nodes() if node.op == "contract"
            and node.shape in ((12, 16), (16, 12)) and leaves in node.args[0].shape]  # fmt: skip
    assert len(sums) == 2 * examples * each


@pytest.mark.parametrize(
    "run", ["mesh = [dp=2]; shard B over dp", "mesh = [dp=2, tp=2]; shard B over dp; shard H over tp"]
)
def test_a_batch_without_pieces(run: str) -> None:
    cut = check(job(PLAIN, run))
    assert {task.place for task in cut.graph.tasks} == set(range(cut_positions(run)))


def cut_positions(run: str) -> int:
    return job(PLAIN, run).mesh("").count


@pytest.mark.parametrize("shards", [1, 4])
def test_parameters_and_batch_over_the_same_positions(shards: int) -> None:
    """Every position holds a slice, and reads the others' for its block of the batch."""
    cut = check(job(PLAIN, "mesh = [dp=2]; shard B H over dp", f"train.shards={shards}"))
    assert [block.place for block in cut.slots["w1"].blocks] == [0, 1]
