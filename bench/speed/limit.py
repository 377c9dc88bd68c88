"""The time that nothing which looks at every token once can be faster than: bare forward passes of a network of
transformers, its layers for each token once, its head for each token after which something is asked."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

BATCHES = (2048, 8192)
"""Tokens in a batch: few enough for the cores' caches, or enough that a small network's overhead does not count. The
limit is the faster one's."""
PROJECTED = 512
"""States whose logits are computed at once."""
HEADERS = 32_768
"""Tokens that the copies of a header's keys and values hold at most."""

Tokens = list[int]


class Rows(NamedTuple):
    """What the model has to see for a question, a row for each continuation."""

    group: str
    """Questions of one group have the same examples in front."""
    rows: list[Tokens]
    asked: int = 0
    """Different beginnings of these rows after which a token is scored."""


def common(rows: Sequence[Tokens]) -> int:
    """How many tokens all rows begin with: the first and the last of them sorted have no more in common than that."""
    first, last = min(rows), max(rows)
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def unique(rows: Sequence[Tokens]) -> int:
    """The nodes of the trie of these rows: sorted, each adds what it does not share with the one before."""
    count, before = 0, Tokens()
    for row in sorted(rows):
        count += len(row) - common([before, row])
        before = row
    return count


class Limit:
    """Measures it on a network of its own."""

    def __init__(self, folder: str, dtype: str, device: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        self.torch, self.device = torch, device
        whole = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation="sdpa")
        self.parameters = sum(one.numel() for one in whole.parameters())
        self.network = whole.to(device).eval().base_model
        self.head = whole.get_output_embeddings()
        self.config = whole.config
        self.window: int = self.config.max_position_embeddings

    def measured(self, questions: Sequence[Rows]) -> dict[str, Any]:
        """Seconds of plain rows with as many tokens as are unique, and of headers with what follows them."""
        rows = [row for question in questions for row in question.rows]
        width = max(1, round(sum(map(len, rows)) / len(rows)))
        headers = list(divided(questions, self.window))
        with self.torch.inference_mode():
            self.forward(1, width)
            plain = min(self.seconds(partial(self.plain, unique(rows), width, most)) for most in BATCHES)
            shared = min(self.seconds(partial(self.shared, headers, most)) for most in BATCHES)
            head = self.seconds(partial(self.project, sum(question.asked for question in questions)))
        return {"plain": plain + head, "shared": shared + head, "head": head, "parameters": self.parameters}

    def seconds(self, run: Callable[[], None]) -> float:
        began = time.perf_counter()
        run()
        if self.device != "cpu":
            self.torch.cuda.synchronize()
        return time.perf_counter() - began

    def plain(self, count: int, width: int, most: int) -> None:
        """Causal rows that see nothing of each other, so many tokens in all, at most so many at a time."""
        whole, rest = divmod(count, width)
        rows = max(1, most // width)
        for first in range(0, whole, rows):
            self.forward(min(rows, whole - first), width)
        if rest:
            self.forward(1, rest)

    def shared(self, headers: Sequence[tuple[int, list[int]]], most: int) -> None:
        """Each header once; then what is a question's own, looking at the header's keys and values."""
        from transformers import DynamicCache

        for header, lengths in headers:
            cache = DynamicCache(config=self.config)
            if header:
                self.forward(1, header, cache)
            for batch in batches(lengths, most, max(1, HEADERS // max(1, header))):
                own = copy.deepcopy(cache)
                own.batch_repeat_interleave(len(batch))
                self.forward(len(batch), batch[0], own)

    def project(self, states: int) -> None:
        """The logits of so many states, each set of them forgotten at once."""
        for first in range(0, states, PROJECTED):
            many = min(PROJECTED, states - first)
            self.head(self.head.weight.new_zeros(many, self.head.weight.shape[1]))

    def forward(self, rows: int, width: int, cache: Any = None) -> None:
        ids = self.torch.randint(self.config.vocab_size, (rows, width), device=self.device)
        self.network(input_ids=ids, past_key_values=cache, use_cache=cache is not None)


def divided(questions: Sequence[Rows], window: int) -> Iterator[tuple[int, list[int]]]:
    """Of each group the length of its header and how many tokens each question has of its own; of one that has more
    than the window leaves room for, in parts."""
    groups: dict[str, list[list[Tokens]]] = {}
    for question in questions:
        groups.setdefault(question.group, []).append(question.rows)
    for members in groups.values():
        rows = [row for member in members for row in member]
        header = min(common(rows), min(map(len, rows)) - 1)
        lengths = []
        for member in members:
            own, room = unique(member) - header, window - header
            lengths += [room] * (own // room) + ([own % room] if own % room else [])
        yield header, sorted(lengths, reverse=True)


def batches(lengths: Sequence[int], most: int, rows: int) -> Iterator[list[int]]:
    """Lengths, the longest first, in batches of at most so many tokens and rows, as wide as their first."""
    rest = list(lengths)
    while rest:
        count = min(rows, max(1, most // rest[0]))
        yield rest[:count]
        del rest[:count]
