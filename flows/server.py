"""The Prefect server of embedded runs: one for all of them on a machine, started when needed, ended by itself.

A run that finds no `PREFECT_API_URL` registers as a client (a file named after its process) and starts this server, or
uses the one that another run started. The server looks at its clients every half second: the run of a process that died
is marked Crashed, and when none is left the server writes what it still has in its queues and ends. So neither a crash
nor `kill -9` leaves a server behind or a run that shows as running for ever; `prefect server start` with the same
PREFECT_HOME shows the whole history later.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from assay.errors import AssayError

SETTINGS = {
    # measured: with the default batches of the recorder most task runs of a short-lived server are never written
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_API_URL": "/api",  # else the pages of a server on another port call port 4200
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "DO_NOT_TRACK": "1",
}
EMBEDDED = {"PREFECT__SERVER_FINAL": "1", "PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"}
STARTUP_SECONDS = 90.0
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def apply_settings() -> None:
    """Set what Prefect reads when it is first imported, where the user has not set it."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")  # what goes wrong is told by us, once
    os.environ.setdefault("PREFECT_LOGGING_SERVER_LEVEL", "CRITICAL")


def home() -> Path:
    """Where embedded servers keep their clients' files, under PREFECT_HOME."""
    return Path(os.environ.get("PREFECT_HOME", Path.home() / ".prefect")).expanduser() / "assay"


def profile_url() -> str | None:
    """The API URL of the user's active Prefect profile, read without importing Prefect; None where it has none."""
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", home().parent / "profiles.toml")).expanduser()
    if not path.exists():
        return None
    profiles = tomllib.loads(path.read_text(encoding="utf-8"))
    active = os.environ.get("PREFECT_PROFILE", profiles.get("active"))
    url: str | None = profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")
    return url


def given_url() -> str | None:
    """The API URL of the user's own server: PREFECT_API_URL, else the active profile's; None for an embedded one."""
    return os.environ.get("PREFECT_API_URL") or profile_url()


class Embedded:
    """The embedded server from a run's side: `start` returns at once, `ready` when the server answers."""

    def __init__(self) -> None:
        self.folder = home()
        self.client = self.folder / "clients" / f"{os.getpid()}.json"
        self.url = ""

    def start(self) -> None:
        """Register this process and start the server, unless one is there."""
        self.client.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "server.lock"):
            self.client.write_text(json.dumps({"pid": os.getpid(), "born": psutil.Process().create_time()}))
            known = _read(self.folder / "server.json")
            if not (known and _alive(known)):
                known = self._spawn()
            self.url = f"http://127.0.0.1:{known['port']}/api"

    def _spawn(self) -> dict[str, Any]:
        port = _free_port()
        with (self.folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.server", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for the run, which tells the server when it is done
                env=os.environ | EMBEDDED,
            )
        process.returncode = 0  # others may use it when this process is gone: nobody waits for its end
        known = {"pid": process.pid, "born": psutil.Process(process.pid).create_time(), "port": port}
        (self.folder / "server.json").write_text(json.dumps(known))
        return known

    def ready(self) -> str:
        """The server's API URL, once it answers. Raises AssayError where it has not after 90 s."""
        until = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(urllib.error.URLError, OSError):
                _call(f"{self.url}/health")
                return self.url
            known = _read(self.folder / "server.json")
            if not (known and _alive(known)):
                break
            time.sleep(0.1)
        raise AssayError(f"the embedded Prefect server did not start; see {self.folder / 'server.log'}")

    def stop(self) -> None:
        """Take this process off the list of clients: the server ends when nobody is left on it."""
        self.client.unlink(missing_ok=True)


@contextlib.contextmanager
def serving() -> Iterator[Embedded | None]:
    """An embedded server for the time of a run, being started; None where PREFECT_API_URL names a server."""
    apply_settings()
    if given_url():
        yield None
        return
    embedded = Embedded()
    embedded.start()
    try:
        yield embedded
    finally:
        embedded.stop()


def reachable() -> None:
    """Raise AssayError where the server that PREFECT_API_URL or the profile names does not answer."""
    url = given_url()
    if url is None:
        return
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=10):
            return
    except urllib.error.HTTPError:
        return  # something is there; whether it lets us in, Prefect finds out with its own key
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise AssayError(f"no Prefect server answers at {url} (PREFECT_API_URL): {reason}") from error


def drain(url: str, flow_run_id: str, expected: int, seconds: float = 30) -> bool:
    """Wait until the server has written the end of so many task runs of a flow run; whether it has."""
    until = time.monotonic() + seconds
    query = {
        "flow_runs": {"id": {"any_": [flow_run_id]}},
        "task_runs": {"state": {"type": {"any_": sorted(FINAL)}}},
    }
    while time.monotonic() < until:
        if _call(f"{url}/task_runs/count", query) >= expected:
            return True
        time.sleep(0.2)
    return False


def crash_runs_of(url: str, pid: int, message: str) -> int:
    """Mark the unfinished flow runs of a dead process Crashed; how many there were."""
    query = {
        "flow_runs": {
            "tags": {"all_": [f"assay-pid-{pid}"]},
            "state": {"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED"]}},
        }
    }
    runs = _call(f"{url}/flow_runs/filter", query)
    for run in runs:
        state = {"state": {"type": "CRASHED", "name": "Crashed", "message": message}, "force": True}
        _call(f"{url}/flow_runs/{run['id']}/set_state", state)
    return len(runs)


def _call(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return known


def _alive(known: dict[str, Any]) -> bool:
    """Whether the very process that wrote this is alive: a number may have gone to another since."""
    try:
        process = psutil.Process(known["pid"])
        return bool(process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - known["born"]) < 2)
    except psutil.NoSuchProcess:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _watch(url: str, server: Any) -> None:
    """Look after the clients until none is left; then let the server write its queues, and end it."""
    clients = home() / "clients"
    while True:
        time.sleep(0.5)
        for path in clients.glob("*.json"):
            known = _read(path)
            if known is not None and not _alive(known):
                with contextlib.suppress(urllib.error.URLError, OSError):  # still starting: the next look does it
                    crash_runs_of(url, known["pid"], "its process ended without a word; `assay resume` completes it")
                    path.unlink(missing_ok=True)
        with FileLock(home() / "server.lock"):
            if any(clients.glob("*.json")):
                continue
            (home() / "server.json").unlink(missing_ok=True)  # from here on a new run starts its own
        time.sleep(2.5)  # the recorder and the persister flush every second
        server.should_exit = True
        return


def main(port: int) -> None:
    """Run the server on a port until its last client has gone."""
    import uvicorn
    from prefect.server.api.server import create_app

    config = uvicorn.Config(create_app, factory=True, host="127.0.0.1", port=port, log_level="error", lifespan="on")
    server = uvicorn.Server(config)
    threading.Thread(target=_watch, args=(f"http://127.0.0.1:{port}/api", server), daemon=True).start()
    server.run()


if __name__ == "__main__":
    apply_settings()
    main(int(sys.argv[1]))
