"""A call that we make, before its stream begins, as operators see it."""

from evibridge.agent.commands import HangUp, OperatorCommand, Via
from evibridge.agent.snapshot import CallSnapshot
from evibridge.bridges.twilio_outbound import OutboundCalls
from evibridge.errors import CommandRefused


class RingingCall:
    """Somebody who is called; implements `OperatedCall`.

    Args:
        snapshot: of the call
        outbound: knows of it
    """

    def __init__(self, snapshot: CallSnapshot, outbound: OutboundCalls) -> None:
        self._snapshot = snapshot
        self._outbound = outbound

    @property
    def call_id(self) -> str:
        """Of the call."""
        return self._snapshot.call_id

    @property
    def is_over(self) -> bool:
        """Whether nobody is called any more."""
        return self._snapshot.ended is not None

    def snapshot(self, *, with_lines: bool = True) -> CallSnapshot:
        """The call as it was when it was looked up; nothing was said in it."""
        del with_lines
        return self._snapshot

    async def operate(self, command: OperatorCommand, by: str) -> Via | None:
        """Call it off; nothing else can be done yet.

        Raises:
            CommandRefused: `call_is_ringing` for any other command, `call_is_over`
        """
        if not isinstance(command, HangUp):
            raise CommandRefused("call_is_ringing", "Nobody has answered yet.")
        if not self._outbound.hang_up(self._snapshot.call_id, by):
            raise CommandRefused("call_is_over", "The call is over.")
        return None
