"""An empty database of PostgreSQL: on a server that runs already, or on one of the stack's own."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from tests.harness.process import Process
from tests.harness.running_airflow import AirflowFailed
from tests.harness.servers import HOST, temporary_folder, wait_for_response
from tests.harness.stack.errors import StackUnavailable
from tests.harness.stack.programs import require_program

URL_VARIABLE = "STACK_POSTGRES_URL"
DRIVER = "postgresql+psycopg2"
USUAL_PORT = 5432
CONNECT_SECONDS = 3
INITIALIZE_SECONDS = 120.0

_ROLE = "airflow"
# What makes a server fast whose data need not outlive it.
_OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "400",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


class Database:
    """A database.

    :param url: its address, with user and password
    """

    def __init__(self, url: sqlalchemy.URL) -> None:
        self.url = url
        # No pool: a connection that is kept open would be in the way of a restart or a drop.
        self._engine = sqlalchemy.create_engine(
            url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS}
        )

    @property
    def address(self) -> str:
        """The address with the password, as settings want it."""
        return self.url.render_as_string(hide_password=False)

    def execute(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        """Execute a statement in a transaction of its own.

        :param statement: in SQL, with ``:name`` where a value goes
        :param values: the values
        :returns: the rows, none if the statement has no response
        """
        with self._engine.begin() as connection:
            result = connection.execute(sqlalchemy.text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def execute_alone(self, statement: str) -> None:
        """Execute a statement that must not be in a transaction, such as ``CREATE DATABASE``."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sqlalchemy.text(statement))

    def responds(self) -> bool:
        """Return whether it can be used."""
        try:
            self.execute("SELECT 1")
        except SQLAlchemyError:
            return False
        return True


@contextlib.contextmanager
def empty_database(port: int) -> Iterator[Database]:
    """Provide an empty database, and remove it afterwards.

    It is on the server that ``STACK_POSTGRES_URL`` names, else on one that runs on this machine and lets us
    in, else on a server of our own, if its programs are installed.

    :param port: port of a server of our own
    :raises StackUnavailable: if there is no server and none is installed
    :raises AirflowFailed: when our own server does not start, with the end of its log
    """
    server = _named_server() or _running_server()
    with _database_on(server) if server else _own_server(port) as database:
        yield database


def _named_server() -> Database | None:
    url = os.environ.get(URL_VARIABLE)
    if not url:
        return None
    server = Database(sqlalchemy.make_url(url).set(drivername=DRIVER))
    if not _may_create_databases(server):
        raise StackUnavailable(
            f"{URL_VARIABLE} names a server that cannot be reached or permits no databases"
        )
    return server


def _running_server() -> Database | None:
    """Return the server at the usual port of this machine, if it can be used."""
    user, password = os.environ.get("PGUSER", "postgres"), os.environ.get("PGPASSWORD")
    server = Database(sqlalchemy.URL.create(DRIVER, user, password, HOST, USUAL_PORT, "postgres"))
    return server if _may_create_databases(server) else None


def _may_create_databases(server: Database) -> bool:
    question = "SELECT 1 FROM pg_roles WHERE rolname = current_user AND (rolcreatedb OR rolsuper)"
    try:
        return bool(server.execute(question))
    except SQLAlchemyError:
        return False


@contextlib.contextmanager
def _database_on(server: Database) -> Iterator[Database]:
    name = f"stack_{secrets.token_hex(6)}"
    server.execute_alone(f"CREATE DATABASE {name}")
    try:
        yield Database(server.url.set(database=name))
    finally:
        server.execute_alone(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextlib.contextmanager
def _own_server(port: int) -> Iterator[Database]:
    programs = _programs()
    password = secrets.token_hex(16)
    with temporary_folder("postgresql-") as folder:
        data, log = folder / "data", folder / "log"
        password_file = folder / "password"
        password_file.write_text(password)
        _hand_over(folder)
        initialize = [programs / "initdb", "--no-sync", "--auth=scram-sha-256", f"--username={_ROLE}"]
        initialize += ["--encoding=UTF8", "--no-locale", f"--pwfile={password_file}", f"--pgdata={data}"]
        done = subprocess.run(
            _as_ordinary_user(list(map(str, initialize))),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INITIALIZE_SECONDS,
            check=False,
        )
        if done.returncode:
            raise AirflowFailed(f"initdb of PostgreSQL failed:\n{done.stdout}{done.stderr}")
        options = [f"-c{name}={value}" for name, value in (_OPTIONS | {"port": str(port)}).items()]
        command = _as_ordinary_user([str(programs / "postgres"), "-D", str(data), *options])
        server = Database(sqlalchemy.URL.create(DRIVER, _ROLE, password, HOST, port, "postgres"))
        with Process(command, os.environ, log) as process:
            wait_for_response("PostgreSQL", process, server.responds, log)
            server.execute_alone(f"CREATE DATABASE {_ROLE}")
            yield Database(server.url.set(database=_ROLE))


def _programs() -> Path:
    """Return the folder of PostgreSQL's programs."""
    initialize = require_program(("initdb",), "PostgreSQL", "postgresql", _debian_folders())
    # A link to it may be elsewhere than the programs beside it.
    return initialize.resolve().parent


def _debian_folders() -> list[Path]:
    """Return the folders of PostgreSQL's versions in Debian, the newest first."""
    versions = [
        folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if folder.parent.name.isdecimal()
    ]
    return sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True)


def _ordinary_user() -> pwd.struct_passwd | None:
    """Return whom PostgreSQL runs as, None for this user: as root it refuses to run."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _hand_over(folder: Path) -> None:
    if user := _ordinary_user():
        for path in (folder, *folder.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)


def _as_ordinary_user(command: Sequence[str]) -> list[str]:
    if user := _ordinary_user():
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *command]
    return list(command)
