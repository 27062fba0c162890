"""What a launch did that a GPU forbids, or leaves to chance."""

from __future__ import annotations


class Fault(Exception):
    """Says what, and where in the PTX."""
