"""The command line: words in, calls of the other rooms out, an exit code back.

Takes: the arguments. Promises: no traceback for anything a user can meet; exit codes 0 done, 1 the job failed, 2
usage, 3 does not compile, 4 verification mismatch, 5 data missing or corrupt, 130 interrupted.

A command's module is imported by name when the command is called, so that `check` does not wait for what `run`
needs. This table and `jobspec/__init__.py` are where modules are found by name; backends are, in their registry.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

from jobspec.faults import bug_report, disk_trouble
from jobspec.ir.errors import JobspecError, UsageError
from jobspec.ir.later import later
from jobspec.ir.version import VERSION
from jobspec.misused import misused

if TYPE_CHECKING:
    from jobspec.lang.diagnostics import closest
else:
    closest = later("jobspec.lang.diagnostics", "closest")

COMMANDS = {
    "check": "Check a job: syntax, names, axes, shapes, updates.",
    "fmt": "Write job files anew in the one style.",
    "run": "Train a job, from where the last run got to.",
    "verify": "Replay a receipt and say whether it is true.",
    "sign": "Put a name under a receipt.",
    "trace": "Write digests of every operation of one step of a run.",
    "dispute": "Settle between two runs: where they part, and which is wrong.",
    "compile": "Compile a job to a plan file.",
    "hash": "Print the job hash and the plan hash.",
    "diff": "Say in what two jobs differ.",
    "plan": "Say what a run takes before it starts.",
    "estimate": "Say what training takes on a cluster.",
    "quote": "Rank offers of providers for a job.",
    "profile": "Time each kernel of a training step.",
    "tune": "Find the fastest way to execute each kernel here.",
    "show": "Show parameters, axes, programs, kernels, memory.",
    "report": "Write a run as one HTML page.",
    "export": "Write trained weights as safetensors.",
    "devices": "List what can run a job here.",
    "data": "Add, list, verify and remove data sets.",
    "store": "List, check and clear the store; push to and pull from others.",
    "weights": "Add weights to start from, and list what is in them.",
    "new": "Write a job to start from.",
    "explain": "Explain an error code.",
    "lsp": "Answer an editor's questions: the language server.",
}
#: what other programs call them
CALLED = {"train": "run", "fit": "run", "init": "new", "lint": "check", "format": "fmt", "ls": "store ls"}
CALLED |= {"help": "--help", "version": "--version"}
INTERRUPTED = 130
#: new objects between two searches for unreachable ones: compiling makes very many that stay, and no cycles
SEARCHED = 100_000


class Commands(click.Group):
    """The commands by name; their modules are loaded when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            raise unknown_command(name)
        command: click.Command = import_module(f"jobspec.commands.{name}").command
        command.name = name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def unknown_command(name: str) -> UsageError:
    """E0803, with the command that is nearest."""
    near = CALLED.get(name) or closest(name, COMMANDS)
    help = f"did you mean `jobspec {near}`?" if near else "`jobspec --help` lists the commands"
    return UsageError("E0803", f"there is no command `{name}`", help=help)


@click.group(cls=Commands, name="jobspec", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="jobspec")
def commands() -> None:
    """A whole training job in one text file, with one meaning to the last bit."""


def main() -> None:
    """The program `jobspec`, once it is imported; until then `jobspec.__main__` answers interrupts."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.set_threshold(SEARCHED)
    sys.exit(exit_code(sys.argv[1:]))


def exit_code(arguments: list[str]) -> int:
    """Run one command line; its exit code. Errors go to standard error."""
    try:
        return answered(arguments)
    except JobspecError as error:
        click.echo(str(error), err=True)
        return error.exit_code
    except click.ClickException as error:
        misused(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output is gone; Python would complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        click.echo(str(disk_trouble(error)), err=True)
        return 1
    except Exception as error:
        click.echo(bug_report(error), err=True)
        return 1


def answered(arguments: list[str]) -> int:
    """What the command returns: an exit code, or nothing for 0."""
    try:
        code = commands.main(args=arguments, prog_name="jobspec", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
