"""PostgreSQL and Redis for a Prefect server: private ones, on free ports, behind passwords of their own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path

from assay.errors import AssayError, SpecError
from assay.keys import digest
from flows.children import Children, as_user
from flows.server import _free_port as free_port

OWNER = "postgres"
"""Who runs PostgreSQL where this process is root, by whom PostgreSQL refuses to be run."""
READY = 60.0


def install() -> None:
    """Have PostgreSQL and Redis on this machine, by apt where they lack. Raises SpecError where that cannot be."""
    if find_spec("prefect_redis") is None:
        raise SpecError("Prefect on Redis needs a package: pip install -c constraints.txt -e '.[cluster]'")
    if _postgres() is not None and shutil.which("redis-server"):
        return
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    wanted = "PostgreSQL and Redis are wanted (packages postgresql and redis-server), and are not both here"
    if shutil.which("apt-get") is None or (sudo and not _works([*sudo, "true"])):
        raise SpecError(f"{wanted}; to install them needs apt-get and root, or sudo without a password")
    for words in (["update"], ["install", "-y", "--no-install-recommends", "postgresql", "redis-server"]):
        command = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SpecError(f"{wanted}; apt-get {words[0]} failed: {done.stderr.strip()[-300:]}")


def start(children: Children, home: Path) -> dict[str, str]:
    """Both, with their data under a folder; the settings of a Prefect server that uses them. Raises AssayError where
    they do not come up."""
    redis = _start_redis(children, home / "redis")
    return {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": _start_postgres(children, _data_folder(home)),
        "PREFECT_REDIS_MESSAGING_URL": f"{redis}/0",
        "PREFECT_REDIS_WORKER_CLEANUP_QUEUE_URL": f"{redis}/0",
        "PREFECT_SERVER_DOCKET_URL": f"{redis}/1",
        **SETTINGS,
    }


SETTINGS = {
    # each of these is in the server's memory by default, and Redis has to be told of each
    "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
    "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",  # else states come in many minutes late
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
    "PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_QUEUE_STORAGE": "prefect_redis.cleanup_queue",
    "PREFECT_REDIS_MESSAGING_PUBLISHER_BATCH_SIZE": "200",
    "PREFECT_REDIS_MESSAGING_PUBLISHER_PUBLISH_EVERY": "1",
}


def _start_postgres(children: Children, data: Path) -> str:
    programs, port = _postgres(), free_port()
    assert programs is not None
    if not (data / "PG_VERSION").exists():
        _init(programs, data)
    command = [programs / "postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1"]
    command += ["-c", "unix_socket_directories=", "-c", "max_connections=200"]
    how = signal.SIGINT  # ends it without waiting until its clients go
    children.keep("postgresql", [str(word) for word in command], {"PATH": os.defpath}, how, cwd=data, **as_user(OWNER))
    ask = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    children.until(lambda: _works(ask), "PostgreSQL", READY)
    return f"postgresql+asyncpg://{OWNER}:{_password(_secret(data))}@127.0.0.1:{port}/postgres"


def _init(programs: Path, data: Path) -> None:
    data.mkdir(parents=True)
    _password(_secret(data))
    if os.geteuid() == 0:
        shutil.chown(data, OWNER, OWNER)
        shutil.chown(_secret(data), OWNER)
    command = [str(programs / "initdb"), "-D", str(data), "-U", OWNER, "-E", "UTF8", "--auth=scram-sha-256"]
    command.append(f"--pwfile={_secret(data)}")
    done = subprocess.run(command, cwd=data, capture_output=True, text=True, **as_user(OWNER))
    if done.returncode:
        shutil.rmtree(data)
        raise AssayError(f"initdb failed: {done.stderr.strip()[-300:]}")


def _secret(data: Path) -> Path:
    return data.parent / "postgres.password"


def _start_redis(children: Children, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    port, password = free_port(), _password(folder / "redis.password")
    settings = folder / "redis.conf"
    _write(settings, f"bind 127.0.0.1\nport {port}\ndir {folder}\nrequirepass {password}\nappendonly yes\nsave ''\n")
    children.keep("redis", ["redis-server", str(settings)], {"PATH": os.environ["PATH"]})
    children.until(lambda: _listens(port), "Redis", READY)
    return f"redis://:{password}@127.0.0.1:{port}"


def _data_folder(home: Path) -> Path:
    """Under the home folder; where its owner may not go there, as in root's own home, where Debian keeps PostgreSQL."""
    open_to_all = all(folder.stat().st_mode & 0o001 for folder in home.absolute().parents)
    if os.geteuid() != 0 or open_to_all:
        home.chmod(home.stat().st_mode | 0o001)
        return home / "postgresql" / "data"
    return Path("/var/lib/postgresql") / f"assay-{digest(str(home.absolute()).encode())[:12]}" / "data"


def _postgres() -> Path | None:
    """The folder of PostgreSQL's programs, of the newest version."""
    there = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = [path.parent for path in there] or [Path(path).parent for path in [shutil.which("initdb")] if path]
    return found[-1] if found else None


def _password(path: Path) -> str:
    """What is in a file that only its owner reads, made where it is missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, secrets.token_hex(24))
    return path.read_text()


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _works(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
