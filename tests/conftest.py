"""Where the real questions and the real small model are, and the marks of tests that need them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _folder(variable: str, beside: Path, *holds: str) -> Path | None:
    for folder in (os.environ.get(variable), str(beside)):
        if folder and all((Path(folder) / name).exists() for name in holds):
            return Path(folder).resolve()
    return None


DATA = _folder("ASSAY_DATA", ROOT.parent / "shared" / "data", "gsm8k", "mmlu")
STORIES = _folder("ASSAY_STORIES", ROOT.parent / "shared" / "models" / "stories260K", "config.json")
TINY = ROOT / "examples" / "tiny" / "checkpoints"

needs_data = pytest.mark.skipif(DATA is None, reason="the real questions are not here: set ASSAY_DATA to their folder")
needs_stories = pytest.mark.skipif(STORIES is None, reason="stories260K is not here: set ASSAY_STORIES to its folder")


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server for the session, shared by the test processes; its API URL, which is set for the tests."""
    from flows.server import Embedded, apply_settings

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(shared / "prefect"))
        apply_settings()
        server = Embedded()
        server.start()
        try:
            patch.setenv("PREFECT_API_URL", server.ready())
            yield server.url
        finally:
            server.stop()
