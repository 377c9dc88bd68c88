"""The adapter `hf` and lm-evaluation-harness 0.4.13 write answers to the same prompts with the same model, in turn.

    python bench/hf_generation.py --lm-eval-python VENV/bin/python [--questions 160] [--max-tokens 256] [--quick]

All is as in bench/hf_scoring.py; the answers are greedy, and compared to the letter. There is no limit here: what is
shown are the tokens a second that each side wrote. Exit status 1 where more than one text in fifty differs.
"""

from __future__ import annotations

import sys

from speed.report import main
from speed.workloads import GENERATION

if __name__ == "__main__":
    sys.exit(main("hf_generation", __doc__, GENERATION))
