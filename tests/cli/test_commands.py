"""Every command, in one process: what it says, what it does, how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from jobspec.commands.options import plain
from jobspec.ir.codec.receipt import decode_receipt
from jobspec.runtime.safetensors import from_bytes
from tests.cli.conftest import Call

REFERENCE = ("--on", "reference")


def test_help_and_version(call: Call) -> None:
    said = call("--help")
    assert said.code == 0
    names = ("check", "plan", "fmt", "compile", "hash", "run", "verify", "data", "show", "export", "new", "explain")
    for name in names:
        assert f"\n  {name} " in said.out
        assert call(name, "--help").code == 0
    assert call("--version").out.startswith("jobspec, version")


@pytest.mark.parametrize(
    "words", [["data", "nonsense"], ["run"], ["run", "x.job", "--threads", "0"], ["check", "--what"], ["run", "--on"]]
)
def test_wrong_words_are_usage(call: Call, words: list[str]) -> None:
    said = call(*words)
    assert said.code == 2 and said.err.startswith("error[E0804]: ") and "\nhelp: " in said.err


@pytest.mark.parametrize("command", ["check", "hash", "run", "compile", "show", "export", "fmt"])
def test_a_file_that_is_not_there(call: Call, command: str) -> None:
    said = call(command, "nowhere.job")
    assert said.code == 2 and said.err.startswith("error[E0801]") and "help:" in said.err


def test_check(call: Call, tiny: Path) -> None:
    assert call("check", tiny).out == "ok: tiny: 8 parameters, 12 steps of 4 examples\n"
    facts = call("check", tiny, "--json", "--set", "steps=5").json
    assert (facts["ok"], facts["steps"], facts["parameters"], facts["state_bytes"]) == (True, 5, 8, 64)


def test_check_needs_no_data(call: Call, tiny: Path, home: Path) -> None:
    for path in (home / "data").iterdir():
        path.unlink()
    assert call("check", tiny).code == 0


@pytest.mark.parametrize(("sets", "steps"), [(["epochs=3"], 8), (["steps=3", "lr=.1/epoch"], 3)])
def test_epochs_of_data_that_is_not_here(call: Call, tiny: Path, home: Path, sets: list[str], steps: int) -> None:
    """Its number of records, 10 in batches of 4, is part of the job's hash, so there is none."""
    words = [tiny, *(word for pair in sets for word in ("--set", pair))]
    assert call("hash", *words).code == 0 and f" {steps} steps of 4 examples" in call("check", *words).out
    for path in (home / "data").iterdir():
        path.unlink()
    checked = call("check", *words)
    assert checked.code == 0 and "steps unknown before `train` is here" in checked.out
    assert call("check", *words, "--json").json["steps"] is None
    for command in ("hash", "compile", "plan", "run"):
        said = call(command, *words)
        assert said.code == 5 and "error[E0401]: `train` is not here" in said.err and "help: add the data" in said.err


def test_a_job_that_does_not_compile(call: Call, tiny: Path) -> None:
    tiny.write_text(tiny.read_text().replace("x @ w + b", "x @ ww + b"))
    for command in ("check", "run", "hash"):
        said = call(command, tiny)
        assert said.code == 3 and "ww" in said.err and "error[E02" in said.err and "^" in said.err


def test_fmt(call: Call, tiny: Path) -> None:
    assert call("fmt", tiny, "--check").code == 0
    good = tiny.read_text()
    tiny.write_text(good.replace("seed = 3", "seed=3      # why"))
    assert call("fmt", tiny, "--check").code == 1 and "seed=3 " in tiny.read_text()
    said = call("fmt", tiny)
    assert said.code == 0 and str(tiny) in said.out
    assert "seed = 3" in tiny.read_text() and "# why" in tiny.read_text()
    assert call("fmt", tiny).out == ""


def test_hash(call: Call, tiny: Path) -> None:
    plain = call("hash", tiny, *REFERENCE)
    named = call("hash", tiny, *REFERENCE, "--json").json
    assert plain.out == f"job   {named['job']}\nplan  {named['plan']}\n"
    explained = call("hash", tiny, *REFERENCE, "--explain")
    assert "  seed\n" in explained.out and "  step: memory\n" in explained.out
    parts = call("hash", tiny, *REFERENCE, "--explain", "--json").json["parts"]
    assert list(parts["job"])[:3] == ["profile", "seed", "roots"]
    assert len(parts["job"]["seed"]) == len(named["job"])


def test_comments_and_layout_change_no_hash_and_values_do(call: Call, tiny: Path) -> None:
    before = call("hash", tiny, *REFERENCE, "--json").json
    tiny.write_text(tiny.read_text().replace("seed = 3", "# a comment\n  seed = 3;").replace("dim B=4,", "dim B = 4 ,"))
    assert call("hash", tiny, *REFERENCE, "--json").json == before
    for value in ("seed=4", "steps=13", "B=5", "eval.every=3", "save.every=1"):
        after = call("hash", tiny, *REFERENCE, "--json", "--set", value).json
        outside = value.startswith(("eval", "save"))
        assert (after["job"] == before["job"]) == outside
        assert (after["plan"] == before["plan"]) == outside


def test_run_says_where_everything_lies(call: Call, tiny: Path, home: Path) -> None:
    said = call("run", tiny, *REFERENCE)
    assert said.code == 0
    for word in ("step 12/12", "loss", "lr", "eval after step 4: error", "job", "plan", "state", "weights", "receipt"):
        assert f"{word} " in said.out
    assert str(home) in said.out and said.err == ""


def test_run_json(call: Call, tiny: Path) -> None:
    said = call("run", tiny, *REFERENCE, "--json")
    answer = said.json
    assert said.out.count("\n") == 1 and "step 12/12" in said.err
    assert {"job", "plan", "state", "receipt", "weights", "metrics", "steps"} <= set(answer)
    receipt = decode_receipt(Path(answer["receipt"]).read_bytes())
    assert (str(receipt.job), str(receipt.end), receipt.steps) == (answer["job"], answer["state"], answer["steps"])
    tensors, _ = from_bytes(Path(answer["weights"]).read_bytes())
    assert tensors["w"].shape == (3, 2) and set(tensors) == {"w", "b"}
    assert set(answer["metrics"]) == {"error"} and 0 < answer["metrics"]["error"] < 1


def test_a_known_result_and_again(call: Call, tiny: Path) -> None:
    first = call("run", tiny, *REFERENCE, "--json").json
    known = call("run", tiny, *REFERENCE, "--json").json
    assert (first["known"], known["known"]) == (False, True)
    assert {**known, "known": False} == first
    assert "known already" in call("run", tiny, *REFERENCE).out
    again = call("run", tiny, *REFERENCE, "--json", "--again").json
    assert again == first


def test_a_known_result_needs_no_data(call: Call, tiny: Path, home: Path) -> None:
    assert call("run", tiny, *REFERENCE).code == 0
    for path in (home / "data").iterdir():
        path.unlink()
    assert call("run", tiny, *REFERENCE, "--json").json["known"]
    assert call("run", tiny, *REFERENCE, "--again").code == 5


def test_until_and_on(call: Call, tiny: Path) -> None:
    stopped = call("run", tiny, *REFERENCE, "--until", 5)
    assert stopped.code == 0 and "stopped after step 5 of 12" in stopped.out
    part = call("run", tiny, *REFERENCE, "--until", 7, "--json").json
    assert (part["steps"], part["receipt"], part["weights"]) == (7, None, None)
    whole = call("run", tiny, *REFERENCE, "--json").json
    assert whole["steps"] == 12
    other = call("run", tiny, *REFERENCE, "--again", "--json").json
    assert (other["state"], other["job"]) == (whole["state"], whole["job"])


def test_llvm_and_reference_come_to_one_receipt(call: Call, tiny: Path) -> None:
    reference = call("run", tiny, *REFERENCE, "--json").json
    receipt = Path(reference["receipt"]).read_bytes()
    for threads in (1, 2):
        native = call("run", tiny, "--json", "--again", "--threads", threads).json
        assert Path(native["receipt"]).read_bytes() == receipt
        assert native["plan"] != reference["plan"] and native["state"] == reference["state"]
    assert call("verify", native["receipt"]).out.splitlines()[-4].startswith("ACCEPT")


def test_set_makes_another_job(call: Call, tiny: Path) -> None:
    plain = call("run", tiny, *REFERENCE, "--json").json
    other = call("run", tiny, *REFERENCE, "--json", "--set", "steps=5", "--set", "lr=.05").json
    assert other["steps"] == 5 and other["job"] != plain["job"] and other["receipt"] != plain["receipt"]


def test_the_run_keeps_its_text_and_what_was_set(call: Call, tiny: Path) -> None:
    said = call("run", tiny, *REFERENCE, "--json", "--set", "steps=5", "--set", "train.lr=.05").json
    folder = Path(said["receipt"]).parent
    assert json.loads((folder / "set.json").read_text()) == ["steps=5", "train.lr=.05"]
    kept = (folder / "text.job").read_text()
    assert kept == tiny.read_text().replace("steps = 12", "steps = 5").replace(".1 * (1 - step/steps)", ".05")
    assert call("hash", folder / "text.job", *REFERENCE, "--json").json["job"] == said["job"]


@pytest.mark.parametrize(
    ("pair", "code"),
    [("stepz=5", "E0813"), ("steps", "E0813"), ("=5", "E0813"), ("steps=1; seed=2", "E0814"), ("eval.on=x{", "E0814")],
)
def test_set_that_sets_nothing(call: Call, tiny: Path, pair: str, code: str) -> None:
    said = call("run", tiny, "--set", pair)
    assert said.code == 2 and f"[{code}]" in said.err and "help:" in said.err


def test_set_to_nonsense_shows_the_changed_text(call: Call, tiny: Path) -> None:
    said = call("check", tiny, "--set", "steps=1 +* 2")
    assert said.code == 3 and "steps = 1 +* 2" in said.err


def test_missing_data(call: Call, tiny: Path, home: Path) -> None:
    for path in (home / "data").glob("*.manifest"):
        path.unlink()
    said = call("run", tiny, *REFERENCE)
    assert said.code == 5 and "error[E0401]" in said.err and "data add" in said.err


def test_a_changed_shard(call: Call, tiny: Path, home: Path) -> None:
    shard = max((p for p in (home / "data").iterdir() if p.suffix == ""), key=lambda p: p.stat().st_size)
    data = bytearray(shard.read_bytes())
    data[9] ^= 0x10
    shard.write_bytes(data)
    said = call("run", tiny, *REFERENCE)
    assert said.code == 5 and str(shard) in said.err and "error[E0404]" in said.err


def test_nan_in_training(call: Call, tiny: Path) -> None:
    said = call("run", tiny, *REFERENCE, "--set", "lr=1e30")
    assert said.code == 1 and "error[E0502]" in said.err and "became non-finite at step" in said.err


def test_verify(call: Call, tiny: Path) -> None:
    receipt = Path(call("run", tiny, *REFERENCE, "--json").json["receipt"])
    said = call("verify", receipt, *REFERENCE)
    assert said.code == 0 and "\nACCEPT\n" in said.out
    assert call("verify", receipt.parent, *REFERENCE, "--json").json["verdict"] == "ACCEPT"
    said = call("verify", tiny, *REFERENCE)
    assert said.code == 2 and "error[E0812]" in said.err and "jobspec run" in said.err
    data = bytearray(receipt.read_bytes())
    data[data.index(b"chain") + 10] ^= 1
    receipt.write_bytes(data)
    said = call("verify", receipt, *REFERENCE)
    assert said.code == 4 and "REJECT" in said.out and "`chain`" in said.out
    said = call("verify", receipt, *REFERENCE, "--challenge", "ab" * 32)
    assert said.code == 2 and "error[E0843]: `--challenge abababab…`" in said.err and "--sample K" in said.err
    receipt.write_bytes(data[:-1])
    assert call("verify", receipt, *REFERENCE, "--json").json["verdict"] == "MALFORMED"
    for words in (("trace", receipt, "--step", 1), ("report", receipt.parent)):
        said = call(*words)
        assert said.code == 5 and f"error[E0603]: {receipt} is not a receipt" in said.err and "help:" in said.err


def test_verify_a_receipt_alone(call: Call, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    receipt = Path(call("run", tiny, *REFERENCE, "--json").json["receipt"])
    alone = tmp_path / "alone.cbor"
    alone.write_bytes(receipt.read_bytes())
    data = tmp_path / "home" / "data"
    monkeypatch.setenv("JOBSPEC_HOME", str(tmp_path / "empty"))
    said = call("verify", alone, *REFERENCE)
    assert said.code == 5 and "UNVERIFIABLE" in said.out and "--job" in said.out
    assert call("verify", alone, *REFERENCE, "--job", tiny).code == 5
    assert call("verify", alone, *REFERENCE, "--job", tiny, "--data", data).code == 0


def test_verify_what_is_not_there(call: Call) -> None:
    said = call("verify", "nowhere")
    assert said.code == 2 and "error[E0812]" in said.err


@pytest.mark.parametrize(
    "words", [("verify",), ("trace", "--step", 1), ("dispute", "."), ("sign", "--key", "me.pem")], ids=lambda w: w[0]
)
@pytest.mark.parametrize("kind", ["job", "plan"])
def test_a_job_is_no_receipt(call: Call, tiny: Path, words: tuple[object, ...], kind: str) -> None:
    path = tiny.with_suffix(f".{kind}")
    path.touch()
    said = call(words[0], path, *words[1:])
    assert said.code == 2 and f"error[E0812]: {path} is a {kind}" in said.err and f"`jobspec run {path}`" in said.err


@pytest.mark.parametrize("name", ["notes.txt", "nowhere"])
def test_trace_of_what_is_no_run(call: Call, tiny: Path, name: str) -> None:
    (tiny.parent / "notes.txt").write_text("of a run's folder")
    said = call("trace", tiny.parent / name, "--step", 1)
    assert said.code == 2 and "error[E0812]" in said.err and str(tiny.parent / name) in said.err


def test_compile_and_run_the_plan(call: Call, tiny: Path, tmp_path: Path) -> None:
    said = call("compile", tiny, "--json", "-o", tmp_path / "t.plan").json
    hashes = call("hash", tiny, "--json").json
    assert {"job": said["job"], "plan": said["plan"]} == hashes
    run = call("run", tmp_path / "t.plan", "--json").json
    assert (run["job"], run["plan"]) == (hashes["job"], hashes["plan"])
    assert call("run", tiny, "--json").json["known"]
    assert call("run", tmp_path / "t.plan", "--set", "steps=3").code == 2
    assert "error[E0819]" in call("run", tmp_path / "t.plan", "--set", "steps=3").err
    assert call("compile", tiny).code == 0 and tiny.with_suffix(".plan").exists()


def test_a_plan_file_runs_on_its_own_backend_alone(call: Call, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.plan"
    call("compile", tiny, *REFERENCE, "-o", path)
    said = call("run", path, "--on", "llvm", "--until", 1)
    assert said.code == 2 and "error[E0820]" in said.err
    assert "is for `reference`, and `llvm` is asked for" in said.err and "compile its job with `--on llvm`" in said.err
    assert call("run", path, "--until", 1).code == call("run", path, *REFERENCE, "--until", 1).code == 0


def test_a_plan_file_is_not_trusted(call: Call, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.plan"
    call("compile", tiny, *REFERENCE, "-o", path)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:-1])
    said = call("run", path, "--no-sandbox")
    assert said.code == 3 and "error[E0601]" in said.err
    place = data.rindex(b"arena") + 7
    data[place] ^= 0x40
    path.write_bytes(data)
    said = call("run", path, "--no-sandbox")
    assert said.code == 3 and ("error[E0602]" in said.err or "error[E0601]" in said.err)


@pytest.mark.parametrize("view", ["--params", "--axes", "--ir", "--kernels", "--schedule", "--memory", None])
def test_show(call: Call, tiny: Path, view: str | None) -> None:
    said = call("show", tiny, *([view] if view else []))
    assert said.code == 0
    wanted = {
        "--params": "X=3 Y=2",
        "--axes": "X ",
        "--ir": "# step",
        "--kernels": "(",
        "--schedule": "call 0",
        "--memory": "arena",
        None: "tiny: a line through points",
    }
    assert wanted[view] in said.out


def test_export(call: Call, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.safetensors"
    said = call("export", tiny, "-o", path)
    assert said.code == 1 and "error[E0509]" in said.err
    call("run", tiny, *REFERENCE, "--until", 5)
    assert call("export", tiny, "-o", path, "--json").json == {"file": str(path), "step": 5}
    run = call("run", tiny, *REFERENCE, "--json").json
    assert "after step 12" in call("export", tiny, "-o", path).out
    assert path.read_bytes() == Path(run["weights"]).read_bytes()
    said = call("export", tiny, "-o", path, "--best", "eval")
    assert said.code == 2 and "error[E0846]" in said.err and "`best = min(METRIC)`" in said.err


def test_export_of_the_best(call: Call, tiny: Path, tmp_path: Path) -> None:
    tiny.write_text(tiny.read_text().replace("every = 4", "every = 4; best = min(error)"))
    assert call("export", tiny, "--best", "eval").code == 1
    call("run", tiny, *REFERENCE)
    assert call("export", tiny, "-o", tmp_path / "best", "--best", "eval", "--json").json["step"] in (4, 8, 12)
    said = call("export", tiny, "--best", "error")
    assert said.code == 2 and "error[E0846]" in said.err and "those that do: eval" in said.err


def test_explain(call: Call) -> None:
    said = call("explain", "e0502")
    assert said.code == 0 and said.out.startswith("E0502: ")
    said = call("explain", "E9999")
    assert said.code == 2 and "error[E0802]" in said.err and "help:" in said.err


def test_data(call: Call, tmp_path: Path, home: Path) -> None:
    assert "no data sets" in call("data", "ls").out
    np.savez(tmp_path / "points.npz", x=np.ones((4, 3), "<f4"), y=np.arange(4, dtype="u1"))
    said = call("data", "add", tmp_path / "points.npz")
    assert said.code == 0 and said.out.startswith("dim X=3\ndata points = table(b3:") and "x=f32[X], y=u8" in said.out
    assert "4 records" in call("data", "ls").out and said.out.splitlines()[-1] in call("data", "ls").out
    assert call("data", "ls", "--json").json["sets"][0]["names"] == ["points"]
    assert call("data", "verify").out.startswith("ok: b3:") and call("data", "verify", "points").code == 0
    shard = max((p for p in (home / "data").iterdir() if p.suffix == ""), key=lambda p: p.stat().st_size)
    good = shard.read_bytes()
    shard.write_bytes(good[:-1] + b"\0")
    said = call("data", "verify")
    assert said.code == 5 and str(shard) in said.err
    shard.write_bytes(good)
    assert "[E0401]" in (said := call("data", "rm", "point").err) and "did you mean `points`?" in said
    assert call("data", "rm", "points").code == 0
    assert "no data sets" in call("data", "ls").out
    assert call("data", "rm", "points").code == 5 and call("data", "verify", "b3:12345678").code == 5


def test_data_add_refuses(call: Call, tmp_path: Path) -> None:
    assert call("data", "add", tmp_path / "none.npy").code == 5
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3\n")
    said = call("data", "add", path)
    assert said.code == 5 and "error[E0413]" in said.err
    for word, meant in (("a", "a=u8"), ("f32", "x=f32"), ("y=", "y=u8"), ("=f32", "y=f32")):
        said = call("data", "add", path, "--dtype", word)
        assert said.code == 2 and f"error[E0815]: `--dtype {word}`" in said.err and f"`--dtype {meant}`" in said.err
    assert call("data", "ls").out.startswith("no data sets")


def test_data_add_json(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("abcabcabc\n")
    added = call("data", "add", path, "--split", ".8", "--json").json["added"]
    assert [entry["name"] for entry in added] == ["words_train", "words_val"]
    assert added[0]["line"].startswith("data words_train = tokens(b3:") and added[0]["records"] == 8
    assert [entry["axes"] for entry in added] == ["dim V=4"] * 2


def test_an_unexpected_error_is_a_bug_and_says_so(
    call: Call, tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def broken(*_: object, **__: object) -> None:
        raise KeyError("inside")

    monkeypatch.setattr("jobspec.commands.check.facts_of", broken)
    said = call("check", tiny)
    assert said.code == 1 and "bug in jobspec" in said.err and "'inside'" in said.err
    report = next(tmp_path.glob("jobspec-bug-*"))
    assert str(report) in said.err and "Traceback" in report.read_text()


def test_numbers_that_json_does_not_have() -> None:
    assert json.dumps(plain({"a": float("nan"), "b": [float("inf"), 1.5], "c": Path("x")})) == (
        '{"a": null, "b": [null, 1.5], "c": "x"}'
    )


def test_inline_prints_or_writes_the_same_job(call: Call, tiny: Path, tmp_path: Path) -> None:
    text = tiny.read_text().replace("dim B", "import std.optim\ndim B", 1)
    text = text.replace("by sgd(lr)", "by optim.momentum(lr, .5)")
    tiny.write_text(text)
    before = call("hash", tiny, *REFERENCE, "--json").json["job"]
    printed = call("fmt", "--inline", tiny)
    assert printed.code == 0 and "import" not in printed.out and "optim momentum(" in printed.out
    closed = tiny.parent / "closed.job"
    assert call("fmt", "--inline", tiny, "-o", closed).out == ""
    assert closed.read_text() == printed.out and tiny.read_text() == text
    assert call("hash", closed, *REFERENCE, "--json").json["job"] == before


@pytest.mark.parametrize("words", [("--inline", "--check"), ("-o", "x.job")])
def test_inline_options_that_do_not_go_together(call: Call, tiny: Path, words: tuple[str, ...]) -> None:
    said = call("fmt", *words, tiny)
    assert said.code == 2 and "[E0821]" in said.err
