"""The adapter of OpenAI-compatible servers, over real HTTP against the fake server of api_server.py."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from api_client import USER, answer, answers, ask, spec
from api_server import ApiServer, Reply, distribution, error, greedy

from adapters.api.openai_scores import Echoed, among, span
from adapters.models.openai import describe, load
from adapters.stops import cut
from assay.errors import ModelError, SpecError
from assay.spec import MetaItem, MetaTemplate
from assay.types import Sampling

META = MetaTemplate(
    round=(MetaItem(role="HUMAN", begin="Q: ", end="\n"), MetaItem(role="BOT", begin="A:", end="\n", generate=True))
)


pytestmark = pytest.mark.usefixtures("hurried")


def test_a_chat(server: ApiServer) -> None:
    said = answer(server, ask(messages=[{"role": "system", "content": "Be brief."}, *USER]))
    assert said.error is None and said.text and said.rendering is None
    assert (said.finish, said.output_tokens) == ("length", 4) and said.input_tokens > 0
    body = server.seen[0]
    assert body["path"] == "/v1/chat/completions"
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, *USER]
    assert (body["max_tokens"], body["temperature"]) == (4, 0.0)
    assert not {"seed", "top_p", "stop", "top_k", "min_tokens", "logprobs"} & set(body)


def test_a_completion(server: ApiServer) -> None:
    said = answer(server, ask(), api="completions")
    assert said.text == greedy("Hello the", 4)
    assert server.seen[0]["prompt"] == "Hello the" and server.seen[0]["path"] == "/v1/completions"
    said = answer(server, ask(), meta=META, api="completions")
    assert said.rendering == server.seen[1]["prompt"] == "Q: Hello the\nA:"


def test_what_is_drawn_is_sent(server: ApiServer) -> None:
    drawn = Sampling(max_tokens=3, temperature=0.7, top_p=0.9, top_k=5, min_tokens=2)
    answer(server, ask(sampling=drawn, seed=11))
    sent = {"max_tokens": 3, "temperature": 0.7, "top_p": 0.9, "top_k": 5, "min_tokens": 2, "seed": 11}
    assert sent.items() <= server.seen[0].items()


def test_extra_fields_and_null(server: ApiServer) -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}, "temperature": None}
    answer(server, ask(), extra=extra, max_tokens_field="max_completion_tokens")
    assert server.seen[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert "temperature" not in server.seen[0] and server.seen[0]["max_completion_tokens"] == 4


def test_a_response_prefix(server: ApiServer) -> None:
    turns = [*USER, {"role": "assistant", "content": "Well,"}]
    answer(server, ask(messages=turns), continue_final_message=True)
    answer(server, ask(), continue_final_message=True)
    assert server.seen[0]["messages"] == turns
    assert server.seen[0]["continue_final_message"] is True and server.seen[0]["add_generation_prompt"] is False
    assert "continue_final_message" not in server.seen[1]


def test_more_stop_strings_than_the_server_takes(server: ApiServer) -> None:
    whole = greedy("Hello the", 6)
    words = whole.split(" ")
    stops = ("", "q1", "q2", "q3", "q4", " " + words[2])
    said = answer(server, ask(sampling=Sampling(max_tokens=6, stop=stops)), api="completions")
    assert server.seen[0]["stop"] == ["q1", "q2", "q3", "q4"]
    assert said.text == cut(whole, stops) == whole[: whole.find(" " + words[2])] and said.finish == "stop"


@pytest.mark.parametrize(
    ("text", "stops", "kept"),
    [("abc", (), "abc"), ("abc", ("",), "abc"), ("abc", ("c", "b"), "a"), ("abc", ("abc", "x"), ""), ("", ("a",), "")],
)
def test_cut(text: str, stops: tuple[str, ...], kept: str) -> None:
    assert cut(text, stops) == kept


def test_continuations(server: ApiServer) -> None:
    best = greedy("Hello the", 2)
    wanted = frozenset({"prompt_sums", "token_logprobs"})
    request = ask(kind="loglikelihood", continuations=(best, " dog", " xyzzy ran"), needs=wanted)
    said = answer(server, request, api="completions", logprobs=True)
    first = distribution(" the")
    assert said.sums[1] == pytest.approx(first[" dog"]) and said.tokens == [2, 1, 2]
    assert said.greedy == [True, False, False] and said.token_logprobs[1] == [said.sums[1]]
    assert said.prompt_lengths == [5, 4, 5]  # <s>, Hello, the, and the continuation
    assert said.prompt_sums[1] - said.sums[1] == pytest.approx(said.prompt_sums[0] - said.sums[0])
    assert [sum(one) for one in said.token_logprobs] == pytest.approx(said.sums)


@pytest.mark.parametrize("changed", [{"usage": False}, {"bos": False}, {"garbled": True}], ids=str)
def test_continuations_from_other_servers(changed: dict[str, bool]) -> None:
    request = ask(kind="loglikelihood", continuations=(" dog ran", " A"))
    with ApiServer() as one, ApiServer(**changed) as other:
        expected = answer(one, request, api="completions", logprobs=True)
        said = answer(other, request, api="completions", logprobs=True)
        assert expected.error is None and (said.sums, said.tokens, said.greedy) == (
            expected.sums, expected.tokens, expected.greedy,
        )  # fmt: skip
        assert len(other.seen) == (4 if "garbled" in changed else 2)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [({"garbled": True, "usage": False}, "do not add up"), ({"bos": False}, "the context is empty")],
)
def test_continuations_that_cannot_be_told(changed: dict[str, bool], cause: str) -> None:
    with ApiServer(**changed) as server:
        messages = USER if "garbled" in changed else [{"role": "user", "content": ""}]
        said = answer(server, ask(kind="loglikelihood", messages=messages, continuations=("the dog",)),
                      api="completions", logprobs=True)  # fmt: skip
        assert cause in (said.error or "") and not said.sums


def test_a_templates_end_takes_no_blank(server: ApiServer) -> None:
    request = ask(kind="loglikelihood", continuations=(" yes",))
    said = answer(server, request, meta=META, api="completions", logprobs=True)
    assert server.seen[0]["prompt"] == "Q: Hello the\nA:yes" and said.rendering == "Q: Hello the\nA:"


@pytest.mark.parametrize(
    ("tokens", "length", "context", "text", "places"),
    [
        (["<s>", "Hi", " the", "re", "x"], 4, "Hi", " there", (2, 4)),
        (["Hi", " the", "re", "x"], None, "Hi", " there", (1, 3)),  # uncounted: one token was generated
        (["Hi", " the", "re"], None, "Hi", " there", (1, 3)),  # uncounted, and none was
        (["Hi", " ", "there"], 3, "Hi ", "there", (1, 3)),  # the context's blank is the continuation's
        (["Hi", "the", "re"], 3, "Hi ", "there", None),
        (["ab", "cd"], 2, "abc", "d", (1, 2)),  # a token over the seam is the continuation's
        (["Hi", "\ufffd", "\ufffd"], 3, "Hi", "中", None),
        (["Hi"], 1, "Hi", "", None),
        ([], 0, "", "a", None),
    ],
)
def test_span(tokens: list[str], length: int | None, context: str, text: str, places: tuple[int, int] | None) -> None:
    assert span(Echoed(tokens, [], [], length), context, text) == places


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_choices(server: ApiServer, api: str) -> None:
    said = answer(server, ask(kind="choice", continuations=(" A", " B", " C")), api=api, logprobs=True)
    before = distribution(" the" if api == "completions" else "\n")
    assert said.sums == pytest.approx(among([before[" A"], before[" B"], before[" C"]]))
    assert sum(map(math.exp, said.sums)) == pytest.approx(1) and said.tokens == [1, 1, 1]
    assert len(server.seen) == (3 if api == "completions" else 1)


def test_choices_that_are_not_likely(server: ApiServer) -> None:
    known, none = ask("1", "choice", continuations=(" A", " Zürich")), ask("2", "choice", continuations=("Z", "Y"))
    first, second = answers(load(spec(server)), known, none)
    assert first.sums[0] >= first.sums[1] and first.finish == "partial_logprobs"
    assert (second.sums, second.greedy, second.finish) == ([0.0, -math.inf], [True, False], "constrained")


@pytest.mark.parametrize(
    ("able", "how", "requests"),
    [
        ({}, "top_logprobs", 1),
        ({"logprobs": False}, "constrained", 2),
        ({"logprobs": False, "schemas": False}, "written", 3),
    ],
    ids=lambda value: str(value),
)
def test_a_choice_is_told_as_the_server_can(able: dict[str, bool], how: str, requests: int) -> None:
    after = distribution("\n")
    best = max(after, key=after.__getitem__).strip()
    with ApiServer(**able) as server:
        said = answer(server, ask(kind="choice", continuations=(" A", f" {best}", " B")))
    assert (said.error, said.finish, len(server.seen)) == (None, how, requests)
    assert said.sums.index(max(said.sums)) == 1 and list(said.greedy) == [False, True, False]
    assert sum(map(math.exp, said.sums)) == pytest.approx(1)
    body = server.seen[-1]
    if how == "constrained":
        schema = body["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["answer"]["enum"] == ["A", best, "B"]
    assert body["temperature"] == 0 and (how != "written" or body["max_tokens"] == len(best))


def test_a_choice_that_nothing_was_said_of(server: ApiServer) -> None:
    says = {"message": {"content": "I would rather not."}, "finish_reason": "stop"}
    server.fault = lambda body, number: Reply(body={"choices": [says]})
    said = answer(server, ask(kind="choice", continuations=(" A", " B")))
    assert said.error == "the answer 'I would rather not.' begins with none of the choices ['A', 'B']"
    server.fault = lambda body, number: error(503, "tired")
    asked = len(server.seen)
    said = answer(server, ask(kind="choice", continuations=(" A", " B")), retries=1)
    assert "503: tired (tried 2 times)" in (said.error or "") and len(server.seen) == asked + 2  # no other way is tried


def test_kinds_that_were_not_claimed(server: ApiServer) -> None:
    said = answer(server, ask(kind="loglikelihood", continuations=(" A",)), api="completions")
    assert "cannot answer requests of kind 'loglikelihood'" in (said.error or "") and server.seen == []
    image = [{"role": "user", "content": [{"type": "image", "sha256": "0"}]}]
    assert "image" in (answer(server, ask(messages=image)).error or "") and server.seen == []


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ({"choices": []}, "malformed answer: wanted choices"),
        ({}, "malformed answer: wanted choices"),
        ([1], "malformed answer: wanted choices"),
        ({"error": {"message": "no room"}}, "no room"),
        ({"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}, "text is None, finish reason stop"),
        ({"choices": [{"finish_reason": "content_filter"}]}, "finish reason content_filter"),
        ({"choices": ["text"]}, "text is None"),
        (b"{", "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_malformed_answers(server: ApiServer, reply: Any, cause: str) -> None:
    server.fault = lambda body, number: Reply(body=reply) if body["messages"][0]["content"] == "bad" else None
    bad, good = ask("1", messages=[{"role": "user", "content": "bad"}]), ask("2")
    first, second = answers(load(spec(server)), bad, good)
    assert cause in (first.error or "") and first.text is None
    assert second.error is None and len(server.seen) == 2


def test_reasoning_without_end_and_a_refusal_are_answers(server: ApiServer) -> None:
    message = {"content": None, "reasoning_content": "Hm"}
    server.fault = lambda body, number: Reply(body={"choices": [{"message": message, "finish_reason": "length"}]})
    said = answer(server, ask())
    assert (said.text, said.finish, said.error) == ("", "length", None)
    message = {"content": None, "refusal": "I can't."}  # type: ignore[dict-item]
    assert answer(server, ask()).text == "I can't."


def test_a_text_that_the_server_cut_short_is_no_answer(server: ApiServer) -> None:
    """vLLM writes what its window has room for, and says `length`, as if all had been written that was asked for."""
    choice = {"text": " the cat", "finish_reason": "length"}
    for total, wrong in ((12, "after 2 of 4 tokens, on a prompt of 10: its window is full"), (40, None)):  # 40: hidden
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": total}
        server.fault = lambda body, number, usage=usage: Reply(body={"choices": [choice], "usage": usage})
        said = answer(server, ask(), api="completions")
        assert (wrong in str(said.error)) if wrong else (said.text, said.finish) == (" the cat", "length")


def test_a_seed_is_one_that_servers_take(server: ApiServer) -> None:
    answer(server, ask(sampling=Sampling(max_tokens=2, temperature=1.0), seed=2**64 - 3))
    assert server.seen[-1]["seed"] == 2**63 - 3


def test_the_key_is_sent_and_never_told(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    server.key = "right-and-secret"
    monkeypatch.setenv("MY_KEY", "right-and-secret")
    given = spec(server, api_key_env="MY_KEY")
    assert answers(load(given), ask())[0].error is None
    monkeypatch.setenv("MY_KEY", "wrong-but-secret")
    said = answers(load(given), ask())[0]
    assert said.error == "401: Incorrect API key provided: ***"
    told = given.model_dump_json() + json.dumps(dict(describe(given).identity)) + caplog.text
    assert "-secret" not in told


def test_a_key_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"openai:gpt needs a key, and \$OPENAI_API_KEY is not set"):
        load(spec(path="gpt"))
    with pytest.raises(ModelError, match=r"\$MY_KEY is not set"):
        load(spec(base_url="http://127.0.0.1:1/v1", api_key_env="MY_KEY"))
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert load(spec(path="gpt")).wire.limit == "max_completion_tokens"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"base_ulr": "x"}, "no option of openai 'base_ulr'; did you mean base_url"),
        ({"api_key": "sk-1"}, "name its environment variable: api_key_env"),
        ({"base_url": "http://me:secret@host/v1"}, "keys come from the environment"),
        ({"base_url": "localhost:8000"}, "wanted an http or https URL"),
        ({"api": "responses"}, "api"),
        ({"concurrency": 0}, "concurrency"),
    ],
)
def test_options_that_are_wrong(options: dict[str, Any], says: str) -> None:
    for function in (describe, load):
        with pytest.raises(SpecError, match=says) as raised:
            function(spec(path="gpt", **options))
        assert "secret" not in str(raised.value) and "sk-1" not in str(raised.value)


def test_identity(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    base = describe(spec(server)).identity
    same = [{"concurrency": 1}, {"retries": 0}, {"timeout": 1.0}, {"api_key_env": "K"}, {"logprobs": True}]
    other = [{"revision": "2"}, {"api": "completions"}, {"extra": {"a": 1}}, {"base_url": "http://h/v1"}]
    assert all(describe(spec(server, **options)).identity == base for options in same)
    assert all(describe(spec(server, **options)).identity != base for options in other)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/")
    assert describe(spec()).identity == base
