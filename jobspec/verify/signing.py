"""Signatures under receipts: DSSE envelopes, made and checked by the library of the in-toto and TUF projects.

Takes: a receipt's file, a key in PEM. Promises: the envelope holds the statement about these very bytes and
nothing else is taken for it; without the library, or with a key of another kind, one line says so.
Needs the extra `sign`.
Form: https://github.com/secure-systems-lab/dsse
"""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from jobspec.ir.errors import UsageError
from jobspec.store.files import FileLayer, explained, write_file
from jobspec.verify.claims import no_receipt
from jobspec.verify.statement import PAYLOAD, statement

PAIR = "`openssl genpkey -algorithm ed25519 -out me.pem`, then `openssl pkey -in me.pem -pubout -out me.pub`"
LIMIT = 1 << 20
BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")


class NotSigned(Exception):
    """The envelope is not a signature of the key under the receipt; the reason is a sentence."""


def envelope_path(receipt: Path) -> Path:
    """`receipt.dsse.json` beside `receipt.cbor`."""
    return receipt.with_suffix(".dsse.json")


def sign(receipt: Path, key: Path, files: FileLayer | None = None) -> Path:
    """Sign a receipt with a private key (PEM: Ed25519, ECDSA or RSA); the envelope's file. A signature
    of the same key is replaced, those of others stay. Raises UsageError E0812, E0847, E0848, ReceiptFormatError."""
    files = files or FileLayer()
    if not receipt.is_file():
        raise no_receipt(receipt)
    data = read(receipt)
    signer = _signer(key)
    found = envelope_path(receipt)
    envelope = _read_envelope(found) if found.is_file() else None
    wanted = statement(data)
    if envelope is None or (envelope.payload, envelope.payload_type) != (wanted, PAYLOAD):
        envelope = _library("dsse").Envelope(wanted, PAYLOAD, {})
    envelope.sign(signer)
    write_file(files, found, [json.dumps(envelope.to_dict(), indent=1).encode() + b"\n"])
    return found


def signed_by(receipt: Path, key: Path) -> str:
    """The identity of the public key that signed the receipt. Raises NotSigned; UsageError E0847, E0848."""
    public = _public(key)
    found = envelope_path(receipt)
    if not found.is_file():
        raise NotSigned(f"there is no signature {found}")
    envelope = _read_envelope(found)
    if envelope is None:
        raise NotSigned(f"{found} is not an envelope")
    try:
        envelope.verify([public], 1)
    except Exception as error:  # the library raises many kinds
        raise NotSigned(f"{found} holds no valid signature of the key {key}") from error
    if (envelope.payload, envelope.payload_type) != (statement(read(receipt)), PAYLOAD):
        raise NotSigned(f"{found} is signed, but says something else than this receipt")
    return str(public.keyid)


def read(path: Path) -> bytes:
    with explained("read", path):
        return FileLayer().read(path, LIMIT + 1)


def _read_envelope(path: Path) -> Any:
    """The envelope in `path`; None where it is none."""
    data = read(path)
    if len(data) > LIMIT:
        return None
    try:
        return _library("dsse").Envelope.from_dict(json.loads(data))
    except UsageError:
        raise
    except Exception:  # whatever is wrong with bytes that may come from anywhere
        return None


def _signer(key: Path) -> Any:
    """Raises UsageError E0848 for what is no private key, E0801 for no file."""
    crypto, signers, data = _cryptography(), _library("signer"), _read_key(key)
    try:
        private = crypto.load_pem_private_key(data, None)
        return signers.CryptoSigner(private, signers.SSlibKey.from_crypto(private.public_key()))
    except Exception as error:  # a wrong form, a passphrase, a kind of key that is not known
        raise _unusable(key, "private", data) from error


def _public(key: Path) -> Any:
    """Raises UsageError E0848 for what is no public key, E0801 for no file."""
    crypto, signers, data = _cryptography(), _library("signer"), _read_key(key)
    try:
        return signers.SSlibKey.from_crypto(crypto.load_pem_public_key(data))
    except Exception as error:
        raise _unusable(key, "public", data) from error


def _read_key(key: Path) -> bytes:
    if not key.is_file():
        raise UsageError("E0801", f"there is no file {key}", help=f"a pair of keys: {PAIR}")
    return read(key)


def _unusable(key: Path, kind: str, data: bytes) -> UsageError:
    reason = f"{key} is no {kind} key that can be used: {held(data)}"
    return UsageError("E0848", reason, help=PAIR)


def held(data: bytes) -> str:
    """Why no key was read from a file, as far as the line that it begins with tells."""
    found = BEGIN.search(data)
    if found is None:
        return "it is not in PEM, which begins with a line `-----BEGIN …`"
    if b"ENCRYPTED" in data:
        return "it has a passphrase"
    return f"what it holds is called `{found[1].decode()}` there (Ed25519, ECDSA and RSA are known)"


def _library(name: str) -> Any:
    return _need(f"securesystemslib.{name}")


def _cryptography() -> Any:
    return _need("cryptography.hazmat.primitives.serialization")


def _need(module: str) -> Any:
    """A module of the extra, loaded when a signature is asked for."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        name = module.partition(".")[0]
        raise UsageError("E0847", f"signatures need the package {name}", help="pip install 'jobspec[sign]'") from error
