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


def other_pool(team: str, pool: str) -> Refusal:
    """This can only be done within the pool."""
    return Refusal(
        "FAILED_PRECONDITION",
        "TEAM_OF_ANOTHER_POOL",
        f"team {team} is of pool {pool}; transfer the conversation there first",
        team=team,
        pool=pool,
    )


def moved(conversation_id: str, pool: str) -> Refusal:
    """Another pool is to decide about it, and has not taken it over yet."""
    why = "the conversation is on its way there"
    return Refusal(
        "UNAVAILABLE",
        "POOL_UNOWNED",
        f"nobody answers for {conversation_id} in {pool} at this moment ({why}); retry with the same request_id",
        pool=pool,
        why=why,
        conversation_id=conversation_id,
    )


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


def too_much_known(conversation_id: str, size: int, most: int) -> Refusal:
    """Attributes and tags go with every event that changes them."""
    return Refusal(
        "FAILED_PRECONDITION",
        "TOO_MANY_ATTRIBUTES",
        f"conversation {conversation_id} would have {size} bytes of attributes and tags, at most {most}; remove some",
        conversation_id=conversation_id,
        size=str(size),
        most=str(most),
    )


def only_for_others(conversation: Conversation) -> Refusal:
    """It may be given to certain agents only, and this is none of them (routing 3.12)."""
    allowed = ", ".join(conversation.attributes.allowed_agents)
    return Refusal(
        "FAILED_PRECONDITION",
        "AGENT_NOT_ALLOWED",
        f"conversation {conversation.id} is only for {allowed}; ask one of them, or a supervisor",
        conversation_id=conversation.id,
        allowed_agents=allowed,
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


def already_there(conversation_id: str, pool: str = "") -> Refusal:
    """A conversation of that id exists; `pool`: in another one."""
    where = f" in pool {pool}" if pool else ""
    return Refusal(
        "ALREADY_EXISTS",
        "CONVERSATION_EXISTS",
        f"conversation {conversation_id} exists already{where}; write into it",
        conversation_id=conversation_id,
        **({"pool": pool} if pool else {}),
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


def unanswered(conversation: Conversation) -> Refusal:
    """The customer has the last word, and everybody is promised an answer (sla 8.2)."""
    oldest = min(conversation.unanswered, key=lambda one: one.at)
    since = oldest.at.isoformat().replace("+00:00", "Z")
    return Refusal(
        "FAILED_PRECONDITION",
        "UNANSWERED_MESSAGE",
        f"the customer waits for an answer since {since}; close with one, or let a supervisor say why there is none",
        conversation_id=conversation.id,
        unanswered_since=since,
        seq=str(oldest.seq),
    )


def not_for_agents(method: str, field: str) -> Refusal:
    """A part of a command that only others may use."""
    return Refusal("PERMISSION_DENIED", "ROLE_FORBIDDEN", f"an agent cannot set {field}", method=method, role="agent")


def no_closing_text(channel: str, language: str) -> Refusal:
    """There is nothing to say by that name."""
    wanted = f"closing_text names a text of kind closing, and there is none for {channel} in {language}"
    return Refusal("INVALID_ARGUMENT", "INVALID_REQUEST", wanted, field="closing_text")


def wrong_seq(field: str, conversation: Conversation) -> Refusal:
    """The conversation has not come so far."""
    told = f"{field} must be between 0 and {conversation.seq}, the conversation's last"
    return Refusal("INVALID_ARGUMENT", "INVALID_REQUEST", told, field=field)


def typing_off(channel: str) -> Refusal:
    """Nobody is shown there that an agent types."""
    return Refusal(
        "FAILED_PRECONDITION",
        "TYPING_OFF",
        f"typing is not shown on {channel}; set `typing: true` in its channel class, or do not send it",
        channel=channel,
    )
