"""`jobspec verify RECEIPT`: is it true."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from jobspec import api
from jobspec.commands.options import FILE, backend_option, json_option, say_json, spec_of, threads_option
from jobspec.ir.errors import UsageError
from jobspec.runtime.folder import RECEIPT
from jobspec.runtime.progress import reporter_for
from jobspec.verify.claims import no_receipt

#: bytes
CHALLENGE = 32


def read_challenge(context: click.Context, option: click.Parameter, text: str | None) -> bytes | None:
    """32 bytes from 64 hex digits."""
    if text is None:
        return None
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != CHALLENGE:
        raise click.BadParameter("a challenge is 64 hex digits, as the verdict prints them", context, option)
    return raw


def meant(path: Path) -> Path:
    """The receipt: itself, or that in a run's folder. Raises UsageError E0812 for a job or a plan, which is none."""
    if path.suffix in (".job", ".plan"):
        raise no_receipt(path)
    return path / RECEIPT if path.is_dir() else path


@click.command()
@click.argument("receipt", type=FILE)
@click.option("--job", "job", type=FILE, help="The job, where the receipt stands alone.")
@click.option("--data", "data", type=FILE, multiple=True, help="A folder to look for data in.")
@click.option(
    "--sample", "sample", type=click.IntRange(1), metavar="K", help="Replay only K segments, drawn by chance."
)
@click.option("--challenge", callback=read_challenge, metavar="HEX", help="Draw those of an earlier verdict again.")
@click.option("--signer", type=FILE, metavar="PEM", help="Ask for a signature of this public key.")
@backend_option
@threads_option
@json_option
def command(
    receipt: Path,
    job: Path | None,
    data: tuple[Path, ...],
    sample: int | None,
    challenge: bytes | None,
    signer: Path | None,
    on: str,
    threads: int | None,
    as_json: bool,
) -> int:
    """Replay a receipt's job in full, or samples of it, and compare every field, and the weights beside it."""
    if challenge is not None and sample is None:
        reason = f"`--challenge {challenge.hex()[:8]}…` draws samples, and no `--sample K` says how many"
        raise UsageError("E0843", reason, help="say `--sample K`, K as it was when the verdict printed it")
    spec = spec_of(job, ()) if job else None
    reporter = reporter_for(sys.stderr if as_json else sys.stdout)
    verdict = api.verify(
        meant(receipt),
        on,
        job=spec,
        threads=threads,
        data=data,
        sample=sample,
        challenge=challenge,
        signer=signer,
        progress=reporter,
    )
    if as_json:
        say_json({"verdict": verdict.word, "reasons": verdict.reasons, "checked": verdict.checked})
    else:
        click.echo(str(verdict))
    return verdict.exit_code
