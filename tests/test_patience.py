"""Many requests at once to a server that is slow, overloaded, strict or gone."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from api_client import answer, answers, ask, spec
from api_server import ApiServer, Reply, error

from adapters.api import pump
from adapters.api.patience import Circuit, Refusal, retry_after
from adapters.models.openai import load

pytestmark = pytest.mark.usefixtures("hurried")

PASSING = [error(429, "slow down"), error(500, "oops"), error(503, "busy"), error(408, "late"), Reply(hang_up=True)]


@pytest.mark.parametrize("reply", PASSING, ids=lambda reply: "hang-up" if reply.hang_up else str(reply.status))
def test_passing_failures(server: ApiServer, reply: Reply) -> None:
    server.fault = lambda body, number: reply if number < 3 else None
    said = answer(server, ask())
    assert said.error is None and len(server.seen) == 3


def test_failures_that_do_not_pass(server: ApiServer) -> None:
    server.fault = lambda body, number: error(500, "the disk is full")
    said = answer(server, ask(), retries=2)
    assert said.error == "500: the disk is full (tried 3 times)" and len(server.seen) == 3


def test_a_bad_request_is_its_own(server: ApiServer) -> None:
    def long(body: dict[str, Any], number: int) -> Reply | None:
        return error(400, "too long") if len(body["messages"][0]["content"]) > 20 else None

    server.fault = long
    texts = ["x" * 30] * 10 + ["short"]
    said = answers(load(spec(server, concurrency=2)), *(ask(str(i), messages=[{"role": "user", "content": t}])
                                                        for i, t in enumerate(texts)))  # fmt: skip
    assert [c.error for c in said] == ["400: too long"] * 10 + [None] and len(server.seen) == 11


def test_retry_after_is_kept(server: ApiServer) -> None:
    times: list[float] = []

    def limited(body: dict[str, Any], number: int) -> Reply | None:
        times.append(time.monotonic())
        return error(429, "slow down", **{"Retry-After": "0.4"}) if number == 2 else None

    server.fault = limited
    model = load(spec(server, concurrency=1))
    assert [c.error for c in answers(model, *(ask(str(i)) for i in range(3)))] == [None] * 3
    assert times[2] - times[1] >= 0.4 and times[3] - times[2] < 0.4


def test_the_pause_is_everyones() -> None:
    asked: list[tuple[str, float]] = []

    async def run() -> None:
        circuit = Circuit(retries=1, in_a_row=4)

        async def send(name: str) -> str:
            asked.append((name, time.monotonic()))
            if len(asked) == 1:
                raise Refusal("429", passing=True, wait=0.2)
            return name

        first = asyncio.create_task(circuit.call(lambda: send("a")))
        await asyncio.sleep(0.01)
        assert await circuit.call(lambda: send("b")) == "b" and await first == "a"

    asyncio.run(run())
    assert min(at for _, at in asked[1:]) - asked[0][1] >= 0.19


def test_a_server_that_wants_a_day_is_given_up(server: ApiServer) -> None:
    server.fault = lambda body, number: error(429, "quota", **{"Retry-After": "86400"})
    said = answers(load(spec(server)), *(ask(str(i)) for i in range(20)))
    assert len(server.seen) == 1 and [c.error for c in said] == ["429: quota"] + ["not asked: 429: quota"] * 19


@pytest.mark.parametrize(("headers", "seconds"), [
    ({}, None), ({"retry-after": "7"}, 7.0), ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
    ({"retry-after": "soon"}, None), ({"retry-after": "nan"}, None), ({"retry-after": "-3"}, 0.0),
    ({"retry-after": format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)}, 0.0),
])  # fmt: skip
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < (retry_after({"retry-after": date}) or 0) <= 60


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (error(404, "no such model"), "404: no such model"),
        (error(403, "not in your country"), "403: not in your country"),
        (error(429, "pay first", "insufficient_quota"), "429: pay first"),
    ],
)
def test_one_refusal_for_all(server: ApiServer, reply: Reply, cause: str) -> None:
    server.fault = lambda body, number: reply
    model = load(spec(server))
    said = answers(model, *(ask(str(i)) for i in range(200)))
    assert len(server.seen) == 1 and {c.error for c in said} == {cause, f"not asked: {cause}"}
    server.fault = lambda body, number: None
    assert answers(model, ask())[0].error is None  # mended: the next requests find out


def test_a_server_that_dies(server: ApiServer) -> None:
    server.fault = lambda body, number: error(502, "gateway") if number > 5 else None
    said = answers(load(spec(server, concurrency=4, retries=1)), *(ask(str(i)) for i in range(100)))
    assert sum(c.error is None for c in said) == 5 and len(server.seen) < 30
    assert "not asked: 4 requests in a row had no answer, the last: 502: gateway" in str(said[-1].error)


def test_no_server() -> None:
    with ApiServer() as gone:
        model = load(spec(gone))
    start = time.monotonic()
    said = answers(model, *(ask(str(i)) for i in range(50)))
    assert all("no connection to http://127.0.0.1" in str(c.error) for c in said) and time.monotonic() - start < 5


def test_a_timeout(server: ApiServer) -> None:
    server.latency = 1.0
    said = answer(server, ask(), timeout=0.1, retries=1)
    assert said.error == "timeout: no answer within 0.1 s (tried 2 times)"


def test_many_at_once(server: ApiServer) -> None:
    server.latency = 0.05
    model = load(spec(server, concurrency=16))
    sizes = [len(batch) for batch in model.answer([ask(str(i)) for i in range(150)])]
    assert sum(sizes) == 150 and max(sizes) <= pump.BATCH and server.most == 16


def test_a_batch_every_two_seconds(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "SECONDS", 0.2)
    server.latency = 0.15
    model = load(spec(server, concurrency=2))
    sizes = [len(batch) for batch in model.answer([ask(str(i)) for i in range(8)])]
    assert sum(sizes) == 8 and len(sizes) >= 3


def test_no_requests(server: ApiServer) -> None:
    assert list(load(spec(server)).answer([])) == []


def stopping(act: Callable[[Iterator[Any]], None], server: ApiServer) -> float:
    """Seconds that it takes to stop amid requests that take long."""
    server.latency = 0.1
    batches = load(spec(server, concurrency=4)).answer([ask(str(i)) for i in range(1000)])
    next(batches)
    server.latency = 30.0
    time.sleep(0.3)
    start = time.monotonic()
    act(batches)
    return time.monotonic() - start


def test_stopping_is_quick(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "SECONDS", 0.3)
    assert stopping(lambda batches: batches.close(), server) < 1  # type: ignore[attr-defined]
    asked = len(server.seen)
    time.sleep(0.2)
    assert len(server.seen) == asked and not [t for t in threading.enumerate() if t.name == "assay-requests"]


def test_ctrl_c(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "SECONDS", 0.3)

    def interrupted(batches: Iterator[Any]) -> None:
        threading.Timer(0.2, lambda: signal.raise_signal(signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            list(batches)

    assert stopping(interrupted, server) < 1.5


def test_a_slip_in_the_client_is_raised_or_told(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(spec(server))
    monkeypatch.setattr(model.wire, "generate", lambda request: 1 / 0)
    assert answers(model, ask())[0].error == "ZeroDivisionError: division by zero"
    monkeypatch.setattr(model.openai, "AsyncOpenAI", lambda **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(model.answer([ask()]))
