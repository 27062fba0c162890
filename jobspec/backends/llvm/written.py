"""The kernels of a routine as texts to compile: each distinct one once.

Takes: a routine of a plan and the target. Promises: `texts` gives one module for each distinct kernel, whose symbols
begin with a name made from the text itself: equal kernels of any routine, phase or job are equal texts. Once it has
been gone through, `natives` and `tables` say of each kernel how it is run and where its buffers lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from jobspec.backends.llvm.convention import Native, Phase
from jobspec.backends.llvm.emit import Module
from jobspec.backends.llvm.forms import Form, formed
from jobspec.backends.llvm.kernels import generate
from jobspec.ir.digest import digest
from jobspec.ir.plan import Routine
from jobspec.ir.target import Target

#: the name under which a text is written before it has one of its own
UNNAMED = "kernel"


@dataclass
class Written:
    """`natives` and `tables`: by number of the kernel."""

    routine: Routine
    target: Target
    natives: list[Native] = field(default_factory=list)
    tables: list[tuple[int, ...]] = field(default_factory=list)

    def texts(self) -> Iterator[str]:
        """Each as soon as it is written."""
        known: dict[Form, Native] = {}
        given: set[str] = set()
        self.natives.clear()
        self.tables.clear()
        flags = self.routine.buffers[self.routine.flag_buffer]
        for kernel, schedule in zip(self.routine.kernels, self.routine.schedules, strict=True):
            form, table = formed(kernel, schedule, self.routine.buffers, flags)
            if form not in known:
                text, known[form] = write(form, self.target)
                if text not in given:
                    given.add(text)
                    yield text
            self.natives.append(known[form])
            self.tables.append(table)


def write(form: Form, target: Target) -> tuple[str, Native]:
    """The module of a form, and how its functions are run."""
    module = Module(target)
    native = generate(module, UNNAMED, form.kernel, form.schedule, form.places, form.flags)
    text = module.text()
    name = "k" + digest("llvm.kernel", text.encode()).hex
    return text.replace("@" + UNNAMED, "@" + name), replace(native, phases=renamed(native.phases, name))


def renamed(phases: tuple[Phase, ...], name: str) -> tuple[Phase, ...]:
    return tuple(replace(phase, symbol=name + phase.symbol.removeprefix(UNNAMED)) for phase in phases)
