"""Nothing that comes from outside becomes markup."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobspec.report.markup import Markup, shown, table, tag, written
from tests.report.reading import Page

HOSTILE = "</title><script>alert('\"1\"')</script>&amp;\u202e\x00\u200b"


@given(st.text())
def test_any_text_comes_back_as_text(text: str) -> None:
    page = Page(f"<!doctype html>{tag('html', tag('p', text), tag('i', lang=text))}")
    assert page.text("p") == shown(text) and page.tags == ["html", "p", "i"]


def test_signs_that_change_others_are_shown_by_number() -> None:
    assert shown("a\u202eb\x00\n\t\u200b") == "a\\u202eb\\u0000\n\t\\u200b"


def test_markup_stays_and_text_is_escaped() -> None:
    assert tag("p", Markup("<b>x</b>"), HOSTILE[:15]) == "<p><b>x</b>&lt;/title&gt;&lt;script</p>"
    assert tag("rect", x=1.0, class_="a", text_anchor=None) == '<rect x="1" class="a"/>'
    assert tag("meta", http_equiv="x") == '<meta http-equiv="x">'


def test_numbers_of_drawings() -> None:
    assert [written(n) for n in (1.0, 0.126, -3.1, 7, 1e6)] == ["1", "0.13", "-3.1", "7", "1000000"]


def test_rows_have_headings() -> None:
    found = table([("a", "<b>")], ("x", "y"))
    assert '<th scope="row">a</th><td>&lt;b&gt;</td>' in found and '<th scope="col">x</th>' in found
