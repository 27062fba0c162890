"""The op table's gradient column: op → rule.

Takes: nothing. Promises: every op has a row; a rule takes a node and its cotangent and gives one cotangent per
operand. None: nothing flows to the operands. `loop` and `get` are handled by the sweep (reverse.py, loops.py).
"""

from __future__ import annotations

from collections.abc import Callable

from jobspec.ir.program import Node
from jobspec.passes.gradients import elementwise, experts, movement, reductions
from jobspec.passes.gradients.contraction import contract
from jobspec.passes.gradients.products import Cotangents
from jobspec.passes.gradients.windows import window

Rule = Callable[[Node, Node], Cotangents]

RULES: dict[str, Rule | None] = {
    "input": None,
    "const": None,
    "iota": None,
    "add": elementwise.add,
    "sub": elementwise.sub,
    "mul": elementwise.mul,
    "div": elementwise.div,
    "fma": elementwise.fma,
    "neg": elementwise.neg,
    "abs": elementwise.abs_,
    "sqrt": elementwise.sqrt_,
    "max": elementwise.max_,
    "min": elementwise.min_,
    "floor": None,
    "rint": None,
    "lt": None,
    "le": None,
    "eq": None,
    "ne": None,
    "select": elementwise.select,
    "and": None,
    "or": None,
    "xor": None,
    "not": None,
    "shl": None,
    "shr": None,
    "mulhi": None,
    "cast": elementwise.cast,
    "bitcast": None,
    "rsqrt": elementwise.rsqrt,
    "exp": elementwise.exp,
    "log": elementwise.log,
    "tanh": elementwise.tanh,
    "erf": elementwise.erf,
    "sin": elementwise.sin,
    "cos": elementwise.cos,
    "pow": elementwise.pow_,
    "bf16": elementwise.straight,
    "f16": elementwise.straight,
    "mod": None,
    "random_bits": None,
    "uniform": None,
    "normal": None,
    "reshape": movement.reshape_,
    "permute": movement.permute_,
    "broadcast": movement.broadcast,
    "slice": movement.slice_,
    "flip": movement.flip,
    "window": window,
    "pad": movement.pad,
    "concat": movement.concat,
    "gather": reductions.gather,
    "contract": contract,
    "sum": reductions.sum_,
    "reduce_max": reductions.reduce_max,
    "argmax": None,
    "scatter_add": reductions.scatter_add,
    "experts": experts.experts,
    "expert_sums": experts.expert_sums,
    "route": None,
    "gradient": None,
    "stop": None,
}
#: ops whose gradient is a loop's
REGIONS = ("loop", "get")
#: ops that come after differentiation
LATER = ("block_products", "segment_sums")
