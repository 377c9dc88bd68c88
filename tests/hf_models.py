"""Small causal models made on the spot: a folder with a random network and a tokenizer of its own."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from assay.spec import ModelSpec
from assay.types import Completion, Request, Sampling

os.environ.setdefault("OMP_NUM_THREADS", "1")  # so small a network only waits for a second thread

TOLERANCE = 1e-4
"""Of a sum, in fp32."""
LINES = (
    "The cat sat on the mat and looked at the moon.",
    "Question: what is two plus two? Answer: four.",
    "Once upon a time there was a little girl who liked red balls.",
)
CHAT = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}"
    "<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


LLAMAS: dict[str, dict[str, Any]] = {
    "llama": {}, "qwen2": {}, "qwen3": {"head_dim": 16}, "gpt_neox": {"rotary_pct": 0.5},
    "gemma": {"num_key_value_heads": 1, "head_dim": 16}, "mistral": {"sliding_window": 12}, "gemma2": {"head_dim": 16},
}  # fmt: skip
"""Kinds that are made of much the same, and what else each of them wants."""
PACKED = ("llama", "qwen2", "qwen3", "gpt2", "gpt_neox", "gemma")
"""Kinds that can compute packs."""


def tokenizer(bos: bool = True, begins: bool = True, chat: bool = False) -> Any:
    """A byte-level BPE tokenizer of a few hundred tokens; `begins`: it puts <s> in front of a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>"] if bos else ["</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        LINES * 3,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    if bos and begins:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))]
        )
    names = {"bos_token": "<s>"} if bos else {}
    fast = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", model_max_length=96, **names)
    if chat:
        fast.chat_template = CHAT
    return fast


def network(vocabulary: int, kind: str = "llama", seed: int = 0, wide: bool = False) -> Any:
    """A random network with two layers and a window of 96 tokens; wide: its heads are 32 wide, as vLLM's kernels for
    CPUs want them at least."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    sizes: dict[str, Any] = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
    if kind in LLAMAS:
        sizes |= {
            "hidden_size": 64 if wide else 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2 if wide else 4, "num_key_value_heads": 2, "max_position_embeddings": 96,
            "initializer_range": 0.2 if wide else 0.4, **LLAMAS[kind],
        }  # fmt: skip
    elif kind == "gpt2":
        sizes |= {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 96, "initializer_range": 0.3}
    else:
        sizes |= {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "max_position_embeddings": 96}
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes)).eval()


def save(folder: Path, kind: str = "llama", seed: int = 0, wide: bool = False, **how: bool) -> Path:
    """A model's folder."""
    words = tokenizer(**how)
    words.save_pretrained(folder)
    network(len(words), kind, seed, wide).save_pretrained(folder)
    return folder


@lru_cache(maxsize=8)
def reference(folder: Path) -> tuple[Any, Any]:
    """The network and tokenizer of a folder, as transformers loads them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def generated(folder: Path, text: str, count: int) -> str:
    """What `generate` writes after a text that stands alone."""
    import torch

    network, words = reference(folder)
    ids = torch.tensor([words.encode(text)])
    written = network.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, pad_token_id=0
    )
    return str(words.decode(written[0, ids.shape[1] :], skip_special_tokens=True))


def spec(folder: Path, meta: Any = None, **options: Any) -> ModelSpec:
    return ModelSpec(adapter="hf", path=str(folder), options={"device": "cpu", **options}, meta_template=meta)


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def score(
    key: str, text: str, *continuations: str, needs: tuple[str, ...] = (), kind: Any = "loglikelihood"
) -> Request:
    return Request(key, kind, user(text), continuations, needs=frozenset(needs))


def write(key: str, text: str, seed: int = 0, **sampling: Any) -> Request:
    return Request(key, "generate", user(text), sampling=Sampling(**sampling), seed=seed)


def answers(model: Any, requests: list[Request]) -> dict[str, Completion]:
    """The completions by key; each key once."""
    given = [completion for batch in model.answer(requests) for completion in batch]
    assert sorted(c.key for c in given) == sorted(r.key for r in requests)
    return {c.key: c for c in given}


def close(one: Completion, other: Completion) -> bool:
    """Whether two answers are the same: sums to the tolerance, the rest exactly."""
    return (
        one.error == other.error
        and one.sums == pytest.approx(other.sums, abs=TOLERANCE)
        and (one.tokens, one.greedy, one.truncated) == (other.tokens, other.greedy, other.truncated)
        and one.prompt_sums == pytest.approx(other.prompt_sums, abs=TOLERANCE)
    )
