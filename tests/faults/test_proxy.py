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
    """A socket that nobody closed is an error in whichever test collects the garbage."""
    with ThreadPoolExecutor(DIALLERS) as threads, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(often(40, 20)):
            with Proxy(free_port()) as proxy:
                connected, over = threading.Semaphore(0), threading.Event()
                for _ in range(DIALLERS):
                    threads.submit(_dial, proxy.port, connected, over)
                for _ in range(DIALLERS):
                    connected.acquire()
            over.set()
            del proxy
            gc.collect()
    assert [str(each.message) for each in seen] == []


def _dial(port: int, connected: threading.Semaphore, over: threading.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            connected.release()
