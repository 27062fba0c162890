"""Signatures: what is signed is these bytes, by this key; anything else is said in one sentence."""

from __future__ import annotations

import base64
import json
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from blake3 import blake3
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from jobspec import api
from jobspec.ir.codec.receipt import decode_receipt
from jobspec.ir.errors import DataError, UsageError
from jobspec.runtime.folder import RunFolder
from jobspec.store.home import Home
from jobspec.verify.replaying import Means
from jobspec.verify.signing import envelope_path, sign, signed_by
from jobspec.verify.verdict import Verdict
from jobspec.verify.verify import verify
from tests.runtime.jobs import home_at, regression, regression_data, train


def made(kind: str) -> ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if kind == "ecdsa":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()


FORM = (pem.Encoding.PEM, pem.PrivateFormat.PKCS8)


def keys(folder: Path, name: str, kind: str = "ed25519") -> tuple[Path, Path]:
    """Files of a private key and its public half."""
    private = made(kind)
    mine, public = folder / f"{name}.pem", folder / f"{name}.pub"
    mine.write_bytes(private.private_bytes(*FORM, pem.NoEncryption()))
    form = pem.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(private.public_key().public_bytes(pem.Encoding.PEM, form))
    return mine, public


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_at(tmp_path / "home")


@pytest.fixture
def done(home: Home) -> RunFolder:
    return train(regression(str(regression_data(home)), steps=3), home).folder


def judged(done: RunFolder, home: Home, signer: Path) -> Verdict:
    return verify(done.receipt, Means(home, "reference", 1, signer=signer))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_signed_receipt_is_accepted(done: RunFolder, home: Home, tmp_path: Path, kind: str) -> None:
    mine, public = keys(tmp_path, "me", kind)
    assert judged(done, home, public).reasons[0].startswith("there is no signature")
    assert sign(done.receipt, mine) == envelope_path(done.receipt)
    verdict = judged(done, home, public)
    assert verdict.word == "ACCEPT" and verdict.checked[0].startswith(f"signed by {public}")
    assert judged(done, home, keys(tmp_path, "other")[1]).word == "REJECT"


def test_the_statement_is_in_toto_s(done: RunFolder, tmp_path: Path) -> None:
    envelope = json.loads(sign(done.receipt, keys(tmp_path, "me")[0]).read_text())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    said, data = json.loads(base64.b64decode(envelope["payload"])), done.receipt.read_bytes()
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    digests = {"sha256": sha256(data).hexdigest(), "blake3": blake3(data).hexdigest()}
    assert said["subject"] == [{"name": "receipt.cbor", "digest": digests}]
    assert said["predicate"]["end"] == str(decode_receipt(data).end)
    assert said["predicate"]["steps"] == 3


def test_the_signature_is_over_dsse_s_encoding(done: RunFolder, tmp_path: Path) -> None:
    """Checked without the library: Ed25519 over `DSSEv1 LEN TYPE LEN PAYLOAD`."""
    mine, public = keys(tmp_path, "me")
    envelope = json.loads(sign(done.receipt, mine).read_text())
    kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key = pem.load_pem_public_key(public.read_bytes())
    assert isinstance(key, ed25519.Ed25519PublicKey)
    (signature,) = envelope["signatures"]
    key.verify(base64.b64decode(signature["sig"]), encoded)


def test_two_signers(done: RunFolder, home: Home, tmp_path: Path) -> None:
    pairs = [keys(tmp_path, name) for name in ("me", "you")]
    for mine, _ in (*pairs, pairs[0]):
        sign(done.receipt, mine)
    assert len(json.loads(envelope_path(done.receipt).read_text())["signatures"]) == 2
    assert len({signed_by(done.receipt, public) for _, public in pairs}) == 2
    assert all(judged(done, home, public).accepted for _, public in pairs)


def test_a_signature_under_another_receipt_is_none(done: RunFolder, home: Home, tmp_path: Path) -> None:
    mine, public = keys(tmp_path, "me")
    envelope = sign(done.receipt, mine).read_bytes()
    other = train(regression(str(regression_data(home)), steps=4), home).folder
    envelope_path(other.receipt).write_bytes(envelope)
    verdict = judged(other, home, public)
    assert verdict.word == "REJECT" and "something else than this receipt" in verdict.reasons[0]
    sign(other.receipt, mine)
    assert judged(other, home, public).accepted


def test_no_changed_byte_of_an_envelope_is_accepted(done: RunFolder, home: Home, tmp_path: Path) -> None:
    """A changed byte is refused, or changes nothing that the envelope says (base64 has spare bits, JSON has blanks)."""
    mine, public = keys(tmp_path, "me")
    path = sign(done.receipt, mine)
    good = path.read_bytes()
    refused = 0
    for place in range(0, len(good), 7):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        verdict = judged(done, home, public)
        refused += verdict.word == "REJECT"
        assert verdict.word in ("ACCEPT", "REJECT") and "Traceback" not in str(verdict)
    assert refused > 0.9 * len(range(0, len(good), 7))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"payload": 1}', "null", "\x00", "[" * 5000, '{"payload":"","payloadType":"","signatures":[]}'],
)
def test_what_is_no_envelope_is_refused(done: RunFolder, home: Home, tmp_path: Path, text: str) -> None:
    envelope_path(done.receipt).write_text(text)
    verdict = judged(done, home, keys(tmp_path, "me")[1])
    assert verdict.word == "REJECT" and "receipt.dsse.json" in verdict.reasons[0]


def test_what_is_not_there_is_not_signed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        sign(tmp_path / "receipt.cbor", keys(tmp_path, "me")[0])


def test_what_is_no_receipt_is_not_signed(done: RunFolder, tmp_path: Path) -> None:
    done.receipt.write_bytes(done.receipt.read_bytes()[:-1])
    with pytest.raises(DataError, match="is not a receipt") as caught:
        api.sign(done.receipt, keys(tmp_path, "me")[0])
    assert caught.value.code == "E0603" and caught.value.help


def test_what_is_no_key_is_said(done: RunFolder, home: Home, tmp_path: Path) -> None:
    mine, public = keys(tmp_path, "me")
    with pytest.raises(UsageError, match=r"me\.pub is no private key.*is called `PUBLIC KEY`") as caught:
        sign(done.receipt, public)
    assert caught.value.code == "E0848" and "openssl genpkey" in str(caught.value.help)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(made("ed25519").private_bytes(*FORM, pem.BestAvailableEncryption(b"open")))
    with pytest.raises(UsageError, match=r"locked\.pem is no private key.*has a passphrase"):
        sign(done.receipt, locked)
    sign(done.receipt, mine)
    with pytest.raises(UsageError, match=r"no public key.*not in PEM"):
        judged(done, home, done.receipt)
    with pytest.raises(UsageError, match="there is no file"):
        sign(done.receipt, tmp_path / "nowhere.pem")


def test_without_the_library_one_line_says_so(done: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, _ = keys(tmp_path, "me")
    monkeypatch.setitem(sys.modules, "securesystemslib.dsse", None)
    monkeypatch.setitem(sys.modules, "securesystemslib.signer", None)
    with pytest.raises(UsageError) as caught:
        sign(done.receipt, mine)
    assert caught.value.code == "E0847" and "jobspec[sign]" in str(caught.value)
