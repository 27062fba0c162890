"""Files that are no jobs are refused at once and in words."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from jobspec.ir.errors import CompileError, UsageError
from jobspec.lang.source import SIZE_LIMIT, Source


def refusal(path: Path) -> CompileError:
    with pytest.raises(CompileError) as caught:
        Source.read(path)
    return caught.value


def test_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "x.job"
    path.write_bytes(b"job j\n\x00\x01")
    assert (refusal(path).code, "byte 6 is zero" in str(refusal(path))) == ("E0111", True)


def test_large_binary_file_is_called_binary(tmp_path: Path) -> None:
    path = tmp_path / "x.job"
    path.write_bytes(b"\x7fELF\x00" * 100_000)
    assert refusal(path).code == "E0111"


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "x.job"
    path.write_bytes("job j # größe".encode("latin-1"))
    assert "byte 10 (0xf6) is not UTF-8" in str(refusal(path))


def test_ten_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "x.job"
    path.write_bytes(b"job j\n" + b"x" * 10_000_000)
    tracemalloc.start()
    error = refusal(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000  # its size is enough: it is not read
    assert (error.code, "10,000,006 bytes" in error.reason) == ("E0112", True)


def test_the_limit_is_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.job"
    path.write_bytes(b"#" * SIZE_LIMIT)
    assert len(Source.read(path).text) == SIZE_LIMIT
    path.write_bytes(b"#" * (SIZE_LIMIT + 1))
    assert refusal(path).code == "E0112"


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.job", tmp_path):
        with pytest.raises(UsageError) as caught:
            Source.read(path)
        assert caught.value.code == "E0801"


def test_lines_end_in_three_ways() -> None:
    source = Source("x", "a\nb\r\nc\rd\u2028e")
    assert [source.line(n) for n in range(1, 5)] == ["a", "b", "c", "d\u2028e"]
    assert [source.span(i, i + 1).line for i in (0, 2, 5, 7, 9)] == [1, 2, 3, 4, 4]
    assert source.span(9, 10).column == 3


def test_empty_source() -> None:
    assert str(Source("x", "").span(0, 0)) == "x:1:1"
