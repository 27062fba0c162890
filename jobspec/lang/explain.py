"""What an error code means, at length.

Takes: a code. Promises: the text of its entry in codes.toml (title, explanation, a wrong and a right example where they
help), or a UsageError that names the nearest codes.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from jobspec.ir.errors import UsageError
from jobspec.lang.diagnostics import edit_distance

CODES = files("jobspec") / "codes.toml"


@cache
def entries() -> dict[str, dict[str, str]]:
    """All entries: code to title, text and examples."""
    return tomllib.loads(CODES.read_text("utf-8"))


def explain(code: str) -> str:
    """The explanation of a code (`E0212`, `e212`, `212`); no newline at its end. UsageError E0802: no such code."""
    name = whole_name(code)
    entry = entries().get(name)
    if entry is None:
        raise unknown(code)
    parts = [f"{name}: {entry['title']}", entry["text"].strip()]
    parts += [f"{name}:\n{indented(entry[name])}" for name in ("wrong", "right") if name in entry]
    return "\n\n".join(parts)


def whole_name(code: str) -> str:
    digits = code.strip().upper().removeprefix("E")
    return f"E{digits:0>4}" if digits.isdecimal() else code.strip().upper()


def overview() -> str:
    """A line for each code: the code and its title, in the order of the codes."""
    return "\n".join(f"{code}  {entry['title']}" for code, entry in sorted(entries().items()))


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())


def unknown(code: str) -> UsageError:
    near = sorted(entries(), key=lambda known: (edit_distance(code.strip().upper(), known), known))[:3]
    names = ", ".join(f"`{known}` ({entries()[known]['title']})" for known in near)
    return UsageError("E0802", f"there is no error code `{code}`", help=f"the nearest are {names}")
