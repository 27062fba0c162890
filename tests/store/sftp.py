"""A folder over SFTP, served in this process: what any SSH server shows of it.

Promises: `serving` gives the port of 127.0.0.1 at which every password but `refused` is let in; it is gone when the
context ends.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko

OK, REFUSED = paramiko.SFTP_OK, paramiko.sftp.SFTP_FAILURE


class Anyone(paramiko.ServerInterface):
    """Lets everyone in but for one password."""

    def check_auth_password(self, username: str, password: str) -> int:
        return int(paramiko.common.AUTH_FAILED if password == "refused" else paramiko.common.AUTH_SUCCESSFUL)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.common.OPEN_SUCCEEDED)


class File(paramiko.SFTPHandle):
    """An open file."""

    def __init__(self, flags: int, file: Any) -> None:
        super().__init__(flags)
        self.readfile = self.writefile = file
        self.filename = file.name

    def stat(self) -> Any:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class Folder(paramiko.SFTPServerInterface):
    """The files below `root`; paths are those of the machine."""

    def list_folder(self, path: str) -> Any:
        def listed() -> list[Any]:
            found = []
            for entry in sorted(Path(path).iterdir()):
                attributes = paramiko.SFTPAttributes.from_stat(entry.stat())
                attributes.filename = entry.name
                found.append(attributes)
            return found

        return answered(listed)

    def stat(self, path: str) -> Any:
        return answered(lambda: paramiko.SFTPAttributes.from_stat(os.stat(path)))

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:
        def opened() -> File:
            mode = "r+b" if flags & (os.O_WRONLY | os.O_RDWR) else "rb"
            return File(flags, os.fdopen(os.open(path, flags, 0o644), mode))

        return answered(opened)

    def remove(self, path: str) -> int:
        return done(lambda: os.remove(path))

    def rename(self, oldpath: str, newpath: str) -> int:
        return REFUSED if Path(newpath).exists() else done(lambda: os.rename(oldpath, newpath))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return done(lambda: os.replace(oldpath, newpath))

    def mkdir(self, path: str, attr: Any) -> int:
        return done(lambda: os.mkdir(path))


def answered(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except OSError as error:
        return paramiko.SFTPServer.convert_errno(error.errno)


def done(act: Callable[[], object]) -> int:
    found = answered(act)
    return found if isinstance(found, int) else OK


@contextmanager
def serving() -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    key, transports = paramiko.RSAKey.generate(2048), []

    def accept() -> None:
        with suppress(OSError):
            while True:
                transport = paramiko.Transport(listening.accept()[0])
                transport.add_server_key(key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Folder)
                transport.start_server(server=Anyone())
                transports.append(transport)

    thread = threading.Thread(target=accept)
    thread.start()
    yield int(listening.getsockname()[1])
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()
    for transport in transports:
        transport.close()
