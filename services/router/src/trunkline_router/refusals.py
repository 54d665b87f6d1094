"""Why a command is refused. `code` is a gRPC status name, `reason` one of trunkline.common.v1.ErrorReason."""

from __future__ import annotations

from trunkline_router.pool import Conversation


class Refusal(Exception):
    """The command changes nothing; the facts say what the caller did not know."""

    def __init__(self, code: str, reason: str, message: str, **facts: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.facts = code, reason, message, facts


def no_conversation(conversation_id: str) -> Refusal:
    """There is none of that id in this pool."""
    return Refusal(
        "NOT_FOUND", "CONVERSATION_NOT_FOUND", f"no conversation {conversation_id}", conversation_id=conversation_id
    )


def no_agent(agent_id: str) -> Refusal:
    """The configuration has no such agent."""
    return Refusal("NOT_FOUND", "AGENT_NOT_FOUND", f"no agent {agent_id}", agent_id=agent_id)


def no_team(team: str) -> Refusal:
    """The configuration has no such team."""
    return Refusal("NOT_FOUND", "TEAM_NOT_FOUND", f"no team {team}", team=team)


def offer_ended(offer_id: str, conversation: Conversation) -> Refusal:
    """Too late: the answer says who has the conversation now."""
    return Refusal(
        "FAILED_PRECONDITION",
        "OFFER_ENDED",
        f"offer {offer_id} has ended; the conversation is {conversation.status.lower()}",
        offer_id=offer_id,
        status=conversation.status,
        assigned_agent=conversation.agent,
    )


def offer_of_another(offer_id: str) -> Refusal:
    """Somebody else was asked."""
    return Refusal(
        "PERMISSION_DENIED", "OFFER_OF_ANOTHER", f"offer {offer_id} is made to another agent", offer_id=offer_id
    )


def wrong_status(conversation: Conversation, wanted: str) -> Refusal:
    """The conversation is in another status than the command needs."""
    return Refusal(
        "FAILED_PRECONDITION",
        "CONVERSATION_STATUS",
        f"conversation {conversation.id} is {conversation.status.lower()}; {wanted}",
        conversation_id=conversation.id,
        status=conversation.status,
        assigned_agent=conversation.agent,
    )


def not_assigned(conversation: Conversation) -> Refusal:
    """Only the assigned agent (or a supervisor) may do this."""
    return Refusal(
        "PERMISSION_DENIED",
        "NOT_ASSIGNED",
        f"conversation {conversation.id} is assigned to {conversation.agent or 'nobody'}",
        conversation_id=conversation.id,
        assigned_agent=conversation.agent,
    )
