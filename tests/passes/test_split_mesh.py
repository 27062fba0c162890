"""A step cut over a mesh has the step's own bits, and a position holds and reads its part."""

from __future__ import annotations

import pytest

from jobspec.ir.contract import PROFILE
from jobspec.ir.types import Type
from jobspec.passes.split.graph import check_graph
from jobspec.passes.split.mesh import Meshed
from jobspec.passes.split.placed import ANYWHERE
from jobspec.passes.split.task_job import task_job
from jobspec.passes.split.traffic import traffic
from jobspec.runtime.engine import compile_for
from tests.passes.meshes import DEEP, PLAIN, at_once, in_parts, job, meshed, same, spec
from tests.passes.task_graphs import runner

REFERENCE, NATIVE = runner("reference"), runner("llvm")
LLAMA = ("L=3", "D=32", "R=2", "G=2", "K=8", "F=64", "V=16", "T=8", "B=4", "train.shards=2", "train.steps=3")
GPT = ("L=3", "D=16", "H=4", "V=16", "T=8", "B=4", "train.steps=4")


@pytest.mark.parametrize(
    "run",
    [
        "mesh = [tp=1]; shard H over tp",
        "mesh = [tp=2]; shard H over tp",
        "mesh = [tp=2]; shard H Y over tp",
        "mesh = [tp=3]; shard X over tp",
        "mesh = [tp=4]; shard H over tp",
        "mesh = [tp=2, sp=2]; shard H over tp; shard Y over sp",
    ],
)
def test_slices_of_two_layers(run: str) -> None:
    one = job(PLAIN, run)
    same(in_parts(one, meshed(one), REFERENCE), at_once(one, REFERENCE))


@pytest.mark.parametrize(
    "run",
    [
        "mesh = [pp=2]; shard L over pp",
        "mesh = [pp=4]; shard L over pp",
        "mesh = [tp=2, pp=2]; shard H over tp; shard L over pp",
        "mesh = [pp=3, tp=2]; shard Y over tp; shard L over pp",
    ],
)
def test_stages_of_layers(run: str) -> None:
    one = job(DEEP, run)
    same(in_parts(one, meshed(one), REFERENCE), at_once(one, REFERENCE))


@pytest.mark.parametrize(("shards", "dp"), [("4", 1), ("6", 3), ("per_piece(4)", 2)])
def test_blocks_of_the_batch_besides(shards: str, dp: int) -> None:
    one = job(DEEP, f"mesh = [dp={dp}, tp=2, pp=2]; shard H over tp; shard L over pp; shard B over dp",
              f"train.shards={shards}")  # fmt: skip
    same(in_parts(one, meshed(one), REFERENCE), at_once(one, REFERENCE))


@pytest.mark.parametrize(
    "run",
    [
        "mesh = [tp=2]; shard H F V over tp",
        "mesh = [pp=3]; shard L over pp",
        "mesh = [tp=2, pp=2, dp=2]; shard H F over tp; shard L over pp; shard B over dp",
    ],
)
def test_a_small_gpt(run: str) -> None:
    """Its embedding is its head too: one slot, whose gradient comes from both ends of the pipeline."""
    one = spec("char_gpt", run, *GPT, "train.shards=2")
    same(in_parts(one, meshed(one), REFERENCE), at_once(one, REFERENCE))


ADAMW = "update all by optim.adamw(.01)"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (ADAMW, f"average all by optim.ema(.9)\n  {ADAMW}"),
        (ADAMW, 'freeze "w1"\n  update "w2" by optim.muon(.01)\n  update "s", "b1", "w", "b2" by optim.sgd(.1*step)'),
        (ADAMW, "update all by optim.adafactor_full(.01)"),
        ("nn.relu((h*s) @ w)[H'->H]", "nn.dropout[B H](nn.relu((h*s) @ w)[H'->H], .5)"),
    ],
    ids=["average", "muon", "adafactor", "dropout"],
)
def test_what_else_a_step_may_have(old: str, new: str) -> None:
    one = job(DEEP.replace(old, new), "mesh = [tp=2, pp=2]; shard H over tp; shard L over pp", "train.shards=2")
    same(in_parts(one, meshed(one), REFERENCE), at_once(one, REFERENCE))


EMBEDDED = DEEP.replace("x=f32[X], y=u8", "x=u8, y=u8").replace("x @ w1 + b1", "w1[X: x] + b1")


def test_an_embedding_in_slices() -> None:
    """Each position adds up the rows of its own tokens; out of range for all but one of them."""
    one = job(EMBEDDED, "mesh = [tp=2]; shard X over tp", "X=8", "train.shards=2")
    cut = meshed(one)
    sizes = {node.shape for task in cut.graph.tasks for node in task.program.nodes() if node.op == "scatter_add"}
    assert sizes == {(5, 8)}
    same(in_parts(one, cut, REFERENCE), at_once(one, REFERENCE))


@pytest.mark.parametrize(
    "run",
    [
        "mesh = [tp=2, pp=2]; shard G F V over tp; shard L over pp",
        pytest.param("mesh = [tp=2]; shard G F V over tp", marks=pytest.mark.slow),
        pytest.param("mesh = [tp=4]; shard F V over tp", marks=pytest.mark.slow),
        pytest.param("mesh = [pp=3]; shard L over pp", marks=pytest.mark.slow),
        pytest.param("mesh = [tp=2, pp=2, dp=2]; shard G F V over tp; shard L over pp; shard B over dp",
                     marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_small_llama(run: str) -> None:
    """Its operands are bfloat16 before they are cut, and stay that."""
    one = spec("llama3_8b", run, *LLAMA)
    run_on = runner("reference", one.profile)
    same(in_parts(one, meshed(one), run_on), at_once(one, run_on))


@pytest.mark.slow
def test_a_small_llama_as_native_code() -> None:
    one = spec("llama3_8b", "mesh = [tp=2, pp=2]; shard G F V over tp; shard L over pp", *LLAMA)
    run_on = runner("llvm", one.profile)
    same(in_parts(one, meshed(one), run_on), at_once(one, run_on))


def test_native_code_has_the_same_bits() -> None:
    one = job(DEEP, "mesh = [tp=2, pp=2]; shard H over tp; shard L over pp", "train.shards=2")
    cut, want = meshed(one), at_once(one, NATIVE)
    same(in_parts(one, cut, NATIVE), want)
    same(in_parts(one, cut, REFERENCE), want)


def test_a_position_holds_its_part_of_the_state() -> None:
    whole = sum(slot.type.nbytes for slot in job(PLAIN, "mesh = [tp=1]").state)
    for parts in (2, 4):
        held = traffic(meshed(job(PLAIN, f"mesh = [tp={parts}]; shard H Y over tp"))).held
        assert set(held.values()) == {whole // parts}


def test_stages_hold_their_own_layers() -> None:
    """Two and three of five layers; the maps before and behind them lie at the ends."""
    cut = meshed(job(DEEP, "mesh = [pp=2]; shard L over pp"))
    lies = {name: [block.place for block in held.blocks] for name, held in cut.slots.items()}
    assert lies["w"] == lies["w/m"] == lies["s"] == [0, 1]
    assert [block.box[0] for block in cut.slots["w"].blocks] == [(0, 2), (2, 5)]
    assert lies["w1"] == lies["w1/m"] == [0] and lies["w2"] == lies["w2/v"] == [1]


def test_no_task_takes_a_whole_parameter_that_is_cut() -> None:
    """What a task reads of the state is blocks or parts of them; a parameter is nowhere put together."""
    one = job(PLAIN, "mesh = [tp=4]; shard H Y over tp", "X=12", "H=16", "Y=24")
    cut = meshed(one)
    largest = max(slot.type.size for slot in one.state if slot.name.startswith("w"))
    state = {block.value for held in cut.slots.values() for block in held.blocks}
    for task in cut.graph.tasks:
        read = {take.input for take in task.takes if take.value in state}
        assert all(node.type.size <= largest // 4 for node in task.program.inputs if node["name"] in read)


def test_traffic_is_what_tasks_take_from_elsewhere() -> None:
    alone, cut = (traffic(meshed(job(PLAIN, f"mesh = [tp={n}]; shard H over tp"))) for n in (1, 2))
    assert alone.total == 0 and sum(alone.fed.values()) == Type("f32", (12, 6)).nbytes + 12
    assert cut.total == sum(cut.moved.values()) > 0 and {*cut.moved} == {(0, 1), (1, 0)}
    assert ANYWHERE not in cut.held


def test_the_graph_is_sound() -> None:
    check_graph(meshed(job(DEEP, "mesh = [tp=2, pp=2]; shard H over tp; shard L over pp")).graph)


@pytest.mark.parametrize(
    ("parts", "width", "each"),
    [(2, 512, 1), (3, 768, 1), (2, 1536, 3), (2, 2048, 1), (4, 1024, 1), (2, 3584, 7)],
)
def test_leaves_are_summed_where_they_lie(parts: int, width: int, each: int) -> None:
    """A contraction over slices of whole leaves: so many subtrees of each slice, folded by the contract's tree."""
    one = job(PLAIN, f"mesh = [tp={parts}]; shard H over tp", "X=2", f"H={width}", "Y=12", "B=4")
    cut = meshed(one)
    folds = [node.type.shape for task in cut.graph.tasks for node in task.program.nodes() if node.op == "contract"
             and node.args[0].shape[-1:] == (width // parts // each,) and node.shape == (4, 12)]  # fmt: skip
    assert len(folds) == parts * each
    same(in_parts(one, cut, REFERENCE), at_once(one, REFERENCE))


def test_leaves_that_are_cut_are_brought_together() -> None:
    """Slices of 128 are half a leaf each."""
    one = job(PLAIN, "mesh = [tp=2]; shard H over tp", "X=2", "H=256", "Y=12", "B=4")
    cut = meshed(one)
    assert all(
        node.args[0].shape[1] != 128
        for task in cut.graph.tasks for node in task.program.nodes() if node.op == "contract" and node.shape[0] == 4
    )  # fmt: skip
    same(in_parts(one, cut, REFERENCE), at_once(one, REFERENCE))


def test_a_sum_of_all_squares_is_shared_out() -> None:
    """The gradient's norm is a tree over blocks of 4096: no position takes the whole gradient for it."""
    sizes = ("X=40", "H=512", "Y=12", "B=4")
    one = job(PLAIN, "mesh = [tp=2]; shard H over tp", *sizes)
    cut = meshed(one)
    sums = [node for task in cut.graph.tasks for node in task.program.nodes() if node.op == "sum"]
    assert max(node.args[0].type.size for node in sums) < 40 * 512 / 2
    same(in_parts(one, cut, REFERENCE), at_once(one, REFERENCE))


def test_stages_send_activations_and_keep_their_parameters() -> None:
    """Between stages go what the layers hand on and its gradient, for each piece; some scalars besides."""
    one = job(DEEP, "mesh = [pp=2]; shard L over pp", "H=64", "train.shards=2")
    moved = traffic(meshed(one)).total
    activations = 2 * Type("f32", (12, 64)).nbytes
    ends = sum(slot.type.nbytes for slot in one.state if slot.name in ("w1", "b1"))
    assert activations <= moved < 3 * (activations + ends) < one.slot("w").type.nbytes


def arena(cut: Meshed) -> int:
    """Bytes that the largest task takes where it runs: what it reads, gives and needs in between."""
    plans = (compile_for(task_job(task.program, PROFILE), "llvm").plan for task in cut.graph.tasks)
    return max(plan.routine("step").arena for plan in plans)


def test_two_positions_need_half_the_memory_each() -> None:
    sizes = ("X=64", "H=512", "Y=64", "B=16")
    one, two = (meshed(job(PLAIN, f"mesh = [tp={n}]; shard H Y over tp", *sizes)) for n in (1, 2))
    assert max(traffic(two).held.values()) * 2 == max(traffic(one).held.values())
    assert arena(two) < 0.55 * arena(one)
