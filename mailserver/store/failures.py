"""What the database's errors mean to whoever asked: nearly always "not now"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from twisted.logger import Logger

from mailserver.errors import MailserverError, TemporaryFailure

log = Logger()

# sqlite.org/rescode.html: BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT FULL CANTOPEN PROTOCOL NOTADB
_SQLITE = frozenset((5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26))
# PostgreSQL, appendix A, by class: connection, resources, operator intervention, system and internal errors
_POSTGRESQL = ("08", "53", "57", "58", "XX")
_DEADLOCK = ("40001", "40P01")


def from_database(error: BaseException) -> bool:
    """Whether the database itself cannot work now: then every job of a batch fails; else a job or a row is bad."""
    if isinstance(error, PoolTimeout) or connection_lost(error):
        return True
    if not isinstance(error, OperationalError | InternalError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE
    state = getattr(error.orig, "sqlstate", None)
    return state is None or state.startswith(_POSTGRESQL)


def is_deadlock(error: BaseException) -> bool:
    """Whether PostgreSQL chose this transaction to give way: nothing is wrong with it, so it runs again."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _DEADLOCK


def connection_lost(error: BaseException) -> bool:
    """Whether the connection to PostgreSQL went away."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def in_words(error: BaseException) -> str:
    """One line about an error of the driver, the library or the system."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    return (str(error).strip() or type(error).__name__).partition("\n")[0]


def as_told(error: Exception) -> Exception:
    """The error that the asker hears: a full disk, a lock, a lost connection are "not now" (`TemporaryFailure`).

    So is a row that the database does not take: what it speaks of has just gone, or we are wrong; either is
    logged.  What a job raised of its own stays as it is.
    """
    if isinstance(error, MailserverError) or not isinstance(error, SQLAlchemyError | OSError | MemoryError):
        return error
    log.error("the database refused: {kind}: {words}", kind=type(error).__name__, words=in_words(error))
    told = TemporaryFailure(f"the database refused: {in_words(error)}")
    told.__cause__ = error
    return told


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the database inside the block come out as `as_told` says."""
    try:
        yield
    except Exception as error:
        told = as_told(error)
        if told is error:
            raise
        raise told from error
