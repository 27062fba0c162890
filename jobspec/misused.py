"""What is said of words that a command cannot read: options it does not have, values out of range, words too many.

Takes: click's error. Promises: the user's words, a code, and the next step, as of every other error.
"""

from __future__ import annotations

import click

from jobspec.ir.errors import UsageError

#: options of other commands, which no value of a job is meant by
ELSEWHERE = ("--on", "--threads", "--tuned", "--workers", "--data")


def misused(error: click.ClickException) -> None:
    """Say it on standard error; what is said of `jobspec` alone is its help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    reason = error.format_message().rstrip(".")
    told = UsageError("E0804", reason[:1].lower() + reason[1:], help=how_to_set(error) or usage(error))
    click.echo(str(told), err=True)


def usage(error: click.ClickException) -> str:
    """How the command is called."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return "`jobspec COMMAND --help` lists what a command takes"
    form = " ".join([context.command_path, *context.command.collect_usage_pieces(context)])
    return f"it is called as `{form}`; `{context.command_path} --help` lists the options"


def how_to_set(error: click.ClickException) -> str | None:
    """For what is no option of a command that takes a job, as `--steps 10`."""
    if not isinstance(error, click.NoSuchOption) or not error.ctx or not error.option_name.startswith("--"):
        return None
    takes_job = any(parameter.name == "sets" for parameter in error.ctx.command.params)
    near = any(option.startswith(error.option_name) for option in error.possibilities or ())
    if not takes_job or near or error.option_name in ELSEWHERE:
        return None
    return f"`--set {error.option_name.lstrip('-')}=…` sets a value of the job"
