"""Expressions to text.

Takes: an expression of the tree. Promises: text that parses back to it, parentheses where precedence asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.lang import tree

# How loosely an expression holds together: a looser one stands in parentheses where a tighter is expected.
COND, OR, AND, NOT, COMPARE, SUM, PRODUCT, UNARY, POWER, POSTFIX = range(10)
LEVEL = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "%": PRODUCT, "@": PRODUCT, "^": POWER}


def expression(node: tree.Expr, least: int = COND) -> str:
    """The text; in parentheses if it holds together more loosely than `least`."""
    text, level = written(node)
    return f"({text})" if level < least else text


def written(node: tree.Expr) -> tuple[str, int]:
    """The text and how loosely it holds together."""
    match node:
        case tree.Cond():
            then, test, orelse = expression(node.then, OR), expression(node.test, OR), expression(node.orelse)
            return f"{then} if {test} else {orelse}", COND
        case tree.Or():
            return f"{expression(node.left, OR)} or {expression(node.right, AND)}", OR
        case tree.And():
            return f"{expression(node.left, AND)} and {expression(node.right, NOT)}", AND
        case tree.Not():
            return f"not {expression(node.value, NOT)}", NOT
        case tree.Cmp():
            return f"{expression(node.left, SUM)} {node.op} {expression(node.right, SUM)}", COMPARE
        case tree.Neg():
            return f"-{expression(node.value, UNARY)}", UNARY
        case tree.Bin():
            return operation(node)
    return postfix(node), POSTFIX


def operation(node: tree.Bin) -> tuple[str, int]:
    level = LEVEL[node.op]
    left, right = (POSTFIX, UNARY) if node.op == "^" else (level, level + 1)
    return f"{expression(node.left, left)} {node.op} {expression(node.right, right)}", level


def postfix(node: tree.Expr) -> str:
    match node:
        case tree.Num(text=text) | tree.Hash(text=text) | tree.Name(id=text) | tree.AxisSize(axis=tree.Axis(text=text)):
            return text
        case tree.Str():
            return quoted(node.value)
        case tree.Call():
            label = f"{node.label.text}:" if node.label else ""
            return f"{label}{expression(node.function, POSTFIX)}({arguments(node.arguments, node.keywords)})"
        case tree.View():
            return f"{expression(node.value, POSTFIX)}[{', '.join(map(view_item, node.items))}]"
        case tree.Field():
            value = expression(node.value, POSTFIX)
            return f"({value}).{node.name.text}" if isinstance(node.value, tree.Num) else f"{value}.{node.name.text}"
        case tree.ListExpr():
            return f"[{arguments(node.items, node.keywords)}]"
        case tree.Rename():
            return f"{quoted(node.old.value)} -> {quoted(node.new.value)}"
    raise TypeError(f"{type(node).__name__} is not an expression")


def arguments(items: Sequence[tree.Expr], keywords: Sequence[tree.Keyword]) -> str:
    named = (f"{keyword.name.text}={expression(keyword.value)}" for keyword in keywords)
    return ", ".join([*map(expression, items), *named])


def view_item(node: tree.ViewItem) -> str:
    match node:
        case tree.AxisList():
            return axes(node.axes)
        case tree.Remap():
            return f"{axes(node.old)} -> {axes(node.new)}"
        case tree.Pick():
            return f"{node.axis.text}: {expression(node.index)}"
        case tree.Slice():
            start, stop = (expression(part) if part else "" for part in (node.start, node.stop))
            return f"{node.axis.text}: {start}..{stop}"
        case tree.Windows():
            return f"{axes(node.axes)} by {axes(node.by)}"


def axes(nodes: Sequence[tree.Axis]) -> str:
    return " ".join(node.text for node in nodes)


def axis_type(node: tree.AxisType) -> str:
    stacked = f"{axes(node.stacked)} | " if node.stacked else ""
    right = f" -> {axes(node.right)}" if node.right is not None else ""
    return f"{stacked}{axes(node.left)}{right}"


def quoted(text: str) -> str:
    return f'"{text}"'
