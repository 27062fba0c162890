"""One element of an operation is the element that the whole operation gives, for every operation of whole steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobspec.backends.reference.meaning import run
from jobspec.backends.reference.numbers import Array, canonical
from jobspec.ir.program import Node, Program
from jobspec.verify.element import cuts_of, element
from jobspec.verify.follow import Follower
from tests.specs.tiny import entries
from tests.verify.steps import first_step

#: small jobs whose steps hold, together, nearly every operation
JOBS = ["gpt2_124m", "mixtral_8x7b", "resnet18_cifar10", "muon_adamw"]


class Seen(Follower):
    """Compares elements while it evaluates."""

    def __init__(self) -> None:
        super().__init__(lambda name, data: None)
        self.ops: Counter[str] = Counter()
        self.random = np.random.default_rng(5)

    def _value(self, node: Node, handed: dict[Node, Array], values: dict[Node, Any]) -> Array:
        value = super()._value(node, handed, values)
        operands = [values[a] for a in node.args]
        plain = node not in handed and not any(isinstance(x, tuple) for x in operands)
        if plain and (self.ops[node.op] < 12 or cuts_of(node, (0,) * value.ndim) is not None):
            self._compare(node, value, operands)
        return value

    def _compare(self, node: Node, value: Array, operands: Sequence[Array]) -> None:
        self.ops[node.op] += 1
        index = tuple(int(self.random.integers(n)) for n in value.shape)
        found = element(node, operands, index)
        assert found.tobytes() == canonical(np.asarray(value[index])).tobytes(), (node, index)


@pytest.mark.parametrize("name", JOBS)
def test_elements(name: str, tmp_path: Path) -> None:
    program, given = first_step(entries()[name], tmp_path)
    seen = Seen()
    results, frame = seen.program(program, given)
    assert seen.ops["contract"] > 3 and seen.ops["sum"] > 3 and len(seen.ops) > 15
    same(program, given, results)
    assert frame.links == Follower(lambda name, data: None).program(program, given)[1].links


def same(program: Program, given: Sequence[Array], results: Sequence[Array]) -> None:
    """What is followed is what the reference computes."""
    with np.errstate(all="ignore"):
        wanted = run(program, list(given))
    for one, other in zip(results, wanted, strict=True):
        assert canonical(one).tobytes() == canonical(other).tobytes()
