"""The op table: one row per operation, its columns the op's properties.

Takes: operand types and attributes. Promises: `typed` computes the result type or raises IllTyped
with a reason. Columns that need another room's code are tables in that room, keyed by these names:
meaning (backends/reference/meaning.py), gradient (passes/gradients/), decomposition (ir/library/).
A test holds every column complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobspec.ir import typing_rules as rule
from jobspec.ir.types import Type

Result = Type | tuple[Type, ...]
Rule = Callable[[tuple[Any, ...], Mapping[str, Any]], Result]
IllTyped = rule.IllTyped


@dataclass(frozen=True)
class Op:
    """A row. `arity` None: any number of operands. Traits:

    elementwise  same shape in and out, one element from one element of each operand
    library      elementwise, and defined by its decomposition (ir/library) into primitives
    movement     moves or repeats elements, computes none
    reduction    the contract orders its accumulation
    source       no operands
    region       runs a body program
    surface      exists only between the language and the `differentiate` pass
    """

    name: str
    arity: int | None
    rule: Rule
    traits: frozenset[str]

    def typed(self, operands: tuple[Result, ...], attrs: Mapping[str, Any]) -> Result:
        if self.arity is not None and len(operands) != self.arity:
            raise IllTyped(f"{self.name} takes {self.arity} operands, got {len(operands)}")
        if self.name != "get" and not all(isinstance(t, Type) for t in operands):
            raise IllTyped(f"{self.name} takes one result of a loop: use get")
        try:
            return self.rule(operands, attrs)
        except ValueError as error:
            raise IllTyped(f"{self.name}({', '.join(map(str, operands))}): {error}") from None

    def has(self, trait: str) -> bool:
        return trait in self.traits


_TABLE: tuple[tuple[str, int | None, Rule, str], ...] = (
    # sources
    ("input", 0, rule.declared, "source"),
    ("const", 0, rule.constant, "source"),
    ("iota", 0, rule.iota, "source"),
    # arithmetic
    ("add", 2, rule.arithmetic, "elementwise commutative"),
    ("sub", 2, rule.arithmetic, "elementwise"),
    ("mul", 2, rule.arithmetic, "elementwise commutative"),
    ("div", 2, rule.floating, "elementwise"),
    ("fma", 3, rule.floating, "elementwise"),
    ("neg", 1, rule.arithmetic, "elementwise"),
    ("abs", 1, rule.floating, "elementwise"),
    ("sqrt", 1, rule.floating, "elementwise"),
    ("max", 2, rule.arithmetic, "elementwise"),
    ("min", 2, rule.arithmetic, "elementwise"),
    ("floor", 1, rule.floating, "elementwise"),
    ("rint", 1, rule.floating, "elementwise"),
    # comparison and choice
    ("lt", 2, rule.comparison, "elementwise"),
    ("le", 2, rule.comparison, "elementwise"),
    ("eq", 2, rule.comparison, "elementwise commutative"),
    ("ne", 2, rule.comparison, "elementwise commutative"),
    ("select", 3, rule.select, "elementwise"),
    # bits and integers
    ("and", 2, rule.bitwise, "elementwise commutative"),
    ("or", 2, rule.bitwise, "elementwise commutative"),
    ("xor", 2, rule.bitwise, "elementwise commutative"),
    ("not", 1, rule.bitwise, "elementwise"),
    ("shl", 2, rule.integer, "elementwise"),
    ("shr", 2, rule.integer, "elementwise"),
    ("mulhi", 2, rule.integer, "elementwise commutative"),
    ("cast", 1, rule.cast, "elementwise"),
    ("bitcast", 1, rule.bitcast, "elementwise"),
    # library: fixed sequences of the primitives above
    ("rsqrt", 1, rule.floating, "elementwise library"),
    ("exp", 1, rule.floating, "elementwise library"),
    ("log", 1, rule.floating, "elementwise library"),
    ("tanh", 1, rule.floating, "elementwise library"),
    ("erf", 1, rule.floating, "elementwise library"),
    ("sin", 1, rule.floating, "elementwise library"),
    ("cos", 1, rule.floating, "elementwise library"),
    ("pow", 2, rule.floating, "elementwise library"),
    # rounded to the values of a 16-bit format; x - y*floor(x/y) of i32
    ("bf16", 1, rule.floating, "elementwise library"),
    ("f16", 1, rule.floating, "elementwise library"),
    ("mod", 2, rule.signed, "elementwise library"),
    # word 0 of Philox4x32-10: counter c0 c1 c2 c3, key k0 k1
    ("random_bits", 6, rule.integer, "elementwise library"),
    ("uniform", 6, rule.draw, "elementwise library"),
    ("normal", 6, rule.draw, "elementwise library"),
    # movement
    ("reshape", 1, rule.reshape, "movement"),
    ("permute", 1, rule.permute, "movement"),
    ("broadcast", 1, rule.broadcast, "movement"),
    ("slice", 1, rule.slice_, "movement"),
    ("flip", 1, rule.flip, "movement"),
    ("window", 1, rule.window, "movement"),
    ("pad", 1, rule.pad, "movement"),
    ("concat", None, rule.concat, "movement"),
    ("gather", 2, rule.gather, "movement"),
    # reductions
    ("contract", 2, rule.contract, "reduction"),
    ("sum", 1, rule.reduce, "reduction"),
    ("reduce_max", 1, rule.reduce, "reduction"),
    ("argmax", 1, rule.argmax, "reduction"),
    ("scatter_add", 2, rule.scatter_add, "reduction"),
    # maps that an index chooses: a token's, and their gradient
    ("experts", 3, rule.experts, "reduction"),
    ("expert_sums", 3, rule.expert_sums, "reduction"),
    # the same once tokens are sorted by expert (passes/route.py)
    ("route", 1, rule.route, ""),
    ("block_products", 3, rule.block_products, "reduction"),
    ("segment_sums", 4, rule.segment_sums, "reduction"),
    # regions and their results
    ("loop", None, rule.loop, "region"),
    ("get", 1, rule.get, "region"),
    # removed by `differentiate`
    ("gradient", 2, rule.gradient, "surface"),
    ("stop", 1, rule.stop, "surface"),
)

OPS: dict[str, Op] = {name: Op(name, arity, rule_, frozenset(t.split())) for name, arity, rule_, t in _TABLE}
