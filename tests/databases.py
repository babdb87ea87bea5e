"""Databases for tests: SQLite always, PostgreSQL and MariaDB on real servers.

A pytest plugin. `database` is an open database with the schema and no rows, once per kind;
`database_url` is its URL; `blank_database_url` has no tables either. The servers are those of
SKILLSPACE_TEST_POSTGRESQL_URL and SKILLSPACE_TEST_MARIADB_URL, or the local ones. Without a
server its tests are skipped, or fail under SKILLSPACE_TEST_SERVICES=required.
"""

import asyncio
import os
import resource
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL, make_url

from skillspace.core.db.engine import Database, create_database
from skillspace.core.db.migrate import upgrade
from skillspace.core.db.search import INDEXES
from skillspace.core.db.tables import metadata

POSTGRESQL = "postgresql://postgres@127.0.0.1:5432/postgres"
MARIADB = "mysql://root@127.0.0.1:3306/mysql"
KINDS = (
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.services),
    pytest.param("mariadb", marks=pytest.mark.services),
)


class Server:
    """A server on which databases are made and dropped.

    Args:
        url: Of a database that is there already.
        ask: Runs one statement there, outside a transaction.
    """

    def __init__(self, url: URL, ask: Callable[[URL, str], Coroutine[Any, Any, None]]) -> None:
        self._url = url
        self._ask = ask

    def run(self, statement: str) -> None:
        """Run one statement."""
        asyncio.run(self._ask(self._url, statement))

    def create(self, template: str = "") -> str:
        """Make a database and return its URL."""
        name = f"skillspace_test_{uuid.uuid4().hex[:12]}"
        self.run(f"CREATE DATABASE {name} {template}")
        return self._url.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str, ending: str = "") -> None:
        """Drop a database that `create` made."""
        self.run(f"DROP DATABASE {make_url(url).database} {ending}")


async def _ask_postgresql(url: URL, statement: str) -> None:
    import asyncpg

    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address, timeout=5)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _ask_mariadb(url: URL, statement: str) -> None:
    import aiomysql

    connection = await aiomysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        connect_timeout=5,
        autocommit=True,
    )
    try:
        async with connection.cursor() as cursor:
            for part in statement.split(";"):
                await cursor.execute(part)
    finally:
        connection.close()


def _server(variable: str, default: str, ask: Callable[..., Coroutine[Any, Any, None]]) -> Server:
    server = Server(make_url(os.environ.get(variable, default)), ask)
    try:
        server.run("SELECT 1")
    except Exception as error:  # noqa: BLE001 - whatever it is, the server is not usable
        reason = f"no server at {variable} or {default}: {error!r}"
        if os.environ.get("SKILLSPACE_TEST_SERVICES") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    return server


async def _upgraded(url: str) -> None:
    database = create_database(url)
    await upgrade(database)
    await database.close()


@pytest.fixture(scope="session")
def postgresql_server() -> Server:
    """Return the PostgreSQL server."""
    return _server("SKILLSPACE_TEST_POSTGRESQL_URL", POSTGRESQL, _ask_postgresql)


@pytest.fixture(scope="session")
def mariadb_server() -> Server:
    """Return the MariaDB server."""
    return _server("SKILLSPACE_TEST_MARIADB_URL", MARIADB, _ask_mariadb)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the schema, to be copied."""
    path = tmp_path_factory.mktemp("databases") / "template.db"
    asyncio.run(_upgraded(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: Server) -> Iterator[str]:
    """Yield the name of a database with the schema, to be copied."""
    url = postgresql_server.create()
    asyncio.run(_upgraded(url))
    yield str(make_url(url).database)
    postgresql_server.drop(url)


@pytest.fixture(scope="session")
def mariadb_shared(mariadb_server: Server) -> Iterator[str]:
    """Yield the URL of a database with the schema, emptied after each test."""
    url = mariadb_server.create("CHARACTER SET latin1")
    asyncio.run(_upgraded(url))
    yield url
    mariadb_server.drop(url)


@contextmanager
def template_copy(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Yield the URL of a database with the schema; MariaDB's one is shared by all tests.

    Args:
        request: Its `param` is one of KINDS.
        folder: Where a SQLite file goes.
    """
    if request.param == "sqlite":
        path = folder / "test.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    elif request.param == "postgresql":
        server: Server = request.getfixturevalue("postgresql_server")
        url = server.create(f"TEMPLATE {request.getfixturevalue('postgresql_template')}")
        yield url
        server.drop(url, "WITH (FORCE)")
    else:
        yield request.getfixturevalue("mariadb_shared")


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a database with the schema and no rows."""
    with template_copy(request, tmp_path) as url:
        yield url
    if request.param == "mariadb":
        server: Server = request.getfixturevalue("mariadb_server")
        name = make_url(url).database
        tables = [*metadata.tables, *(index.name for index in INDEXES)]
        emptied = ";".join(f"DELETE FROM {name}.{table}" for table in tables)
        server.run(f"SET foreign_key_checks=0;{emptied}")


@pytest.fixture(params=KINDS)
def blank_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'blank.db'}"
        return
    server: Server = request.getfixturevalue(f"{request.param}_server")
    # The server's default of old: our tables must bring their own character set.
    url = server.create("CHARACTER SET latin1" if request.param == "mariadb" else "")
    yield url
    server.drop(url, "WITH (FORCE)" if request.param == "postgresql" else "")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Yield an open database with the schema and no rows."""
    opened = create_database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder in which nothing can be written, not even by root."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid() == 0:
        with _mounted(folder, "size=1m,ro"):
            yield folder
        return
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder that holds 2 MiB and not more.

    Only root may mount one. Anybody else gets an ordinary folder and a limit on the size of
    the files this process writes, which a database meets in the same way.
    """
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() == 0:
        with _mounted(folder, "size=2m"):
            yield folder
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 1024 * 1024, before[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
