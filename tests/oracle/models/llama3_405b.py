"""Llama 3 405B, made small: the first of its ten phases."""

from __future__ import annotations

from tests.oracle.llama import model

MODEL = model(300)
