"""Artifacts that change while a run goes on: Prefect's own functions update the progress kind only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.actions import ArtifactUpdate


def update_table(artifact: UUID, rows: Sequence[dict[str, Any]]) -> None:
    """Put other rows into a table artifact."""
    with get_client(sync_client=True) as client:
        client.update_artifact(artifact, ArtifactUpdate(data=json.dumps(list(rows))))
