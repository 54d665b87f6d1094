"""What a step asks of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from trunkline_router import inputs
from trunkline_router import simulate_steps as steps
from trunkline_router.facts import Actor, ActorType, Contact, Content, CustomerLookup, DuePreview
from trunkline_router.inputs import Body
from trunkline_router.pool import Conversation, Status
from trunkline_router.pool_events import PoolConfigured
from trunkline_router.routing import AgentConfig
from trunkline_router.simulate_check import Account
from trunkline_router.state import Engine

CUSTOMER, SYSTEM = Actor(ActorType.CUSTOMER), Actor(ActorType.SYSTEM)
CAPACITY = 3  # that of the document where it names none


@dataclass(slots=True)
class Desk:
    """What turns steps into inputs; remembers which offers were made."""

    engine: Engine
    accounts: tuple[Account, ...]
    configurations: Mapping[int, PoolConfigured]
    offers: dict[tuple[str, str], str] = field(default_factory=dict)

    def inputs(self, number: int, step: steps.AnyStep, now: datetime) -> Iterator[inputs.Input]:
        """In order; each is to be handled before the next is asked for."""
        cause = f"step {number}"
        match step:
            case steps.Agent():
                for body in self._agent(step):
                    yield inputs.Input(body, cause, SYSTEM, supervising=True)
            case steps.Message():
                yield inputs.Input(self._message(step, f"{cause} message", now), cause, CUSTOMER)
            case steps.Start():
                yield inputs.Input(self._start(step, f"{cause} message"), cause, _person(step.agent))
            case steps.EndWrapUp(agent=agent):
                yield inputs.Input(inputs.EndWrapUp(agent, step.conversation), cause, _person(agent))
            case steps.Configure():
                yield inputs.Input(inputs.Configure(self.configurations[number]), cause, SYSTEM)
            case steps.Advance() | steps.State():
                return
            case _:
                agent, supervising = self._who(step)
                body = self._command(step, agent, f"{cause} made", now)
                yield inputs.Input(body, cause, _person(agent), supervising)

    # -- agents

    def _agent(self, step: steps.Agent) -> Iterator[Body]:
        known = self.engine.pool.agents.get(step.id)
        config = known.config if known else AgentConfig(step.id, step.id, self._all_teams(), CAPACITY, by_api=True)
        wanted = replace(
            config,
            name=step.name or config.name,
            teams=step.teams or config.teams,
            capacity=config.capacity if step.capacity is None else step.capacity,
            skills=config.skills if step.skills is None else tuple(sorted(step.skills.items())),
            caps=config.caps if step.caps is None else tuple(sorted(step.caps.items())),
            bot=config.bot if step.kind is None else step.kind == "bot",
        )
        if step.remove:
            yield inputs.DeleteAgent(step.id)
            return
        if known is None or wanted != config:
            yield inputs.PutAgent(wanted)
        if step.accepting is not None:
            yield inputs.SetAccepting(step.id, step.accepting)
        if step.responding:
            yield inputs.ClearNotResponding(step.id)
        if step.presence is not None:
            yield inputs.SetPresence(step.id, step.presence)

    def _all_teams(self) -> tuple[str, ...]:
        return tuple(self.engine.pool.teams)

    # -- customers

    def _account(self, account: str, channel: str) -> str:
        return account or next((a.id for a in self.accounts if a.channel == channel), "")

    def _message(self, step: steps.Message, event_id: str, now: datetime) -> Body:
        customer = step.customer
        return inputs.ReceiveMessage(
            event_id=event_id,
            conversation_id=step.conversation,
            channel=step.channel,
            account=self._account(step.account, step.channel),
            contact=Contact(f"customer of {step.conversation}"),
            content=Content(step.text),
            provider_message_id=event_id,
            provider_time=now,
            automatic=step.automatic,
            reply_address="",
            references=(),
            customer=CustomerLookup(customer.id, customer.last_agent, customer.conversations),
            language=step.language,
            tags=step.tags,
            attributes=tuple(sorted(step.attributes.items())),
            priority=step.priority,
            due=_due(step, now),
        )

    def _start(self, step: steps.Start, message_id: str) -> Body:
        contact, account = Contact(f"customer of {step.conversation}"), self._account(step.account, step.channel)
        return inputs.StartConversation(
            step.conversation, step.agent, step.channel, account, contact, message_id, Content(step.text)
        )

    # -- the desk

    def _who(self, step: steps.Command) -> tuple[str, bool]:
        """The agent who asks, and whether as a supervisor."""
        if step.agent:
            return step.agent, step.supervisor or isinstance(step, steps.Assign)
        c = self.engine.pool.conversations.get(step.conversation)
        asked = [offer.agent for offer in c.offers.values()] if c else []
        if c is not None and (asked or c.agent):
            return c.agent or asked[0], not c.agent or isinstance(step, steps.Assign)
        return min(self.engine.pool.agents, default=""), True

    def _offer(self, c: str, agent: str) -> str:
        """The offer an agent answers: the one that runs, else the last they had, else what made it theirs."""
        known = self.engine.pool.conversations.get(c)
        running = [o for o, offer in known.offers.items() if offer.agent == agent] if known else []
        accepted = known.accepted_offer if known and known.agent == agent else None
        last = self.offers.get((c, agent), "")
        return running[0] if running else last if accepted is None else accepted

    def _command(self, step: steps.Command, agent: str, made: str, now: datetime) -> Body:
        c = step.conversation
        match step:
            case steps.Plain():
                return self._plain(step, agent, made)
            case steps.Resolve(closing=said):
                word = None if said is None else Content(said)
                return inputs.Resolve(c, agent, made, word, step.closing_text, step.waive_reason)
            case steps.Snooze():
                return inputs.Snooze(c, agent, step.until or now + timedelta(seconds=step.seconds))
            case steps.Transfer(to=to):
                return inputs.Transfer(c, agent, to.team or self._team(c), step.reason, to.agent)
            case steps.Assign():
                return inputs.Assign(c, agent, step.to)
            case steps.Attributes():
                values, tags = tuple(step.set.items()), (step.add_tags, step.remove_tags)
                return inputs.ChangeAttributes(
                    c, agent, values, *tags, step.priority, step.language, step.allowed_agents
                )
            case steps.Merge():
                return inputs.Merge(c, agent, step.into)
            case steps.Split():
                return inputs.Split(c, agent, step.new, step.team, with_unanswered=step.with_unanswered)
            case steps.Callback():
                window = (now + timedelta(seconds=step.begins), now + timedelta(seconds=step.ends))
                return inputs.ScheduleCallback(c, agent, *window, step.team or self._team(c))

    def _team(self, c: str) -> str:
        known = self.engine.pool.conversations.get(c)
        return known.team if known else ""

    def _plain(self, step: steps.Plain, agent: str, made: str) -> Body:
        c, reason = step.conversation, step.reason
        bodies: dict[str, Callable[[], Body]] = {
            "accept": lambda: inputs.AcceptOffer(c, self._offer(c, agent), agent),
            "decline": lambda: inputs.DeclineOffer(c, self._offer(c, agent), agent, reason),
            "reopen": lambda: inputs.Reopen(c, agent),
            "wake": lambda: inputs.Wake(c, agent),
            "release": lambda: inputs.Release(c, agent, reason),
            "pull": lambda: inputs.Assign(c, agent, agent),
            "reply": lambda: inputs.SendReply(c, agent, made, Content(step.text), step.answers_through_seq),
            "note": lambda: inputs.AddNote(c, agent, made, step.text),
        }
        return bodies[step.do]()


def _due(step: steps.Message, now: datetime) -> DuePreview:
    dues = tuple((team, now + timedelta(seconds=seconds)) for team, seconds in step.due.items())
    return DuePreview(dues, dues)


def _person(agent: str) -> Actor:
    return Actor(ActorType.AGENT, agent)


def running_offer(c: Conversation, agents: tuple[str, ...]) -> tuple[str, str] | None:
    """An offer that runs to one of the agents, and who that is."""
    if c.status is not Status.OFFERED:
        return None
    return next(((o, offer.agent) for o, offer in c.offers.items() if offer.agent in agents), None)
