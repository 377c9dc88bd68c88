"""How long it takes to make a text of an asked length, and how near it comes: every task of RULER at four lengths.

    python bench/long_texts.py [--tokenizer FOLDER] [--lengths 4k 32k 128k 1m] [--count 13]

Without a tokenizer, one of 32,000 tokens is trained on the haystack: byte-level BPE, as those of Llama 3 or Qwen.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from adapters.datasets import open_source
from adapters.datasets.fetch import data_folder
from adapters.datasets.generated import tokenizer
from assay.catalog import load_benchmark
from assay.functions import load_functions


def main() -> None:
    """Print a row a task and length: tokens that lack, seconds of one core for the first text and for the second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer")
    parser.add_argument("--lengths", nargs="+", default=["4k", "32k", "128k", "1m"])
    given = parser.parse_args()
    load_functions()
    with tempfile.TemporaryDirectory() as folder:
        measure = tokenizer(given.tokenizer or trained(Path(folder)))
        for length in given.lengths:
            benchmark = load_benchmark(f"ruler@tokens={length}+count=24")
            began, seen = time.process_time(), dict[str, list[float]]()
            for row in open_source(benchmark.sources, measure=lambda: measure).rows:
                seconds, began = time.process_time() - began, time.process_time()
                lacks = row["tokens"] - 128 - row["length"]
                seen.setdefault(row["task"], []).append(seconds)
                if len(seen[row["task"]]) == 2:
                    first, second = seen[row["task"]]
                    print(
                        f"{length:>5} {row['task']:18} lacks {lacks:4} tokens  {first:6.2f} s, then {second:6.2f} s",
                        flush=True,
                    )
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def trained(folder: Path) -> str:
    """The folder of a tokenizer that is trained on the haystack."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    files = [str(path) for path in sorted((data_folder() / "needle_haystack").rglob("*.txt"))]
    made.train(
        files,
        trainers.BpeTrainer(
            vocab_size=32_000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    PreTrainedTokenizerFast(tokenizer_object=made).save_pretrained(folder)
    return str(folder)


if __name__ == "__main__":
    main()
