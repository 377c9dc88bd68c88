"""Scores as columns, for tests of what is computed from them."""

from __future__ import annotations

import numpy as np

from assay.types import Scores


def scores(values, weights=None, groups=None, clusters=None, details=()):
    n = len(values)
    empty = np.full(n, "", object)
    return Scores(
        np.asarray(values, float),
        np.ones(n) if weights is None else np.asarray(weights, float),
        empty if groups is None else np.asarray(groups, object),
        empty if clusters is None else np.asarray(clusters, object),
        details,
    )
