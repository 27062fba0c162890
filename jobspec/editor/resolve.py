"""Which word means what, from the tree alone.

Takes: the tree of a text (of an unfinished one, what could be read of it) and the module that it makes. Promises: every
mention of an axis, value, function, parameter, label, data set or library in it, whether or not anything calls the
function it stands in. The scopes are those of the elaborator (lang/frame.py, lang/scope.py); a test compares the two on
every job that is shipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jobspec.editor.names import Mention, Names, Symbol, plain
from jobspec.lang import evaluation, running, saving, training, tree
from jobspec.lang.builtins import BUILTINS, CONSTANTS
from jobspec.lang.settings import setting_name
from jobspec.lang.things import Module

WORDS = frozenset([*BUILTINS, *CONSTANTS, "training"])
#: settings of each section; every other name in one is a value
SETTINGS: dict[str, tuple[str, ...]] = {
    "train": (*training.STATIC, *training.COMPUTED),
    "eval": evaluation.STATIC,
    "save": saving.STATIC,
    "run": running.STATIC,
}
DEFINITION = {"def": "function", "layer": "layer", "optim": "optimizer"}


@dataclass(eq=False)
class Resolver:
    """`functions`, `data`, `libraries`, `axes`: what the whole file sees. `outside`: functions of other files."""

    module: Module
    mentions: list[Mention] = field(default_factory=list)
    functions: dict[str, Symbol] = field(default_factory=dict)
    data: dict[str, Symbol] = field(default_factory=dict)
    libraries: dict[str, Symbol] = field(default_factory=dict)
    axes: dict[str, Symbol] = field(default_factory=dict)
    outside: dict[int, Symbol] = field(default_factory=dict)
    words: dict[str, Symbol] = field(default_factory=dict)
    arguments: dict[int, dict[str, Symbol]] = field(default_factory=dict)
    labels: dict[tuple[int, str], Symbol] = field(default_factory=dict)
    noted: set[tuple[int, int]] = field(default_factory=set)

    # ---- a file ----

    def file(self, job: tree.Job) -> list[Mention]:
        for item in job.items:
            self.declare(item)
        for item in job.items:
            self.item(item)
        for mention in self.mentions:
            mention.symbol.mentions.sort(key=lambda m: m.span.start)
        return sorted(self.mentions, key=lambda m: (m.span.start, m.span.end))

    def declare(self, item: tree.Item) -> None:
        """Names that the whole file sees, before anything uses them."""
        match item:
            case tree.Import():
                self.library(item)
            case tree.DimDef():
                symbol = self.axes.setdefault(item.axis.text, Symbol("axis", item.axis.text, None, item))
                self.mention(item.axis, symbol, True)
            case tree.DataDef():
                self.define(self.data, item.name, Symbol("data", item.name.text, None, item))
            case tree.Def():
                self.define(self.functions, item.name, Symbol(DEFINITION[item.kind], item.name.text, None, item))
                self.formal(item)

    def library(self, item: tree.Import) -> None:
        word = item.alias or (item.source[-1] if isinstance(item.source, tuple) else None)
        if word is not None:
            self.define(self.libraries, word, Symbol("library", word.text, None, item))

    def formal(self, item: tree.Def) -> None:
        """Arguments are known before bodies are read: a call may name them."""
        table = {p.name.text: Symbol("argument", p.name.text, item, p) for p in item.params}
        self.arguments[id(item)] = table

    def item(self, item: tree.Item) -> None:
        match item:
            case tree.DimDef():
                self.expression(item.value, Names(item, self.axes))
            case tree.DataDef():
                self.data_set(item)
            case tree.Def():
                self.function(item)
            case tree.Section():
                self.section(item)

    def data_set(self, item: tree.DataDef) -> None:
        names, call = Names(item, self.axes), item.value
        if not isinstance(call, tree.Call):
            return
        for keyword in call.keywords:
            self.mention(keyword.name, Symbol("field", keyword.name.text, item, keyword), True)
            self.axes_in(keyword.value, names)
        for argument in call.arguments:
            self.axes_in(argument, names)

    def axes_in(self, node: tree.Node, names: Names) -> None:
        for part in tree.walk(node):
            if isinstance(part, tree.Axis):
                self.axis(part, names)

    # ---- functions and sections ----

    def function(self, item: tree.Def) -> None:
        names = Names(item, {**self.axes})
        for axis in [*item.axes, *pattern(item)]:
            names.axes[axis.text] = Symbol("axis parameter", axis.text, item, axis)
            if axis in item.axes:
                self.mention(axis, names.axes[axis.text], True)
        for parameter in item.params:
            self.parameter(parameter, names, self.arguments[id(item)][parameter.name.text])
        self.body(item.body, names)

    def parameter(self, node: tree.Param, names: Names, symbol: Symbol) -> None:
        self.parts([node.type, node.default], names)
        names.table[node.name.text] = symbol
        self.mention(node.name, symbol, True)

    def section(self, item: tree.Section) -> None:
        names = Names(item, self.axes)
        if item.name:
            self.mention(item.name, Symbol("section", item.name.text, item, item), True)
        for statement in item.body:
            word = setting_name(statement)
            if word in SETTINGS[item.kind]:
                names.table.setdefault(word, Symbol("setting", word, item, statement))
        late = [s for s in item.body if setting_name(s) == "best" or isinstance(s, tree.Update | tree.Freeze)]
        self.body([s for s in item.body if s not in late], names)
        self.body(late, names)

    # ---- statements ----

    def body(self, body: Iterable[tree.Statement], names: Names) -> None:
        for statement in body:
            self.statement(statement, names)

    def statement(self, node: tree.Statement, names: Names) -> None:
        match node:
            case tree.Let():
                self.let(node, names)
            case tree.Parameter() | tree.State():
                self.parts([node.type, node.init], names)
                kind = "parameter" if isinstance(node, tree.Parameter) else "state"
                self.bind(node.name, names, Symbol(kind, node.name.text, names.home, node), fresh=True)
            case tree.Assign():
                self.expression(node.value, names)
                self.use(node.name, names)
            case tree.Repeat():
                self.repeat(node, names)
            case tree.If():
                self.expression(node.test, names)
                self.body([*node.then, *(node.orelse or ())], names)
            case tree.Phase():
                self.mention(node.name, Symbol("section", node.name.text, names.home, node), True)
                self.body(node.body, names.inside())
            case tree.Update():
                self.update(node, names)
            case tree.Freeze():
                self.selectors(node.selectors)
            case _:
                self.parts(list(tree.children(node)), names)

    def let(self, node: tree.Let, names: Names) -> None:
        if isinstance(node.value, tree.Scan):
            self.scan(node.value, names)
        else:
            self.expression(node.value, names)
        for target in node.targets:
            self.parts([target.type], names)
            self.bind(target.name, names, Symbol("value", target.name.text, names.home, target))

    def scan(self, node: tree.Scan, names: Names) -> None:
        self.axis(node.axis, names)
        inside = Names(names.home, names.axes, names)
        for parameter in node.carry:
            self.parts([parameter.type, parameter.default], names)
            self.bind(parameter.name, inside, Symbol("value", parameter.name.text, names.home, parameter), fresh=True)
        self.body(node.body, Fresh(names.home, names.axes, names, inside.table))

    def repeat(self, node: tree.Repeat, names: Names) -> None:
        self.expression(node.count, names)
        rolled = isinstance(node.count, tree.AxisSize)
        inside = names.inside() if rolled else names
        if node.index:
            self.bind(node.index, inside, Symbol("value", node.index.text, names.home, node), fresh=rolled)
        self.body(node.body, inside)

    def update(self, node: tree.Update, names: Names) -> None:
        self.selectors(node.selectors)
        self.expression(node.optimizer, names)
        if node.objective:
            self.use(node.objective, names)

    def selectors(self, selectors: Sequence[tree.Ident | tree.Str]) -> None:
        """A lone word names a parameter of the model, where only one is called so."""
        declared = [m.symbol for m in self.mentions if m.defines and m.symbol.kind == "parameter"]
        for selector in selectors:
            found = [s for s in declared if isinstance(selector, tree.Ident) and s.name == selector.text]
            if len(found) == 1:
                self.mention(selector, found[0])

    # ---- expressions ----

    def parts(self, nodes: Iterable[tree.Node | None], names: Names) -> None:
        for node in nodes:
            if node is not None:
                self.expression(node, names)

    def expression(self, node: tree.Node, names: Names) -> None:
        match node:
            case tree.Axis():
                self.axis(node, names)
            case tree.Name():
                self.use(node, names)
            case tree.Field():
                self.field(node, names)
            case tree.Call():
                self.call(node, names)
            case tree.Ident():
                self.use(node, names)
            case _:
                self.parts(tree.children(node), names)

    def field(self, node: tree.Field, names: Names) -> None:
        library = self.library_of(node)
        if library is None:
            self.expression(node.value, names)
            return
        assert isinstance(node.value, tree.Name)
        self.mention(node.value, self.libraries[node.value.id])
        definition = library.functions.get(node.name.text)
        if definition:
            self.mention(node.name, self.foreign(definition))

    def library_of(self, node: tree.Field) -> Module | None:
        owner = node.value
        if not isinstance(owner, tree.Name) or owner.id not in self.libraries:
            return None
        return self.module.imports.get(owner.id)

    def foreign(self, definition: tree.Def) -> Symbol:
        """A function of another file; its definition is mentioned there."""
        if id(definition) not in self.outside:
            symbol = Symbol(DEFINITION[definition.kind], definition.name.text, None, definition)
            symbol.mentions.append(Mention(definition.name.span, symbol, True))
            self.outside[id(definition)] = symbol
        return self.outside[id(definition)]

    def call(self, node: tree.Call, names: Names) -> None:
        self.expression(node.function, names)
        self.parts(node.arguments, names)
        formal = self.arguments.get(id(self.callee(node.function, names)), {})
        for keyword in node.keywords:
            self.expression(keyword.value, names)
            if keyword.name.text in formal:
                self.mention(keyword.name, formal[keyword.name.text])
            elif isinstance(node.function, tree.Name) and node.function.id == "mix":
                self.use(keyword.name, names)
        if node.label:
            key = (id(names.home), node.label.text)
            symbol = self.labels.setdefault(key, Symbol("label", node.label.text, names.home, node))
            self.mention(node.label, symbol, not symbol.mentions)

    def callee(self, node: tree.Expr, names: Names) -> tree.Def | None:
        """The definition in this file that a call's function names."""
        if isinstance(node, tree.View):
            return self.callee(node.value, names)
        if not isinstance(node, tree.Name) or names.find(node.id) or node.id not in self.functions:
            return None
        declared = self.functions[node.id].declared
        return declared if isinstance(declared, tree.Def) else None

    # ---- mentions ----

    def axis(self, node: tree.Axis, names: Names) -> None:
        base, span = plain(node)
        symbol = names.axes.get(base)
        if symbol:
            first = symbol.kind == "axis parameter" and not symbol.mentions
            self.note(Mention(span, symbol, first))

    def use(self, node: tree.Name | tree.Ident, names: Names) -> None:
        """A local name, then one of the file, then a word of the language."""
        word = node.id if isinstance(node, tree.Name) else node.text
        symbol = names.find(word) or self.functions.get(word) or self.libraries.get(word) or self.data.get(word)
        if symbol is None and word in WORDS:
            symbol = self.words.setdefault(word, Symbol("word", word))
        if symbol:
            self.mention(node, symbol)

    def bind(self, node: tree.Ident, names: Names, new: Symbol, fresh: bool = False) -> None:
        """`x = …`: the x that stands here already, if one does."""
        old = names.table.get(node.text) if fresh else names.bound(node.text)
        symbol = old or new
        names.table.setdefault(node.text, symbol)
        self.mention(node, symbol, True)

    def define(self, table: dict[str, Symbol], node: tree.Ident, new: Symbol) -> None:
        self.mention(node, table.setdefault(node.text, new), True)

    def mention(self, node: tree.Node, symbol: Symbol, defines: bool = False) -> None:
        self.note(Mention(node.span, symbol, defines))

    def note(self, mention: Mention) -> None:
        """Once a place: `param w1 w3: D -> F` has one type for two parameters."""
        place = mention.span.start, mention.span.end
        if place not in self.noted:
            self.noted.add(place)
            mention.symbol.mentions.append(mention)
            self.mentions.append(mention)


@dataclass(eq=False)
class Fresh(Names):
    """The body of a scan: what it binds is its own, whatever stands outside."""

    def bound(self, name: str) -> Symbol | None:
        return self.table.get(name)


def pattern(item: tree.Def) -> list[tree.Axis]:
    """The axes that an optimizer's `p: I -> O` brings in."""
    if item.kind != "optim" or not item.params or item.params[0].type is None:
        return []
    type_ = item.params[0].type
    return [*type_.left, *(type_.right or ())]


def resolved(job: tree.Job, module: Module) -> Resolver:
    """All mentions in a file, in `mentions` and in their symbols."""
    resolver = Resolver(module)
    resolver.mentions = resolver.file(job)
    return resolver
