"""The adapter `hf` and lm-evaluation-harness 0.4.13 score the same requests with the same model, in turn.

    python bench/hf_scoring.py --lm-eval-python VENV/bin/python [--workloads hellaswag …] [--questions 160] [--quick]

The requests are made once, by assay's recipes, and both read them. Timed is answering them, tokenisation included, not
loading; each side is a process that waits while the other computes. lm-evaluation-harness has the best of the batch
sizes 1, 8, 32 and auto, by a trial on a few questions. The limit is the time of bare forward passes over the unique
tokens: `limit` in plain rows, `shared` after the header's keys and values, which each token really has to look at. A
table for each model, then one JSON line; exit status 1 where the sums differ.

    python -m venv VENV && VENV/bin/pip install "lm_eval[hf]==0.4.13"
"""

from __future__ import annotations

import sys

from speed.report import main
from speed.workloads import SCORING

if __name__ == "__main__":
    sys.exit(main("hf_scoring", __doc__, SCORING))
