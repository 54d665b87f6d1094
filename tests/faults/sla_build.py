"""The SLA service without some mechanisms of its own, which SLA_WITHOUT names.

A batch has at most SLA_RECORDS records, and lets at most SLA_FIRINGS timers fire.

arming: the clocks of a partition that is taken over are not armed. end: timers do not wait for what was in the
partition when it was claimed. known: a log that is read again is not compared with what was published. noted: that a
rebuild did not come to its end is not known to the next owner. relay: what is written to the outbox stays there.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from trunkline_common import backlog, outbox, projecting, run
from trunkline_common.consumer import Consumer
from trunkline_sla import __main__ as service
from trunkline_sla import processor, store
from trunkline_sla.settings import Settings


async def _nothing(*_: Any, **__: Any) -> int:
    return 0


async def _none(*_: Any) -> AsyncIterator[Any]:
    for found in list[Any]():
        yield found


WITHOUT: dict[str, Callable[[], None]] = {
    "arming": lambda: setattr(store, "armed", _none),
    "end": lambda: setattr(Consumer, "end", _nothing),
    "known": lambda: setattr(service, "_published", _none),
    "noted": lambda: setattr(store, "note_rebuild", _nothing),
    "relay": lambda: setattr(outbox.Relay, "drain", _nothing),
}


if __name__ == "__main__":
    for mechanism in os.environ.get("SLA_WITHOUT", "").split():
        WITHOUT[mechanism]()
    backlog.MAX_RECORDS = int(os.environ.get("SLA_RECORDS", backlog.MAX_RECORDS))
    processor.FIRINGS = int(os.environ.get("SLA_FIRINGS", processor.FIRINGS))
    run.service("sla", Settings, partial(service.main, projecting.role("sla", "Clocks and timers.")))
