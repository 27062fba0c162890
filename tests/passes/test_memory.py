"""Lives of buffers, and their places: what loops hand on lives for the whole loop, in loops in loops as well."""

from __future__ import annotations

from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.plan import Call, Turns
from jobspec.ir.types import Type
from jobspec.passes.memory import Life, find_lives, lowest_gap, plan_memory

BYTES = Type("f32", (16,))


def copying(source: int, target: int) -> Kernel:
    """Reads all of one buffer and writes all of another."""
    load, store = (View(buffer, 0, (1,), ()) for buffer in (source, target))
    body = (Inst("load", (), "f32", (("view", load),)), Inst("store", (0,), "f32", (("flag", -1), ("view", store))))
    return Kernel("copy", "rows", (Axis(16, "row"),), body)


def test_what_is_made_before_a_loop_and_read_in_it_lives_until_the_loop_ends() -> None:
    kernels = [copying(0, 1), copying(1, 2), copying(2, 3), copying(3, 4)]
    lives = find_lives((Call(0), Turns(3, False, (Call(1), Call(2))), Call(3)), kernels)
    assert lives[1] == Life(0, 3)
    assert lives[2] == Life(1, 2), "it is made anew in each turn"
    assert lives[3] == Life(2, 3)


def test_so_it_does_where_only_a_loop_in_the_loop_reads_it() -> None:
    kernels = [copying(0, 1), copying(1, 2), copying(3, 4)]
    inner = Turns(2, False, (Call(1),))
    lives = find_lives((Call(0), Turns(3, False, (inner, Call(2)))), kernels)
    assert lives[1] == Life(0, 3)


def test_what_a_turn_hands_to_the_next_lives_for_the_whole_loop() -> None:
    kernels = [copying(0, 1), copying(2, 3), copying(1, 2)]
    lives = find_lives((Call(0), Turns(3, False, (Call(1), Call(2)))), kernels)
    assert lives[2] == Life(1, 3)


def test_buffers_that_live_at_once_share_no_byte() -> None:
    lives = {0: Life(0, 1), 1: Life(1, 2), 2: Life(2, 3)}
    offsets, end = plan_memory(dict.fromkeys(lives, BYTES), lives, 64)
    assert offsets[0] != offsets[1] != offsets[2]
    assert offsets[0] == offsets[2] and end == 64 + 2 * 64


def test_a_gap_is_taken_where_it_is_just_wide_enough() -> None:
    life = Life(0, 9)
    placed = [(0, 64, life), (128, 192, life)]
    assert lowest_gap(placed, life, 64, 0) == 64
    assert lowest_gap(placed, life, 65, 0) == 192
