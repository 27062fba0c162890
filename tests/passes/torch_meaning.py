"""The tensor program in PyTorch, float64, so that its autograd can differentiate it: an oracle for gradients.

Takes: the module torch, a program before `differentiate` (without `gradient`), inputs by name. Promises: PyTorch's own
operations wherever it has one for the op.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from jobspec.backends.reference import meaning
from jobspec.ir.program import Node, Program
from jobspec.ir.types import Type
from tests.passes.doubles import wide


class Torch:
    """Methods are named after ops; `o_` avoids Python's words."""

    def __init__(self, torch: Any) -> None:
        self.t = torch

    def run(self, program: Program, given: list[Any]) -> list[Any]:
        values: dict[Node, Any] = dict(zip(program.inputs, given, strict=True))
        for node in program.nodes():
            if node not in values:
                values[node] = self.apply(node, [values[a] for a in node.args])
        return [values[node] for node in program.results]

    def apply(self, node: Node, args: list[Any]) -> Any:
        t = self.t
        simple = {
            "add": t.add, "sub": t.sub, "mul": t.mul, "div": t.div, "neg": t.neg, "abs": t.abs, "sqrt": t.sqrt,
            "max": lambda a, b: t.where(a > b, a, b), "min": lambda a, b: t.where(a < b, a, b), "floor": t.floor,
            "rint": t.round, "lt": t.lt, "le": t.le, "eq": t.eq, "ne": t.ne, "select": t.where, "not": t.logical_not,
            "and": t.bitwise_and, "or": t.bitwise_or, "xor": t.bitwise_xor, "shl": t.bitwise_left_shift,
            "shr": t.bitwise_right_shift,
            "rsqrt": t.rsqrt, "exp": t.exp, "log": t.log, "tanh": t.tanh, "erf": t.erf, "sin": t.sin, "cos": t.cos,
            "pow": t.pow, "fma": lambda a, b, c: a * b + c, "stop": lambda a: a.detach(),
        }  # fmt: skip
        kinds = [x.dtype for x in (node, *node.args) if isinstance(x.result, Type)]
        if "u32" in kinds and "f32" not in kinds[1:] and node.op != "loop":
            return self.counted(node, args)
        args = [t.tensor(x.astype(np.int64)) if isinstance(x, np.ndarray) else x for x in args]
        if node.op in simple:
            return simple[node.op](*args)
        return getattr(self, "o_" + node.op)(node, *args)

    def counted(self, n: Node, args: list[Any]) -> Any:
        """What is made from u32, which PyTorch has no arithmetic for: draws. Its arrays stay numpy's."""
        given = [np.asarray(x).astype(meaning.NUMPY[a.dtype]) for x, a in zip(args, n.args, strict=True)]
        found = meaning.MEANING[n.op](n, *given)
        return found if n.dtype == "u32" else self.t.tensor(wide(np.asarray(found)))

    def o_const(self, n: Node) -> Any:
        value = meaning.constant(n)
        return value if n.dtype == "u32" else self.t.tensor(wide(value))

    def o_iota(self, n: Node) -> Any:
        return self.t.arange(n["size"], dtype=self.t.int32)

    def o_cast(self, n: Node, x: Any) -> Any:
        return x.to({"f32": self.t.float64, "i32": self.t.int32}[n["dtype"]])

    def o_bitcast(self, n: Node, x: Any) -> Any:
        """Through float32; 32-bit patterns are held as int32, signed or not."""
        narrow = x.detach().to(self.t.float32) if x.is_floating_point() else x.to(self.t.int32)
        return narrow.view(self.t.float32).double() if n["dtype"] == "f32" else narrow.view(self.t.int32)

    def o_bf16(self, n: Node, x: Any) -> Any:
        """The rounded value, and the gradient as if there were no rounding."""
        return x + (x.to(self.t.float32).to(self.t.bfloat16).to(x.dtype) - x).detach()

    def o_f16(self, n: Node, x: Any) -> Any:
        return x + (x.to(self.t.float32).to(self.t.float16).to(x.dtype) - x).detach()

    def o_reshape(self, n: Node, x: Any) -> Any:
        return x.reshape(n["shape"])

    def o_permute(self, n: Node, x: Any) -> Any:
        return x.permute(n["axes"])

    def o_broadcast(self, n: Node, x: Any) -> Any:
        shape = [n["shape"][i] if i in n["axes"] else 1 for i in range(len(n["shape"]))]
        return x.reshape(shape).expand(n["shape"])

    def o_slice(self, n: Node, x: Any) -> Any:
        return x[tuple(map(slice, n["start"], n["stop"], n["step"]))]

    def o_flip(self, n: Node, x: Any) -> Any:
        return self.t.flip(x, n["axes"])

    def o_window(self, n: Node, x: Any) -> Any:
        for axis, size, stride in zip(n["axes"], n["sizes"], n["strides"], strict=True):
            x = x.unfold(axis, size, stride)
        after, rank = n["axes"][-1] + 1, len(n.args[0].shape)
        return x.permute(*range(after), *range(rank, x.dim()), *range(after, rank))

    def o_pad(self, n: Node, x: Any) -> Any:
        out = self.t.full(n.shape, float(meaning.from_bits(n.dtype, (n["bits"],))[0]), dtype=x.dtype)
        rows = zip(n["low"], n.args[0].shape, n["inner"], strict=True)
        out[tuple(slice(low, low + (k - 1) * (gap + 1) + 1, gap + 1) for low, k, gap in rows)] = x
        return out

    def o_concat(self, n: Node, *parts: Any) -> Any:
        return self.t.cat(parts, n["axis"])

    def o_gather(self, n: Node, x: Any, index: Any) -> Any:
        batch = n.args[1].shape[: n["batch"]]
        rows = x.reshape(prod(batch), *x.shape[n["batch"] :])
        picks = index.reshape(prod(batch), -1).long()
        return rows[self.t.arange(prod(batch))[:, None], picks].reshape(n.shape)

    def o_scatter_add(self, n: Node, x: Any, index: Any) -> Any:
        groups = prod(index.shape[: n["batch"]])
        rest = x.shape[index.dim() :]
        flat = index.reshape(groups, -1).long() + self.t.arange(groups)[:, None] * n["size"]
        out = self.t.zeros((groups * n["size"], *rest), dtype=x.dtype)
        return out.index_add(0, flat.reshape(-1), x.reshape(-1, *rest)).reshape(n.shape)

    def o_contract(self, n: Node, a: Any, b: Any) -> Any:
        letters = iter("abcdefghijklmnopqrstuvwxyz")
        left = [next(letters) for _ in a.shape]
        pairs = dict(zip((*n["b_over"], *n["b_batch"]), (*n["a_over"], *n["a_batch"]), strict=True))
        right = [left[pairs[j]] if j in pairs else next(letters) for j in range(b.dim())]
        kept = [c for i, c in enumerate(left) if i not in n["a_over"]]
        out = kept + [c for c in right if c not in left]
        return self.t.einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", a, b)

    def o_experts(self, n: Node, x: Any, w: Any, index: Any) -> Any:
        return self.t.einsum("...k,...kf->...f", self.rows(x, index), w[index.long()])

    def o_expert_sums(self, n: Node, x: Any, g: Any, index: Any) -> Any:
        hit = (index[..., None] == self.t.arange(n["size"])).to(x.dtype)
        spread = [y.reshape(-1, y.shape[-1]) for y in (hit, self.rows(x, index), g)]
        return self.t.einsum("ne,nk,nf->ekf", *spread)

    def rows(self, x: Any, index: Any) -> Any:
        """x with the axes of the index that it lacks."""
        more = (1,) * (index.dim() + 1 - x.dim())
        return x.reshape(*x.shape[:-1], *more, x.shape[-1]).expand(*index.shape, x.shape[-1])

    def o_sum(self, n: Node, x: Any) -> Any:
        return x.sum(n["axes"])

    def flat(self, n: Node, x: Any) -> Any:
        kept = [i for i in range(x.dim()) if i not in n["axes"]]
        return x.permute(*kept, *n["axes"]).reshape(*(x.shape[i] for i in kept), -1)

    def o_reduce_max(self, n: Node, x: Any) -> Any:
        return self.flat(n, x).max(-1).values

    def o_argmax(self, n: Node, x: Any) -> Any:
        return self.flat(n, x).argmax(-1).to(self.t.int32)

    def o_loop(self, n: Node, *operands: Any) -> tuple[Any, ...]:
        count, carried, cuts = n["count"], n["carried"], n["carried"] + n["sliced"]
        state, stacks = list(operands[:carried]), {}
        for turn in reversed(range(count)) if n["reverse"] else range(count):
            given = [self.t.tensor(turn, dtype=self.t.int32), *state, *(x[turn] for x in operands[carried:cuts])]
            results = self.run(n["body"], [*given, *operands[cuts:]])
            state, stacks[turn] = results[:carried], results[carried:]
        return (*state, *(self.t.stack(column) for column in zip(*(stacks[i] for i in range(count)), strict=True)))

    def o_get(self, n: Node, results: tuple[Any, ...]) -> Any:
        return results[n["index"]]


def gradients(torch: Any, program: Program, inputs: Mapping[str, np.ndarray], names: list[str]) -> dict[str, Any]:
    """PyTorch's gradients of the output `loss` by the inputs `names`, and the loss itself, in float64."""
    tensors = {node["name"]: torch.tensor(wide(np.asarray(inputs[node["name"]]))) for node in program.inputs}
    for name in names:
        tensors[name].requires_grad_()
    results = Torch(torch).run(program, [tensors[node["name"]] for node in program.inputs])
    loss = dict(zip((name for name, _ in program.outputs), results, strict=True))["loss"]
    if loss.requires_grad:
        loss.backward()
    zero = {name: torch.zeros_like(tensors[name]) for name in names}
    found = {name: (tensors[name].grad if tensors[name].grad is not None else zero[name]).numpy() for name in names}
    return {**found, "loss": loss.detach().numpy()}
