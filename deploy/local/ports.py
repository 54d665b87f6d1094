"""Free ports on 127.0.0.1 below the range from which the system takes ports for outgoing connections.

A client that keeps retrying a dead server's port inside that range can be given the port itself, and then holds it.
TRUNKLINE_PORTS=FIRST-LAST narrows them for stacks side by side: what one has given away need not be in use yet.
"""

import os
import random
import socket

ALL = "15000-32000"

_given: set[int] = set()


def free_port() -> int:
    low, high = map(int, os.environ.get("TRUNKLINE_PORTS", ALL).split("-"))
    for port in random.sample(range(low, high), 500):
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port between {low} and {high}")


def free_address() -> str:
    return f"127.0.0.1:{free_port()}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
