"""Jobs sent to a keeper and their outcomes taken back: what every sandbox with a keeper is."""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from assay.errors import SandboxError
from assay.programs import Job, Outcome, Program, Ran

_ADAPTERS = Path(__file__).parents[1]
_START = """
import sys, types
package = sys.modules["adapters"] = types.ModuleType("adapters")  # without what the package itself imports
package.__path__ = [sys.argv[1]]
from adapters.boxes import keeper
keeper.main(int(sys.argv[2]))
"""
_CHUNK = 1 << 16


class Boxes:
    """A sandbox: a keeper, and as many jobs at once as there are workers. For one caller at a time."""

    def __init__(
        self, tier: str, plan: Mapping[str, Any], languages: Mapping[str, str], environ: Mapping[str, str], workers: int
    ) -> None:
        self.tier, self.languages, self.workers = tier, languages, workers
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-P", "-c", _START, str(_ADAPTERS), str(theirs.fileno())]
            self._keeper = subprocess.Popen(
                command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, pass_fds=[theirs.fileno()], start_new_session=True, cwd="/",
            )  # fmt: skip
        self._control = ours
        self._free = list(range(workers))
        ours.send(json.dumps(dict(plan)).encode())
        answer = ours.recv(_CHUNK).decode()
        if answer != "ready":
            raise SandboxError(f"the sandbox {tier} does not work here: {answer or self._last_words()}")

    def run(self, jobs: Sequence[Job]) -> Iterator[Ran]:
        """Every job's end, each once, in any order. Raises SandboxError where the keeper ends."""
        waiting = iter(jobs)
        with selectors.DefaultSelector() as ready:
            try:
                while True:
                    while self._free and (job := next(waiting, None)) is not None:
                        slot = self._free.pop()
                        ready.register(self._send(job, slot), selectors.EVENT_READ, (job, slot, bytearray()))
                    if not ready.get_map():
                        return
                    for key, _ in ready.select():
                        job, slot, data = key.data
                        if chunk := os.read(key.fd, _CHUNK):
                            data += chunk
                            continue
                        ready.unregister(key.fd)
                        os.close(key.fd)
                        self._free.append(slot)
                        yield Ran(job.key, _outcomes(job, data))
            finally:  # a guard ends when nobody reads its outcomes
                for key in list(ready.get_map().values()):
                    os.close(key.fd)
                    self._free.append(key.data[1])

    def _send(self, job: Job, slot: int) -> int:
        """Have a job begun. The open file from which its outcomes can be read."""
        result, written = os.pipe()
        files = [written]
        for program in job.programs:
            files += [_file(json.dumps({"command": list(program.command), "files": dict(program.files)})), _file(program.stdin)]
        request = {"slot": slot, "limits": [program.limits.model_dump() for program in job.programs]}
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], files)
        except OSError as error:
            os.close(result)
            raise SandboxError(f"the sandbox's keeper has ended: {self._last_words()}") from error
        finally:
            for file in files:
                os.close(file)
        return result

    def _last_words(self) -> str:
        self.close()
        return f"exit status {self._keeper.returncode}"

    def close(self) -> None:
        """End all programs and the keeper."""
        self._control.close()
        self._keeper.wait()
        if self._keeper.stderr:
            self._keeper.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _file(text: str) -> int:
    """An open file with this text, at its beginning, that nobody can change."""
    import fcntl

    file = os.memfd_create("text", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    data = memoryview(text.encode(errors="surrogatepass"))
    while data:
        data = data[os.write(file, data) :]
    os.lseek(file, 0, os.SEEK_SET)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file


def _outcomes(job: Job, data: bytearray) -> tuple[Outcome, ...]:
    if not data:  # the guard was ended, as where the machine has no more memory
        return tuple(Outcome("failed", stderr="what watched over the program was ended") for _ in job.programs)
    return tuple(Outcome(**outcome) for outcome in json.loads(data))
