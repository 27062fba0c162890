"""What a signature says: an in-toto statement about a receipt's bytes.

Takes: a receipt's bytes. Promises: one JSON text for equal bytes; the subject is the file's SHA-256 and BLAKE3,
so that tools that know nothing of jobs can log and look up the statement; the predicate repeats the receipt's
fields as text.
Form: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from jobspec.ir.codec.receipt import Receipt, decode_receipt
from jobspec.ir.digest import blob_digest

TYPE = "https://in-toto.io/Statement/v1"
#: what the predicate is, by name; nothing lies at an address of it
PREDICATE = "tag:jobspec,2026:receipt/v1"
#: the payload's type in the envelope
PAYLOAD = "application/vnd.in-toto+json"


def statement(data: bytes) -> bytes:
    """The statement about the receipt `data`. Raises ReceiptFormatError."""
    digests = {"blake3": blob_digest(data).hex, "sha256": sha256(data).hexdigest()}
    about: dict[str, Any] = {
        "_type": TYPE,
        "subject": [{"name": "receipt.cbor", "digest": digests}],
        "predicateType": PREDICATE,
        "predicate": predicate(decode_receipt(data)),
    }
    return json.dumps(about, sort_keys=True, separators=(",", ":")).encode()


def predicate(receipt: Receipt) -> dict[str, Any]:
    """The receipt's fields, digests as text."""
    return {
        "job": str(receipt.job),
        "profile": receipt.profile,
        "data": [str(root) for root in receipt.data],
        "start": str(receipt.start),
        "end": str(receipt.end),
        "steps": receipt.steps,
        "chain": str(receipt.chain),
        "closed": receipt.closed,
    }
