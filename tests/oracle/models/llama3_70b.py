"""Llama 3 70B, made small."""

from __future__ import annotations

from tests.oracle.llama import model

MODEL = model()
