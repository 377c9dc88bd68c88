"""A model of transformers as it is described: from its files, without loading it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import STORIES, needs_stories
from hf_models import save, spec

from adapters.hf import digests, folder
from adapters.models import hf
from assay.errors import ModelError
from assay.spec import MetaItem, MetaTemplate, ModelSpec

META = MetaTemplate(round=(MetaItem(role="user", begin="H: "), MetaItem(role="assistant", begin="B: ", generate=True)))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"), chat=True)


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


def change(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


@needs_stories
def test_stories() -> None:
    assert STORIES is not None
    info = hf.describe(ModelSpec(adapter="hf", path=str(STORIES)))
    assert info.kinds == {"generate", "loglikelihood", "rolling", "choice", "embed"}
    assert info.needs == {"prompt_sums", "token_logprobs", "windows"}
    assert (info.max_length, info.chat) == (512, False)
    assert info.identity["dtype"] == "float32"
    assert info.facts["parameters"] == 260_032


@needs_stories
def test_describing_imports_no_engine() -> None:
    code = (
        "import sys; from adapters.models import hf; from assay.spec import ModelSpec;"
        f"hf.describe(ModelSpec(adapter='hf', path={str(STORIES)!r}));"
        "sys.exit(str([m for m in ('torch', 'transformers', 'peft', 'huggingface_hub') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


def test_the_same_model_elsewhere_has_the_same_identity(made: Path, copy: Path) -> None:
    same = hf.describe(spec(made))
    change(copy / "config.json", transformers_version="9.9")
    assert hf.describe(spec(copy)).identity == same.identity
    assert hf.describe(spec(made, device="cuda:7", batch_tokens=5, batch_size=1)).identity == same.identity


@pytest.mark.parametrize(
    "edit",
    [
        lambda f: change(f / "config.json", rms_norm_eps=0.1),
        lambda f: change(f / "generation_config.json", eos_token_id=[1, 2]),
        lambda f: (f / "chat_template.jinja").write_text("{{ messages }}"),
        lambda f: change(f / "tokenizer.json", version="2.0"),
        lambda f: save(f, seed=1, chat=True),
    ],
    ids=["config", "stop tokens", "chat template", "tokenizer", "weights"],
)
def test_what_changes_answers_changes_the_identity(made: Path, copy: Path, edit: Callable[[Path], Any]) -> None:
    edit(copy)
    assert hf.describe(spec(copy)).identity != hf.describe(spec(made)).identity


@pytest.mark.parametrize("options", [{"dtype": "bfloat16"}, {"max_length": 50}, {"add_bos": False}, {"chat": False}])
def test_options_that_change_the_identity(made: Path, options: dict[str, Any]) -> None:
    assert hf.describe(spec(made, **options)).identity != hf.describe(spec(made)).identity


def test_a_meta_template_comes_before_the_chat_template(made: Path) -> None:
    assert hf.describe(spec(made)).chat
    assert "chat_template" in hf.describe(spec(made)).identity
    described = hf.describe(spec(made, META))
    assert not described.chat
    assert described.identity["meta_template"] == META.model_dump(mode="json")


def test_the_window_is_what_the_configuration_says_or_the_tokenizer(copy: Path) -> None:
    assert hf.describe(spec(copy)).max_length == 96
    assert folder.max_length_of({"text_config": {"n_ctx": 7}, "n_positions": 8}, copy) == 7
    change(copy / "tokenizer_config.json", model_max_length=33)
    assert folder.max_length_of({}, copy) == 33
    change(copy / "tokenizer_config.json", model_max_length=1e30)
    assert folder.max_length_of({}, copy) == 2048


def test_the_type_is_the_stored_one_where_the_configuration_is_silent(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    del config["dtype"]
    (copy / "config.json").write_text(json.dumps(config))
    assert hf.describe(spec(copy)).identity["dtype"] == "float32"
    change(copy / "config.json", torch_dtype="bfloat16")
    assert hf.describe(spec(copy)).identity["dtype"] == "bfloat16"


def test_digests_are_computed_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"abc")
    first = digests.file_digest(file)
    assert first == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with monkeypatch.context() as patched:
        patched.setattr("hashlib.file_digest", lambda *_: pytest.fail("read again"))
        assert digests.file_digest(file) == first
    file.write_bytes(b"abcd")
    assert digests.file_digest(file) != first
    (place,) = (cache / "assay" / "digests").iterdir()
    place.write_text("{")
    assert digests.file_digest(file) != first


def test_no_cache_is_no_error(tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "weights").write_bytes(b"abc")
    cache.write_text("a file where the folder should be")
    assert digests.file_digest(tmp_path / "weights").startswith("ba7816bf")
    assert "cannot be kept" in caplog.text


def emptied(path: Path, *names: str) -> None:
    for name in names:
        (path / name).unlink()


@pytest.mark.parametrize(
    ("edit", "options", "said"),
    [
        (lambda f: emptied(f, "model.safetensors"), {}, "no weights: wanted model.safetensors"),
        (lambda f: emptied(f, "config.json"), {}, "no config.json; the folder holds"),
        (lambda f: (f / "config.json").write_text("{"), {}, "config.json is not JSON"),
        (lambda f: (f / "config.json").write_text("[]"), {}, "wanted a JSON map, got list"),
        (lambda f: change(f / "config.json", is_encoder_decoder=True), {}, "an encoder-decoder"),
        (lambda f: (f / "model.safetensors").write_text("version https://git-lfs"), {}, "not a whole safetensors file"),
        (lambda f: emptied(f, "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"), {}, "no tokenizer"),
        (
            lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"w": "1.safetensors"}}'),
            {},
            "names 1 files, missing are 1.safetensors",
        ),
        (lambda f: emptied(f, "chat_template.jinja"), {"chat": True}, "has no chat template"),
        (lambda f: None, {"dtpye": "float32"}, "no option of hf 'dtpye'; did you mean dtype"),
        (lambda f: None, {"dtype": "float33"}, "options of hf.*dtype.*float33"),
        (lambda f: None, {"peft": "nowhere"}, "PEFT adapter nowhere: no such folder"),
        (lambda f: None, {"tokenizer": "nowhere"}, "tokenizer nowhere: no such folder"),
    ],
)
def test_what_is_wrong_is_said(copy: Path, edit: Callable[[Path], Any], options: dict[str, Any], said: str) -> None:
    edit(copy)
    with pytest.raises(ModelError, match=said):
        hf.describe(spec(copy, **options))


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere: no such folder"):
        hf.describe(spec(tmp_path / "nowhere"))
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="file: is a file, not a folder"):
        hf.describe(spec(tmp_path / "file"))


def test_a_model_of_the_hub_is_known_by_its_commit(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[Any] = []

    def snapshot(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision, "*.safetensors" in allow_patterns))
        return str(shutil.copytree(made, tmp_path / "snapshots" / "c0ffee", dirs_exist_ok=True))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    wanted = ModelSpec(adapter="hf", path="someone/model", options={"revision": "main"})
    assert hf.describe(wanted).identity["weights"] == {"hub": "someone/model", "commit": "c0ffee"}
    assert asked == [("someone/model", "main", False)]


def test_no_such_model_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def snapshot(*_: Any, **__: Any) -> str:
        raise OSError("no network\nat all")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    with pytest.raises(ModelError, match=r"someone/model: no such folder, .* from the hub: no network$"):
        hf.describe(ModelSpec(adapter="hf", path="someone/model"))


def test_a_library_that_is_missing(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf, "find_spec", lambda name: None if name == "transformers" else True)
    with pytest.raises(ModelError, match="needs the package transformers: pip install transformers"):
        hf.describe(spec(made))


def test_a_device_that_is_not_here(made: Path) -> None:
    for device, said in (("cuda:99", "is not here"), ("abacus", "device 'abacus'")):
        with pytest.raises(ModelError, match=said):
            hf.load(spec(made, device=device))
