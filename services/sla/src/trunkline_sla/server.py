"""gRPC: SlaService."""

from __future__ import annotations

from functools import partial

from trunkline.sla.v1 import sla_service_pb2 as pb
from trunkline.sla.v1.sla_service_pb2_grpc import SlaServiceServicer, add_SlaServiceServicer_to_server
from trunkline_common import rpc
from trunkline_common.auth import Role
from trunkline_common.tail import follow

from trunkline_sla.server_calls import Sources
from trunkline_sla.server_lists import ListCalls
from trunkline_sla.server_watch import WatchCalls
from trunkline_sla.server_why import WhyCalls
from trunkline_sla.watch import Seats
from trunkline_sla.wire import TOPIC

READERS: tuple[Role, ...] = ("agent", "supervisor", "admin", "service")
JUDGES: tuple[Role, ...] = ("supervisor", "admin", "service")
POLICY = {
    "GetClocks": rpc.allow(*READERS, required=("conversation_id",)),
    "ListBreaches": rpc.allow(*READERS),
    "ExplainClock": rpc.allow(*READERS, required=("conversation_id", "metric")),
    "Evaluate": rpc.allow(*JUDGES, required=("conversation_id", "policy")),
    "WatchSla": rpc.allow(*READERS),
    "ListAtRisk": rpc.allow(*READERS),
    "PreviewDue": rpc.allow(*READERS, required=("teams",)),
    "GetReport": rpc.allow(*JUDGES, required=("from", "to")),
}


class SlaServer(WatchCalls, ListCalls, WhyCalls, SlaServiceServicer):
    """Answers for the tenant of the caller."""


def service(sources: Sources, kafka: str, watches: int) -> rpc.Service:
    """The service, ready to be served; its watches read from the brokers `kafka`."""
    descriptor = pb.DESCRIPTOR.services_by_name["SlaService"]
    server = SlaServer(sources, partial(follow, kafka, TOPIC), Seats(watches))
    return rpc.Service(descriptor, server, add_SlaServiceServicer_to_server, POLICY)
