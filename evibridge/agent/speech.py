"""The agent's voice in one call: what may be heard of it, and what was."""

from collections.abc import Container
from dataclasses import dataclass

from evibridge.agent.conversation import UNNAMED, Conversation, Line
from evibridge.audio.playout import Heard, Playout
from evibridge.events import AgentHeard

MAX_STALE_UTTERANCES = 1024
"""Interrupted utterances remembered; late chunks come within a second of the interruption."""
FILLER = "~filler"
"""Stands for sound of our own in the play buffer; no EVI id looks like this."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """The agent was silenced.

    Attributes:
        was_audible: whether the caller heard it, by the best estimate
        may_play_on: whether nothing proves yet that the caller's play buffer is empty
        reports: the fate of every utterance that this ended
        heard: the words of these utterances that reached the caller
        lost: the sentences that did not reach him to their end
    """

    was_audible: bool
    may_play_on: bool
    reports: list[AgentHeard]
    heard: str
    lost: str


class AgentSpeech:
    """Follows every utterance from its announcement to the last mark. Time is an argument."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._playout = Playout()
        self._live: dict[str, None] = {}
        self._stale: dict[str, None] = {}
        self._ignores_unannounced = False
        self._unnamed = 0
        self._late_end_is_due = False
        self.turn_is_over = True
        """Whether the server has sent all of its turn."""

    # Questions

    def accepts(self, utterance_id: str) -> bool:
        """Whether a chunk of this utterance may go to the caller.

        Chunks of an interrupted turn can still be on the wire: they are refused, and so is audio
        that no announcement has preceded since the interruption.
        """
        if utterance_id in self._stale:
            return False
        return utterance_id in self._live or not self._ignores_unannounced

    def is_audible(self, now_s: float) -> bool:
        """Whether the caller hears the agent, by the best estimate."""
        return self.unplayed_ms(now_s) > 0

    def unplayed_ms(self, now_s: float) -> float:
        """Audio that was handed to the caller's side and not played, by the best estimate."""
        return self._playout.unplayed_ms(now_s)

    @property
    def all_heard(self) -> bool:
        """Whether marks prove that nothing is left to play."""
        return self._playout.all_heard

    @property
    def due_s(self) -> float:
        """When the clock says that everything sent has been played."""
        return self._playout.due_s

    def is_stalled(self, now_s: float) -> bool:
        """Whether the caller's side has stopped playing although there is much to play."""
        return self._playout.is_stalled(now_s)

    def playing(self, now_s: float) -> list[Heard]:
        """How far the utterances are that are not over."""
        return _by_utterance(self._playout.playing(now_s))

    # Facts

    def announced(self, utterance_id: str | None, text: str, now_s: float) -> str | None:
        """The server has said what it is about to speak; returns the utterance's id.

        None if it belongs to a turn that was cut off.
        """
        if utterance_id in self._stale:
            return None
        self._late_end_is_due = False
        if self.turn_is_over:
            self.turn_is_over = False
            self._conversation.turn_begins()
        self._ignores_unannounced = False
        if utterance_id is None:  # EVI: the id may be missing; its audio has one all the same
            self._unnamed += 1
            utterance_id = f"{UNNAMED}{self._unnamed}"
        self._live[utterance_id] = None
        self._bound()
        self._conversation.agent_says(utterance_id, text, now_s)
        return utterance_id

    def refuse(self, utterance_id: str | None) -> None:
        """What was announced must not be heard from its middle, whenever its audio comes."""
        if utterance_id is not None:
            self._stale[utterance_id] = None
            self._bound()

    def sent(self, utterance_id: str, duration_ms: float, now_s: float) -> str | None:
        """A chunk was written to the caller's side; returns a mark to place, if one is due."""
        self._live[utterance_id] = None
        self._conversation.audio_sent(utterance_id, duration_ms, now_s)
        return self._playout.sent(utterance_id, duration_ms, now_s)

    def filler_sent(self, duration_ms: float, now_s: float) -> str | None:
        """Sound of our own was written to the caller's side; returns a mark to place."""
        mark = self._playout.sent(FILLER, duration_ms, now_s)
        self._playout.end_turn()
        return mark or self._playout.mark()

    def operator_sent(self, duration_ms: float, now_s: float) -> str | None:
        """A piece of an operator's voice was written there; returns a mark, if one is due."""
        mark = self._playout.sent(FILLER, duration_ms, now_s)
        self._playout.end_turn()
        return mark

    def ends_turn(self) -> bool:
        """Whether the server's `assistant_end` ends a turn; asked once about each.

        EVI: one may come late, after its turn was cut off, or not at all.
        """
        counts, self._late_end_is_due = not self._late_end_is_due, False
        return counts

    def end_turn(self) -> str | None:
        """The server has sent all of its turn; returns a mark to place, if any."""
        self._conversation.turn_ended()
        return self.break_off()

    def break_off(self) -> str | None:
        """Nothing more comes of the turn, complete or not; what has come is heard out.

        Returns a mark to place, if any.
        """
        self._conversation.broken_off()
        self.turn_is_over = True
        self._playout.end_turn()
        return self._playout.mark()

    def echoed(self, mark: str, now_s: float) -> list[AgentHeard]:
        """A mark came back; returns the utterances that were heard to their end by now."""
        return [_report(line) for line in self._settled(self._playout.echoed(mark, now_s))]

    def cut_off(self, now_s: float, no_loss: Container[str] = ()) -> CutOff:
        """Nothing that was announced so far is heard from now on.

        `no_loss` has the ids of utterances whose words are not lost, because they are said again.
        """
        self._stale |= self._live
        self._live.clear()
        self._bound()
        self._ignores_unannounced = True
        self._late_end_is_due = not self.turn_is_over
        self.turn_is_over = True
        was_audible, may_play_on = self.is_audible(now_s), not self._playout.all_heard
        lines = self._settled(self._playout.clear(now_s)) + self._conversation.settle_unheard()
        return CutOff(
            was_audible,
            may_play_on,
            [_report(line) for line in lines],
            " ".join(line.text_heard for line in lines if line.text_heard),
            " ".join(
                line.text
                for line in lines
                if line.text_heard != line.text and line.utterance_id not in no_loss
            ),
        )

    def _bound(self) -> None:
        for utterances in (self._stale, self._live):
            while len(utterances) > MAX_STALE_UTTERANCES:
                del utterances[next(iter(utterances))]

    def _settled(self, fates: list[Heard]) -> list[Line]:
        goes_on = self._playout.open_utterances
        lines = []
        for fate in _by_utterance(fates):
            if fate.utterance_id in goes_on:
                self._conversation.heard(fate)
            else:
                lines.append(self._conversation.settle(fate))
        return lines


def _by_utterance(fates: list[Heard]) -> list[Heard]:
    """Fates of the agent's utterances, one each, also if their audio came in turns."""
    merged: dict[str, Heard] = {}
    for fate in fates:
        before = merged.get(fate.utterance_id, Heard(fate.utterance_id, 0.0, 0.0))
        sent_ms, heard_ms = before.sent_ms + fate.sent_ms, before.heard_ms + fate.heard_ms
        merged[fate.utterance_id] = Heard(fate.utterance_id, sent_ms, heard_ms)
    merged.pop(FILLER, None)
    return list(merged.values())


def _report(line: Line) -> AgentHeard:
    return AgentHeard(
        line.utterance_id or "",
        sent_ms=round(line.sent_ms),
        heard_ms=round(line.heard_ms),
        text_heard=line.text_heard,
    )
