"""Processes that run the same network on the same input, each with a part of it: that they stay together.

Before each pass the ranks tell each other what they put in, so that one that went another way is found out before it
mixes its numbers with the others'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import wraps
from typing import Any

from adapters import library
from adapters.hf.batches import FAILURES
from adapters.hf.options import Options
from assay.errors import ModelError

TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for the others: they may load at different speeds. So long a pool waits for a worker."""
DONE = (0, 0, 0)
"""What a rank says in place of a pass when all requests are answered."""


def check_devices(options: Options) -> None:
    """Raise ModelError where this machine has not as many devices as are wanted."""
    torch = library("torch", "hf")
    found = torch.accelerator.current_accelerator()
    kind, wanted = "cpu" if found is None else str(found.type), f"tensor_parallel: {options.tensor_parallel}"
    if options.device not in ("auto", kind):
        raise ModelError(f"{wanted} takes the first devices that there are, of type {kind!r}, not {options.device!r}")
    if kind not in ("cpu", "cuda"):
        raise ModelError(f"{wanted} works on GPUs of type cuda, or on a CPU to try it; this machine has {kind!r}")
    if kind == "cuda" and torch.accelerator.device_count() < options.tensor_parallel:
        raise ModelError(f"{wanted} devices are not here: {torch.accelerator.device_count()} are visible")


def here(rank: int) -> str:
    """The key under which a rank says that it is there."""
    return f"here/{rank}"


def join(rank: int, ranks: int, store: Any) -> None:
    """Become a rank of so many, with the device of that number."""
    torch = library("torch", "hf")
    accelerator = torch.accelerator.current_accelerator()
    device, backend = None, "gloo"
    if accelerator is not None and accelerator.type == "cuda":
        device, backend = torch.device("cuda", rank), "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(device)
    torch.distributed.init_process_group(
        backend, store=store, rank=rank, world_size=ranks, timeout=TIMEOUT, device_id=device
    )


def agree(said: Sequence[int]) -> None:
    """Hold what is done here against the other ranks. Raises ModelError where they are elsewhere, or gone."""
    torch = library("torch", "hf")
    mine = torch.tensor(said, dtype=torch.long)
    heard = [torch.empty_like(mine) for _ in range(torch.distributed.get_world_size())]
    try:
        torch.distributed.all_gather(heard, mine)
    except RuntimeError as error:
        raise ModelError("tensor_parallel: a rank is gone, or too late") from error
    if any(not torch.equal(one, mine) for one in heard):
        raise ModelError(f"tensor_parallel: the ranks are out of step: {[one.tolist() for one in heard]}")


def keep_step(network: Any) -> None:
    """Have every pass through the network begin with a look at the other ranks, and let no failure go unnoticed."""
    torch = library("torch", "hf")

    def look(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
        ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
        places = torch.arange(1, ids.numel() + 1, device=ids.device)
        agree([*ids.shape, int((ids.flatten() * places).sum())])

    for module in {network, network.base_model, network.get_output_embeddings()} - {None}:
        module.forward = _final(module.forward)
    network.base_model.register_forward_pre_hook(look, with_kwargs=True)


def _final(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The same function; a failure that a batch would be tried again for is a ModelError."""

    @wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return forward(*args, **kwargs)
        except FAILURES as error:
            what = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            raise ModelError(f"tensor_parallel: {what} (for less memory give fewer batch_tokens)") from error

    return run
