"""One model over several devices: tensor parallelism, as transformers does it, with a process for each device.

The first process is the one that is asked. It starts the others (`adapters/hf/rank.py`), gives them its requests, and
all of them run the same code on the same requests; what the others answer is thrown away. So their passes through the
network are the same ones in the same order, and each pass begins with a look at whether they still are.

What holds. A rank that dies or is out of step, a batch that fails on any rank (memory included: one rank that tries
again in halves would leave the others waiting), and answers that are not read to their end all end the other ranks;
the model answers with a ModelError from then on. A rank that dies is noticed at once on a CPU, on GPUs when the next
pass begins; a pass that is under way on GPUs waits for it until NCCL ends the process, after TIMEOUT. The other ranks
end with the first one, however that ends: their standard input is closed then. What a rank measures for itself, such as
free memory or time, must not decide what it does next. `adapters/hf/lockstep.py` keeps them in step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from pydantic import TypeAdapter

from adapters import library
from adapters.hf.lockstep import DONE, TIMEOUT, agree, check_devices, here, join
from adapters.hf.options import Options
from assay.errors import ModelError
from assay.spec import ModelSpec
from assay.types import Completion, Model, Request

LAST_WORDS = 5.0
"""Seconds that a rank which broke down has to end, so that the cause is known."""
REQUESTS = TypeAdapter(list[Request])


class Spread:
    """The model as it is asked, in the first process."""

    def __init__(self, spec: ModelSpec, options: Options, load: Callable[[], Model]) -> None:
        check_devices(options)
        self.others = Ranks(spec, options.tensor_parallel)
        weakref.finalize(self, self.others.end)
        try:
            self.others.join()
            self.model = load()
            agree(DONE)
        except Exception as error:
            raise self.others.broken(error) from error

    @property
    def how(self) -> str:
        """As the model says it, and over how many processes it is spread."""
        return f"{getattr(self.model, 'how', '')}, over {self.others.ranks} processes"

    def answer(self, requests: Sequence[Request]) -> Iterator[Sequence[Completion]]:
        """The completions of all requests. Raises ModelError where a rank has ended."""
        whole = False
        try:
            self.others.ask(requests)
            yield from self.model.answer(requests)
            agree(DONE)
            whole = True
        except Exception as error:
            raise self.others.broken(error) from error
        finally:
            if not whole:
                self.others.end()


class Ranks:
    """The other processes."""

    def __init__(self, spec: ModelSpec, ranks: int) -> None:
        dist = library("torch", "hf").distributed
        if dist.is_initialized():
            raise ModelError("tensor_parallel: one process holds one such model at a time, and another is still loaded")
        self.ranks, self.ended, self.joined = ranks, "", False
        self.store = dist.TCPStore("127.0.0.1", 0, ranks, True, TIMEOUT, wait_for_workers=False)
        told = {"spec": spec.model_dump(mode="json"), "ranks": ranks, "port": self.store.port}
        self.words = [TemporaryFile() for _ in range(1, ranks)]  # noqa: SIM115  closed by `end`
        self.processes = [self._start(rank, told | {"rank": rank}) for rank in range(1, ranks)]

    def _start(self, rank: int, told: dict[str, Any]) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
        words = self.words[rank - 1]
        process = subprocess.Popen(
            [sys.executable, "-m", "adapters.hf.rank"], stdin=subprocess.PIPE, stdout=words, stderr=words,
            env=os.environ | {"PYTHONPATH": path, "LOCAL_RANK": str(rank)},
        )  # fmt: skip
        say(process, json.dumps(told).encode())
        return process

    def join(self) -> None:
        """Wait until all are there, and become the first of them. Raises ModelError where one does not start."""
        while not self.store.check([here(rank) for rank in range(1, self.ranks)]):
            if self.dead() is not None:
                raise ModelError("a rank does not start")
            time.sleep(0.05)
        join(0, self.ranks, self.store)
        self.joined = True

    def ask(self, requests: Sequence[Request]) -> None:
        """Give them requests. Raises ModelError where one has ended."""
        if self.ended:
            raise ModelError(self.ended)
        if self.dead() is not None:
            raise ModelError("a rank has ended")
        line = REQUESTS.dump_json(list(requests))
        for process in self.processes:
            say(process, line)

    def dead(self) -> int | None:
        """The first rank that has ended by itself; None where all are there."""
        return next((rank for rank, p in enumerate(self.processes, 1) if p.poll() is not None), None)

    def broken(self, error: Exception) -> ModelError:
        """Why there are no more answers: what went wrong here, and a rank's last words. The others are ended."""
        if not self.ended:
            until = time.monotonic() + LAST_WORDS
            while (rank := self.dead()) is None and time.monotonic() < until:
                time.sleep(0.05)
            self.ended = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
            if rank is not None and (words := self._last_words(rank)) != self.ended:
                self.ended += f" (rank {rank} of {self.ranks} has ended: {words})"
            self.end()
        return ModelError(self.ended)

    def _last_words(self, rank: int) -> str:
        words = self.words[rank - 1]
        words.seek(0)
        said = words.read().decode(errors="replace").strip().splitlines()
        return said[-1] if said else f"exit code {self.processes[rank - 1].returncode}"

    def end(self) -> None:
        """End the other ranks, and leave the group."""
        self.ended = self.ended or "tensor_parallel: the answers were not read to their end; load the model again"
        for process in self.processes:
            if process.stdin is not None and not process.stdin.closed:
                process.stdin.close()
        for process in self.processes:
            try:
                process.wait(LAST_WORDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for words in self.words:
            words.close()
        if self.joined:
            library("torch", "hf").distributed.destroy_process_group()
            self.joined = False  # the next group is another model's


def say(process: subprocess.Popen[bytes], line: bytes) -> None:
    """Write a line to a rank. Raises ModelError where it has ended."""
    assert process.stdin is not None
    try:
        process.stdin.write(line + b"\n")
        process.stdin.flush()
    except BrokenPipeError as error:
        raise ModelError("a rank has ended") from error
