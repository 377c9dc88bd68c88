"""A real server of files that fsspec reaches by a URL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import ThreadedFTPServer


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[str]:
    """The URL of an FTP server over a folder."""
    (tmp_path / "served").mkdir()
    authorizer = DummyAuthorizer()
    authorizer.add_user("assay", "told", str(tmp_path / "served"), perm="elradfmwMT")
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer})
    server = ThreadedFTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"handle_exit": False}, daemon=True)
    thread.start()
    yield f"ftp://assay:told@127.0.0.1:{server.socket.getsockname()[1]}/spool"
    server.close_all()
    thread.join(10)
