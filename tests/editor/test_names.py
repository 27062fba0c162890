"""Which word means what: the editor's scopes are the elaborator's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobspec.editor.index import World, examined
from jobspec.editor.names import Mention
from jobspec.editor.resolve import resolved
from jobspec.lang import tree
from jobspec.lang.check import load
from jobspec.lang.diagnostics import Reporter
from jobspec.lang.modules import Importer, std_names, std_tree
from jobspec.lang.source import Source, Span
from jobspec.lang.work import Watcher

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.job"))


class Bindings(Watcher):
    """For every name that is read: the statements that the elaborator says have bound it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: dict[tuple[int, int], set[Span]] = {}

    def saw(self, frame: Any, node: Any, value: Any) -> None:
        if isinstance(node, tree.Name) and node.span.source is self.source:
            bound = frame.scope.find(node.id)
            if bound and bound[0].span:
                self.found.setdefault((node.span.start, node.span.end), set()).add(bound[0].span)


def within(mention: Mention, statement: Span) -> bool:
    """Whether the statement that bound the name mentions the symbol."""
    return any(statement.start <= m.span.start < statement.end for m in mention.symbol.mentions)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_every_name_that_the_elaborator_reads_is_found_where_it_was_bound(path: Path) -> None:
    source = Source.read(path)
    watcher = Bindings(source)
    load(source, watcher=watcher)
    names = examined(source, World()).names
    assert names
    mentions = {(m.span.start, m.span.end): m for m in names.mentions}
    assert watcher.found
    for place, statements in watcher.found.items():
        for statement in statements:
            assert within(mentions[place], statement), source.text[slice(*place)]


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_every_axis_of_a_spec_is_a_mention(path: Path) -> None:
    index = examined(Source.read(path), World())
    assert index.names and index.file and index.job
    places = {m.span.start for m in index.names.mentions}
    assert {node.span.start for node in tree.walk(index.file) if isinstance(node, tree.Axis)} <= places


@pytest.mark.parametrize("name", std_names())
def test_every_word_of_the_library_is_resolved(name: str) -> None:
    source, file = std_tree(name)
    found = resolved(file, Importer(Reporter()).module(source, file))
    places = {m.span.start for m in found.mentions}
    words = [n for n in tree.walk(file) if isinstance(n, tree.Name | tree.Axis)]
    given = {"t", "step", "steps", "uniform"}
    assert not [n.span for n in words if n.span.start not in places and n.span.text not in given]


TEXT = """job t
dim B=4, T=3
data d = table(b3:00000000, x=u8[T])
def twice[A](x) = sum[A](x)*2
layer net(x) {
  param w: T = 1
  y = x*w
  repeat 2 { y = y + x }
  z = scan T (h: B = 0) {
    y = h + x
    h = y
    y
  }
  twice[T](y) + z[T: 0]
}
train {
  seed = 1; steps = 1
  batch = sequence(d)
  loss = mean[B](net(batch.x))
  update all by sgd(r)
  r = .1
}
optim sgd(p, g, lr) { p := p - lr*g }
"""


def groups(text: str, name: str) -> list[list[int]]:
    """Lines of the mentions of each symbol that is called so."""
    index = examined(Source("t", text), World())
    assert index.names
    symbols = dict.fromkeys(m.symbol for m in index.names.mentions if m.symbol.name == name)
    return sorted([m.span.line for m in symbol.mentions] for symbol in symbols)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("y", [[7, 8, 8, 14], [10, 11, 12]]),
        ("h", [[9, 10, 11]]),
        ("x", [[3], [4, 4], [5, 7, 8, 10]]),
        ("w", [[6, 7]]),
        ("r", [[20, 21]]),
        ("lr", [[23, 23]]),
        ("A", [[4, 4]]),
        ("twice", [[4, 14]]),
    ],
)
def test_names_of_one_spelling_and_several_meanings(name: str, lines: list[list[int]]) -> None:
    assert groups(TEXT, name) == lines
