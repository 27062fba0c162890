"""The version of this program. It is no part of any hash: what can change a result has a version of its own."""

from __future__ import annotations

VERSION = "0.1.0"
