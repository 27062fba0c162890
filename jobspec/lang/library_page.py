"""docs/std.md, written from the library itself: `python -m jobspec.lang.library_page > docs/std.md`.

Takes: this edition's library files. Promises: every function that a job can call, with its axes, arguments and defaults
as they are declared and the comment right above it; what a library calls only for itself is in its file. A test holds
docs/std.md to what this prints.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobspec.lang import tree
from jobspec.lang.modules import EDITION, std_names, std_tree
from jobspec.lang.source import Source

HEAD = f"""# The library

What `import std.nn` and its like bring, edition {EDITION}. This page is written from the library by
`python -m jobspec.lang.library_page`; the functions themselves are jobspec/std/*.job, in the language. Axes stand in
the bracket, in this order; `A..` takes one axis or more. An argument with `=` may be left out. The parameters `p, g`
(or `p, a`) of an optimizer (or an average) are given by `update` (or `average`); the others by the job.
"""
KINDS = {
    "layer": "layers: called with a label where one body calls them twice",
    "def": "functions",
    "optim": "optimizers and averages",
}


def page() -> str:
    """The whole page, with a newline at its end."""
    return "\n".join([HEAD, *(line for name in std_names() for line in library(name))])


def library(name: str) -> Iterator[str]:
    source, file = std_tree(name)
    yield f"## std.{name}\n\n{file.title}.\n"
    for kind, title in KINDS.items():
        found = [item for item in file.items if isinstance(item, tree.Def) and item.kind == kind]
        if found:
            yield f"| {title} | |\n|---|---|"
            yield from (f"| `{signature(source, item)}` | {comment(source, item)} |" for item in found)
            yield ""


def signature(source: Source, item: tree.Def) -> str:
    """The name, the axes and the arguments, as they are written."""
    text = source.text[item.name.span.start : item.span.end]
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign in "([") - (sign in ")]")
        if sign == ")" and depth == 0:
            return " ".join(text[: at + 1].split()).replace("|", "\\|")
    raise AssertionError(f"{item.name.text} has no arguments")


def comment(source: Source, item: tree.Def) -> str:
    """The comment lines right above; a line `# ---- … ----` heads a part of the file and says nothing of one."""
    lines: list[str] = []
    number = item.span.line - 1
    while number and source.line(number).lstrip().startswith("#") and "----" not in source.line(number):
        lines.insert(0, source.line(number).lstrip("# ").strip())
        number -= 1
    return " ".join(lines).replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
