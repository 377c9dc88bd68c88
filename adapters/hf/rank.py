"""A rank of a model over several devices, but the first: `python -m adapters.hf.rank`, started by
`adapters/hf/parallel.py`.

Its standard input says what to load, then requests, a list of them a line; it answers them in step with the first
rank, and says nothing. It ends when its input does, at whatever it is then.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from queue import SimpleQueue
from threading import Thread
from typing import NoReturn

from adapters import library
from adapters.hf.lockstep import DONE, TIMEOUT, agree, here, join
from adapters.hf.options import Options, options_of
from adapters.hf.parallel import REQUESTS
from adapters.models.hf import load_here
from assay.errors import AssayError
from assay.spec import ModelSpec


def main() -> NoReturn:
    """Answer until there is nothing more to read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first rank
    told = json.loads(sys.stdin.buffer.readline())
    lines: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_read, args=(lines,), daemon=True).start()
    try:
        spec = ModelSpec.model_validate(told["spec"])
        dist = library("torch", "hf").distributed
        store = dist.TCPStore("127.0.0.1", told["port"], told["ranks"], False, TIMEOUT)
        store.set(here(told["rank"]), "")
        join(told["rank"], told["ranks"], store)
        model = load_here(spec, options_of(spec, Options))
        agree(DONE)
        while True:
            for _ in model.answer(REQUESTS.validate_json(lines.get())):
                pass
            agree(DONE)
    except Exception as error:  # noqa: BLE001  whatever it is, it is this rank's last word
        words = str(error) if isinstance(error, AssayError) else f"{type(error).__name__}: {error}"
        print(words.replace("\n", " "), file=sys.stderr, flush=True)
        os._exit(1)  # at once: leaving the group in order would wait for the others


def _read(lines: SimpleQueue[bytes]) -> NoReturn:
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)  # from here too when the main thread waits for a rank that is no more


if __name__ == "__main__":
    main()
