"""Jobs sent to a keeper and their outcomes taken back: what every sandbox here is."""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from adapters.boxes import languages, seccomp
from assay.errors import SandboxError
from assay.programs import Job, Outcome, Ran

_ADAPTERS = Path(__file__).parents[1]
_START = """
import sys, types
package = sys.modules["adapters"] = types.ModuleType("adapters")  # without what the package itself imports
package.__path__ = [sys.argv[1]]
from adapters.boxes import keeper
keeper.main(int(sys.argv[2]))
"""
_CHUNK = 1 << 16
_IN_FILES = ("docker", "none")
"""Tiers whose programs' files lie in the real file system."""
_MOST_AT_ONCE = 128


class Boxes:
    """A sandbox: a keeper, and for each caller as many jobs at once as there are workers.

    Making one raises SandboxError where the keeper cannot do on this machine what its tier needs.
    """

    def __init__(self, tier: str, workers: int | None, **more: str) -> None:
        if sys.platform != "linux":
            raise SandboxError(f"{tier}: boxes are made on Linux, and this is {sys.platform}")
        self.tier = tier
        self._workers = min(workers or len(os.sched_getaffinity(0)), _MOST_AT_ONCE)
        self._slots: set[int] = set()
        self._taking = threading.Lock()
        self.environ = languages.environ("/scratch")
        self._folder = tempfile.mkdtemp(prefix="assay-box-") if tier in _IN_FILES else ""
        users = _users()
        plan: dict[str, Any] = {
            "tier": tier, "root": os.geteuid() == 0 and users > 0, "uid": users, "name": f"assay-{uuid4().hex}",
            "folder": self._folder,
            "binds": languages.visible(), "links": languages.root_links(), "environ": self.environ,
            "filter": "" if self._folder else seccomp.program().hex(), **more,
        }  # fmt: skip
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-P", "-c", _START, str(_ADAPTERS), str(theirs.fileno())]
            self.keeper = subprocess.Popen(
                command, env=self.environ, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        self._control.send(json.dumps(plan).encode())
        answer = self._control.recv(_CHUNK).decode()
        if answer != "ready":
            words = answer or self._last_words()
            self.close()
            raise SandboxError(f"{tier}: {words}")

    @cached_property
    def languages(self) -> Mapping[str, str]:
        """The languages that can be run, with their versions; the first time, all are asked."""
        return languages.versions(self)

    def run(self, jobs: Sequence[Job]) -> Iterator[Ran]:
        """Every job's end, each once, in any order. Raises SandboxError where the keeper has ended."""
        waiting = iter(jobs)
        ended: list[Ran] = []
        with selectors.DefaultSelector() as ready:
            try:
                while True:
                    while len(ready.get_map()) < self._workers and (job := next(waiting, None)) is not None:
                        slot, result = self._send(job)
                        ready.register(result, selectors.EVENT_READ, (job, slot, bytearray()))
                    yield from ended  # the next ones run while the caller has these
                    if not ready.get_map():
                        return
                    ended = list(self._ended(ready))
            finally:
                for key in ready.get_map().values():
                    self._done(key.fd, key.data[1])

    def _ended(self, ready: selectors.BaseSelector) -> Iterator[Ran]:
        """Wait for something to read; the jobs whose outcomes are complete."""
        for key, _ in ready.select():
            job, slot, data = key.data
            if chunk := os.read(key.fd, _CHUNK):
                data += chunk
                continue
            ready.unregister(key.fd)
            self._done(key.fd, slot)
            yield Ran(job.key, self._outcomes(job, data))

    def _send(self, job: Job) -> tuple[int, int]:
        """Have a job begun: its slot, and the open file from which its outcomes can be read."""
        with self._taking:
            slot = next(number for number in count() if number not in self._slots)
            self._slots.add(slot)
        result, written = os.pipe()
        files = [written]
        for program in job.programs:
            files.append(_file(json.dumps({"command": list(program.command), "files": dict(program.files)})))
            files.append(_file(program.stdin))
        request = {"slot": slot, "limits": [program.limits.model_dump() for program in job.programs]}
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], files)
        except OSError as error:
            self._done(result, slot)
            raise SandboxError(f"{self.tier}: the sandbox has ended: {self._last_words()}") from error
        finally:
            for file in files:
                os.close(file)
        return slot, result

    def _done(self, result: int, slot: int) -> None:
        os.close(result)  # a guard that nobody listens to ends its programs and itself
        self._slots.discard(slot)

    def _outcomes(self, job: Job, data: bytearray) -> tuple[Outcome, ...]:
        if data:
            return tuple(Outcome(**outcome) for outcome in json.loads(data))
        if self.keeper.poll() is not None:
            raise SandboxError(f"{self.tier}: the sandbox has ended: {self._last_words()}")
        return tuple(Outcome("failed", stderr="what watched over it was ended") for _ in job.programs)

    def _last_words(self) -> str:
        assert self.keeper.stderr is not None
        said = self.keeper.stderr.read().decode().strip()
        return said.splitlines()[-1] if said else f"exit status {self.keeper.wait()}"

    def close(self) -> None:
        """End all programs and the keeper."""
        self._control.close()
        self.keeper.wait()
        if self.keeper.stderr is not None:
            self.keeper.stderr.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _users() -> int:
    """The first of the users for the programs of one sandbox, which other sandboxes and people do not have; 0 where
    there are not so many, as in a container that has few."""
    ranges = [[int(word) for word in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    most = min(max(first + many for first, _, many in ranges), 1 << 31) - 1
    blocks = most // 2 // (2 * _MOST_AT_ONCE)
    if not blocks:
        return 0
    return most - 2 * _MOST_AT_ONCE * (1 + os.getpid() % blocks)


def _file(text: str) -> int:
    """An open file with this text, at its beginning, that nobody can change."""
    file = os.memfd_create("text", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    data = memoryview(text.encode(errors="surrogatepass"))
    while data:
        data = data[os.write(file, data) :]
    os.lseek(file, 0, os.SEEK_SET)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file
