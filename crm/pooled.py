"""The connection of a pool: whether it still stands is read from its socket, not asked of the server."""

import select
from typing import Any

import psycopg


class Connection(psycopg.Connection):
    """A connection that the pool may lend without a word to the server.

    Before each lending the pool runs an empty statement (`ConnectionPool.check_connection`). A server that ended or was
    killed leaves the end of the stream on the socket, so a look is enough. An address that vanished without a word is
    found out by the statement that comes, which is answered with 503 like any other loss.
    """

    def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor:
        if query != "" or params is not None:
            return super().execute(query, params, **options)
        if self.closed or _has_word(self.fileno()):
            self.close()
            raise psycopg.OperationalError("the server ended this connection")
        return self.cursor()


def _has_word(descriptor: int) -> bool:
    """Whether a server that was not asked anything said something: its end, or why it ends."""
    look = select.poll()
    look.register(descriptor, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(look.poll(0))
