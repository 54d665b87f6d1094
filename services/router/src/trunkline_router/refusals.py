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


def transfer_limit(conversation: Conversation, limit: int) -> Refusal:
    """Handed on as often as is allowed, and there is nobody to escalate to (features row 12)."""
    return Refusal(
        "FAILED_PRECONDITION",
        "TRANSFER_LIMIT",
        f"conversation {conversation.id} was transferred {limit} times; resolve it or ask a supervisor",
        conversation_id=conversation.id,
        limit=str(limit),
        team=conversation.team,
        assigned_agent=conversation.agent,
    )


def agent_outside(agent_id: str, team: str) -> Refusal:
    """The agent is not of that team."""
    return Refusal(
        "FAILED_PRECONDITION",
        "AGENT_NOT_IN_TEAM",
        f"agent {agent_id} is not in team {team}",
        agent_id=agent_id,
        team=team,
    )


def wrong_time(field: str, wanted: str) -> Refusal:
    """An instant that makes no sense."""
    return Refusal("INVALID_ARGUMENT", "INVALID_REQUEST", f"{field} {wanted}", field=field)


def cannot_merge(conversation_id: str, into: str, why: str) -> Refusal:
    """These two cannot become one."""
    return Refusal(
        "FAILED_PRECONDITION",
        "CANNOT_MERGE",
        f"conversation {conversation_id} cannot be merged into {into}: {why}",
        conversation_id=conversation_id,
        into=into,
    )


def agent_of_document(agent_id: str) -> Refusal:
    """The configuration document names the agent: change it there."""
    return Refusal(
        "FAILED_PRECONDITION",
        "AGENT_OF_DOCUMENT",
        f"agent {agent_id} stands in the configuration document; remove it there",
        agent_id=agent_id,
    )


def agent_of_another_pool(agent_id: str, pool: str) -> Refusal:
    """An agent belongs to one pool (routing 2.4)."""
    return Refusal(
        "FAILED_PRECONDITION",
        "AGENT_OF_ANOTHER_POOL",
        f"agent {agent_id} is of pool {pool}; delete it there first",
        agent_id=agent_id,
        pool=pool,
    )


def changed_meanwhile(conversation: Conversation, expected: int) -> Refusal:
    """The caller decided on another state."""
    return Refusal(
        "ABORTED",
        "ETAG_MISMATCH",
        f"conversation {conversation.id} is at seq {conversation.seq}, not {expected}; look again",
        conversation_id=conversation.id,
        expected_seq=str(expected),
        seq=str(conversation.seq),
        status=conversation.status,
        assigned_agent=conversation.agent,
    )


def already_there(conversation_id: str) -> Refusal:
    """A conversation of that id exists."""
    return Refusal(
        "ALREADY_EXISTS",
        "CONVERSATION_EXISTS",
        f"conversation {conversation_id} exists already; write into it",
        conversation_id=conversation_id,
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
