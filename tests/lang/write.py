"""Tree to text.

Takes: a tree, from the parser or built by a program. Promises: text that parses back to an equal tree, with no more
parentheses than precedence asks for. Looks are the formatter's business.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.lang import tree
from jobspec.lang.changes import imported
from tests.lang.write_expressions import axes, axis_type, expression, quoted


def write(job: tree.Job) -> str:
    """The whole file."""
    title = f" {quoted(job.title)}" if job.title is not None else ""
    return "".join(f"{line}\n" for line in [f"{job.kind} {job.name.text}{title}", *map(item, job.items)])


def item(node: tree.Item) -> str:
    match node:
        case tree.Import():
            return imported(node)
        case tree.DimDef():
            return f"dim {node.axis.text} = {expression(node.value)}"
        case tree.Def():
            generic = f"[{axes(node.axes)}{'..' if node.rest else ''}]" if node.axes else ""
            return f"{node.kind} {node.name.text}{generic}({params(node.params)}) {body(node.body)}"
        case tree.DataDef():
            return f"data {node.name.text} = {expression(node.value)}"
        case tree.Section():
            return f"{node.kind} {node.name.text + ' ' if node.name else ''}{body(node.body)}"


def params(nodes: Sequence[tree.Param]) -> str:
    return ", ".join(node.name.text + typed(node.type) + valued(node.default) for node in nodes)


def typed(node: tree.AxisType | None) -> str:
    return f": {axis_type(node)}" if node else ""


def valued(node: tree.Expr | None, sign: str = "=") -> str:
    return f" {sign} {expression(node)}" if node else ""


def body(statements: tree.Body) -> str:
    inside = "".join(f"{statement(node)}\n" for node in statements)
    return f"{{\n{inside}}}"


def statement(node: tree.Statement) -> str:
    match node:
        case tree.Parameter():
            return f"param {node.name.text}{typed(node.type)}{valued(node.init, '~' if node.drawn else '=')}"
        case tree.State():
            return f"state {node.name.text}{typed(node.type)}{valued(node.init)}"
        case tree.Let():
            targets = ", ".join(target.name.text + typed(target.type) for target in node.targets)
            return f"{targets} = {bound(node.value)}"
        case tree.SetDim():
            return f"{node.axis.text} = {expression(node.value)}"
        case tree.Assign():
            return f"{node.name.text} := {expression(node.value)}"
        case tree.Value():
            return expression(node.value)
        case tree.Repeat() | tree.If() | tree.Phase():
            return with_block(node)
        case tree.Update():
            objective = f" of {node.objective.text}" if node.objective else ""
            return f"update {selectors(node.selectors)} by {expression(node.optimizer)}{objective}"
        case tree.Freeze():
            return f"freeze {selectors(node.selectors)}"
        case tree.Average():
            return f"average {selectors(node.selectors)} by {expression(node.rule)}"
        case tree.ShardOver():
            return f"shard {axes(node.axes)} over {node.mesh.text}"


def bound(node: tree.Expr | tree.Scan) -> str:
    if isinstance(node, tree.Scan):
        return f"scan {node.axis.text} ({params(node.carry)}) {body(node.body)}"
    return expression(node)


def with_block(node: tree.Repeat | tree.If | tree.Phase) -> str:
    match node:
        case tree.Repeat():
            index = f" as {node.index.text}" if node.index else ""
            return f"repeat {expression(node.count)}{index} {body(node.body)}"
        case tree.Phase():
            return f"phase {node.name.text} {body(node.body)}"
        case tree.If():
            orelse = f" else {body(node.orelse)}" if node.orelse is not None else ""
            return f"if {expression(node.test)} {body(node.then)}{orelse}"


def selectors(nodes: Sequence[tree.Ident | tree.Str]) -> str:
    return ", ".join(quoted(node.value) if isinstance(node, tree.Str) else node.text for node in nodes)
