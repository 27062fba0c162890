"""Adapters alone learn."""

from __future__ import annotations

from tests.oracle.models.pretrained import loss
from tests.oracle.recipe import Model, warmup_cosine

FROZEN = ("emb", "n?.g", "attention.w?", "mlp.w?")
MODEL = Model(loss, warmup_cosine(20, 1e-2), decay=0.01, decayed=("*",), frozen=FROZEN)
