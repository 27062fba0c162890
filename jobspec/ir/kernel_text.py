"""Kernels and routines as text for people: `show --kernels`, `--schedule`, `--memory`.

Takes: a routine. Promises: one line per inst, call, buffer; nothing is left out. One way only: the plan's
canonical bytes are what is parsed back.
"""

from __future__ import annotations

from jobspec.ir.kernel import Inst, Kernel, View
from jobspec.ir.plan import Buffer, Call, Routine, Steps, Turns


def print_kernel(kernel: Kernel, buffers: tuple[Buffer, ...]) -> str:
    """`kernel` with its axes and body."""
    axes = " ".join(f"{axis.role}:{axis.size}" for axis in kernel.axes)
    lines = [f"{kernel.kind} {kernel.name} ({axes})"]
    lines += [f"  %{i} = {print_inst(inst, buffers)}" for i, inst in enumerate(kernel.body)]
    return "\n".join(lines)


def print_inst(inst: Inst, buffers: tuple[Buffer, ...]) -> str:
    attrs = [f"{k}={print_view(v, buffers) if isinstance(v, View) else v}" for k, v in inst.attrs]
    return f"{inst.op}.{inst.dtype}({', '.join([*(f'%{a}' for a in inst.args), *attrs])})"


def print_view(view: View, buffers: tuple[Buffer, ...]) -> str:
    """buffer number:name, then offset and strides; strides of enclosing loops after a bar."""
    turns = f" | {' '.join(map(str, view.turns))}" if view.turns else ""
    return f"{view.buffer}:{buffers[view.buffer].name}[{view.offset}; {' '.join(map(str, view.strides))}{turns}]"


def print_steps(steps: Steps, kernels: tuple[Kernel, ...], indent: str = "") -> list[str]:
    """The order of calls, loops indented."""
    lines: list[str] = []
    for step in steps:
        if isinstance(step, Call):
            kernel = kernels[step.kernel]
            lines.append(f"{indent}call {step.kernel} {kernel.kind} {kernel.name}")
        elif isinstance(step, Turns):
            lines.append(f"{indent}turns {step.count}{' reverse' if step.reverse else ''}")
            lines += print_steps(step.steps, kernels, indent + "  ")
        else:
            lines.append(f"{indent}barrier")
    return lines


def print_memory(routine: Routine) -> str:
    """Every buffer with its place, then the totals in bytes."""
    rows = sorted(routine.buffers, key=lambda b: (b.space, b.offset))
    lines = [f"{b.space:5} {b.offset:>12} {b.type.nbytes:>12}  {b.type}  {b.name}" for b in rows]
    return "\n".join([*lines, f"arena {routine.arena} bytes, feed {routine.feed} bytes"])
