"""Every function that a recipe may name, registered: importing this is what fills the registries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import assay.calls
import assay.execute_code
import assay.execute_languages
import assay.extract_answers
import assay.extract_code
import assay.extract_judge
import assay.extract_letters
import assay.extract_likelihood
import assay.extract_marked
import assay.extract_refusal
import assay.extract_text
import assay.game24
import assay.generate
import assay.generate_long
import assay.generate_ruler
import assay.judge
import assay.latex_filters
import assay.metrics
import assay.metrics_bias
import assay.metrics_circular
import assay.metrics_corpus
import assay.metrics_judge
import assay.metrics_pairs
import assay.metrics_replicas
import assay.metrics_vote
import assay.open_answers
import assay.partition
import assay.readers
import assay.readers_code
import assay.readers_lists
import assay.readers_judged
import assay.readers_reasoning
import assay.readers_safety
import assay.readers_tools
import assay.retrieve
import assay.retrieve_balanced
import assay.retrieve_bm25
import assay.retrieve_dpp
import assay.retrieve_labels
import assay.retrieve_mdl
import assay.retrieve_topk
import assay.retrieve_votek
import assay.score_answers
import assay.score_bias
import assay.score_calls
import assay.score_drop
import assay.score_exams
import assay.score_greedy
import assay.score_judge
import assay.score_labels
import assay.score_languages
import assay.score_law
import assay.score_likelihood
import assay.score_maths
import assay.score_overlap
import assay.score_spans
import assay.score_text
import assay.score_truthful
import assay.solve
import assay.solve_dialogue
import assay.solve_game24
import assay.solve_neutral
import assay.solve_tree
import assay.worked_examples  # noqa: F401
from assay.registry import load_catalog, load_plugins


def load_functions(catalog: Sequence[Path] = ()) -> None:
    """Register what installed distributions and catalogue folders add to assay's own. Raises SpecError."""
    load_plugins()
    for folder in catalog:
        load_catalog(folder)
