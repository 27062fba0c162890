"""What a step may know of time: its number, the tokens before it, where in its phase it is, and what a value was in
the last step of the phase before.

Takes: what is known of the phase. Promises: names for schedules, all functions of the step's number alone. `tokens` is
float32: exact up to 2^24, then rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobspec.ir.program import make, order, replace
from jobspec.lang import arithmetic
from jobspec.lang.refusal import Refusal
from jobspec.lang.scope import POISON, Bound
from jobspec.lang.values import Tensor, Value, floats

#: name → what it was in the last step of the phase before
Before = Callable[[str], Any]


def times(step: Tensor, first: int, steps: int, tokens: int, per_step: int) -> dict[str, Value]:
    """Names of a phase that begins at step `first` and has `steps` steps, each with `per_step` tokens (0: no
    tokens), `tokens` before it."""
    at = arithmetic.elementwise("sub", [step, first]) if first else step
    found: dict[str, Value] = {
        "phase_step": at,
        "phase_steps": steps,
        "phase_frac": arithmetic.elementwise("div", [floats(at), steps]),
    }
    if per_step:
        since = arithmetic.elementwise("mul", [floats(at), per_step])
        found["tokens"] = arithmetic.elementwise("add", [since, tokens]) if tokens else since
    return found


def no_phase_before(name: str) -> Any:
    raise Refusal("E0343", f"there is no phase before this one, so `{name}` was nothing in it")


def before(names: Mapping[str, Bound], phase: str, last: int) -> Before:
    """What each of the section's names was in the step `last`, the last one of `phase`."""

    def value(name: str) -> Any:
        found = names.get(name)
        if found is None or found.value is POISON:
            raise Refusal("E0343", f"the phase `{phase}` has no value `{name}`")
        if isinstance(found.value, Refusal):
            raise found.value
        return at_step(found.value, name, last) if isinstance(found.value, Tensor) else found.value

    return value


def at_step(x: Tensor, name: str, step: int) -> Tensor:
    """The tensor with its step known. Refuses one that depends on more than the step."""
    inputs = [node for node in order([x.node]) if node.op == "input"]
    other = next((node for node in inputs if node["name"] != "step"), None)
    if other is not None:
        raise Refusal(
            "E0343",
            f"`{name}.before` is for what depends on the step alone; `{name}` depends on `{other['name']}`",
            help="schedules do: functions of `step`, `tokens` or `phase_frac`",
        )
    number = make("const", dtype="i32", shape=(), bits=(step,))
    (node,) = replace([x.node], dict.fromkeys(inputs, number))
    return Tensor(node, x.axes, x.left, x.right, x.entered)
