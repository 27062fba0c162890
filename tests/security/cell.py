"""A warm interpreter for plan files that a forger made: `tests/cli/nursery.py` with one word more.

`forge BACKEND JOB FILE …` compiles the job in the file JOB for the backend, writes the plan file that a forger would
send, and runs it as `jobspec run FILE …`; any other words are the program's own.
"""

from __future__ import annotations

from pathlib import Path

from jobspec.cli import exit_code
from jobspec.ir.codec.job import decode_job
from jobspec.ir.codec.plan_file import encode_plan_file
from jobspec.ir.errors import JobspecError
from jobspec.runtime.engine import compile_for
from tests.cli.nursery import serve


def called(words: list[str]) -> int:
    if words[0] != "forge":
        return exit_code(words)
    on, job_file, file, *rest = words[1:]
    job = decode_job(Path(job_file).read_bytes())
    try:
        plan = compile_for(job, on).plan
    except JobspecError as error:
        print(error)
        return error.exit_code
    Path(file).write_bytes(encode_plan_file(job, plan))
    return exit_code(["run", file, *rest])


if __name__ == "__main__":
    serve(called)
