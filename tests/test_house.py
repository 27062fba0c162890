"""The house rules that a machine can hold: the import law, no cycles, no hidden imports."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jobspec"

#: what each room may import besides itself
LAW: dict[str, set[str]] = {
    "ir": set(),
    "lang": {"ir"},
    "passes": {"ir"},
    "store": {"ir"},
    "backends": {"ir"},
    "sandbox": set(),
    "editor": {"ir", "lang"},
    "estimating": {"ir", "passes"},
    "report": {"ir", "passes", "store", "runtime"},
    "runtime": {"ir", "lang", "passes", "store", "backends"},
    "verify": {"ir", "lang", "passes", "store", "backends", "runtime"},
}
#: the one place that loads backends by name, so that importing jobspec loads no driver
HIDDEN_ALLOWED = {"jobspec/backends/registry.py"}


@cache
def modules() -> dict[str, Path]:
    return {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def name_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, tree: ast.AST) -> list[str]:
    """Names of our modules that `tree` imports, absolute."""
    known = modules()
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    ours = [name for name in found if name.split(".")[0] == "jobspec"]
    return [name if name in known else name.rpartition(".")[0] for name in ours]


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


GRAPH = {name: set(imports(path, ast.parse(path.read_text()))) - {name} for name, path in modules().items()}


@pytest.mark.parametrize("module", [m for m in GRAPH if room_of(m) in LAW])
def test_rooms_import_only_what_the_law_allows(module: str) -> None:
    room = room_of(module)
    strangers = {name for name in GRAPH[module] if room_of(name) not in LAW[room] | {room}}
    assert not strangers, f"{module} imports {sorted(strangers)}"


def test_imports_have_no_cycle() -> None:
    state: dict[str, int] = {}

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert state.get(module) != 1, " → ".join((*trail, module))
        if module in state:
            return
        state[module] = 1
        for name in GRAPH.get(module, ()):
            visit(name, (*trail, module))
        state[module] = 2

    for module in GRAPH:
        visit(module, ())


def test_no_import_hides_in_a_function() -> None:
    hidden = []
    for path in modules().values():
        if str(path.relative_to(ROOT)) in HIDDEN_ALLOWED:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                hidden += [f"{path}:{node.lineno} {name}" for name in imports(path, ast.Module(node.body, []))]
    assert not hidden


def test_each_error_says_the_next_step() -> None:
    """But for those of a text: they show the place, and what is wrong with it is often the next step."""
    mute = []
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if room_of(name) != "lang" and isinstance(node, ast.Call) and is_error(node):
                mute += [f"{path}:{node.lineno}"] if not any(word.arg == "help" for word in node.keywords) else []
    assert not mute


def is_error(call: ast.Call) -> bool:
    """Whether it makes an error with a code."""
    first = call.args[0] if call.args else None
    known = isinstance(first, ast.Constant) and re.fullmatch(r"E0\d{3}", str(first.value))
    return bool(known) and isinstance(call.func, ast.Name) and call.func.id.endswith("Error")


def test_the_reference_needs_no_other_backend() -> None:
    reference = [m for m in GRAPH if m.startswith("jobspec.backends.reference")]
    assert not {n for m in reference for n in GRAPH[m] if n.startswith(("jobspec.backends.llvm", "jobspec.passes"))}
