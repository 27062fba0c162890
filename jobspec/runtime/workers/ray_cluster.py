"""The cluster of Ray that workers are on: joined, or started on this machine.

Takes: its address or none. Promises: Ray, connected, or one sentence why it cannot be, before Ray itself would look for
a minute or end this process. Needs the extra `ray`; nothing of it is imported before it is asked for.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from jobspec.ir.errors import UsageError
from jobspec.runtime.workers.trouble import head_is_gone

#: of Ray, where the user has not set them: it sends nothing home, leaves GPUs to us, and does not print what it sees of
#: machines that die on standard output, where a run's own answer goes
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
}
#: bytes of the object store of a cluster that is started here, at least
ROOM = 128 << 20
#: seconds that a cluster may take to answer at all; that its head may be silent before a run ends: Ray would end the
#: process after 60
KNOCK, SILENT = 20.0, 30.0
#: the word of a node's command line that says where it takes orders
SOCKET = b"--raylet_socket_name="
#: letters of what Ray says
MOST = 300


def ray_module() -> Any:
    """Raises UsageError E0863 where Ray is not installed."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        return import_module("ray")
    except ImportError as error:
        reason = f"workers run on Ray, which is not here ({error})"
        raise UsageError("E0863", reason, help="pip install 'jobspec[ray]'") from error


def connected(address: str | None, workers: int, state: int) -> Any:
    """Ray, in a cluster: the one at `address`, or one started here for so many workers. `state`: bytes of the job's.
    Raises UsageError E0863, E0867."""
    ray = ray_module()
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(address="local", num_cpus=workers, object_store_memory=max(ROOM, 16 * state), **quiet)
        else:
            need_listener(address)
            need_member(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except UsageError:
        raise
    except Exception as error:  # Ray has no one class for what goes wrong here
        said = " ".join(str(error).split())[:MOST] or type(error).__name__
        reason = f"there is no cluster at {address or 'this machine'}: {said}"
        help = "`ray start --head` starts one, and says its address; RAY_AUTH_MODE=token joins one with a token"
        raise UsageError("E0867", reason, help=help) from error
    return ray


def need_listener(address: str) -> None:
    """Raises OSError where nobody listens at HOST:PORT: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()


class Pulse:
    """Whether the cluster's head is there, looked at now and then. `address`: HOST:PORT at which it listens."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._silent_since: float | None = None

    @property
    def there(self) -> bool:
        return self._silent_since is None

    def take(self, now: float) -> None:
        """Look. `now`: seconds. Raises JobspecError E0521 where nobody has listened there for too long."""
        try:
            need_listener(self.address)
        except OSError:
            self._silent_since = now if self._silent_since is None else self._silent_since
            if now - self._silent_since >= SILENT:
                raise head_is_gone(self.address) from None
        else:
            self._silent_since = None


def need_member(address: str) -> None:
    """Raises UsageError E0867 where no Ray runs on this machine: Ray would look for one for a minute, and may end this
    process when it takes another machine's for it."""
    if "/" in address or address == "local" or any(map(answers, sockets_of_ray())):
        return
    reason = f"no Ray runs on this machine, which has to be one of the cluster's to train on {address}"
    how = f"`ray start --address={address}` makes it one" if ":" in address else "`ray start --head` starts one"
    raise UsageError("E0867", reason, help=f"{how}, with `--num-cpus=0` one that has no worker (docs/workers.md)")


def sockets_of_ray() -> Iterator[str]:
    """Where the nodes of Ray take orders whose processes are seen here."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            yield from (os.fsdecode(word.removeprefix(SOCKET)) for word in words if word.startswith(SOCKET))


def answers(path: str) -> bool:
    """Whether somebody listens; who may not ask, does not know."""
    with socket.socket(socket.AF_UNIX) as knock:
        try:
            knock.connect(path)
        except PermissionError:
            return True
        except OSError:
            return False
    return True
