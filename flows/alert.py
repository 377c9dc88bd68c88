"""The alert: begun by an automation where a benchmark fell, it says so where somebody looks."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Failed

from assay.shown import number, probability


@flow(name="alert")
def alert(fall: dict[str, Any]) -> State[Any]:
    """Log a fall as an error, post it to $ASSAY_ALERT_URL where that is set, and end as failed, so that it stands out.

    Args:
        fall: The payload of an event `assay.benchmark.fell`.
    """
    message = (
        f"{fall['family']}: {fall['benchmark']} ({fall['metric']}) fell at step {fall['step']}:"
        f" {number(fall['from'])} → {number(fall['to'])} against step {fall['against_step']}"
        f" (p = {probability(fall['p'])})"
    )
    get_run_logger().error(message)
    if url := os.environ.get("ASSAY_ALERT_URL"):
        post(url, {"text": message} | fall)
    return Failed(name="Regressed", message=message)


def post(url: str, body: dict[str, Any]) -> None:
    """Post JSON. Raises OSError where nobody takes it."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30):
        pass
