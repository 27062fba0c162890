"""Reads a page as a browser does, as far as tests ask: every tag closed, every reference inside."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br"}
#: attributes that make a browser fetch or run something
FETCHING = {"src", "srcset", "action", "formaction", "data", "poster", "background", "xlink:href", "ping"}


class Page(HTMLParser):
    """`texts`: by the innermost tag; `ids`, `links`: of the page; AssertionError for what a page must not have."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.tags: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.policy = ""
        assert html.startswith("<!doctype html>")
        self.feed(html)
        self.close()
        assert not self.open, self.open
        assert {link.removeprefix("#") for link in self.links} <= self.ids

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.look(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.look(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def look(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe", "img", "object", "embed", "base", "form")
        self.tags.append(tag)
        said = dict(attrs)
        if said.get("http-equiv") == "Content-Security-Policy":
            self.policy = said["content"] or ""
        for name, value in attrs:
            assert name not in FETCHING and not name.startswith("on"), (tag, name)
            assert name != "href" or (value or "").startswith("#")
            if name == "id":
                assert value not in self.ids
                self.ids.add(value or "")
            if name == "href":
                self.links.add(value or "")

    def text(self, tag: str) -> str:
        return "".join(self.texts.get(tag, ()))


def need_closed(html: str) -> Page:
    """The page, if it asks for nothing from outside."""
    page = Page(html)
    style = page.text("style")
    assert style and "url(" not in style and "@import" not in style
    assert page.policy == "default-src 'none'; style-src 'unsafe-inline'"
    return page
