"""What becomes of conversations in agents' hands: as recorded, and as usual where the record has nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from trunkline_router.pool import Conversation
from trunkline_router.simulation_record import Answer, Cycle, Ending, Record, Reply, Service


class Services:
    """Hands out a record, cycle by cycle, in order."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._services: dict[Cycle, Iterator[Service]] = {c: iter(found) for c, found in record.services.items()}
        self._answers: dict[Cycle, Iterator[Answer]] = {c: iter(found) for c, found in record.answers.items()}
        self._rest: dict[str, Service] = {}
        self._usual_answer, self.silence_s = record.usual_answer(), record.usual_silence_s()
        self._usual: dict[str, Service] = {}

    def answer(self, c: Conversation) -> Answer:
        """What the agent who is asked says; where the offer did not stand long enough, they would have accepted."""
        found = next(self._answers.get((c.id, c.cycle), iter(())), self._usual_answer)
        if found.reply is Reply.NONE:
            return Answer(found.seconds + self._usual_answer.seconds, Reply.ACCEPTED)
        return found

    def take(self, c: Conversation) -> Service:
        """What happens now that an agent has it. A transfer to the team that has it already is not needed any more."""
        found = self._rest.pop(c.id, None) or self._follows(c)
        while found.ending is Ending.TRANSFERRED and found.team == c.team and not found.agent:
            found = self._follows(c)
        return found

    def put_back(self, name: str, service: Service, rest_s: float) -> None:
        """It was cut short: the rest goes on in the next hands."""
        self._rest[name] = replace(service, handling_s=max(0.0, rest_s))

    def _follows(self, c: Conversation) -> Service:
        found = next(self._services.get((c.id, c.cycle), iter(())), None)
        usual = self._usually(c.team)
        if found is None:
            return usual
        if found.ending is Ending.OPEN:  # how long it would have taken is not known, only that it took longer
            return replace(found, handling_s=found.handling_s + usual.handling_s)
        return found

    def _usually(self, team: str) -> Service:
        if team not in self._usual:
            self._usual[team] = self._record.usual(team)
        return self._usual[team]
