"""A proxy that ends leaves nothing behind: a socket that nobody closed fails a later test."""

import contextlib
import gc
import socket
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

from analytics.embedded import free_port
from tests.faults.figures import often
from tests.faults.proxy import Proxy

DIALLERS = 3


def test_a_proxy_that_ends_while_connections_come_leaves_none_of_them_open() -> None:
    with ThreadPoolExecutor(DIALLERS) as threads, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(often(40, 20)):
            over = threading.Event()
            try:
                with Proxy(free_port()) as proxy:
                    all_connected = threading.Barrier(DIALLERS + 1)
                    for _ in range(DIALLERS):
                        threads.submit(_dial, proxy.port, all_connected, over)
                    all_connected.wait(30)
            finally:
                over.set()
            del proxy
            gc.collect()
    assert [str(each.message) for each in seen] == []


def _dial(port: int, all_connected: threading.Barrier, over: threading.Event) -> None:
    """Connect, and then again and again until it is over."""
    socket.create_connection(("127.0.0.1", port), 30).close()
    all_connected.wait(30)
    while not over.is_set():
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
