"""What the session of a call knows: shared by the parts of it that decide.

`CallCourse` holds the small states of `session.py`'s list and answers questions about several of
them together. `Duties`, `Talk` and `Farewell` decide; each has it, and nothing of its own.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto

from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action, PlaceMark, Publish
from evibridge.agent.conversation import Conversation
from evibridge.agent.digits import Digits
from evibridge.agent.disclosure import Disclosure
from evibridge.agent.manners import Manners
from evibridge.agent.open_turn import OpenTurn
from evibridge.agent.phases import CallPhase
from evibridge.agent.response_clock import ResponseClock
from evibridge.agent.sent_digits import DigitsToSend
from evibridge.agent.server_side import ServerSide
from evibridge.agent.snapshot import CallState
from evibridge.agent.speech import AgentSpeech, CutOff
from evibridge.agent.takeover import Takeover
from evibridge.agent.tool_desk import ToolDesk
from evibridge.events import AgentHeard

MAX_WRITTEN = 64
"""Of the caller, that the server may still tell back."""
SILENCE_S = 2.0
"""So long after the caller's last sound nothing of it is on its way: neither more nor its text."""
KEPT_AUDIO_S = 2.0
"""Of the caller's voice, kept while no chat hears it; the oldest goes first."""
BREAK_S = 0.5
"""So long a silence of the agent within a turn is a break, in which the turn waits for a tool: EVI
tells of the end of a turn alone."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How long a call waits for what may never come."""

    chat_ready_s: float = 4.0
    """From the caller's arrival to the first chat: he hears nothing meanwhile."""
    call_s: float = 1800.0
    resume_s: float = 20.0
    """For a lost EVI server, or a lost caller, to come back."""


class Presence(Enum):
    """Where the caller is."""

    EXPECTED = auto()
    HERE = auto()
    AWAY = auto()
    """His connection broke; he may come back by another one."""


class Deadline(Enum):
    """What a call waits for."""

    CALL_LENGTH = auto()
    CALLER_BACK = auto()
    FAREWELL = auto()
    LAST_WORDS = auto()
    FILLER = auto()
    GO_ON = auto()
    PAUSE_AGAIN = auto()
    HAND_BACK = auto()
    BREAK = auto()


class CallCourse:
    """The state of one call. Arguments as in `CallSession`."""

    def __init__(
        self,
        settings: evi.SessionSettings,
        limits: CallLimits,
        manners: Manners,
        random: Callable[[], float],
        disclosure: str | None,
    ) -> None:
        self.limits = limits
        self.manners = manners
        self.phase = CallPhase()
        self.caller = Presence.EXPECTED
        self.deadlines: dict[Deadline, float] = {}
        self.server = ServerSide(
            settings, first_s=limits.chat_ready_s, resume_s=limits.resume_s, random=random
        )
        self.link = self.server.link
        self.conversation = Conversation()
        self.speech = AgentSpeech(self.conversation)
        self.turn = OpenTurn()
        self.tools = ToolDesk()
        self.digits = Digits(manners.digits)
        self.responses = ResponseClock()
        self.is_paused = False
        self.paused_by: str | None = None
        self.is_held = False
        self.held_by: str | None = None
        self.takeover = Takeover()
        self.caller_sounded_s = 0.0
        self.has_to_take_up = False
        """Whether the conversation was to go on where it was, and the agent was silenced."""
        self.caller_spoke_s: float | None = None
        """When the last sign of words came that are not complete; None if there is none."""
        self.unheard_from_s = 0.0
        """When the caller's voice began to be kept, because no chat hears it."""
        self.written: deque[str] = deque(maxlen=MAX_WRITTEN)
        """Words of the caller that the server was told in writing, and has not told back."""
        self.keys = DigitsToSend()
        self.disclosure = Disclosure(disclosure)
        self.last_words: str | None = None
        """After which the agent says nothing more, if there are any."""
        self.owes_last_words = False
        self.transfer_to: str | None = None

    @property
    def is_silenced(self) -> bool:
        """Whether nothing of the agent is to be heard now."""
        return self.is_paused or self.is_held or self.caller is not Presence.HERE

    @property
    def caller_is_here(self) -> bool:
        """Whether the caller's side can be heard and spoken to."""
        return self.caller is Presence.HERE

    @property
    def may_speak(self) -> bool:
        """Whether the server is there and what it says may be heard."""
        return self.link.is_ready and not self.is_silenced

    @property
    def wants_pause(self) -> bool:
        """Whether the server is to be paused."""
        return self.is_paused or self.caller is Presence.AWAY

    def doing(self, now_s: float) -> CallState:
        """What the call does now."""
        states = {
            CallState.CONNECTING: not self.link.was_ready,
            CallState.LISTENING: self.link.was_ready,
            CallState.CALLER_SPEAKING: self.caller_speaks(now_s),
            CallState.AGENT_SPEAKING: self.speech.is_audible(now_s),
            CallState.TOOL_RUNNING: not self.tools.is_idle,
            CallState.PAUSED: self.is_paused,
            CallState.HELD: self.is_held,
            CallState.TAKEN_OVER: self.takeover.by is not None,
            CallState.RECONNECTING: self.caller is Presence.AWAY
            or (self.link.was_ready and not self.link.is_ready),
            CallState.NEEDS_APPROVAL: self.tools.awaits_operator,
            CallState.ENDING: not self.phase.is_talking,
            CallState.ENDED: self.phase.is_over,
        }
        return [state for state, is_so in states.items() if is_so][-1]

    def caller_speaks(self, now_s: float) -> bool:
        """Whether the caller is in the middle of saying something, as far as the server tells."""
        return self.caller_spoke_s is not None and now_s - self.caller_spoke_s < SILENCE_S

    def cut_off(self, now_s: float) -> CutOff:
        """Silence the agent; what it has to disclose is said again anyhow, and is no loss."""
        return self.speech.cut_off(now_s, self.disclosure.utterances)

    def heard(self, reports: Iterable[AgentHeard], now_s: float) -> list[Action]:
        """Tell what was heard of utterances that are over."""
        actions: list[Action] = []
        for report in reports:
            self.disclosure.heard(report, now_s)
            actions.append(Publish(report))
        return actions

    def awaits_caller(self, now_s: float) -> bool:
        """Whether the agent has said all that it has to say; it may not be heard yet."""
        return (
            self.turn.is_given_up(now_s)
            and not self.turn.owes_texts(now_s)
            and self.speech.turn_is_over
            and self.tools.is_idle
            and not self.disclosure.comes_first
        )

    def is_quiet(self, now_s: float) -> bool:
        """Whether nobody speaks, and nobody is about to."""
        return (
            self.awaits_caller(now_s)
            and now_s >= self.speech.due_s
            and now_s - self.caller_sounded_s >= SILENCE_S
        )

    def waits_for_break(self, now_s: float) -> bool:
        """Wait until the agent's voice is silent, if only for a while; False if it is."""
        break_s = self.speech.due_s + (0.0 if self.speech.turn_is_over else BREAK_S)
        if now_s < break_s:
            self.deadlines[Deadline.BREAK] = break_s
        return now_s < break_s

    def match_pause(self) -> list[Action]:
        """Pause or resume the server, if it is not as it should be."""
        return self.server.match_pause(wanted=self.wants_pause)

    def write(self, text: str) -> list[Action]:
        """Tell the server words of the caller that nobody has heard."""
        self.written.append(" ".join(text.split()))
        return self.tell(evi.UserInput(text))

    def has_written(self, text: str) -> bool:
        """Whether words that the server tells as written are the caller's; asked once of each."""
        words = " ".join(text.split())
        if words not in self.written:
            return False
        self.written.remove(words)
        return True

    def tell(self, message: evi.ClientMessage) -> list[Action]:
        """Tell the server, as long as it has a part in the call."""
        return self.server.tell(message) if self.phase.has_server else []


def place(mark: str | None) -> list[Action]:
    """Place a mark, if there is one."""
    return [] if mark is None else [PlaceMark(mark)]
