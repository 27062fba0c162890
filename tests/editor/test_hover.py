"""What an editor shows under the cursor, and keeps on showing while the text is unfinished."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.editor.hover import hover
from jobspec.editor.index import Index, World, examined
from jobspec.lang.source import Source

SPECS = Path(__file__).parents[2] / "specs"
TEXT = (SPECS / "char_gpt.job").read_text()


def index_of(text: str, good: Index | None = None) -> Index:
    return examined(Source("t", text), World(), good)


CHAR = index_of(TEXT)


def at(mark: str, delta: int = 0, text: str = TEXT, index: Index | None = None) -> str:
    found = hover(index or CHAR, text.index(mark) + delta)
    return found[0] if found else ""


@pytest.mark.parametrize(
    ("mark", "delta", "shown"),
    [
        ("q = x @ wq", 0, "q: B 12 · T 64 · H 4 · K 32 (f32)"),
        ("x @ wq", 2, "B 12 · T 64 · H 4 · K 32 (f32)"),
        ("dim L=4", 4, "dim L = 4"),
        ("K=D/H", 0, "dim K = 32"),
        ("wk)[T", 0, "`attention.wk`: L 4 × D 128 × H 4 × K 32 = 65,536 numbers, stacked along L"),
        ("wk)[T", 0, "D 128 → H 4 · K 32"),
        ("layer gpt", 6, "holds 16,512 numbers of its own, in 2 tensors"),
        ("variance[D]", 0, "def variance[A..](x)"),
        ("gelu(x", 0, "def gelu(x)"),
        ("adamw(lr", 0, "optim adamw(p, g, lr, b1=.9, b2=.999, eps=1e-8, wd=.01)"),
        ("select(see", 0, "`yes` where the condition holds"),
        ("repeat L", 0, "One body, run L times"),
        ("update mat", 0, "Applies an optimizer"),
        ("batch.tok", 0, "a batch of `train` (tok: u8 T, next: u8 T)"),
        ("batch.tok", 7, "B 12 · T 64 (i32)"),
        ("data train", 5, "data set `train`"),
        ("clip = 1.0", 0, "One norm over all gradients"),
        ("n1:norm", 0, "`n1.g`"),
        ("normal(.02)", 0, "Mean 0 and deviation"),
        ("1e-3", 0, "0.001"),
    ],
)
def test_the_word_under_the_cursor(mark: str, delta: int, shown: str) -> None:
    assert shown in at(mark, delta)


def test_axis_parameters_show_what_they_stood_for() -> None:
    text = (SPECS / "digits.job").read_text()
    index = index_of(text)
    assert "Y 10" in at("[A](z, label)", 1, text, index)


def test_comments_and_blank_lines_show_nothing() -> None:
    assert at("# layers", 3) == ""
    assert hover(CHAR, TEXT.index("\n\n") + 1) is None


BROKEN = [
    TEXT.replace("see: T T' =", "see: T T' = = "),
    TEXT.replace("  s = select", "  s = selec(\n  s = select"),
    TEXT.replace("def objective", "}\ndef objective"),
    TEXT[: TEXT.index("def objective")] + "layer x(",
    TEXT.replace("lr = schedule", "lr = nn."),
]


@pytest.mark.parametrize("text", BROKEN)
def test_unfinished_text_keeps_what_was_known(text: str) -> None:
    index = index_of(text, CHAR)
    assert index.diagnostics and index.job is None
    found = hover(index, text.index("q = x @ wq"))
    assert found and "B 12 · T 64 · H 4 · K 32" in found[0]


def test_a_wrong_word_leaves_the_rest_of_the_file_known() -> None:
    text = TEXT.replace("x @ wq\n", "x @ wz\n").replace("dim V=65", "dim V=70")
    index = index_of(text, CHAR)
    assert [d.code for d in index.diagnostics] == ["E0202"]
    assert "dim V = 70" in at("dim V", 4, text, index)
    assert "`attention.wk`" in at("wk wv", 0, text, index)


def test_every_place_of_every_beginning_answers() -> None:
    """Texts that end anywhere: an index, never an exception."""
    for end in range(0, len(TEXT), 97):
        index = index_of(TEXT[:end], CHAR)
        hover(index, end // 2)
        hover(index, end)
        assert index.diagnostics


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.job")), ids=lambda p: p.stem)
def test_hovering_over_every_letter_of_a_spec(path: Path) -> None:
    text = path.read_text()
    index = index_of(text)
    shown = [hover(index, i) for i in range(0, len(text), 3)]
    assert sum(found is not None for found in shown) > len(shown) / 3
