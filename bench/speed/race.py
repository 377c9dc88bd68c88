"""One workload on both sides, in turn: seconds, memory, and whether the answers are the same."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from harness.compare import allowed

from .wire import Side, SideError, read_lines
from .workloads import Workload

ROOT = Path(__file__).parent.parent.parent
BATCH_SIZES = (1, 8, 32, "auto")
PATIENCE = 2, 10.0
"""A batch size is given up after so many times the best one's seconds and so many more. On a CPU `auto` often is: its
trial is five passes over 64 rows of the longest request, of the whole window where it writes."""
OTHER_TEXTS = 0.02
"""Of texts: where two tokens are as likely as each other to the last bit, the batch decides, in either harness."""


@dataclass
class Result:
    """What was measured; seconds are medians."""

    workload: str
    questions: int
    requests: int
    target: float | None
    target_limit: float | None
    torch: dict[str, str] = field(default_factory=dict)
    """The version on either side."""
    tokens: int = 0
    """Of all rows of context and continuation."""
    unique_tokens: int = 0
    ratio: float = 0.0
    """lm-evaluation-harness's seconds over assay's: the median of the repetitions', with the smallest and largest."""
    ratio_min: float = 0.0
    ratio_max: float = 0.0
    assay_seconds: float = 0.0
    lm_eval_seconds: float = 0.0
    batch_size: int | str = 1
    """The best for lm-evaluation-harness."""
    probes: dict[str, float | str] = field(default_factory=dict)
    """Seconds with each batch size on a few questions, or why there are none."""
    limit_seconds: float | None = None
    limit_shared: float | None = None
    of_limit: float | None = None
    of_shared: float | None = None
    assay_mib: float = 0.0
    """Peak of resident memory after the first repetition."""
    lm_eval_mib: float = 0.0
    largest_difference: float = 0.0
    of_allowed: float | None = 0.0
    """The largest difference as a share of what is allowed; None in bf16, where nothing is said of it."""
    best_differ: int = 0
    """Questions of which another choice is the best one."""
    texts_differ: int | None = None
    written_tokens: int | None = None
    parameters: int | None = None
    utilisation: float | None = None
    """Of the device's floating-point operations: 2 a parameter and unique token."""

    @property
    def same(self) -> bool:
        """Whether both gave the same answers."""
        if self.texts_differ is not None:
            return self.texts_differ <= OTHER_TEXTS * self.requests
        return self.of_allowed is None or self.of_allowed <= 1

    def record(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {"same": self.same, **asdict(self)}


@dataclass(frozen=True)
class Race:
    """How both sides are run."""

    settings: dict[str, Any]
    """model, dtype, device, threads, memory."""
    lm_eval: str
    """The Python that has lm_eval."""
    repeat: int
    probe: int
    """Questions that a batch size is chosen by."""
    peak_tflops: float | None
    folder: Path

    def run(self, workload: Workload, questions: int, requests: Path) -> Result:
        """Raises SideError where a side fails."""
        lines = read_lines(str(requests))
        result = Result(workload.name, questions, len(lines), workload.target, workload.limit)
        settings = self.settings | {"requests": str(requests)}
        result.batch_size, result.probes = self.best(settings)
        here, there, limits = [], [], []
        with (
            Side(sys.executable, "assay_side", settings, self.folder / "assay.log", ROOT) as ours,
            Side(self.lm_eval, "lm_eval_side", settings, self.folder / "lm_eval.log") as theirs,
        ):
            result.tokens, result.unique_tokens = ours.facts["tokens"], ours.facts["unique_tokens"]
            result.torch = {"assay": ours.facts["torch"], "lm_eval": theirs.facts["torch"]}
            for _ in range(self.repeat):
                here.append(ours.ask("answer"))
                there.append(theirs.ask("answer", batch_size=result.batch_size))
                if "texts" not in here[0]:
                    limits.append(ours.ask("limit"))
        timed(result, here, there)
        limited(result, here, limits, self.peak_tflops)
        for a, b in zip(here, there, strict=True):
            hold(result, lines, a, b, self.settings["dtype"] == "float32")
        return result

    def best(self, settings: dict[str, Any]) -> tuple[int | str, dict[str, float | str]]:
        """The batch size that lm-evaluation-harness is fastest with on a few questions, and what each of them took.

        Raises SideError where it fails with every one.
        """
        seconds: dict[int | str, float] = {}
        told: dict[str, float | str] = {}
        side = None
        for size in BATCH_SIZES:
            times, more = PATIENCE
            patience = times * min(seconds.values()) + more if seconds else None
            try:
                side = side or Side(self.lm_eval, "lm_eval_side", settings, self.folder / "probe.log")
                seconds[size] = side.ask("answer", patience, batch_size=size, questions=self.probe)["seconds"]
                told[str(size)] = round(seconds[size], 3)
            except SideError as error:
                side, told[str(size)] = None, str(error).splitlines()[0][:200]
        if side:
            side.end()
        if not seconds:
            raise SideError(f"lm-evaluation-harness fails with every batch size: {told}")
        return min(seconds, key=lambda size: seconds[size]), told


def timed(result: Result, here: Sequence[dict[str, Any]], there: Sequence[dict[str, Any]]) -> None:
    """Fill in seconds, ratios and memory."""
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(here, there, strict=True)]
    result.ratio, result.ratio_min, result.ratio_max = median(ratios), min(ratios), max(ratios)
    result.assay_seconds = median(one["seconds"] for one in here)
    result.lm_eval_seconds = median(one["seconds"] for one in there)
    result.assay_mib, result.lm_eval_mib = here[0]["peak_mib"], there[0]["peak_mib"]
    result.written_tokens = here[0].get("written")


def limited(
    result: Result, here: Sequence[dict[str, Any]], limits: Sequence[dict[str, Any]], tflops: float | None
) -> None:
    """Fill in the limits, and assay's seconds over them: each repetition's over the limit measured right after it."""
    if not limits:
        return
    result.parameters = limits[0]["parameters"]
    result.limit_seconds = median(one["plain"] for one in limits)
    result.limit_shared = median(one["shared"] for one in limits)
    pairs = list(zip(here, limits, strict=True))
    result.of_limit = median(a["seconds"] / b["plain"] for a, b in pairs)
    result.of_shared = median(a["seconds"] / b["shared"] for a, b in pairs)
    if tflops:
        done = 2 * limits[0]["parameters"] * result.unique_tokens
        result.utilisation = done / result.assay_seconds / (tflops * 1e12)


def hold(
    result: Result, lines: Sequence[dict[str, Any]], here: dict[str, Any], there: dict[str, Any], exact: bool
) -> None:
    """Hold the answers of a repetition against each other; the worst of all counts."""
    if "texts" in here:
        differ = sum(a != b for a, b in zip(here["texts"], there["texts"], strict=True))
        result.texts_differ = max(result.texts_differ or 0, differ)
        return
    rolling = "text" in lines[0]
    pairs = list(zip(here["sums"], there["sums"], strict=True))
    result.largest_difference = max(result.largest_difference, *(abs(a - b) for a, b in pairs))
    shares = [abs(a - b) / allowed(b, rolling) for a, b in pairs]
    result.of_allowed = max(result.of_allowed or 0, *shares) if exact else None
    if not rolling:
        ours, theirs = (best(lines, [pair[side] for pair in pairs]) for side in (0, 1))
        result.best_differ = max(result.best_differ, sum(ours[one] != theirs[one] for one in ours))


def best(lines: Sequence[dict[str, Any]], sums: Sequence[float]) -> dict[int, int]:
    """The place of the best choice of each question."""
    rest, choices = iter(sums), dict[int, list[float]]()
    for line in lines:
        choices.setdefault(line["question"], []).extend(islice(rest, len(line["continuations"])))
    return {question: values.index(max(values)) for question, values in choices.items()}
