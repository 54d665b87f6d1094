"""gRPC RouterService: requests to inputs for the pool's owner, answers from the state after COMMIT."""

from __future__ import annotations

from trunkline.router.v1.router_service_pb2_grpc import RouterServiceServicer
from trunkline_common import rpc
from trunkline_common.auth import Role

from trunkline_router.server_agents import AgentCalls
from trunkline_router.server_conversations import ConversationCalls
from trunkline_router.server_lists import ListCalls
from trunkline_router.server_moves import MoveCalls
from trunkline_router.server_watch import WatchCalls

DESK: tuple[Role, ...] = ("agent", "supervisor", "admin", "service")
OVER_OTHERS: tuple[Role, ...] = ("supervisor", "admin", "service")
AGENT = ("request_id", "agent_id")
CONVERSATION = ("request_id", "conversation_id")
#: What only an agent can do; everything else a supervisor does without being one.
BY_AGENT = (*CONVERSATION, "agent_id")

POLICY = {
    "SetAgentPresence": rpc.allow(*DESK, required=(*AGENT, "presence")),
    "SetAgentAccepting": rpc.allow(*DESK, required=AGENT),
    "ClearNotResponding": rpc.allow(*DESK, required=AGENT),
    "EndWrapUp": rpc.allow(*DESK, required=AGENT),
    "PutAgent": rpc.allow(*OVER_OTHERS, required=(*AGENT, "teams")),
    "DeleteAgent": rpc.allow(*OVER_OTHERS, required=AGENT),
    "GetAgent": rpc.allow(*DESK, required=("agent_id",)),
    "AcceptOffer": rpc.allow(*DESK, required=(*BY_AGENT, "offer_id")),
    "DeclineOffer": rpc.allow(*DESK, required=(*BY_AGENT, "offer_id")),
    "SendReply": rpc.allow(*DESK, required=(*BY_AGENT, "content")),
    "SetTyping": rpc.allow(*DESK, required=("conversation_id", "agent_id")),
    "AddNote": rpc.allow(*DESK, required=(*BY_AGENT, "text")),
    "TransferConversation": rpc.allow(*DESK, required=(*CONVERSATION, "reason")),
    "AssignConversation": rpc.allow(*OVER_OTHERS, required=BY_AGENT),
    "PullConversation": rpc.allow(*DESK, required=BY_AGENT),
    "ReleaseConversation": rpc.allow(*DESK, required=CONVERSATION),
    "SnoozeConversation": rpc.allow(*DESK, required=(*CONVERSATION, "until")),
    "WakeConversation": rpc.allow(*DESK, required=CONVERSATION),
    "ResolveConversation": rpc.allow(*DESK, required=CONVERSATION),
    "ReopenConversation": rpc.allow(*DESK, required=CONVERSATION),
    "MergeConversations": rpc.allow(*OVER_OTHERS, required=(*CONVERSATION, "into_conversation_id")),
    "SplitConversation": rpc.allow(*DESK, required=CONVERSATION),
    "ChangeAttributes": rpc.allow(*DESK, required=CONVERSATION),
    "ScheduleCallback": rpc.allow(*DESK, required=(*CONVERSATION, "begins_at")),
    "StartConversation": rpc.allow(
        *DESK, required=("request_id", "channel", "account", "contact.address", "content", "consent")
    ),
    "GetConversation": rpc.allow(*DESK, required=("conversation_id",)),
    "ListQueue": rpc.allow(*DESK, required=("team",)),
    "ListConversations": rpc.allow(*DESK),
    "ListAgents": rpc.allow(*DESK),
    "WatchAgent": rpc.allow(*DESK, required=("agent_id",)),
    "WatchQueue": rpc.allow(*DESK, required=("team",)),
    "WatchTeam": rpc.allow(*DESK, required=("team",)),
}


class RouterServer(AgentCalls, ConversationCalls, MoveCalls, ListCalls, WatchCalls, RouterServiceServicer):
    """Every rpc, by kind."""
