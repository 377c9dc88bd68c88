"""A real server of files that fsspec reaches by a URL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import ThreadedFTPServer


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """An FTP server over a folder, for the time of the block: its host and port."""
    authorizer = DummyAuthorizer()
    authorizer.add_user("assay", "told", str(folder), perm="elradfmwMT")
    authorizer.add_anonymous(str(folder))
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer})
    server = ThreadedFTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"handle_exit": False}, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.socket.getsockname()[1]}"
    server.close_all()
    thread.join(10)


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[str]:
    """The URL of a folder that may be written on a real server."""
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as place:
        yield f"ftp://assay:told@{place}/spool"
