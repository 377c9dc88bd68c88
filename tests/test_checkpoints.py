"""What a night finds, what it skips and waits for, and what it shows: without a server."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from conftest import TINY
from ftp_server import serving
from pydantic import ValidationError

from adapters.checkpoints import check_whole, fetched, folders, revisions, step_in
from assay.compare import Change
from assay.curves import Curve, Point, picture
from assay.errors import ModelError, SpecError
from assay.nightly import LAST_NUMBER, Nightly
from storage.ledger import Ledger
from storage.paired import Measured, measured, of_step
from storage.sightings import Sighting, record
from tasks.curves import curves_of, page, slug
from tasks.follow import fell, others
from tasks.watch import Seen, look, remember, take, waits, wanted_of

OLD = time.time() - 1000


def checkpoint(runs: Path, step: int | str, source: int = 300, age: float = 1000) -> Path:
    """A copy of a committed checkpoint, last changed so many seconds ago."""
    folder = runs / (f"step-{step}" if isinstance(step, int) else step)
    shutil.copytree(TINY / f"step-{source}", folder)
    return aged(folder, age)


def aged(folder: Path, age: float = 1000) -> Path:
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (time.time() - age,) * 2)
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


def nightly(runs: Path, **more: Any) -> Nightly:
    watch = {"pattern": f"{runs}/step-*"}
    return Nightly.model_validate({"watch": watch, "family": "tiny", "benchmarks": ["mini_add"], **more})


def states(seen: list[Seen]) -> list[tuple[int, str]]:
    return [(one.found.step, one.state) for one in seen]


@pytest.fixture
def book(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "l.duckdb")


@pytest.mark.parametrize(
    ("name", "pattern", "step"),
    [
        ("step-300", LAST_NUMBER, 300), ("epoch2-step20", LAST_NUMBER, 20), ("global_step1000_hf", LAST_NUMBER, 1000),
        ("final", LAST_NUMBER, None), ("tokens2-step20-v3", r"step(\d+)", 20), ("ckpt00070", r"\d+", 70),
    ],
)  # fmt: skip
def test_the_step_is_read_in_the_name(name: str, pattern: str, step: int | None) -> None:
    assert step_in(name, pattern) == step


@pytest.mark.parametrize("pattern", ["(", "step(.*)", "x|(7)"])
def test_a_pattern_that_finds_no_number_is_told(pattern: str) -> None:
    with pytest.raises(SpecError, match="step_pattern"):
        step_in("step-x", pattern)


def test_checkpoints_are_taken_oldest_first_and_by_a_stride(runs: Path, book: Ledger) -> None:
    for step in (700, 1000, 300, 2000):
        checkpoint(runs, step)
    (runs / "step-final").mkdir()
    (runs / "step-9.txt").write_text("no folder")
    assert [one.found.step for one in look(nightly(runs), book)] == [300, 700, 1000, 2000]
    assert [one.found.step for one in look(nightly(runs, order="newest first"), book)] == [2000, 1000, 700, 300]
    assert [one.found.step for one in look(nightly(runs, stride=500), book)] == [1000, 2000]


def test_the_ledger_lacks_what_was_not_asked_of_these_files(runs: Path, book: Ledger) -> None:
    night = nightly(runs)
    for step in (300, 700):
        checkpoint(runs, step)
    remember(night, book, look(night, book)[0], Sighting("done", None), "run")
    assert states(look(night, book)) == [(300, "done"), (700, "lacking")]
    assert states(look(nightly(runs, at_most=1, compute={"replicas": 2}), book)) == [(300, "done"), (700, "lacking")]
    for other in (
        nightly(runs, limit=3),
        nightly(runs, benchmarks=["mini_odd"]),
        nightly(runs, options={"dtype": "auto"}),
    ):
        assert states(look(other, book)) == [(300, "lacking"), (700, "lacking")]
    os.utime(runs / "step-300" / "model.safetensors", (OLD + 1,) * 2)
    assert states(look(night, book)) == [(300, "lacking"), (700, "lacking")], "other files, another checkpoint"


def test_what_lies_beside_a_model_does_not_make_it_another(runs: Path, book: Ledger) -> None:
    night = nightly(runs)
    folder = checkpoint(runs, 300)
    remember(night, book, look(night, book)[0], Sighting("done", None))
    for name in ("optimizer.pt", "trainer_state.json", "log.txt"):
        (folder / name).write_text("written later")
    assert states(look(night, book)) == [(300, "done")]


def test_a_changed_recipe_makes_all_of_them_lacking(runs: Path, book: Ledger, own: Path) -> None:
    night = nightly(runs, benchmarks=["sums"], catalog=[str(own)])
    checkpoint(runs, 300)
    remember(night, book, look(night, book)[0], Sighting("done", None))
    assert states(look(night, book)) == [(300, "done")]
    recipe = own / "sums.yaml"
    recipe.write_text(recipe.read_text() + "version: 2\n")
    assert states(look(night, book)) == [(300, "lacking")]


def test_what_failed_is_tried_again_after_the_others(runs: Path, book: Ledger) -> None:
    night = nightly(runs)
    for step in (300, 700):
        checkpoint(runs, step)
    remember(night, book, look(night, book)[0], Sighting("failed", "no memory"))
    assert states(look(night, book)) == [(700, "lacking"), (300, "failed")]


def test_what_is_being_written_is_waited_for(runs: Path, book: Ledger) -> None:
    night = nightly(runs, settle=300)
    checkpoint(runs, 300)
    fresh = checkpoint(runs, 700, age=290)
    (runs / "step-1200").mkdir()  # begun a moment ago
    seen = look(night, book)
    assert states(seen) == [(300, "lacking"), (700, "waiting"), (1200, "waiting")]
    assert 9 < waits(night, seen) < 12
    (fresh / "model.safetensors").touch()
    assert waits(night, look(night, book)) > 295
    aged(fresh)
    assert states(look(night, book))[1] == (700, "lacking")
    assert waits(night, look(nightly(runs, settle=0), book)) == 0


def test_two_of_one_step_are_not_guessed_between(runs: Path, book: Ledger) -> None:
    checkpoint(runs, 300)
    checkpoint(runs, "step-300.copy")
    checkpoint(runs, 700)
    assert states(look(nightly(runs), book)) == [(300, "unclear"), (300, "unclear"), (700, "lacking")]


def truncated(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def sharded(folder: Path, *names: str) -> None:
    (folder / "model.safetensors").rename(folder / names[0])
    index = {"weight_map": {f"w{i}": name for i, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (truncated, "not a whole safetensors file: 1758448 bytes, and its header tells of 1759448"),
    (lambda f: (f / "model.safetensors").write_bytes(b""), "not a whole safetensors file"),
    (lambda f: (f / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0[]"), "AttributeError"),
    (lambda f: (f / "model.safetensors").unlink(), "no weights"),
    (lambda f: (f / "config.json").unlink(), "no config.json"),
    (lambda f: (f / "config.json").write_text('{"model_type": "ll'), "is not JSON"),
    (lambda f: [path.unlink() for path in f.glob("tokenizer*")], "no tokenizer"),
    (lambda f: sharded(f, "a.safetensors", "b.safetensors"), "names 2 files, missing are b.safetensors"),
    (lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": 3}'), "AttributeError"),
]


@pytest.mark.parametrize(
    ("damage", "cause"), BROKEN, ids=[cause.split()[0] + str(i) for i, (_, cause) in enumerate(BROKEN)]
)
def test_a_broken_checkpoint_is_skipped_until_its_files_change(
    runs: Path, book: Ledger, damage: Callable[[Path], object], cause: str
) -> None:
    night, folder = nightly(runs), checkpoint(runs, 300)
    damage(folder)
    aged(folder)
    (seen,) = look(night, book)
    with pytest.raises(ModelError, match=re.escape(cause)) as raised:
        take(night, seen)
    remember(night, book, seen, Sighting("broken", str(raised.value)))
    (again,) = look(nightly(runs, limit=5), book)
    assert again.state == "broken" and cause in again.cause, "for whatever is asked of it"
    shutil.rmtree(folder)
    checkpoint(runs, 300, age=999)
    (whole,) = look(night, book)
    assert whole.state == "lacking" and take(night, whole).models


def test_a_whole_one_of_several_files_is_whole(runs: Path) -> None:
    folder = checkpoint(runs, 300)
    sharded(folder, "a.safetensors")
    check_whole(str(folder))
    for path in folder.glob("tokenizer*"):
        path.unlink()
    check_whole(str(folder), tokenizer=False)


def test_an_evaluation_knows_family_and_step(runs: Path, book: Ledger) -> None:
    checkpoint(runs, 300)
    night = nightly(runs, limit=7, devices=2, adapter="vllm", options={"dtype": "float32"})
    spec = take(night, look(night, book)[0])
    (model,) = spec.models
    assert not isinstance(model, str)
    assert (model.name, model.family, model.step, model.adapter, model.devices) == ("tiny-300", "tiny", 300, "vllm", 2)
    assert (model.path, model.options, spec.limit) == (str(runs / "step-300"), {"dtype": "float32"}, 7)
    with pytest.raises(ValidationError, match="no benchmarks and no suites"):
        nightly(runs, benchmarks=[])


@pytest.fixture
def elsewhere(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> fsspec.AbstractFileSystem:
    """Two checkpoints in a file system that is no disk; what is fetched goes into a folder of the test's."""
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    for step in (300, 700):
        files.put(str(checkpoint(runs, step, step)), f"/x/step-{step}", recursive=True)
        files.pipe(f"/x/step-{step}/optimizer.pt", b"large")
    return files


def test_a_checkpoint_elsewhere_is_fetched_whole_and_once(
    elsewhere: fsspec.AbstractFileSystem, tmp_path: Path, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = nightly(tmp_path, watch={"pattern": "memory://x/step-*"}, settle=0)
    first, second = look(night, book)
    assert (first.found.place, first.found.step, first.state) == ("memory://x/step-300", 300, "lacking")
    (model,) = take(night, first).models
    folder = Path(model.path)  # type: ignore[union-attr]
    assert folder.is_relative_to(tmp_path / "cache")
    assert {path.name for path in folder.iterdir()} == {path.name for path in (TINY / "step-300").iterdir()}
    assert (folder / "model.safetensors").read_bytes() == (TINY / "step-300" / "model.safetensors").read_bytes()
    elsewhere.rm("/x/step-300", recursive=True)
    assert fetched(first.found) == str(folder), "what is there is not fetched again"
    get, got = elsewhere.get_file, []

    def cut(source: str, target: str) -> None:
        got.append(target)
        if len(got) == 3:
            raise ConnectionResetError("cut off")
        get(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(type(elsewhere), "get_file", lambda self, source, target: cut(source, target))
        with pytest.raises(ConnectionResetError):
            take(night, second)
    left = [path for path in (tmp_path / "cache" / "checkpoints").iterdir() if path.is_dir()]
    assert sorted(path.suffix for path in left) == ["", ".part"]
    check_whole(fetched(second.found))


def test_one_that_changes_elsewhere_is_another(
    elsewhere: fsspec.AbstractFileSystem, tmp_path: Path, book: Ledger
) -> None:
    night = nightly(tmp_path, watch={"pattern": "memory://x/step-*"}, settle=0)
    before = look(night, book)
    remember(night, book, before[0], Sighting("done", None))
    elsewhere.pipe("/x/step-300/model.safetensors", b"new weights")
    assert states(look(night, book)) == [(300, "lacking"), (700, "lacking")]
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        take(night, look(night, book)[0])
    assert look(nightly(tmp_path, watch={"pattern": "memory://x/step-*"}), book)[0].state == "waiting"


@pytest.fixture
def ftp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The URL of a real server that has the committed checkpoints."""
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    with serving(TINY) as place:
        yield f"ftp://{place}"


def test_a_checkpoint_on_a_real_server_is_fetched(ftp: str, tmp_path: Path, book: Ledger) -> None:
    night = nightly(tmp_path, watch={"pattern": f"{ftp}/step-*"}, stride=600)
    seen = look(night, book)
    assert [(one.found.place, one.found.step) for one in seen] == [
        (f"{ftp}/step-{step}", step) for step in (300, 700, 1200, 1800, 3000) if step % 600 == 0
    ]
    written = max(path.stat().st_mtime for path in (TINY / "step-1200").iterdir())
    assert seen[0].found.changed == pytest.approx(written, abs=2)
    night = nightly(tmp_path, watch={"pattern": f"{ftp}/step-*"}, settle=0)
    (model,) = take(night, look(night, book)[0]).models
    folder = Path(model.path)  # type: ignore[union-attr]
    assert (folder / "model.safetensors").read_bytes() == (TINY / "step-300" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("pattern", "message"), [("nosuch://x/step-*", "Protocol not known: nosuch"), ("s3://x/step-*", "s3fs")]
)
def test_a_place_that_cannot_be_reached_is_told(pattern: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        folders(pattern, LAST_NUMBER)


class Hub:
    """What the hub says of a model."""

    def model_info(self, name: str, revision: str) -> Any:
        from huggingface_hub.errors import RevisionNotFoundError
        from huggingface_hub.hf_api import ModelInfo

        if revision == "step9":
            import httpx

            raise RevisionNotFoundError("none", response=httpx.Response(404, request=httpx.Request("GET", "https://x")))
        return ModelInfo(id=name, sha="c" + revision)


def test_revisions_of_the_hub_are_pinned_to_their_commits(
    tmp_path: Path, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    watch = {"path": "EleutherAI/pythia-14m", "revisions": ["step1000", "step512"]}
    night = nightly(tmp_path, watch=watch)
    seen = look(night, book)
    assert states(seen) == [(512, "lacking"), (1000, "lacking")]
    (model,) = take(night, seen[0]).models
    assert (model.path, model.options) == ("EleutherAI/pythia-14m", {"revision": "cstep512"})  # type: ignore[union-attr]
    with pytest.raises(ModelError, match="no revision 'step9'"):
        revisions("a/b", ["step9"], LAST_NUMBER)
    with pytest.raises(ModelError, match="'main' has no step"):
        revisions("a/b", ["main"], LAST_NUMBER)


def test_the_same_weights_may_be_of_two_families_and_of_two_steps(book: Ledger) -> None:
    with book.write() as con:
        for day, (run, model, value) in enumerate(
            [("r1", "a", 0.1), ("r2", "b", 0.5), ("r3", "a", 0.1), ("r4", "b", 0.6)]
        ):
            con.execute(
                "INSERT INTO runs (run_id, state, created) VALUES (?, 'done', '2026-01-01'::DATE + ?::INTEGER)",
                [run, day],
            )
            con.execute(
                "INSERT INTO metrics (run_id, model_key, benchmark, dimension, metric, value, headline)"
                " VALUES (?, ?, 'add', 'reasoning', 'acc', ?, true)", [run, model, value]
            )  # fmt: skip
        for model, family, step in (("a", "tiny", 300), ("b", "", None)):
            con.execute(
                "INSERT INTO models (model_key, label, family, step) VALUES (?, 'of ' || ?, ?, ?)",
                [model, model, family, step],
            )
        for run, family, step in (("r2", "tiny", 700), ("r3", "tiny", 1200), ("r4", "renamed", 700)):
            record(con, (f"/x/{step}", run), "w", (family, step), Sighting("done", None), run)
    with book.read() as con:
        assert [(m.step, m.value) for m in measured(con, "tiny", ["add"])] == [(300, 0.1), (700, 0.5), (1200, 0.1)]
        assert [(m.step, m.value) for m in measured(con, "renamed", ["add"])] == [(700, 0.6)]
        assert measured(con, "tiny", ["other"]) == []
        assert of_step(con, "tiny", 1200)["add", "acc"]["run_id"] == "r3"
        assert of_step(con, "renamed", 700)["add", "acc"]["run_id"] == "r4"


def test_a_place_that_does_not_answer_is_no_broken_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="on the hub"):
        revisions("a/b", ["step1"], LAST_NUMBER)
    with pytest.raises(OSError, match="refused"):
        folders("ftp://127.0.0.1:9/step-*", LAST_NUMBER)


def figure(step: int, benchmark: str, value: float | None, metric: str = "acc") -> Measured:
    known = value is not None
    low, high, error = (value - 0.1, value + 0.1, 0.05) if value is not None else (None, None, None)
    return Measured(step, benchmark, "reasoning", metric, value, error, low, high, 20 if known else 0)


FIGURES = [
    *(figure(step, "add", value) for step, value in ((300, 0.1), (700, 0.5), (1200, 0.4))),
    *(figure(step, "rule", value) for step, value in ((300, 0.9), (700, 0.3), (1200, None))),
    *(figure(step, "text", value, "perplexity") for step, value in ((300, 90.0), (700, 30.0), (1200, 40.0))),
]
LESS = {("text", "perplexity")}


def test_a_dimension_has_the_curve_of_its_mean_and_of_each_benchmark() -> None:
    mean, *rest = curves_of("reasoning", FIGURES, LESS)
    assert mean.title == "reasoning: mean of 2"
    assert [(p.step, p.value) for p in mean.points] == [(300, 0.5), (700, 0.4)], "1200 lacks a benchmark"
    assert mean.points[0].low == pytest.approx(0.5 - 0.1 / 2**0.5)
    assert [(curve.title, len(curve.points)) for curve in rest] == [
        ("add (acc)", 3), ("rule (acc)", 2), ("text (perplexity)", 3)
    ]  # fmt: skip
    assert curves_of("reasoning", [figure(1, "add", None)], set()) == []


def test_a_picture_is_svg_in_which_higher_is_higher_and_the_scale_is_shown() -> None:
    curves = [Curve("a < b", [Point(0, 0.0, 0.0, 0.2), Point(50, 1.0, 0.8, 1.0)]), Curve("one", [Point(7, 30.0)])]
    root = ET.fromstring(picture(curves))
    tag = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{tag}svg" and root.get("viewBox") == "0 0 640 200"
    first, second = root.findall(f"{tag}g")
    texts = [text.text for text in first.iter(f"{tag}text")]
    assert texts == ["a < b", "0.000", "0.500", "1.000", "0", "50"]
    (x0, y0), (x1, y1) = ([float(c.get(a, "")) for a in ("cx", "cy")] for c in first.iter(f"{tag}circle"))
    assert x0 < x1 and y0 > y1
    assert len(list(second.iter(f"{tag}circle"))) == 1 and "29.500" in [t.text for t in second.iter(f"{tag}text")]


def test_a_page_has_the_picture_and_the_figures() -> None:
    text = page("tiny: reasoning", curves_of("reasoning", FIGURES, LESS))
    assert "![tiny: reasoning](data:image/svg+xml;base64," in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[2:4] == [
        "| reasoning: mean of 2 | 700 | 0.400 [0.329, 0.471] |",
        "| reasoning: mean of 2 | 300 | 0.500 [0.429, 0.571] |",
    ]
    assert rows[-1] == "| text (perplexity) | 300 | 90.000 [89.900, 90.100] |" and len(rows) == 2 + 2 + 3 + 2 + 3
    long = [Curve("long", [Point(step, 0.5) for step in range(100)])]
    assert len([line for line in page("", long).splitlines() if line.startswith("| long")]) == 10
    assert slug("curve", "My_Model 7B", "long_context") == "curve-my-model-7b-long-context"


def test_the_best_is_the_one_with_the_highest_mean_of_what_is_compared() -> None:
    assert [(o.what, o.step) for o in others(FIGURES, 1200, LESS)] == [("previous", 700), ("best", 300)]
    assert [(o.what, o.step) for o in others(FIGURES, 700, LESS)] == [("previous", 300), ("best", 300)]
    assert others(FIGURES, 300, LESS) == []
    texts = [row for row in FIGURES if row.metric == "perplexity"]
    assert [(o.what, o.step) for o in others(texts, 1200, LESS)][1] == ("best", 700), "the lowest perplexity"


@pytest.mark.parametrize(("p", "wanted"), [(0.049, True), (0.051, False), (None, False)])
def test_what_falls_is_what_is_worse_after_the_adjustment(p: float | None, wanted: bool) -> None:
    change = Change("add", "reasoning", "acc", 0.5, 0.4, -0.1, -0.2, 0.0, 0.01, 0.005, 20, 3, 1, 0, "paired t", 0.06, p)
    assert fell(change, 0.05) is wanted


def test_the_form_of_the_ui_tells_every_field_and_is_held_to(runs: Path) -> None:
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.schema_tools.validation import is_valid_schema, validate

    from flows.checkpoints import NightlyForm, checkpoints

    schema = parameter_schema(checkpoints).model_dump_for_openapi()
    is_valid_schema(schema)
    fields = schema["definitions"]["NightlyForm"]["properties"]
    kinds = [schema["definitions"][name]["properties"] for name in ("folders", "revisions", "compute")]
    for shown in (fields, *kinds):
        assert [name for name, field in shown.items() if "description" not in field] == []
    night = nightly(runs, suites=["mini"], compute={"pool": "gpu-{devices}"}, stride=100, hours=2.5)
    told = night.model_dump(mode="json")
    assert validate({"night": told}, schema) == []
    hub = {"watch": {"path": "a/b", "revisions": ["step1"]}, "family": "b", "suites": ["mini"]}
    assert validate({"night": hub}, schema) == [] and NightlyForm.model_validate(hub).step_pattern == LAST_NUMBER
    form = NightlyForm.model_validate(told)
    assert wanted_of(form) == wanted_of(night)
    for wrong in ({"benchmarks": ["mini_ad"]}, {"order": "by chance"}, {"watch": {"folder": "x"}}, {"alpha": 2}):
        assert validate({"night": told | wrong}, schema), wrong


def night_of(server: str, book: Ledger, night: Nightly) -> tuple[str, str, dict[str, Any]]:
    """The state's name, its message and what it carries of a night in this process."""
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from flows.checkpoints import NightlyForm, checkpoints

    form = NightlyForm.model_validate(night.model_dump(mode="json"))
    with temporary_settings({PREFECT_API_URL: server, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        state = checkpoints(form, str(book.path), return_state=True)
    found = state.result(raise_on_failure=False)
    return str(state.name), str(state.message), found if isinstance(found, dict) else {}


def test_an_evaluation_that_fails_is_told_and_the_next_goes_on(runs: Path, book: Ledger, prefect_server: str) -> None:
    for step in (300, 700):
        checkpoint(runs, step)
    (runs / "step-700" / "tokenizer.json").unlink()
    (runs / "step-700" / "tokenizer_config.json").unlink()
    night = nightly(runs, adapter="echo")  # which takes no folders
    name, message, data = night_of(prefect_server, book, night)
    assert name == "Incomplete" and message.startswith("step 300: ") and str(runs / "step-300") in message
    assert [(line["step"], line["state"]) for line in data["checkpoints"]] == [(300, "failed"), (700, "broken")]
    assert states(look(night, book)) == [(700, "broken"), (300, "failed")]
    name, _, data = night_of(prefect_server, book, night)
    assert [(line["step"], line["state"]) for line in data["checkpoints"]] == [(300, "failed")], (
        "tried again, told once"
    )


def test_a_night_that_cannot_look_says_so(runs: Path, book: Ledger, prefect_server: str) -> None:
    night = nightly(runs, watch={"pattern": "ftp://127.0.0.1:9/step-*"})
    name, message, _ = night_of(prefect_server, book, night)
    assert name == "Failed" and message.startswith("the checkpoints cannot be looked for: ") and "refused" in message
    assert night_of(prefect_server, book, nightly(runs))[:2] == ("Completed", "nothing to do")
