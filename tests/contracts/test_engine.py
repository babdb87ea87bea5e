"""The contract of the Engine port; every adapter passes the same tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from skillspace.core.adapters.engine_transformers import TransformersEngine
from skillspace.core.errors import EngineUnavailable, InvalidInput, PromptTooLong
from skillspace.core.models.choice import ModelChoice
from skillspace.core.ports import Engine
from skillspace.core.values import GenerateRequest, Piece, PromptMessage, Sampling

GREEDY = Sampling(temperature=0, max_tokens=40)


@pytest.fixture(params=["transformers"])
async def engine(request: pytest.FixtureRequest, tiny_model: Path) -> AsyncIterator[Engine]:
    """Yield each adapter in turn, closed afterwards."""
    adapter = TransformersEngine(ModelChoice(path=tiny_model, name="tiny"), threads=1)
    yield adapter
    await adapter.close()


def ask(prompt: str, **sampling: Any) -> GenerateRequest:
    """Return a request with one turn."""
    chosen = Sampling(**{"temperature": 1.0, "max_tokens": 40, "seed": 7, **sampling})
    return GenerateRequest(messages=(PromptMessage(role="user", text=prompt),), sampling=chosen)


async def read(engine: Engine, request: GenerateRequest) -> list[Piece]:
    """Read an answer to its end."""
    return [piece async for piece in engine.generate(request)]


def joined(pieces: list[Piece]) -> str:
    """Return the text of an answer."""
    return "".join(piece.text for piece in pieces)


async def test_describe_says_what_it_is(engine: Engine) -> None:
    """The model's name, its context and a reason are known before anything is asked."""
    info = await engine.describe()
    assert (info.model, info.context_tokens > 0) == ("tiny", True)
    assert info.why


async def test_only_the_last_piece_ends(engine: Engine) -> None:
    """One piece has a finish_reason and usage, the last; tokens add up to the usage."""
    request = ask("hello")
    pieces = await read(engine, request)
    assert [piece.finish_reason is not None for piece in pieces] == [False] * (len(pieces) - 1) + [
        True
    ]
    usage = pieces[-1].usage
    assert usage is not None
    assert usage.completion_tokens == sum(piece.tokens for piece in pieces) == 40
    assert usage.prompt_tokens == await engine.count_tokens(request.messages)
    assert pieces[-1].finish_reason == "length"


async def test_max_tokens_bounds_the_answer(engine: Engine) -> None:
    """One token is one token, and the reason is length."""
    pieces = await read(engine, ask("hello", max_tokens=1))
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.completion_tokens == 1


async def test_same_seed_same_text_whoever_else_runs(engine: Engine) -> None:
    """An answer depends on prompt and seed alone: the same in company, and not another's."""
    alone = [joined(await read(engine, ask(f"question {n}", seed=n))) for n in range(4)]
    together = await asyncio.gather(*(read(engine, ask(f"question {n}", seed=n)) for n in range(4)))
    assert [joined(pieces) for pieces in together] == alone
    assert len(set(alone)) == 4


async def test_another_seed_another_text(engine: Engine) -> None:
    """Seeds matter, and no seed is a fresh one."""
    texts = [joined(await read(engine, ask("hello", seed=seed))) for seed in (1, 2, None, None)]
    assert len(set(texts)) == 4


async def test_stop_strings_end_the_answer(engine: Engine) -> None:
    """What follows a stop string, and the string itself, are not in the answer."""
    whole = joined(await read(engine, ask("hello", temperature=0)))
    stop = whole[9:14]
    pieces = await read(engine, ask("hello", temperature=0, stop=("never there", stop)))
    assert joined(pieces) == whole[: whole.index(stop)]
    assert pieces[-1].finish_reason == "stop"


async def test_held_back_text_arrives_at_the_end(engine: Engine) -> None:
    """Text that only began like a stop string is part of the answer."""
    whole = joined(await read(engine, ask("hello", temperature=0)))
    pieces = await read(engine, ask("hello", temperature=0, stop=(whole[-3:] + "\x00never",)))
    assert joined(pieces) == whole


async def test_closing_the_iterator_leaves_the_others_alone(engine: Engine) -> None:
    """An answer that is no longer wanted ends; another one that runs beside it does not."""
    wanted = asyncio.create_task(read(engine, ask("keep", max_tokens=60)))
    async with aclosing(engine.generate(ask("drop", max_tokens=400))) as pieces:  # type: ignore[type-var]  # an async generator
        async for _ in pieces:
            break
    assert joined(await wanted) == joined(await read(engine, ask("keep", max_tokens=60)))


async def test_cancelling_the_reader_leaves_the_engine_usable(engine: Engine) -> None:
    """Cancelling the task that reads raises CancelledError in it, and nothing else breaks."""
    started = asyncio.Event()

    async def reader() -> None:
        async for _ in engine.generate(ask("drop", max_tokens=400)):
            started.set()

    task = asyncio.create_task(reader())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert joined(await read(engine, ask("hello")))


async def test_a_prompt_without_room_is_refused(engine: Engine) -> None:
    """The error has the count and the limit, and the engine goes on."""
    limit = (await engine.describe()).context_tokens
    with pytest.raises(PromptTooLong) as caught:
        await read(engine, ask("word " * limit))
    assert caught.value.evidence["context_tokens"] == limit
    assert str(limit) in caught.value.message
    assert joined(await read(engine, ask("hello")))


async def test_an_answer_ends_where_the_context_does(engine: Engine) -> None:
    """Without max_tokens prompt and answer together fill the context at most."""
    limit = (await engine.describe()).context_tokens
    prompt = "a" * (limit - 40)
    while await engine.count_tokens(ask(prompt).messages) >= limit:
        prompt = prompt[:-10]
    pieces = await read(engine, ask(prompt, max_tokens=None))
    usage = pieces[-1].usage
    assert usage is not None
    assert usage.prompt_tokens + usage.completion_tokens <= limit


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"top_p": 0.0}, {"top_k": -1}, {"max_tokens": 0}]
)
async def test_impossible_sampling_is_refused(engine: Engine, wrong: dict[str, Any]) -> None:
    """A value out of its range is an error that names it."""
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        await read(engine, ask("hello", **wrong))


async def test_no_message_is_refused(engine: Engine) -> None:
    """There must be something to answer."""
    with pytest.raises(InvalidInput):
        await read(engine, GenerateRequest(messages=()))


async def test_pieces_can_be_written(engine: Engine) -> None:
    """No piece holds half a character, nor one that UTF-8 cannot write."""
    for piece in await read(engine, ask("emoji 🙂 和 汉字", max_tokens=120)):
        assert piece.text.encode().decode() == piece.text


async def test_text_that_cannot_be_written_is_no_accident(engine: Engine) -> None:
    """A lone surrogate in a message is read as something, and the engine goes on."""
    assert await engine.count_tokens((PromptMessage(role="user", text="\ud800"),)) > 0


async def test_close_is_for_good(engine: Engine) -> None:
    """A running answer ends, by itself or with an error; the engine refuses more; twice is fine."""
    pieces = engine.generate(ask("hello", max_tokens=400))
    await anext(pieces)
    await engine.close()
    with contextlib.suppress(EngineUnavailable):
        async for _ in pieces:
            pass
    await engine.close()
    with pytest.raises(EngineUnavailable):
        await engine.describe()
