"""Values of expressions: elaborated, then evaluated by the reference.

Takes: the body of a function over named arrays. Promises: what the body gives, as an array and its axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.program import Program, make, order
from jobspec.lang import tree
from jobspec.lang.check import MEANINGS
from jobspec.lang.diagnostics import Reporter
from jobspec.lang.dispatch import execute
from jobspec.lang.frame import Activation, Frame
from jobspec.lang.modules import Importer
from jobspec.lang.parse import parse
from jobspec.lang.registry import Registry
from jobspec.lang.scope import Scope
from jobspec.lang.source import Source
from jobspec.lang.training import step_input
from jobspec.lang.values import Tensor, floats
from jobspec.lang.work import Places, Work

assert MEANINGS

#: Python type → element type of an input
KINDS = {"f": "f32", "i": "i32", "b": "bool"}
Named = tuple[np.ndarray, str]


def arrays(*sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(sizes).astype(np.float32)


class Bench:
    """One function of a text, over inputs."""

    def __init__(self, body: str, dims: dict[str, int], inputs: dict[str, Named], before: str = "", kind: str = "def"):
        self.reporter = Reporter()
        source = Source("bench.job", f"job bench\n{before}\n{kind} bench() {{ {body}\n}}\n")
        self.module = Importer(self.reporter).module(source, parse(source))
        self.work = Work(True, 5, dims, Registry(), self.reporter, Places(source), step_input())
        self.frame = Frame(self.work, self.module, Scope(self.work.root), Activation(), kind)
        self.given = {name: array for name, (array, _) in inputs.items()}
        for name, (array, axes) in inputs.items():
            self.frame.scope.bind(name, self.tensor(name, array, axes))

    def tensor(self, name: str, array: np.ndarray, text: str) -> Tensor:
        """`text`: axes, with an arrow for a linear map."""
        left, arrow, right = text.partition("->")
        axes = (*left.split(), *right.split())
        node = make("input", name=name, dtype=KINDS[array.dtype.kind], shape=array.shape)
        return Tensor(node, axes, len(left.split()) if arrow else 0, len(right.split()))

    def run(self) -> Any:
        definition: tree.Def = self.module.functions["bench"]
        result = execute(self.frame, definition.body)
        self.reporter.stop_if_any()
        return result

    def array(self, step: int = 0) -> tuple[np.ndarray, str]:
        """The value and its axes; parameters that the body declares take their first values."""
        value = self.run()
        t = value if isinstance(value, Tensor) else floats(value)
        held = self.work.registry.ordered()
        init = evaluate(Program((), tuple((h.slot.name, h.initial) for h in held)), {})
        inputs = tuple(node for node in order([t.node]) if node.op == "input")
        given = {**self.given, **init, "step": np.array(step, np.int32)}
        return evaluate(Program(inputs, (("y", t.node),)), given)["y"], " ".join(t.axes)


def compute(body: str, dims: dict[str, int], **inputs: Named) -> tuple[np.ndarray, str]:
    return Bench(body, dims, inputs).array()


def equal(found: tuple[np.ndarray, str], array: np.ndarray, axes: str) -> None:
    assert found[1] == axes
    np.testing.assert_array_equal(found[0], np.asarray(array, found[0].dtype), strict=True)
