"""The tensor program: SSA over statically shaped tensors.

Takes: operations of the op table (ops.py). Promises: nodes are frozen and interned, so equal
expressions are one object and common subexpressions never exist twice; a node's type is computed
once by its op's rule; a `Program` is closed: its nodes reach only its own inputs and constants.

    program := inputs, outputs            output := name = node
    node    := op(args…, attrs…)          one result, but `loop`, which has many: get(loop, i)
    loop    := carried values, sliced inputs, shared inputs, a body that is a Program
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakValueDictionary

from jobspec.ir.ops import OPS
from jobspec.ir.origin import inherit
from jobspec.ir.types import Type

Attrs = tuple[tuple[str, Any], ...]


class Node:
    """One operation applied to other nodes. Made only by `make`; compared by identity."""

    __slots__ = ("__weakref__", "args", "attrs", "op", "result")

    op: str
    args: tuple[Node, ...]
    attrs: Attrs
    result: Type | tuple[Type, ...]

    def __getitem__(self, key: str) -> Any:
        """The attribute `key`; KeyError where the op has none of that name."""
        for name, value in self.attrs:
            if name == key:
                return value
        raise KeyError(key)

    @property
    def type(self) -> Type:
        assert isinstance(self.result, Type), f"{self.op} has many results: use get"
        return self.result

    @property
    def shape(self) -> tuple[int, ...]:
        assert isinstance(self.result, Type), f"{self.op} has many results: use get"
        return self.result.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype

    def __repr__(self) -> str:
        return f"<{self.op} {self.result}>"


_interned: WeakValueDictionary[tuple[object, ...], Node] = WeakValueDictionary()


def make(op: str, *args: Node, **attrs: Any) -> Node:
    """The one node for `op(args, attrs)`. Raises ir.ops.IllTyped where the op's rule refuses the operands."""
    row = OPS[op]
    named = tuple(sorted(attrs.items()))
    key = (op, tuple(map(id, args)), named)
    found = _interned.get(key)
    if found is not None:
        return found
    node = Node.__new__(Node)
    node.op, node.args, node.attrs = op, args, named
    node.result = row.typed(tuple(a.result for a in args), attrs)
    return _interned.setdefault(key, node)


@dataclass(frozen=True)
class Program:
    """Closed SSA: `inputs` are `input` nodes with distinct names; `outputs` are (name, node)."""

    inputs: tuple[Node, ...]
    outputs: tuple[tuple[str, Node], ...]

    @property
    def results(self) -> tuple[Node, ...]:
        return tuple(node for _, node in self.outputs)

    def output(self, name: str) -> Node:
        return dict(self.outputs)[name]

    def nodes(self) -> list[Node]:
        """Every node that an output reaches, operands before users; inputs that nothing uses are left out."""
        return order(self.results)


def order(roots: Iterable[Node]) -> list[Node]:
    """Nodes that `roots` reach, operands first, each once. Iterative: depth is not bounded by Python's stack."""
    done: dict[Node, None] = {}
    stack = list(roots)[::-1]
    while stack:
        node = stack[-1]
        pending = [a for a in node.args if a not in done] if node not in done else []
        if pending:
            stack += pending[::-1]
        else:
            done[stack.pop()] = None
    return list(done)


def rebuild(node: Node, args: tuple[Node, ...]) -> Node:
    """The same operation on other operands; the node itself where nothing changed."""
    if args == node.args:
        return node
    new = make(node.op, *args, **dict(node.attrs))
    inherit(new, node)
    return new


def replace(roots: Iterable[Node], mapping: Mapping[Node, Node]) -> list[Node]:
    """`roots` with every node in `mapping` exchanged; what does not reach one is kept as it is."""
    image: dict[Node, Node] = dict(mapping)
    wanted = list(roots)
    for node in order(wanted):
        if node not in image:
            image[node] = rebuild(node, tuple(image[a] for a in node.args))
    return [image[node] for node in wanted]


def users(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each node, the nodes that read it, in program order."""
    table: dict[Node, list[Node]] = {}
    for node in nodes:
        table.setdefault(node, [])
        for arg in dict.fromkeys(node.args):
            table.setdefault(arg, []).append(node)
    return table


def body_of(loop: Node) -> Program:
    return cast(Program, loop["body"])
