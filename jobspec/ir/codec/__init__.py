"""Canonical bytes of jobs, plans and receipts, and their digests."""
