"""`fmt --inline`: one file that imports nothing and is the same job."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.ir.digest import blob_digest
from jobspec.lang import tree
from jobspec.lang.check import load
from jobspec.lang.inline import LANGUAGE, inlined
from jobspec.lang.modules import std_names, std_tree
from jobspec.lang.parse import parse
from jobspec.lang.source import Source

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.job"))

JOB = """job j
{imports}
dim B=4, X=3, Y=2
data d = table(b3:00000000, x=f32[X], y=u8)
{own}
optim sgd(p, g, lr) {{ p := p - lr*g }}
layer net(x) {{
  {body}
}}
train {{ seed = 1; steps = 2; batch = shuffle(d)
  loss = mean[B](sum[Y](net(batch.x)))
  update all by sgd(.1) }}
"""
LIBRARY = b"""library mine
import std.nn
# twice as much
def relu(x) = 2*nn.relu(x)
layer linear[I O](x) { param w: I -> O ~ normal(1); dropout[O](x @ w) }
def dropout[A](x) = exp(x)
layer unused(x) = x
"""


def job(body: str, own: str = "", imports: str = "import std.nn") -> str:
    return JOB.format(imports=imports, own=own, body=body)


def flat(text: str) -> str:
    """The closed text, after it was found to be the same job."""
    name = str(blob_digest(LIBRARY))
    fetch = {name: LIBRARY}.get
    closed = inlined(Source("j.job", text), fetch)
    assert "import " not in closed
    assert load(Source("closed.job", closed)) == load(Source("j.job", text), fetch=fetch)
    assert inlined(Source("again.job", closed)) == closed
    return closed


def mine() -> str:
    return f"import {blob_digest(LIBRARY)} as mine\nimport std.nn"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_spec_is_the_same_job(path: Path) -> None:
    flat(path.read_text())


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_is_closed(path: Path) -> None:
    """It parses, imports nothing and mentions no library."""
    source = Source.read(path)
    closed = inlined(source)
    imported = {item.source[-1].text for item in parse(source).items if is_std(item)}
    fields = [node for node in tree.walk(parse(Source("c.job", closed))) if isinstance(node, tree.Field)]
    assert not [f for f in fields if isinstance(f.value, tree.Name) and f.value.id in imported - {"loss"}]
    assert "import " not in re.sub("#.*", "", closed)


def is_std(item: tree.Item) -> bool:
    return isinstance(item, tree.Import) and isinstance(item.source, tuple)


@pytest.mark.parametrize("name", std_names())
def test_every_function_of_the_library_can_be_written_in(name: str) -> None:
    """Alone in a job, each comes with what it calls, and says the same."""
    library = {i.name.text: i for i in std_tree(name)[1].items if isinstance(i, tree.Def)}
    for function, definition in library.items():
        text = f"job j\nimport std.{name} as lib\ntrain {{ seed = lib.{function} }}"
        written = {i.name.text: i for i in parse(Source("c", inlined(Source("j.job", text)))).items if is_def(i)}
        # one that is called as a word of the language cannot keep its name in a job
        called = f"{name}_{function}" if function in LANGUAGE else function
        others = from_others(definition)
        assert others <= written.keys()
        assert others or replace(written[called], name=definition.name) == definition
        assert all(library[other] == item for other, item in written.items() if other not in {called} | others)


def from_others(definition: tree.Def) -> set[str]:
    """What a function calls of another library: it stands there without that library's name."""
    fields = [node for node in tree.walk(definition) if isinstance(node, tree.Field)]
    return {f.name.text for f in fields if isinstance(f.value, tree.Name) and f.value.id in std_names()}


def is_def(item: tree.Item) -> bool:
    return isinstance(item, tree.Def)


def test_only_what_is_used_comes_along() -> None:
    closed = flat(job("nn.relu(a:nn.linear[X Y](x))", own="def unused(x) = nn.gelu(x)"))
    names = [item.name.text for item in parse(Source("c", closed)).items if isinstance(item, tree.Def)]
    assert sorted(names) == ["linear", "net", "relu", "sgd"]


def test_an_own_function_of_the_same_name_stays() -> None:
    closed = flat(job("relu(nn.relu(a:nn.linear[X Y](x)))", own="def relu(x) = 3*x"))
    assert "def relu(x) = 3*x" in closed and "def nn_relu(x)" in closed


def test_a_layer_that_is_renamed_keeps_its_label() -> None:
    own = "layer linear(x) { param w: X -> Y ~ normal(1); x @ w }"
    closed = flat(job("linear(x) + nn.linear[X Y](2*x)" , own=own).replace("linear(x) +", "a:linear(x) +"))
    assert "linear:nn_linear[X Y](2*x)" in closed


def test_a_name_in_the_body_hides_nothing() -> None:
    closed = flat(job("relu = a:nn.linear[X Y](x); nn.relu(relu)"))
    assert "nn_relu(relu)" in closed


def test_libraries_of_libraries_and_names_that_meet() -> None:
    closed = flat(job("a = nn.relu(mine.linear[X Y](x)); nn.dropout[B Y](mine.relu(a))", imports=mine()))
    assert "# twice as much" in closed and "unused" not in closed
    found = [item.name.text for item in parse(Source("c", closed)).items if isinstance(item, tree.Def)]
    assert len(found) == len(set(found)) == 7


def test_a_function_of_the_language_is_never_hidden() -> None:
    library = b"library odd\ndef exp(x) = x + 1\ndef f(x) = exp(x)\n"
    name = str(blob_digest(library))
    text = job("odd.f(exp(a:nn.linear[X Y](x)))", imports=f"import {name} as odd\nimport std.nn")
    closed = inlined(Source("j.job", text), {name: library}.get)
    assert load(Source("c", closed)) == load(Source("j", text), fetch={name: library}.get)
