"""A proxy before PostgreSQL that can fall silent, break connections and refuse new ones."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from database import close_database, open_database
from settings import DatabaseSettings


class FaultProxy:
    """Listens on TCP and passes on to the PostgreSQL of a url."""

    def __init__(self, url: str) -> None:
        self._upstream = urlsplit(url)
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        user, _, _ = self._upstream.netloc.rpartition("@")
        return f"postgresql://{user}@127.0.0.1:{self._port}{self._upstream.path}"

    def freeze(self) -> None:
        """Pass nothing on, also not what new connections say; a host that lost its network does the same."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def break_connections(self) -> None:
        """Reset those that exist; new ones are passed on."""
        for existing in self._sockets:
            with suppress(OSError):
                existing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                existing.shutdown(socket.SHUT_RDWR)
            existing.close()
        self._sockets.clear()

    def close(self) -> None:
        """Refuse from now on."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(timeout=1)  # or it would let in one more
        self._listener.close()
        self.thaw()
        self.break_connections()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                self._sockets += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _connect(self) -> socket.socket:
        if directory := parse_qs(self._upstream.query).get("host"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{directory[0]}/.s.PGSQL.5432")
            return server
        return socket.create_connection((self._upstream.hostname or "127.0.0.1", self._upstream.port or 5432))

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def empty_url(new_database: Callable[..., str]) -> str:
    return new_database()


@pytest.fixture
def proxy(empty_url: str) -> Iterator[FaultProxy]:
    proxy = FaultProxy(empty_url)
    yield proxy
    proxy.close()


@pytest.fixture
def opened(empty_url: str) -> Iterator[str]:
    """An empty database, open as its owner."""
    open_database(DatabaseSettings(url=SecretStr(empty_url)), process="tests")
    yield empty_url
    close_database()
