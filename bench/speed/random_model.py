"""A Llama with random parameters and a tokenizer that is trained on the data at hand: `python -m speed.random_model
FOLDER SIZE`, in a process of its own, so that torch is not in the one that starts the sides."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.datasets.fetch import data_folder
from assay.keys import canonical, digest

from .wire import BENCH

VOCABULARY = 24_576
"""As of language models: with few tokens in it, projecting every state on all of them would cost nothing."""
READ = ("wikitext2/test.txt", "gsm8k/train.jsonl", "agieval/v1/logiqa-en.jsonl")
SIZES: dict[str, dict[str, Any]] = {
    "30M": {
        "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 6, "num_attention_heads": 8,
        "num_key_value_heads": 8, "dtype": "float32",
    },
    "1B": {
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 8, "dtype": "bfloat16",
    },
}  # fmt: skip
ALL = {
    "vocab_size": VOCABULARY, "max_position_embeddings": 4096, "tie_word_embeddings": True, "bos_token_id": 0,
    "eos_token_id": 1, "initializer_range": 0.05,
}  # fmt: skip  # so wide that log-probabilities differ from token to token


def made(size: str, cache: Path) -> Path:
    """The folder of the model in `cache`, made where it is not there."""
    folder = cache / f"random-{size}-{digest(canonical([SIZES[size], ALL, READ]))[:12]}"
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "speed.random_model", folder, size], check=True, cwd=BENCH)
    return folder


def make(folder: Path, size: str) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    part = folder.with_suffix(".part")
    tokenizer().save_pretrained(part)
    torch.manual_seed(0)
    settings = dict(SIZES[size])
    dtype = getattr(torch, settings.pop("dtype"))
    LlamaForCausalLM(LlamaConfig(**settings, **ALL)).to(dtype).save_pretrained(part)
    part.rename(folder)  # whole or not at all


def tokenizer() -> Any:
    """A byte-level BPE tokenizer that puts <s> in front of a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    own = Tokenizer(models.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    own.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    own.train_from_iterator(texts(), trainer)
    own.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    window = ALL["max_position_embeddings"]
    return PreTrainedTokenizerFast(tokenizer_object=own, bos_token="<s>", eos_token="</s>", model_max_length=window)


def texts() -> Iterator[str]:
    for name in READ:
        for line in (data_folder() / name).read_text().splitlines():
            yield " ".join(map(str, json.loads(line).values())) if name.endswith("jsonl") else line


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2])
