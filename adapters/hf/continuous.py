"""Texts written by a network that can compute packs: a text that is done makes room for the next one.

Prompts are a trie: what many begin with is computed once and kept, what is left of each is computed in packs, all but
its last token. From there on each text has a slot, and one forward pass gives each its next token.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from adapters.hf.attention import Stored
from adapters.hf.batches import FAILURES, free, is_memory
from adapters.hf.drafts import Draft
from adapters.hf.packed import Climber
from adapters.hf.packing import Packing
from adapters.hf.packs import packed
from adapters.hf.plan import Stem, Unit, divide
from adapters.hf.slots import Slots
from adapters.hf.trie import Trie
from adapters.hf.writing import Row, Writing

logger = logging.getLogger(__name__)


class Prompt(NamedTuple):
    """A prompt without its last token, which may be of several drafts."""

    base: Stored
    """What it begins with; the rest is the unit."""
    unit: Unit
    drafts: list[Draft]

    @property
    def size(self) -> int:
        """Tokens that a slot for it must hold in the end."""
        return self.unit.size + max(draft.limit for draft in self.drafts) + 1


class Continuous(Climber):
    """Drafts, written side by side."""

    def __init__(self, packing: Packing, drafts: Sequence[Draft]) -> None:
        alike: dict[bytes, list[Draft]] = defaultdict(list)
        for draft in drafts:
            alike[np.asarray(draft.tokens[:-1], np.int32).tobytes()].append(draft)
        super().__init__(packing, Trie([np.frombuffer(tokens, np.int32) for tokens in alike]))
        self.drafts = [list(alike.values())[i] for i in self.trie.order]
        self.slots, self.live = Slots(), list[Row]()
        self.waiting = len(drafts)
        """Drafts that are not begun yet."""
        self.left: list[Draft] = []
        """What could not be gone on with, to be written otherwise."""

    def write(self, writing: Writing) -> Iterator[list[Row]]:
        """Rows that are done, as soon as they are."""
        waiting = self.prompts(self.plan())
        prompt = next(waiting, None)
        while prompt is not None or self.live:
            taken: list[Prompt] = []
            while prompt is not None and (room := self.room(prompt, taken)):
                taken.append(prompt._replace(drafts=prompt.drafts[:room]))
                rest = prompt.drafts[room:]
                prompt = prompt._replace(drafts=rest) if rest else next(waiting, None)
            try:
                if taken:
                    self.begin(taken, writing.row)
                    continue  # there may be room for prompts that begin otherwise
                writing.write(self.logits(), self.live)
            except FAILURES as error:
                self.drop(taken, f"{type(error).__name__}: {error}")
            if done := self.leave():
                yield done

    def plan(self) -> Stem:
        """What is computed after what: each prompt is a unit."""
        return divide(self.trie, self.packing.limits._replace(unit=0))

    def prompts(self, stem: Stem) -> Iterator[Prompt]:
        """The prompts that begin with a stem, those that may get longest first."""
        if not self.climb(stem):
            self.left += [draft for drafts in self.drafts[stem.low : stem.high] for draft in drafts]
        else:
            units = [*stem.units, *(Unit(i, i + 1, stem.end, 0) for i in stem.ended(self.trie))]
            base = self.stored.copy() if units else self.stored
            prompts = [Prompt(base, unit, self.drafts[unit.low]) for unit in units]
            yield from sorted(prompts, key=lambda prompt: -prompt.size)
            for child in stem.stems:
                yield from self.prompts(child)
        self.stored.cut(stem.start)

    def room(self, prompt: Prompt, taken: Sequence[Prompt]) -> int:
        """How many drafts of a prompt there is room for, beside what is being written and what was taken just now.

        All that is taken at once begins alike. A pass over few prompts costs more than it is worth: there is none while
        less than an eighth of the slots is free.
        """
        if taken and (prompt.base is not taken[0].base or sum(p.unit.size for p in taken) >= self.engine.tokens):
            return 0
        texts = zip(self.live, self.slots.bases, strict=True)
        sizes = [len(row.draft.tokens) + row.draft.limit - base.length for row, base in texts]
        longest = max(prompt.size, *sizes, *(p.size for p in taken), 1)
        most = max(1, min(self.engine.kept // longest, self.engine.rows or self.engine.kept))
        self.slots.reserve(min(most, len(self.live) + self.waiting), longest)
        room = max(0, most - len(self.live) - sum(len(p.drafts) for p in taken))
        return room if taken or not self.live or room >= most / 8 else 0

    def begin(self, prompts: Sequence[Prompt], row: Callable[[Draft], Row]) -> None:
        """Compute what is left of prompts, and give each of their drafts a slot."""
        base = prompts[0].base
        self.slots.reserve(len(self.live) + sum(len(p.drafts) for p in prompts), max(p.size for p in prompts))
        pack = packed(self.trie, [p.unit for p in prompts if p.unit.size])
        with torch.inference_mode():
            kept = self.packing.states(pack, base, keep=True)[1] if len(pack.tokens) else {}
            for prompt in prompts:
                for draft in prompt.drafts:
                    self.slots.take(base, kept, pack.paths.get(prompt.unit.low, ()))
                    self.live.append(row(draft))
                    self.waiting -= 1

    def logits(self) -> Any:
        """The logits (slots, vocabulary) of the next token of each text that is being written."""
        with torch.inference_mode():
            states = self.packing.next([row.last for row in self.live], self.slots)
            return self.engine.head(states).float()

    def leave(self) -> list[Row]:
        """The rows that are done: their slots are free."""
        done = [slot for slot, row in enumerate(self.live) if row.finish]
        rows = [self.live[slot] for slot in done]
        with torch.inference_mode():
            for slot in reversed(done):
                self.slots.leave(slot)
                self.live[slot] = self.live[-1]
                self.live.pop()
        return rows

    def drop(self, taken: Sequence[Prompt], failure: str) -> None:
        """Leave what was being written to be written otherwise, from its beginning."""
        drafts = [row.draft for row in self.live] + [draft for prompt in taken for draft in prompt.drafts]
        self.left += list(dict.fromkeys(drafts))
        self.slots, self.live = Slots(), []
        logger.warning("%d texts are written one batch after another: %s", len(drafts), failure.splitlines()[0])
        if is_memory(failure):
            self.engine.tokens, self.engine.kept = max(1, self.engine.tokens // 2), max(1, self.engine.kept // 2)
            free()
