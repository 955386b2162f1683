"""A service that calls people, between an EVI server and a carrier that a test plays."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

import aiohttp

from evibridge import Agent, Manners, ToolContext, Tools
from evibridge.agent.calls import Calls
from evibridge.agent.snapshot import CallSnapshot
from evibridge.bridges.twilio import TwilioBridge
from evibridge.events import CallDialled, CallEnded, CallEvent, CommandGiven
from evibridge.service import Service, start_service
from tests.bridges.called_person import PUBLIC, CalledPerson
from tests.bridges.conftest import settings
from tests.bridges.twilio_rest_server import ACCOUNT_SID, AUTH_TOKEN, TinyTwilioRest
from tests.parties import TinyEvi

THEM, US = "+14155550111", "+14155550199"

tools = Tools()


@tools.tool
def whom_do_i_speak_with(call: ToolContext) -> str:
    """Tell who is there."""
    return f"{call.caller}, called from {call.called}, about {call.parameters['subject']}"


AGENT = Agent(system_prompt="You call people.", tools=tools, manners=Manners(filler=None))


@dataclass
class OutboundStage:
    """A service that calls people, and all that it has told."""

    evi: TinyEvi
    rest: TinyTwilioRest
    http: aiohttp.ClientSession
    service: Service
    events: list[tuple[str, CallEvent]]
    people: list[CalledPerson] = field(default_factory=list)

    @property
    def calls(self) -> Calls:
        return self.service.calls

    @property
    def twilio(self) -> TwilioBridge:
        return self.service.twilio

    async def dial(self, to: str = THEM, from_: str | None = None) -> CallSnapshot:
        """An operator calls somebody."""
        return await self.twilio.outbound.dial(to, from_, {"subject": "tea"}, by="ada")

    async def person(self, *, number: int = 1) -> CalledPerson:
        """Whom Twilio was asked to call, first, second ..."""
        made = await self.rest.next_created(number=number)
        self.people.append(CalledPerson(self.rest, made, self.service.origin, self.http))
        return self.people[-1]

    async def ring(self) -> CalledPerson:
        """Somebody who is being called."""
        snapshot = await self.dial()
        person = await self.person(number=len(self.rest.created))
        assert person.call_sid == snapshot.call_id
        return person

    def told_before_the_stream(self, call_sid: str) -> list[CallEvent]:
        """Events of a call that nobody has spoken in yet."""
        kinds = CallDialled | CallEnded | CommandGiven
        return [event for of, event in self.events if of == call_sid and isinstance(event, kinds)]


@asynccontextmanager
async def outbound_stage(
    evi: TinyEvi,
    rest: TinyTwilioRest,
    http: aiohttp.ClientSession,
    *,
    number: str | None = US,
    auth_token: str = AUTH_TOKEN,
) -> AsyncIterator[OutboundStage]:
    """A running service with credentials for a carrier's REST API."""
    events: list[tuple[str, CallEvent]] = []
    service = await start_service(
        AGENT,
        settings(
            evi,
            max_calls=2,
            outbound_number=number,
            public_url=PUBLIC,
            twilio_account_sid=ACCOUNT_SID,
            twilio_auth_token=auth_token,
            twilio_api_url=rest.origin,
        ),
        on_event=lambda call_id, event: events.append((call_id, event)),
    )
    stage = OutboundStage(evi, rest, http, service, events)
    try:
        yield stage
    finally:
        for person in stage.people:
            await person.line.close()
            await person.fares("completed")
        await service.close()


def verbs(document: str) -> list[str]:
    """What a document of ours has Twilio do, in its order."""
    return [verb.tag for verb in ET.fromstring(document)]
