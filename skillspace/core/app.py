"""The composition root: the only place that names adapters and puts the house together.

Every face and every test enters through `open_app`. What comes in as a replacement is used
instead of the part the settings would choose.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from skillspace.core.accounts.owner import local_owner
from skillspace.core.adapters.eventlog_sql import SqlEventLog
from skillspace.core.adapters.queue_local import LocalQueue
from skillspace.core.chat.engines import Engines
from skillspace.core.chat.service import ChatService
from skillspace.core.chat.sessions import SessionService
from skillspace.core.clock import Clock, SystemClock
from skillspace.core.db.engine import Database, create_database
from skillspace.core.db.migrate import ensure_current
from skillspace.core.demo.service import DemoService
from skillspace.core.jobs.chat import ChatJob
from skillspace.core.models.store import ModelStore
from skillspace.core.ports import Engine, EventLog, TaskQueue
from skillspace.core.resumes.service import ResumeService
from skillspace.core.settings import Settings
from skillspace.core.tasks.limits import TaskLimits
from skillspace.core.tasks.liveness import ProcessLock
from skillspace.core.tasks.outbox import Relay
from skillspace.core.tasks.reader import Reader
from skillspace.core.tasks.recovery import Recovery
from skillspace.core.tasks.registry import Registry
from skillspace.core.tasks.runner import Runner
from skillspace.core.tasks.service import TaskService
from skillspace.core.values import Actor

EMBEDDED: Final = "sqlite"


@dataclass(frozen=True)
class SkillSpace:
    """An opened space: the actor at the keyboard and every service.

    Args:
        settings: As read at start.
        actor: The owner of this machine's space.
        chat, sessions, tasks, resumes, models, demo: The services.
        database: For maintenance; faces do not touch it.
    """

    settings: Settings
    actor: Actor
    chat: ChatService
    sessions: SessionService
    tasks: TaskService
    resumes: ResumeService
    models: ModelStore
    demo: DemoService
    database: Database


@dataclass(frozen=True)
class Replacements:
    """Parts to use instead of those the settings choose; None leaves the choice to them."""

    engine: Engine | None = None
    event_log: EventLog | None = None
    queue: TaskQueue | None = None
    clock: Clock | None = None


@asynccontextmanager
async def open_app(
    settings: Settings,
    *,
    via: str = "cli",
    run_tasks: bool = False,
    replacements: Replacements | None = None,
) -> AsyncIterator[SkillSpace]:
    """Open the space that the settings describe.

    Args:
        settings: Chooses every part.
        via: The face that opens it: cli, tui, worker.
        run_tasks: Whether this process may run tasks. Short commands only look.
        replacements: Parts to use instead.

    Raises:
        DatabaseUnavailable, StorageUnavailable, SchemaNotCurrent, SchemaTooNew: The database
            cannot be used as it is.
    """
    parts = replacements or Replacements()
    clock = parts.clock or SystemClock()
    async with AsyncExitStack() as stack:
        database = create_database(settings.database_url)
        stack.push_async_callback(database.close)
        await ensure_current(database, automatic=database.dialect == EMBEDDED)
        actor = await local_owner(database, clock, via)
        log = parts.event_log or SqlEventLog(database)
        stack.push_async_callback(log.close)
        lock = ProcessLock(_lock_folder(settings, database))
        stack.callback(lock.close)
        models = ModelStore(settings)
        engines = Engines(_engine_opener(settings, models, parts.engine))
        stack.push_async_callback(engines.close)
        resumes = ResumeService(database, clock)
        registry = Registry([ChatJob(database, engines, resumes)])
        limits = TaskLimits(
            concurrency=settings.tasks.concurrency,
            lease_s=settings.tasks.lease_s,
            heartbeat_s=settings.tasks.heartbeat_s,
            log_ttl_s=settings.tasks.log_ttl_s,
        )
        recovery = Recovery(database, log, registry, lock, clock=clock, limits=limits)
        queue = parts.queue or LocalQueue()
        relay = Relay(database, queue)
        runner = None
        if run_tasks:
            runner = Runner(
                database, log, queue, registry, owner=lock.owner, clock=clock, limits=limits
            )
        tasks = TaskService(
            database,
            log,
            registry,
            relay=relay,
            reader=Reader(database, log, recovery, clock),
            recovery=recovery,
            clock=clock,
            runner=runner,
        )
        if runner is not None:
            await _start(stack, runner, relay, recovery, queue)
        yield SkillSpace(
            settings=settings,
            actor=actor,
            chat=ChatService(
                database,
                tasks,
                clock,
                default_model=settings.model.name,
                default_system=settings.chat.system,
            ),
            sessions=SessionService(database, clock),
            tasks=tasks,
            resumes=resumes,
            models=models,
            demo=DemoService(database, clock),
            database=database,
        )


async def _start(
    stack: AsyncExitStack, runner: Runner, relay: Relay, recovery: Recovery, queue: TaskQueue
) -> None:
    """Start what works in the background; the stack stops it in the opposite order."""
    stack.push_async_callback(queue.close)
    runner.start()
    stack.push_async_callback(runner.stop)
    relay.start()
    stack.push_async_callback(relay.stop)
    await recovery.start(queue)
    stack.push_async_callback(recovery.stop)


def _lock_folder(settings: Settings, database: Database) -> Path:
    """Return the folder of process locks: all processes on one SQLite file share one."""
    if database.path is not None:
        return database.path.with_name(database.path.name + ".run")
    return settings.folders.state / "run"


def _engine_opener(settings: Settings, models: ModelStore, fixed: Engine | None):  # type: ignore[no-untyped-def]  # see Engines
    async def open_engine(name: str) -> Engine:
        if fixed is not None:
            return fixed
        from skillspace.core.adapters.engine_transformers import TransformersEngine

        # Reads many small files and may ask a GPU, which can take seconds.
        choice = await asyncio.to_thread(models.resolve, name)
        return TransformersEngine(choice, threads=settings.model.threads)

    return open_engine
