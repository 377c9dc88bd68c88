"""`make cluster`: a Prefect server, work pools, a worker for each, and all deployments, on one machine, until Ctrl-C.

What it keeps is under $PREFECT_HOME, and the next one finds it there. A process that dies is started again.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from filelock import FileLock, Timeout

from assay.errors import AssayError, SpecError
from flows import database
from flows.children import Children, end_orphans
from flows.server import SETTINGS, home

ROOT = Path(__file__).parent.parent
STARTUP = 120.0
"""Seconds until the server answers: the first start makes its database."""
CLUSTER = {
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P3D",  # events are most of what a server stores
    "PREFECT_WORKER_QUERY_SECONDS": "2",  # by default a run waits up to 10 s for its worker
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # three of them fit into what the automation against zombies waits
    "PREFECT_RUNNER_AUTO_INSTALL_DEPENDENCIES": "false",  # else a worker that finds `uv` makes environments
}


def settings(url: str) -> dict[str, str]:
    """The environment of the server, of workers and of `prefect deploy`; what the user has set stays as it is."""
    own = {"PREFECT_API_URL": url, "PREFECT_HOME": str(home().parent), "PWD": str(Path.cwd())}
    return {**SETTINGS, **CLUSTER, **os.environ, **own}


class Cluster:
    """The processes, and what is said of them."""

    def __init__(self, port: int, gpu_python: Path) -> None:
        self.port, self.gpu_python = port, gpu_python
        self.folder = home() / "cluster"
        self.url = f"http://127.0.0.1:{port}/api"
        self.env = settings(self.url)
        self.children = Children(self.folder / "logs", self.say)

    def say(self, what: str) -> None:
        """Tell the user something, at once."""
        click.echo(what)

    def serve(self, postgres: bool) -> None:
        """Start a server, and what it is on. Raises AssayError where it does not come up."""
        self.say(f"starting a Prefect server on {'PostgreSQL and Redis' if postgres else 'SQLite'} …")
        env = self.env | (database.start(self.children, self.folder) if postgres else {})
        server = ["server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self.children.keep("server", [sys.executable, "-m", "prefect", *server], env)
        self.children.until(self.answers, "the Prefect server", STARTUP)

    def start(self, postgres: bool) -> None:
        """Start everything, in order. Raises AssayError where something does not come up."""
        self.serve(postgres)
        os.environ.update(self.env)  # for Prefect, which reads it when it is imported
        from flows.pools import bury, limits, make_pools

        pools = limits()
        make_pools(pools)
        if left := bury(pools):
            self.say(f"{left} runs of last time were cut off and are marked Crashed; `assay resume` completes them")
        self.deploy()
        for pool, limit in pools.items():
            if limit:
                self.work(pool)
        self.tell(pools)

    def answers(self) -> bool:
        """Whether the server does."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def deploy(self) -> None:
        """Have all of prefect.yaml on the server. Raises AssayError with what Prefect says against it."""
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file"]
        done = subprocess.run(
            [*command, str(ROOT / "prefect.yaml")],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise AssayError(f"prefect deploy --all failed:\n{(done.stdout + done.stderr).strip()[-2000:]}")

    def work(self, pool: str) -> None:
        """Start the worker of a pool; its runs have its own Python, which is the first on its path."""
        python = Path(sys.executable) if pool == "cpu" else self.gpu_python
        env = self.env | {"PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
        command = [str(python), "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
        name = f"{socket.gethostname()}-{pool}"
        self.children.keep(f"worker-{pool}", [*command, "--name", name, "--install-policy", "never"], env)

    def tell(self, pools: dict[str, int]) -> None:
        """What runs where, and what to do now."""
        for pool, limit in pools.items():
            self.say(f"pool {pool:<6} {limit} at a time" if limit else f"pool {pool:<6} no worker: too few devices")
        self.say(f"logs  {self.children.logs}\nUI    http://127.0.0.1:{self.port}\n\nIn another shell:")
        self.say(f"    export PREFECT_API_URL={self.url}")
        self.say("    assay run examples/quickstart.yaml")
        spec = """'spec={"models": ["tiny"], "suites": ["mini"], "compute": {"pool": "gpu-1"}}'"""
        self.say(f"    prefect deployment run evaluation/evaluation --watch --param {spec}\n\nCtrl-C ends all of it.")

    def run(self, postgres: bool) -> None:
        """Start everything and keep it running until this process is told to end."""
        try:
            self.start(postgres)
            while True:
                self.children.look()
                time.sleep(0.5)
        finally:
            self.say("ending …")
            self.children.end()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Raise SpecError where another one has this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "cluster.lock", timeout=0):
            yield
    except Timeout:
        raise SpecError(
            f"a cluster with its data in {folder} is running already: end it, or set PREFECT_HOME"
        ) from None


def check(port: int, gpu_python: Path) -> None:
    """Raise SpecError where the port is taken or there is no such Python."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SpecError(f"port {port}: {error.strerror}; name another one: make cluster PORT=4300") from error
    if not os.access(gpu_python, os.X_OK):
        raise SpecError(f"--gpu-python {gpu_python}: wanted the python of an environment, and there is none")


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Of server and UI.")
@click.option("--postgres", is_flag=True, help="Server on PostgreSQL and Redis, installed by apt where they lack.")
@click.option(
    "--gpu-python", type=click.Path(path_type=Path), default=sys.executable, help="Python of the GPU pools' workers."
)
def main(port: int, postgres: bool, gpu_python: Path) -> None:
    """Run a Prefect server, work pools, workers and all deployments until Ctrl-C."""
    for one in (signal.SIGTERM, signal.SIGINT):  # which is ignored in what a shell starts in the background
        signal.signal(one, signal.default_int_handler)
    try:
        with alone(home() / "cluster"):
            end_orphans(home() / "cluster" / "logs")
            check(port, gpu_python)
            if postgres:
                database.install()
            Cluster(port, gpu_python.absolute()).run(postgres)
    except KeyboardInterrupt:
        sys.exit(0)
    except AssayError as error:
        click.echo(f"cluster: {error}", err=True)
        sys.exit(2 if isinstance(error, SpecError) else 1)


if __name__ == "__main__":
    main()
