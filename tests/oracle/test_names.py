"""Exported weights in Hugging Face's `transformers`: equal logits; and the way back, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobspec import api
from jobspec.backends.reference.evaluate import evaluate
from jobspec.cli import exit_code
from jobspec.ir.digest import Digest
from jobspec.ir.errors import UsageError
from jobspec.ir.job import Job
from jobspec.ir.program import Program, order
from jobspec.lang.assigned import assignments
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.runtime.export import model_slots
from jobspec.runtime.foreign import matched, table
from jobspec.runtime.safetensors import from_bytes
from jobspec.store.home import Home
from jobspec.store.shards import write_tokens

torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[oracle]'")
pytestmark = pytest.mark.oracle
SPECS = Path(__file__).parents[2] / "specs"

SIZES = "L=2 V=50 T=8 B=4 train.steps=2 train.shards=1 train.compute=f32 eval.steps=1"
GROUPS = "D=48 G=2 R=3 K=4 F=32 train.lr=.02"


@dataclass(frozen=True)
class Case:
    """A shipped job made small. `net`: its scores, as an evaluation calls them. `documents`: places see those of their
    own document only."""

    job: str
    names: str
    net: str
    sets: str
    documents: bool = False


#: R is 3, so a key serves three queries, and heads times their size are half the width
CASES = {
    "gpt2": Case("gpt2_124m", "gpt2", "gpt(batch.tok)", "D=32 H=4 eval.B=4 train.lr=.02 run.mesh=[dp=4]"),
    "llama": Case("llama3_8b", "llama", "llama(batch.tok, batch.pos, batch.doc)", GROUPS, True),
    "tied": Case("pretrained", "llama", "net(batch.tok)", GROUPS),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("names"))
    tokens = np.random.default_rng(2).integers(0, 50, 400).astype("<u2")
    (home.folder / "root").write_text(str(write_tokens(home.data(), tokens).root))
    return home


def text_of(case: Case) -> str:
    """Its evaluation says the mean of all scores instead of the loss."""
    before, _, after = (SPECS / f"{case.job}.job").read_text().rpartition("loss = objective(batch)")
    return f"{before}out = mean[B T V]({case.net}){after}"


def spec(name: str, home: Home) -> api.Spec:
    case, root = CASES[name], (home.folder / "root").read_text()
    data = f"tokens({root}, u16, end=10)" if case.documents else root
    sizes = assignments(f"{SIZES} {case.sets}".split())
    return api.load(text_of(case), home=home.folder, **sizes, **{"data.train": data, "data.val": data})


def logits(job: Job, weights: dict[str, Any], tokens: Any) -> Any:
    """What the metric `out` is the mean of."""
    program = job.evaluations[0].program
    (node,) = [n.args[0] for n in order(program.results) if n.op == "sum" and n.args[0].shape == (4, 8, 50)]
    inputs = {n["name"] for n in program.inputs}
    places = {"batch.pos": np.tile(np.arange(8, dtype=np.int32), (4, 1)), "batch.doc": np.zeros((4, 8), np.int32)}
    given = {k: v for k, v in {**weights, **places, "batch.tok": tokens}.items() if k in inputs}
    return evaluate(Program(program.inputs, (("logits", node),)), given)["logits"]


def configuration(name: str) -> Any:
    transformers = pytest.importorskip("transformers", reason="Hugging Face's transformers: pip install transformers")
    if name == "gpt2":
        return transformers.GPT2LMHeadModel, transformers.GPT2Config(
            vocab_size=50, n_positions=8, n_embd=32, n_layer=2, n_head=4
        )
    tied = name == "tied"
    return transformers.LlamaForCausalLM, transformers.LlamaConfig(
        vocab_size=50, hidden_size=48, intermediate_size=32, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, head_dim=4, max_position_embeddings=8, rms_norm_eps=1e-6 if tied else 1e-5,
        tie_word_embeddings=tied,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0 if tied else 500000.0},
    )  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")
def test_transformers_computes_the_same_logits(name: str, home: Home, tmp_path: Path) -> None:
    found = spec(name, home)
    run = api.run(found, home=home.folder)
    kind, config = configuration(name)
    config.save_pretrained(tmp_path)
    api.export(found, tmp_path / "model.safetensors", names=CASES[name].names, home=home.folder)
    model, told = kind.from_pretrained(tmp_path, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"] and not told["mismatched_keys"]
    tokens = np.random.default_rng(7).integers(0, 50, (4, 8)).astype(np.uint16)
    with torch.no_grad():
        theirs = model.eval()(torch.tensor(tokens.astype(np.int64))).logits.numpy()
    ours = logits(found.job, run.weights, tokens)
    assert np.abs(ours).max() > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_the_way_back_is_exact(
    name: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = spec(name, home)
    run = api.run(found, home=home.folder)
    file, job = tmp_path / "theirs.safetensors", tmp_path / "small.job"
    api.export(found, file, names=CASES[name].names, home=home.folder)
    job.write_text(found.text or "")
    monkeypatch.setenv("JOBSPEC_HOME", str(home.folder))
    assert exit_code(["weights", "add", str(file), "--names", CASES[name].names, "--for", str(job)]) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith("start = b3:")
    back = from_bytes(home.data().get(Digest.parse(line.removeprefix("start = "))))[0]
    assert list(back) == list(run.weights)
    for key, value in run.weights.items():
        assert back[key].shape == value.shape and back[key].tobytes() == value.tobytes(), key
    again = api.load(
        (found.text or "").replace("seed = ", f"{line}\n  seed = ", 1), home=home.folder, **{"train.lr": 0}
    )
    still = api.run(again, home=home.folder)
    assert {name: x.tobytes() for name, x in still.weights.items()} == {n: x.tobytes() for n, x in run.weights.items()}


@pytest.mark.parametrize(
    ("shipped", "name"),
    [("gpt2_124m", "gpt2"), *((f"llama3_{size}", "llama") for size in ("8b", "70b", "405b")), ("pretrained", "llama")],
)
def test_shipped_jobs_have_their_names(shipped: str, name: str) -> None:
    slots = model_slots(load(Source.read(SPECS / f"{shipped}.job")))
    assert {s.name for _, held in matched(table(name), slots, name) for s in held} == {s.name for s in slots}


def test_names_that_do_not_fit(home: Home, tmp_path: Path) -> None:
    found = spec("llama", home)
    api.run(found, home=home.folder)
    for name, code in (("gpt2", "E0842"), ("mistral", "E0841")):
        with pytest.raises(UsageError, match=code):
            api.export(found, tmp_path / "x", names=name, home=home.folder)
