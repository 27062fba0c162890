"""The job of a text that was read before.

Takes: a text, values set in it, what reading may ask the store. Promises: what is recalled is what reading the text
gives, but for places in the text and how a mesh would cut it, which no run on one machine needs. Its key is made of the
text, the values, and the sources of whatever reads jobs; it counts only as long as the store answers as it did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jobspec.backends.kept import Kept, sources
from jobspec.ir.canonical import CanonicalError, Value, encode, reread
from jobspec.ir.check import IllFormed
from jobspec.ir.codec.job import encode_job, read_job
from jobspec.ir.codec.values import keys
from jobspec.ir.digest import Digest, blob_digest, digest_value
from jobspec.ir.job import Job
from jobspec.ir.ops import IllTyped
from jobspec.ir.record import Record, RecordError, as_array
from jobspec.ir.text_parser import TextError

#: where everything lies that has a part in what a text means
READERS = ("ir/**/*.py", "lang/**/*.py", "loading.py", "remembered.py", "std/*.job", "*.lark", "*.toml")
KEYS = keys("text job answers")

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Questions:
    """What reading a text may ask. `catalog`: root → records of a data set; `fetch`: hash → bytes of a file;
    `weights`: root → shape by name."""

    catalog: Callable[[str], int | None]
    fetch: Callable[[str], bytes | None]
    weights: Callable[[str], Shapes | None]

    def answer(self, kind: str, name: str) -> Value:
        """As it is kept."""
        if kind == "catalog":
            return self.catalog(name)
        if kind == "fetch":
            data = self.fetch(name)
            return None if data is None else blob_digest(data).raw
        shapes = self.weights(name)
        return None if shapes is None else [[name, list(shape)] for name, shape in shapes.items()]


@dataclass
class Listening:
    """The same questions; `heard`: the kind and the name of each that was asked."""

    questions: Questions
    heard: dict[tuple[str, str], None] = field(default_factory=dict)

    def catalog(self, root: str) -> int | None:
        self.heard["catalog", root] = None
        return self.questions.catalog(root)

    def fetch(self, name: str) -> bytes | None:
        self.heard["fetch", name] = None
        return self.questions.fetch(name)

    def weights(self, root: str) -> Shapes | None:
        self.heard["weights", root] = None
        return self.questions.weights(root)

    def answers(self) -> list[Value]:
        return [[kind, name, self.questions.answer(kind, name)] for kind, name in self.heard]


def key_of(text: str, values: Mapping[str, str]) -> Digest:
    return digest_value("job.text.key", [sources(*READERS).raw, text, [[n, v] for n, v in values.items()]])


def remember(kept: Kept, key: Digest, text: str, job: Job, answers: list[Value]) -> None:
    """`text`: what was read, values set."""
    kept.keep(key, encode({"text": text, "job": encode_job(job), "answers": answers}))


def recalled(kept: Kept, key: Digest, questions: Questions) -> tuple[str, Job] | None:
    """The text with the values set in it, and its job; None where it has to be read."""
    stored = kept.recall(key)
    if stored is None:
        return None
    try:
        record = Record(reread(stored), "a kept job", KEYS)
        text, job = record.text("text"), record.get("job")
        same = all(holds(questions, answer) for answer in record.array("answers"))
        return (text, read_job(reread(job))) if same and isinstance(job, bytes) else None
    except (CanonicalError, RecordError, TextError, IllTyped, IllFormed):
        return None


def holds(questions: Questions, answer: Value) -> bool:
    """Whether the store says now what it said then."""
    kind, name, said = as_array(answer, "an answer", 3)
    return questions.answer(str(kind), str(name)) == said
