"""Label paths: what parameters are called (rule 10 of the language).

Takes: a call of a layer. Promises: the path of the layer at work. A layer called in a section adds nothing to the path,
unless it is labelled; one called in a layer adds its label, or its own name. The same label again means the same
weights; the same layer again without a label is an error, and so is one label for two layers.
"""

from __future__ import annotations

from jobspec.lang import tree
from jobspec.lang.frame import Activation, Frame
from jobspec.lang.refusal import Refusal


def enter(frame: Frame, definition: tree.Def, node: tree.Call) -> Activation:
    """The activation of `definition`, called by `node`."""
    caller = frame.activation
    if node.label is None:
        label = definition.name.text
        check_once(caller, label, node)
    else:
        label = node.label.text
        check_label(caller, label, definition)
    at_top = caller.is_section and node.label is None
    return Activation(caller.path if at_top else (*caller.path, label), (*caller.draw_path, *visit(caller, label)))


def visit(caller: Activation, label: str) -> tuple[str, ...]:
    """Shared weights do not mean shared random draws: a second visit draws under a name of its own."""
    caller.visits[label] = caller.visits.get(label, 0) + 1
    count = caller.visits[label]
    return (label,) if count == 1 else (label, str(count))


def check_once(caller: Activation, name: str, node: tree.Call) -> None:
    span, function = node.span, node.function.span
    first = caller.unlabelled.setdefault(name, span)
    said = span.source.text[function.start : function.end]
    if first is not span or name in caller.visits:
        raise Refusal(
            "E0245",
            f"`{name}` is called a second time here without a label",
            notes=(f"first at line {first.line}",),
            help=f"label both calls: `a:{said}(…)` and `b:{said}(…)`; the same label shares the weights",
        )


def check_label(caller: Activation, label: str, definition: tree.Def) -> None:
    if caller.labelled.setdefault(label, definition) is not definition or label in caller.unlabelled:
        raise Refusal("E0246", f"the label `{label}` names two different layers", help="give each its own label")
    if label in caller.declared:
        raise Refusal("E0246", f"`{label}` is a parameter here and cannot be a label too", help="choose another label")
