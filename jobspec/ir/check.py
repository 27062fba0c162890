"""The checker: is this a well-formed program of its stage?

Takes: a program. Promises: returns where every node is typed by its op's rule, has exactly its op's attributes,
reaches only its own program's inputs, and is legal at the stage; else raises IllFormed with all reasons.

    surface     every op                      between the language and `differentiate`
    tensor      no op of the surface          after it
    primitive   no library op either          after decomposition
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from jobspec.ir.attributes import ATTRIBUTES, is_a
from jobspec.ir.ops import OPS, IllTyped
from jobspec.ir.program import Node, Program, body_of

#: stage → traits that are not legal in it
STAGES: dict[str, tuple[str, ...]] = {"surface": (), "tensor": ("surface",), "primitive": ("surface", "library")}


class IllFormed(ValueError):
    """A program that breaks a rule of its stage; the message has one line per reason."""


def check(program: Program, stage: str = "surface") -> None:
    """Raises IllFormed for a program that is not well formed at `stage`, loop bodies included."""
    reasons = list(faults(program, stage))
    if reasons:
        raise IllFormed("\n".join(reasons))


def faults(program: Program, stage: str) -> Iterator[str]:
    """Every reason why `program` is not well formed."""
    yield from face_faults(program)
    known = set(program.inputs)
    for number, node in enumerate(program.nodes()):
        for reason in node_faults(node, stage):
            yield f"node {number} ({node.op}): {reason}"
        if node.op == "input" and node not in known:
            yield f"node {number} ({node.op}): no input of this program is called `{node['name']}`"
        if node.op == "loop" and isinstance(node["body"], Program):
            yield from (f"in the body of node {number}: {reason}" for reason in faults(body_of(node), stage))


def face_faults(program: Program) -> Iterator[str]:
    """Reasons that lie in the inputs and outputs."""
    yield from (f"`{node!r}` is listed as an input" for node in program.inputs if node.op != "input")
    names = [node["name"] for node in program.inputs if node.op == "input"]
    yield from (f"two inputs are called `{name}`" for name in repeated(names))
    yield from (f"two outputs are called `{name}`" for name in repeated(name for name, _ in program.outputs))
    for name, node in program.outputs:
        if isinstance(node.result, tuple):
            yield f"output `{name}` is a whole loop: use get"


def repeated(names: Iterable[str]) -> list[str]:
    """Names that come more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def node_faults(node: Node, stage: str) -> Iterator[str]:
    """Reasons that lie in one node."""
    row = OPS.get(node.op)
    if row is None:
        yield "no such operation"
        return
    yield from (f"not legal at stage {stage}" for trait in STAGES[stage] if row.has(trait))
    kinds, attrs = ATTRIBUTES[node.op], dict(node.attrs)
    if attrs.keys() != kinds.keys():
        yield f"attributes {sorted(attrs)}, not {sorted(kinds)}"
        return
    wrong = [name for name, kind in kinds.items() if not is_a(kind, attrs[name])]
    yield from (f"{name} is not of kind {kinds[name]}" for name in wrong)
    if not wrong:
        yield from typing_faults(node)


def typing_faults(node: Node) -> Iterator[str]:
    """Whether the op's rule gives the node's type."""
    try:
        computed = OPS[node.op].typed(tuple(a.result for a in node.args), dict(node.attrs))
    except (IllTyped, IndexError) as error:
        yield str(error)
        return
    if computed != node.result:
        yield f"typed {node.result}, its rule gives {computed}"
