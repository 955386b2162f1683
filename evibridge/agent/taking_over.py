"""Operators speak with the caller in the agent's place, and hand the call back."""

from collections.abc import Callable

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import commands as wish
from evibridge.agent.actions import Action, Command
from evibridge.agent.course import CallCourse, Deadline, place
from evibridge.errors import CommandRefused
from evibridge.events import CommandGiven

ABSENT_S = 60.0
"""An operator who has a call, and of whom nothing was seen for so long, is gone: the caller must
not wait for nobody. Each of his commands is a sign of him, and so is his voice."""
BEHIND_S = 0.5
"""Of an operator's voice that waits to be played, by the clock: what is older is dropped."""


class TakingOver:
    """Decides what becomes of a call that an operator takes over.

    Args:
        course: of the call
        command: pauses the agent, resumes it, and ends a hold; see `Steering.command`
    """

    def __init__(
        self, course: CallCourse, command: Callable[[Command, float], list[Action]]
    ) -> None:
        self._course = course
        self._command = command

    def operate(
        self, command: wish.TakeOver | wish.HandBack, by: str, now_s: float
    ) -> list[Action]:
        """An operator of this name asks for the call, or gives it back.

        Raises:
            CommandRefused: another one has it, or it is about to end
        """
        if isinstance(command, wish.HandBack):
            return self.hand_back(by, now_s)
        if command.renew and self._course.takeover.by is None:
            raise CommandRefused("call_is_not_taken_over", "Nobody has the call: take it over.")
        return self._take_over(by, now_s)

    def _take_over(self, by: str, now_s: float) -> list[Action]:
        """An operator speaks from now on; said again, it is a sign of him."""
        course = self._course
        if not course.phase.is_talking:
            raise CommandRefused("call_is_ending", "The call is about to end.")
        if course.takeover.by is not None:
            self._refuse_others(by)
            self._seen(now_s)
            return []
        course.takeover.begin(by, course.paused_by)
        self._seen(now_s)
        silenced = self._command(Command.PAUSE, now_s)
        course.paused_by = by
        released = self._command(Command.RELEASE, now_s)
        return [
            act.Publish(CommandGiven("takeover", by)),
            *silenced,
            *released,
            act.Publish(events.CallTakenOver(by)),
        ]

    def hand_back(self, by: str | None, now_s: float) -> list[Action]:
        """The agent goes on, and knows what was said; `by` is None if the operator is gone.

        An agent that somebody else had paused before stays so.
        """
        course = self._course
        if course.takeover.by is None:
            return []
        course.deadlines.pop(Deadline.HAND_BACK, None)
        paused_by = course.takeover.paused_by
        goes_on = paused_by is None or paused_by == by
        given = [] if by is None else [act.Publish(CommandGiven("handback", by))]
        told = course.server.taken_over(course.takeover.end())
        course.paused_by = paused_by
        return [
            act.LeaveOperator(),
            *given,
            *told,
            act.Publish(events.CallHandedBack(by)),
            *(self._command(Command.RESUME, now_s) if goes_on else []),
        ]

    def saw(self, by: str, now_s: float) -> None:
        """An operator of this name has asked for something, or speaks."""
        if self._course.takeover.by == by:
            self._seen(now_s)

    def refuse_if_taken_over(self) -> None:
        """Who pauses the agent, and until when, is for the operator to say who has the call."""
        by = self._course.takeover.by
        if by is not None:
            sentence = f"{by} speaks with the caller: hand the call back first."
            raise CommandRefused("call_is_taken_over", sentence)

    def check_writing(self) -> None:
        """Tell whether an operator's words may be said by the agent's voice now.

        Raises:
            CommandRefused: the caller hears nobody, or hears an operator's own voice
        """
        course = self._course
        if not course.phase.is_talking:
            raise CommandRefused("call_is_ending", "The call is about to end.")
        if course.is_held:
            raise CommandRefused("call_is_held", "The call is on hold: release it first.")
        if not course.caller_is_here:
            raise CommandRefused("caller_is_away", "The caller's line broke: wait for him.")
        if course.takeover.microphone_by is not None:
            sentence = f"{course.takeover.microphone_by} speaks by microphone: switch it off first."
            raise CommandRefused("operator_speaks_already", sentence)

    @property
    def writing_is_heard(self) -> bool:
        """Whether the caller is to hear what the agent's voice says for operators."""
        course = self._course
        is_free = course.takeover.by is not None and course.takeover.microphone_by is None
        return is_free and course.caller_is_here and not course.is_held

    def say(self, text: str, by: str, now_s: float) -> list[Action]:
        """The agent's voice says an operator's words.

        Raises:
            CommandRefused: as `check_writing`
        """
        self.check_writing()
        said = self.operator_said(text, by, now_s, interim=False, is_spoken=False)
        return [*said, act.SpeakForOperator(text)]

    def writing_sent(self, duration_ms: float, now_s: float) -> list[Action]:
        """What the agent's voice says for an operator has been written to the caller's side."""
        return place(self._course.speech.filler_sent(duration_ms, now_s))

    def operator_said(
        self, text: str, by: str, now_s: float, *, interim: bool, is_spoken: bool
    ) -> list[Action]:
        """These are an operator's words, for now or for good."""
        course = self._course
        if course.phase.is_over:
            return []
        told: list[Action] = []
        if not interim and text:
            course.conversation.operator_said(text, by, now_s)
            if course.takeover.by is None:  # written down when the agent was already back
                told = course.server.taken_over(f"{by} said to the caller: {text}")
            else:
                course.takeover.operator_said(by, text)
                course.turn.operator_answers()
        return [act.Publish(events.OperatorSaid(text, by, interim, is_spoken)), *told]

    # The microphone

    def check_microphone(self, by: str) -> None:
        """Tell whether an operator may speak by microphone now.

        Raises:
            CommandRefused: he has not taken the call over, or it is over
        """
        course = self._course
        if course.phase.is_over:
            raise CommandRefused("call_is_over", "The call is over.")
        if course.takeover.by is None:
            raise CommandRefused("call_is_not_taken_over", "Take the call over first.")
        self._refuse_others(by)

    def switch_on(self, by: str, now_s: float) -> list[Action]:
        """The operator's microphone is on: what still plays would only make him late.

        Raises:
            CommandRefused: as `check_microphone`
        """
        self.check_microphone(by)
        self._course.takeover.microphone_on(by)
        self._seen(now_s)
        return [act.StopOperator(), *self._drop_unplayed(now_s)]

    def switch_off(self) -> None:
        """The microphone is off; the call is still the operator's."""
        self._course.takeover.microphone_by = None

    @property
    def microphone_is_heard(self) -> bool:
        """Whether the caller is to hear the operator's microphone."""
        course = self._course
        is_on = course.takeover.microphone_by is not None
        return is_on and course.caller_is_here and not course.is_held and not course.phase.is_over

    def microphone_sounded(self, now_s: float) -> None:
        """The microphone is louder than silence."""
        by = self._course.takeover.microphone_by
        if by is not None:
            self.saw(by, now_s)

    @property
    def all_played_s(self) -> float:
        """When the caller has heard everything that was sent, by the clock."""
        return self._course.speech.due_s

    def microphone_sent(self, duration_ms: float, now_s: float) -> list[Action]:
        """A piece of the operator's voice was written to the caller's side."""
        mark = self._course.speech.operator_sent(duration_ms, now_s)
        if self._course.speech.due_s - now_s > BEHIND_S:
            return self._drop_unplayed(now_s)
        return place(mark)

    # Inside

    def _seen(self, now_s: float) -> None:
        self._course.deadlines[Deadline.HAND_BACK] = now_s + ABSENT_S

    def _refuse_others(self, by: str) -> None:
        has_it = self._course.takeover.by
        if has_it != by:
            sentence = f"{has_it} speaks with the caller: ask for the call, or hand it back."
            raise CommandRefused("call_is_taken_over", sentence)

    def _drop_unplayed(self, now_s: float) -> list[Action]:
        course = self._course
        if course.speech.unplayed_ms(now_s) <= 0:
            return []
        return [act.ClearPlayback(), *course.heard(course.cut_off(now_s).reports, now_s)]
