"""HTML and SVG from parts, with everything that comes from outside escaped.

Takes: names of tags, attributes, contents. Promises: a text never becomes markup, whatever it holds; signs that change
the order or the look of what stands around them are shown by their numbers; numbers are written the same everywhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from html import escape


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


#: tags without contents
VOID = {"meta", "br", "path", "line", "rect", "circle"}
Part = str | Markup | Iterable["Part"]


def shown(text: str) -> str:
    """`text` with control signs, also those that turn the direction of writing, as `\\u202e`."""
    return "".join(f"\\u{ord(c):04x}" if hidden(c) else c for c in text)


def hidden(sign: str) -> bool:
    return sign not in "\n\t" and unicodedata.category(sign) in ("Cc", "Cf", "Cs")


def text_of(part: Part) -> Markup:
    """Parts one behind the other, escaped unless they are markup."""
    if isinstance(part, Markup):
        return part
    if isinstance(part, str):
        return Markup(escape(shown(part)))
    return Markup("".join(text_of(one) for one in part))


def tag(name: str, /, *parts: Part, **attributes: object) -> Markup:
    """`<name …>parts</name>`; `class_` stands for `class`, `_` in a name for `-`; what is None is left out."""
    said = "".join(
        f' {key.strip("_").replace("_", "-")}="{escape(shown(written(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID and not parts:
        return Markup(f"<{name}{said}>" if name in ("meta", "br") else f"<{name}{said}/>")
    return Markup(f"<{name}{said}>{text_of(parts)}</{name}>")


def written(value: object) -> str:
    """Numbers with as many digits as a drawing needs."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)


def table(rows: Iterable[Iterable[Part]], head: Iterable[Part] = ()) -> Markup:
    """A table that scrolls by itself where the screen is narrow; the first cell of each row is its heading."""
    top = tag("thead", tag("tr", [tag("th", cell, scope="col") for cell in head])) if head else Markup("")
    body = [tag("tr", [cell_of(i, cell) for i, cell in enumerate(row)]) for row in rows]
    return tag("div", tag("table", top, tag("tbody", body)), class_="wide", tabindex="0")


def cell_of(number: int, cell: Part) -> Markup:
    return tag("th", cell, scope="row") if number == 0 else tag("td", cell)
