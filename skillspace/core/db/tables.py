"""All tables. Services write their SQL against these; rows never leave a service.

A change here needs a migration in `migrations/versions`; a test compares the two on
SQLite, PostgreSQL and MariaDB.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
    true,
)

from skillspace.core.db.columns import JsonText, LongText, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

RowId = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only in a column that is called INTEGER."""

users = Table(
    "users",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("username", String(150), nullable=False, unique=True),
    Column("display_name", String(150), nullable=False, server_default=""),
    Column("email", String(254), unique=True),
    Column("is_superuser", Boolean(), nullable=False, server_default=false()),
    Column("is_active", Boolean(), nullable=False, server_default=true()),
    Column("created_at", UtcDateTime(), nullable=False),
)

resumes = Table(
    "resumes",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("owner_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("title", String(200), nullable=False),
    Column("language", String(16), nullable=False),
    Column("document", JsonText(), nullable=False),
    Column("version", Integer(), nullable=False, server_default="1"),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("updated_at", UtcDateTime(), nullable=False),
)

chat_sessions = Table(
    "chat_sessions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    Column("title", String(200), nullable=False),
    Column("system", LongText, nullable=False),
    Column("model", String(255), nullable=False, server_default=""),
    Column("version", Integer(), nullable=False, server_default="1"),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("updated_at", UtcDateTime(), nullable=False),
    Index("ix_chat_sessions_owner_id_updated_at", "owner_id", "updated_at"),
)

# A turn that was regenerated stays, with the time at which another took its place.
messages = Table(
    "messages",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("session_id", ForeignKey("chat_sessions.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer(), nullable=False),
    Column("role", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("text", LongText, nullable=False),
    Column("thinking", LongText, nullable=False),
    Column("model", String(255), nullable=False, server_default=""),
    Column("task_id", String(36), index=True),
    Column("prompt_tokens", Integer(), nullable=False, server_default="0"),
    Column("completion_tokens", Integer(), nullable=False, server_default="0"),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("superseded_at", UtcDateTime()),
    Index("ix_messages_session_id_position", "session_id", "position"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("payload", JsonText(), nullable=False),
    Column("meta", JsonText()),
    Column("result", JsonText()),
    Column("error", JsonText()),
    # What a writer has said so far, for logs that do not survive kill -9 themselves.
    Column("partial", JsonText()),
    Column("attempt", Integer(), nullable=False, server_default="0"),
    # Raised by every claim; a writer with a lower one is refused.
    Column("fence", Integer(), nullable=False, server_default="0"),
    Column("deaths", Integer(), nullable=False, server_default="0"),
    Column("lease_owner", String(255)),
    Column("lease_expires_at", UtcDateTime()),
    Column("cancel_requested_at", UtcDateTime()),
    Column("retry_of", String(36)),
    Column("idempotency_key", String(200)),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("available_at", UtcDateTime(), nullable=False),
    Column("started_at", UtcDateTime()),
    Column("finished_at", UtcDateTime()),
    Column("log_expired_at", UtcDateTime()),
    UniqueConstraint("owner_id", "idempotency_key"),
    Index("ix_tasks_state_available_at", "state", "available_at"),
    Index("ix_tasks_log_expired_at_finished_at", "log_expired_at", "finished_at"),
    Index("ix_tasks_owner_id_created_at", "owner_id", "created_at"),
)

# A row here is a hint still to be given to the queue; the relay deletes it afterwards.
outbox = Table(
    "outbox",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("task_id", String(36), nullable=False, index=True),
    Column("queue", String(64), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
)

event_logs = Table(
    "event_logs",
    metadata,
    Column("task_id", String(36), primary_key=True),
    Column("fence", Integer(), nullable=False),
    Column("head_seq", Integer(), nullable=False, server_default="0"),
    Column("first_seq", Integer(), nullable=False, server_default="1"),
    Column("is_closed", Boolean(), nullable=False, server_default=false()),
)

task_events = Table(
    "task_events",
    metadata,
    Column("task_id", String(36), primary_key=True),
    Column("seq", Integer(), primary_key=True, autoincrement=False),
    Column("type", String(32), nullable=False),
    Column("payload", JsonText(), nullable=False),
    sqlite_with_rowid=False,
)
