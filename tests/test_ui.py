"""Pages of the Prefect UI in a headless Chromium: the form, a run's graph, its artifacts.

`ASSAY_IMAGES=docs/images` writes what is seen where the documentation shows it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, browsing, missing
from clusters import Cluster, cluster, wait

pytestmark = [pytest.mark.server, pytest.mark.skipif(bool(missing()), reason=missing())]

TINY = {"adapter": "hf", "path": "examples/tiny/checkpoints/step-3000", "options": {"dtype": "float32"}, "name": "tiny"}
MINI = ["mini_add", "mini_exam", "mini_facts", "mini_rule"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        for pool in ("cpu", "gpu-1"):
            wait(lambda pool=pool: started.ask(f"work_pools/{pool}/workers/filter"))
        yield started


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with browsing(tmp_path / "chromium") as started:
        yield started


@pytest.fixture(scope="module")
def done(running: Cluster) -> dict[str, Any]:
    """The flow run of a small model on a few benchmarks, with two replicas on the pool gpu-1."""
    spec = {"models": [TINY], "benchmarks": MINI, "limit": 100, "compute": {"pool": "gpu-1", "replicas": 2}}
    ended = running.final(running.begin("evaluation", spec=spec), 300)
    assert ended["state_type"] == "COMPLETED"
    return ended


def shown(browser: Browser, name: str, tmp_path: Path) -> None:
    """A picture of what is seen: of some size, and small enough for a page."""
    path = Path(os.environ.get("ASSAY_IMAGES", tmp_path)) / f"{name}.png"
    browser.pause(1.5)  # what opens and closes does so slowly
    browser.shoot(path)
    assert 10_000 < path.stat().st_size < 200_000


def submit(browser: Browser) -> None:
    browser.pause(1.5)  # a list that closes does so slowly, and takes the click
    browser.click("//button[.='Submit']")
    browser.find("//*[contains(., 'scheduled to start')]")


def test_a_run_is_begun_in_the_form(running: Cluster, browser: Browser, tmp_path: Path) -> None:
    browser.open(
        f"http://127.0.0.1:{running.port}/v2/deployments/deployment/{running.deployment('evaluation')['id']}/run"
    )
    browser.click("//button[.='Add item']")
    tabs = [browser.call("GET", f"/element/{one}/text") for one in browser.find("//button[@role='tab']")]
    assert tabs[:7] == ["listed", "adapter:path", "hf", "vllm", "openai", "echo", "other"]
    browser.click("//button[@role='tab' and .='hf']")
    assert "Folder of a PEFT adapter" in browser.text()
    browser.click("//button[@role='tab' and .='listed']")
    browser.click("(//button[.='Select'])[1]")
    browser.click("//*[@role='option'][.='oracle']")
    browser.find("//button[.='oracle']")
    browser.click("(//button[.='Select'])[1]")
    for name in ("mini_add", "mini_exam"):
        browser.click(f"//*[@role='option'][.='{name}']")
    browser.press("\ue00c")  # Escape closes the list
    shown(browser, "form", tmp_path)
    submit(browser)
    of_it = {"deployment_id": {"any_": [running.deployment("evaluation")["id"]]}}
    wait(lambda: running.ask("flow_runs/filter", flow_runs=of_it))
    newest = running.ask("flow_runs/filter", flow_runs=of_it, sort="EXPECTED_START_TIME_DESC")[0]
    spec = newest["parameters"]["spec"]
    assert (spec["models"], spec["benchmarks"]) == (["oracle"], ["mini_add", "mini_exam"])
    assert running.final(newest["id"])["state_type"] == "COMPLETED"


def test_a_models_options_are_filled_in(running: Cluster, browser: Browser) -> None:
    """What a person leaves empty is not sent: it would be another model."""
    browser.open(
        f"http://127.0.0.1:{running.port}/v2/deployments/deployment/{running.deployment('evaluation')['id']}/run"
    )
    browser.click("//button[.='Add item']")
    browser.click("//button[@role='tab' and .='hf']")
    path = "(//label[starts-with(., 'Path')]/following::textarea)[1]"
    browser.type(path, str(TINY["path"]))
    browser.click("(//label[starts-with(., 'Benchmarks')]/following::button[.='Select'])[1]")
    browser.click("//*[@role='option'][.='mini_add']")
    browser.press("\ue00c")
    submit(browser)
    of_it = {"deployment_id": {"any_": [running.deployment("evaluation")["id"]]}}
    found: list[dict[str, Any]] = []

    def begun() -> bool:
        runs = running.ask("flow_runs/filter", flow_runs=of_it)
        found[:] = [one for one in runs if isinstance(one["parameters"]["spec"]["models"][0], dict)]
        return bool(found)

    wait(begun)
    [model] = found[0]["parameters"]["spec"]["models"]
    assert (model["adapter"], model["path"]) == ("hf", TINY["path"])
    assert not {"peft", "revision", "max_length"} & set(model.get("options", {}))
    assert running.final(found[0]["id"], 300)["state_type"] == "COMPLETED"


def test_the_graph_of_a_run_shows_its_steps_and_its_workers(
    running: Cluster, browser: Browser, done: dict[str, Any], tmp_path: Path
) -> None:
    browser.open(f"http://127.0.0.1:{running.port}/v2/runs/flow-run/{done['id']}")
    browser.find("//canvas")
    wait(lambda: "Completed" in browser.text())
    browser.pause(6)  # the graph is drawn as it comes in
    shown(browser, "run", tmp_path)
    assert running.get(f"flow_runs/{done['id']}/graph-v2")["nodes"]


def test_artifacts_of_a_run_are_readable(
    running: Cluster, browser: Browser, done: dict[str, Any], tmp_path: Path
) -> None:
    ours = running.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [done["id"]]}})
    [scores] = [one for one in ours if one["key"] == "scores"]
    assert len(json.loads(scores["data"])) >= len(MINI)
    browser.size(1700, 700)
    browser.open(f"http://127.0.0.1:{running.port}/v2/artifacts/artifact/{scores['id']}")
    wait(lambda: "mini_add" in browser.text())
    shown(browser, "scores", tmp_path)


def test_a_worker_shows_how_far_it_is_and_how_fast(
    running: Cluster, browser: Browser, done: dict[str, Any], tmp_path: Path
) -> None:
    of_pool = {"deployment_id": {"any_": [running.deployment("gpu-1")["id"]]}}
    worker = running.ask("flow_runs/filter", flow_runs=of_pool)[0]
    browser.size(1300, 1200)
    browser.open(f"http://127.0.0.1:{running.port}/v2/runs/flow-run/{worker['id']}?tab=Artifacts")
    browser.find("//canvas")
    for name in ("progress", "speed", "running-score"):
        assert name in browser.text()
    browser.pause(6)  # the graph is drawn as it comes in
    shown(browser, "worker", tmp_path)
