"""Lines of many processes on one terminal, each with the name of its process."""

import os
import sys
import threading
from collections.abc import Callable

COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
WIDTH = 11


class Console:
    """Colour only on a terminal, and not with NO_COLOR."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._colours: dict[str, int] = {}
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def line_of(self, name: str) -> Callable[[str], None]:
        prefix = self._prefix(name)
        return lambda line: self._say(f"{prefix} {line}")

    def _say(self, text: str) -> None:
        with self._lock:
            print(text, flush=True)

    def _prefix(self, name: str) -> str:
        text = f"{name:<{WIDTH}}|"
        if not self._coloured:
            return text
        colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        return f"\x1b[{colour}m{text}\x1b[0m"
