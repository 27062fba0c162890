"""`jobspec report`: a page that holds the run's figures, asks for nothing from outside, and is the same each time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobspec.runtime.folder import RunFolder
from jobspec.store.files import FileLayer
from tests.cli.conftest import Call
from tests.report.reading import need_closed

HOSTILE = "</title><script>alert(1)</script><img src=//x onerror=y> & \u202egnp.exe"


@pytest.fixture
def run(call: Call, tiny: Path) -> RunFolder:
    """The tiny job, run to its end."""
    found = call("run", tiny, "--on", "reference", "--json").json
    return RunFolder(Path(found["receipt"]).parent, FileLayer())


def test_the_page_holds_the_run(call: Call, run: RunFolder, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert call("report", run.path, "-o", path).code == 0
    html = path.read_text()
    page = need_closed(html)
    assert page.text("h1") == "a line through points" and "12 of 12" in page.text("td")
    captions = page.text("figcaption")
    assert "loss" in captions and "learning rate (lr)" in captions and "error" in captions
    assert "training: first" in page.text("li") and "eval: first" in page.text("li")
    assert run.path.name in html and tiny.read_text() in page.text("code")
    assert page.ids >= {"the-run", "curves", "throughput", "memory", "hashes-and-receipt", "the-text"}
    assert "finished after 12 steps" in page.text("p") and "a second, all told" in page.text("p")
    assert page.text("td").count("reference") == 1 and "examples a second" in captions


def test_it_is_the_same_however_the_run_is_named(call: Call, run: RunFolder, tiny: Path, tmp_path: Path) -> None:
    pages = []
    for number, named in enumerate((run.path, run.receipt, tiny, run.path)):
        path = tmp_path / f"{number}.html"
        assert call("report", named, "-o", path, "--json").json == {"file": str(path)}
        pages.append(path.read_bytes())
    assert len(set(pages)) == 1


def test_a_hostile_job_stays_text(call: Call, tiny: Path, tmp_path: Path) -> None:
    text = tiny.read_text().replace("a line through points", HOSTILE)
    assert HOSTILE in text
    tiny.write_text(f"# </code></pre><script>alert(2)</script>\n{text}")
    call("run", tiny, "--on", "reference")
    path = tmp_path / "page.html"
    assert call("report", tiny, "-o", path).code == 0
    page = need_closed(path.read_text())
    assert page.text("h1") == HOSTILE.replace("\u202e", "\\u202e") and "alert(2)" in page.text("code")


def test_timelines(call: Call, run: RunFolder, tmp_path: Path) -> None:
    bar = {"name": "matmul", "cat": "contract", "ph": "X", "ts": 0, "dur": 1500, "pid": 1, "tid": 1, "args": {}}
    traced, path = tmp_path / "steps.json", tmp_path / "page.html"
    traced.write_text(json.dumps({"traceEvents": [bar]}))
    (run.path / "workers.json").write_text(json.dumps({"traceEvents": [{**bar, "name": "piece 3"}]}))
    assert call("report", run.path, "--trace", traced, "-o", path).code == 0
    page = need_closed(path.read_text())
    captions = page.text("figcaption")
    assert captions.index("workers") < captions.index("kernels, timed one by one (steps.json)")
    assert "matmul, 1.500 ms" in page.text("title") and "piece 3, 1.500 ms" in page.text("title")


def test_a_run_under_way(call: Call, tiny: Path, tmp_path: Path) -> None:
    call("run", tiny, "--on", "reference", "--until", "5")
    path = tmp_path / "page.html"
    assert call("report", tiny, "-o", path).code == 0
    page = need_closed(path.read_text())
    assert "5 of 12 steps are done; there is no receipt yet" in page.text("p")
    assert "is known when it is finished" in page.text("p")


def test_values_that_were_set(call: Call, tiny: Path, tmp_path: Path) -> None:
    call("run", tiny, "--on", "reference", "--set", "steps=6")
    assert call("report", tiny, "-o", tmp_path / "a.html").code == 2
    assert call("report", tiny, "--set", "steps=6", "-o", tmp_path / "a.html").code == 0
    assert "steps=6" in need_closed((tmp_path / "a.html").read_text()).text("code")


def test_no_run(call: Call, tiny: Path, tmp_path: Path) -> None:
    for named in (tiny, tmp_path):
        found = call("report", named, "-o", tmp_path / "a.html")
        assert found.code == 2 and "error[E0890]: there is no run in" in found.err and "help:" in found.err


def test_a_changed_job_or_receipt_is_named(call: Call, run: RunFolder, tmp_path: Path) -> None:
    whole = run.receipt.read_bytes()
    run.receipt.write_bytes(whole[:-1])
    assert "error[E0603]" in call("report", run.path, "-o", tmp_path / "a.html").err
    run.receipt.write_bytes(whole)
    run.job.write_bytes(run.job.read_bytes()[:-1])
    assert "error[E0892]" in call("report", run.path, "-o", tmp_path / "a.html").err


def test_facts_that_say_nothing_are_left_out(call: Call, run: RunFolder, tmp_path: Path) -> None:
    for facts in ("{", "[]", '{"seconds": "<b>", "cpu": 3, "splits": [3, [1], ["a", "b"], [1, 2], [1, 2]]}'):
        run.facts.write_text(facts)
        assert call("report", run.path, "-o", tmp_path / "a.html").code == 0
        need_closed((tmp_path / "a.html").read_text())


