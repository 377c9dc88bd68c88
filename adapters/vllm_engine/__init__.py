"""What the model adapter `vllm` is made of, beside what it shares with `hf` (`adapters/hf/__init__.py`).

options     what a user may say              engine      prompts in, results out as they are done
scoring     log-probabilities of texts       writing     texts
lora        what the engine is told of a LoRA adapter
"""
