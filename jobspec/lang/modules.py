"""Files that a job imports: this edition's library, and any file by its content.

Takes: an import. Promises: a `Module`, each file read once a load. `import std.nn` is jobspec/std/nn.job as pinned by
the edition (a test compares the digest of the whole folder); `import b3:…` is a file of just that content, or refused.
A library holds functions only; what its bodies use comes in by axis parameters and arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from jobspec.ir.digest import Digest, blob_digest, merkle_root
from jobspec.lang import tree
from jobspec.lang.diagnostics import Reporter, did_you_mean
from jobspec.lang.parse import parse
from jobspec.lang.source import Source, Span
from jobspec.lang.things import Module

#: what `import std.…` means; a change of the library is a new edition
EDITION = "2026"
#: edition → the digest of its library; a released one never changes
EDITIONS = {"2026": "b3:cb5f195d54ed175bceb79e8a87231cb2f1b5ae2ced32274257ec45c5440e7c3d"}
STD = files("jobspec") / "std"
#: text of the file with a hash, None where there is none: given by whoever has a store
Fetch = Callable[[str], bytes | None]


@cache
def std_names() -> tuple[str, ...]:
    return tuple(sorted(path.name.removesuffix(".job") for path in STD.iterdir() if path.name.endswith(".job")))


def edition_digest() -> Digest:
    """What the library says: a Merkle root over its files' names and bytes."""
    return merkle_root("edition", (name.encode() + b"\0" + std_bytes(name) for name in std_names()))


def std_bytes(name: str) -> bytes:
    return (STD / f"{name}.job").read_bytes()


@cache
def std_tree(name: str) -> tuple[Source, tree.Job]:
    """The library's file, parsed once a process."""
    source = Source.from_bytes(f"std/{name}.job", std_bytes(name))
    return source, parse(source)


@dataclass
class Importer:
    """`loaded`: key of a file → its module; None while it is being read, so that a circle is seen."""

    reporter: Reporter
    fetch: Fetch | None = None
    loaded: dict[str, Module | None] = field(default_factory=dict)

    def module(self, source: Source, file: tree.Job) -> Module:
        """The functions of a file, and what it imports."""
        module = Module(source, is_job=file.kind == "job")
        for item in file.items:
            if isinstance(item, tree.Import):
                self.add_import(module, item)
            elif isinstance(item, tree.Def):
                self.add_function(module, item)
            elif not module.is_job:
                self.reporter.error(
                    "E0273",
                    "a library holds functions only",
                    item.span,
                    help="dims, data and sections belong to the job that imports it",
                )
        return module

    def add_function(self, module: Module, item: tree.Def) -> None:
        name = item.name.text
        if name in module.names():
            self.reporter.error("E0242", f"`{name}` is defined a second time in this file", item.name.span)
        module.functions.setdefault(name, item)

    def add_import(self, module: Module, item: tree.Import) -> None:
        found = self.by_hash(item.source) if isinstance(item.source, tree.Hash) else self.by_name(item)
        name = item.alias.text if item.alias else item.source[-1].text if isinstance(item.source, tuple) else ""
        if name in module.names():
            self.reporter.error("E0242", f"`{name}` is imported a second time", item.span)
        if found is not None:
            module.imports[name] = found

    def by_name(self, item: tree.Import) -> Module | None:
        assert isinstance(item.source, tuple)
        words = [word.text for word in item.source]
        if len(words) == 2 and words[0] == "std" and words[1] in std_names():
            return self.once(f"std.{words[1]}", item.span, lambda: std_tree(words[1]))
        near = did_you_mean(words[-1], std_names()) if words[0] == "std" else None
        self.reporter.error(
            "E0271",
            f"there is no library `{'.'.join(words)}`",
            item.span,
            help=near or "this edition has " + ", ".join(f"std.{n}" for n in std_names()),
        )
        return None

    def by_hash(self, node: tree.Hash) -> Module | None:
        data = self.fetch(node.text) if self.fetch else None
        if data is None:
            self.reporter.error(
                "E0272",
                f"no file at hand has the hash {node.text}",
                node.span,
                help="put the file into the folder `data` beside the job, named by its hash",
            )
            return None
        if not str(blob_digest(data)).startswith(node.text):
            self.reporter.error("E0272", f"the file at hand does not have the hash {node.text}", node.span)
            return None
        return self.once(node.text, node.span, lambda: parsed(node.text, data))

    def once(self, key: str, span: Span, read: Callable[[], tuple[Source, tree.Job]]) -> Module | None:
        if key in self.loaded:
            if self.loaded[key] is None:
                self.reporter.error("E0274", f"`{key}` imports itself", span)
            return self.loaded[key]
        self.loaded[key] = None
        self.loaded[key] = self.module(*read())
        return self.loaded[key]


def parsed(name: str, data: bytes) -> tuple[Source, tree.Job]:
    source = Source.from_bytes(name, data)
    return source, parse(source)
