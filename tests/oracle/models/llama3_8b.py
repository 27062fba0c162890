"""Llama 3 8B, made small."""

from __future__ import annotations

from tests.oracle.llama import model

MODEL = model()
