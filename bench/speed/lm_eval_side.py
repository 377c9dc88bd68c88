"""lm-evaluation-harness's side, run in an environment of its own: its HFLM, as its evaluator asks it."""

from __future__ import annotations

import time
from typing import Any

from .wire import Operations, read_lines, serve


def start(settings: dict[str, Any]) -> tuple[dict[str, Any], Operations]:
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(settings["threads"])
    lm = HFLM(pretrained=settings["model"], dtype=settings["dtype"], device=settings["device"], batch_size="auto")
    lines = read_lines(settings["requests"])

    def instances(asked: list[dict[str, Any]]) -> tuple[str, list[Any]]:
        if "text" in asked[0]:
            kind, arguments = "loglikelihood_rolling", [(line["text"],) for line in asked]
        elif "stop" in asked[0]:
            kind = "generate_until"
            arguments = [
                (line["context"], {"until": line["stop"], "max_gen_toks": line["max_tokens"]}) for line in asked
            ]
        else:
            kind = "loglikelihood"
            arguments = [(line["context"], continuation) for line in asked for continuation in line["continuations"]]
        return kind, [Instance(kind, {}, one, i) for i, one in enumerate(arguments)]

    def answer(batch_size: int | str, questions: int | None = None) -> dict[str, Any]:
        lm.batch_size_per_gpu = batch_size
        kind, asked = instances([line for line in lines if questions is None or line["question"] < questions])
        began = time.perf_counter()
        answers = getattr(lm, kind)(asked, disable_tqdm=True)
        seconds = time.perf_counter() - began
        if kind == "generate_until":
            return {"seconds": seconds, "texts": answers}
        return {"seconds": seconds, "sums": answers if kind == "loglikelihood_rolling" else [one[0] for one in answers]}

    answer(1, questions=2)  # the first of all pays for what is set up once
    return {"torch": torch.__version__}, {"answer": answer}


if __name__ == "__main__":
    serve(start)
