"""`start = …`: a run that begins with weights in the store; exported weights come back exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from jobspec import api
from jobspec.cli import exit_code
from jobspec.ir.codec.job import decode_job, encode_job, job_hash
from jobspec.ir.digest import Digest, blob_digest
from jobspec.ir.errors import DataError, JobspecError
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.runtime.course import Course
from jobspec.runtime.safetensors import from_bytes
from jobspec.runtime.start import Weights
from jobspec.store.home import Home
from jobspec.store.shards import write_table

TEXT = """job j
import std.optim
import std.nn
dim B=4, X=3, Y=2, L=2
data d = table(ROOT, x=f32[X], y=u8)
layer net(x) {
  param w: X -> X' ~ normal(.5), v: X -> Y ~ normal(.5)
  x = a:nn.batch_norm[X B]((x @ w)[X'->X])
  repeat L { param u: X ~ normal(1)
    x = x*u }
  x @ v
}
train { seed = SEED; steps = 3; batch = shuffle(d); roots = 1
  START
  loss = mean[B](net(batch.x)[Y: batch.y])
  update all by optim.momentum(.05)
  average matrices by optim.ema(.5)
}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home, random = Home(tmp_path_factory.mktemp("start")), np.random.default_rng(1)
    x, y = random.normal(size=(20, 3)).astype("<f4"), random.integers(0, 2, 20).astype("u1")
    (home.folder / "root").write_text(str(write_table(home.data(), {"x": x, "y": y}).root))
    return home


def spec(home: Home, start: str = "", seed: int = 1, edits: tuple[tuple[str, str], ...] = ()) -> api.Spec:
    text = TEXT.replace("ROOT", (home.folder / "root").read_text()).replace("SEED", str(seed))
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return api.load(text.replace("START", f"start = {start}" if start else ""), home=home.folder)


@pytest.fixture(scope="module")
def trained(home: Home) -> tuple[api.Run, str]:
    """A finished run, and the hash of its weights in the store."""
    run = api.run(spec(home), home=home.folder)
    path = home.folder / "w.safetensors"
    api.export(spec(home), path, home=home.folder)
    return run, str(home.data().put_file(path))


def begun(found: api.Spec, home: Home) -> dict[str, np.ndarray]:
    """The state before the first step."""
    compiled = api.compile(found, home=home.folder).compiled
    session = compiled.open(1, home.cache)
    try:
        data = api.open_data(found, home)
        course = Course(found.job, compiled.job_hash, compiled.plan, session, data, Weights(home))
        course.begin()
        return dict(course.state())
    finally:
        session.close()


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.tobytes() == b.tobytes() and a.shape == b.shape


def test_the_way_out_and_in_again_is_exact(home: Home, trained: tuple[api.Run, str]) -> None:
    run, weights = trained
    for root in (weights, weights[:15], run.state):
        state = begun(spec(home, root, seed=5), home)
        for name, value in run.weights.items():
            assert same(state[name], value), name
        assert same(state["w/average"], run.weights["w"])
        assert not state["w/m"].any()


def test_renames_and_what_is_fresh(home: Home, trained: tuple[api.Run, str]) -> None:
    run, weights = trained
    edits = (("a:nn", "norm:nn"), ("param u:", "param k:"), ("x*u", "x*k"))
    found = spec(home, f'load({weights}, "a.*" -> "norm.*", "u" -> "k", fresh=["v"])', 5, edits)
    state, own = begun(found, home), begun(spec(home, seed=5, edits=edits), home)
    assert same(state["norm.mu"], run.weights["a.mu"]) and same(state["k"], run.weights["u"])
    assert same(state["v"], own["v"]) and not same(state["v"], run.weights["v"])
    assert ("k", "u") in found.job.start.tensors


def test_frozen_weights_stay(home: Home, trained: tuple[api.Run, str]) -> None:
    run, weights = trained
    edits = (("update all by", 'freeze w\n update v, u, "a.*" by'),)
    after = api.run(spec(home, weights, 5, edits), home=home.folder)
    assert same(after.weights["w"], run.weights["w"]) and not same(after.weights["v"], run.weights["v"])


def test_the_job_holds_the_hash(home: Home, trained: tuple[api.Run, str]) -> None:
    run, weights = trained
    one = spec(home, weights).job
    assert decode_job(encode_job(one)) == one and one.start.root == weights
    assert job_hash(spec(home, weights[:20]).job) == job_hash(one)
    assert len({str(job_hash(spec(home, s).job)) for s in ("", weights, run.state)}) == 3


@pytest.mark.parametrize("on", ["llvm", "reference"])
def test_verify_begins_with_the_same_weights(home: Home, trained: tuple[api.Run, str], on: str) -> None:
    run = api.run(spec(home, trained[1], 7), home=home.folder)
    assert api.verify(run.receipt, on, home=home.folder).accepted


def test_weights_that_are_gone_cannot_be_verified(home: Home, trained: tuple[api.Run, str]) -> None:
    data = bytearray(home.data().get(Digest.parse(trained[1])))
    data[-1] ^= 1
    name = home.data().put(bytes(data))
    run = api.run(spec(home, str(name), 8), home=home.folder)
    home.data().remove(name)
    verdict = api.verify(run.receipt, home=home.folder)
    assert not verdict.accepted and "weights" in str(verdict)


def test_half_precision_is_widened(home: Home) -> None:
    torch = pytest.importorskip("torch")
    files = pytest.importorskip("safetensors.torch")
    random = torch.manual_seed(3)
    shapes = {"w": (3, 3), "v": (3, 2), "u": (2, 3)}
    kinds = {"w": torch.bfloat16, "v": torch.float16, "u": torch.float32}
    given = {name: torch.randn(shape, generator=random).to(kinds[name]) for name, shape in shapes.items()}
    name = home.data().put(files.save(given))
    state = begun(spec(home, f'load({name}, fresh="a.*")'), home)
    for key, value in given.items():
        np.testing.assert_array_equal(state[key], value.float().numpy())


def test_averages_are_exported(home: Home, trained: tuple[api.Run, str], tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    api.export(spec(home), path, average=True, home=home.folder)
    weights = from_bytes(path.read_bytes())[0]
    assert weights.keys() == trained[0].weights.keys()
    assert not same(weights["w"], trained[0].weights["w"]) and same(weights["u"], trained[0].weights["u"])
    with pytest.raises(JobspecError, match="E0840"):
        api.export(spec(home, edits=(("average matrices by optim.ema(.5)", ""),)), path, average=True, home=home.folder)


@pytest.mark.parametrize(
    ("start", "edits", "code"),
    [
        ('load(W, "v" -> "u")', (), "E0352"),
        ("W", (("Y=2", "Y=5"), ("y=u8", "y=u8")), "E0352"),
        ("W", (("param u:", "param k:"), ("x*u", "x*k")), "E0351"),
    ],
)
def test_what_does_not_fit_is_refused(
    home: Home, trained: tuple[api.Run, str], start: str, edits: tuple[tuple[str, str], ...], code: str
) -> None:
    with pytest.raises(DiagnosticsError) as caught:
        spec(home, start.replace("W", trained[1]), edits=edits)
    assert {d.code for d in caught.value.diagnostics} == {code}


def test_weights_that_are_not_here(home: Home) -> None:
    absent = "b3:" + "1" * 64
    assert spec(home, absent).job.start.root == absent
    with pytest.raises(DataError, match="E0440"):
        api.run(spec(home, absent), home=home.folder)
    with pytest.raises(DataError, match="E0440"):
        api.run(spec(home, absent[:20]), home=home.folder)
    text = str(home.data().put(b"no weights at all"))
    with pytest.raises(DataError, match="E0442"):
        spec(home, text)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("w", np.zeros((3, 2), "f4"), "its `w` is [3, 2], and `w` of the job is [3, 3]"),
        ("u", None, "it has no `u`, and `u` of the job is [2, 3]"),
        ("v", np.full((3, 2), np.nan, "f4"), "element [0, 0] is nan"),
    ],
)
def test_weights_that_come_after_the_plan(home: Home, tmp_path: Path, name: str, value: object, words: str) -> None:
    """The job was compiled where they were not; its plan runs where they are, and they are others than it takes."""
    given = {"w": np.zeros((3, 3), "f4"), "v": np.zeros((3, 2), "f4"), "u": np.zeros((2, 3), "f4"), name: value}
    file = tmp_path / "w.safetensors"
    save_file({name: array for name, array in given.items() if array is not None}, file)
    root = blob_digest(file.read_bytes())
    program = api.compile(spec(home, f'load({root}, fresh="a.*")'), on="reference", home=home.folder)
    home.data().put_file(file)
    with pytest.raises(DataError) as caught:
        api.run(program, home=home.folder)
    assert caught.value.code == "E0441" and words in caught.value.reason and str(root) in caught.value.reason
    assert caught.value.help


def test_the_command(home: Home, trained: tuple[api.Run, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                     capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setenv("JOBSPEC_HOME", str(tmp_path))
    file = home.folder / "w.safetensors"
    assert exit_code(["weights", "add", str(file)]) == 0
    assert capsys.readouterr().out == f"start = {blob_digest(file.read_bytes())}\n"
    for what in (str(file), trained[1][:20]):
        assert exit_code(["weights", "show", what]) == 0
        assert "u  2 × 3\n" in capsys.readouterr().out
    (tmp_path / "x").write_bytes(b"nothing")
    assert exit_code(["weights", "add", str(tmp_path / "x")]) == 5
    assert exit_code(["weights", "show", "b3:" + "1" * 64]) == 5
