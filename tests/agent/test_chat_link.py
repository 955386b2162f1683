import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from evibridge.agent.actions import Action, Connect, Disconnect
from evibridge.agent.chat_link import (
    ATTEMPT_S,
    CHAT_S,
    FIRST_DELAY_S,
    LOSSES_WITHIN_S,
    MAX_DELAY_S,
    MAX_LOSSES,
    RENEW_AFTER_FAILURE_S,
    RENEW_AGAIN_S,
    RENEW_EARLY_S,
    RENEW_LATEST_S,
    RENEW_WINDOW_S,
    ChatLink,
    Opened,
)
from evibridge.agent.closing_codes import Retry
from evibridge.events import ChatOpening, EndReason

FIRST_S = 6.0
RESUME_S = 20.0
NO_CLOSE_FRAME = 1006
GOING_AWAY = 1001
POLICY = 1008
NORMAL = 1000


def new_link(jitter: float = 1.0) -> ChatLink:
    return ChatLink(first_s=FIRST_S, resume_s=RESUME_S, random=lambda: jitter)


def opening_link(now_s: float = 0.0, *, jitter: float = 1.0) -> ChatLink:
    link = new_link(jitter)
    link.open(now_s)
    assert link.woke(now_s, is_quiet=True) == [Connect(1, None, ATTEMPT_S)]
    return link


def ready_link(now_s: float = 0.0, *, jitter: float = 1.0) -> ChatLink:
    link = opening_link(now_s, jitter=jitter)
    assert link.opened(1, "group-1", now_s, is_quiet=True) == Opened(ChatOpening.FIRST)
    return link


def lost_link(now_s: float = 10.0, *, jitter: float = 1.0) -> ChatLink:
    link = ready_link(jitter=jitter)
    assert link.closed(1, NO_CLOSE_FRAME, None, now_s) is Retry.RESUME
    return link


def wake(link: ChatLink, *, is_quiet: bool = True) -> list[Action]:
    """Wake the link when it wants to be; it has not given up."""
    assert link.wake_s is not None
    actions = link.woke(link.wake_s, is_quiet=is_quiet)
    assert isinstance(actions, list)
    return actions


def reopen(link: ChatLink, *, group_id: str = "group-1") -> tuple[Opened | None, float]:
    """Open the next chat, after a loss; returns the news and when that was."""
    assert link.wake_s is not None
    now_s = link.wake_s
    wake(link)
    assert link.number is not None
    return link.opened(link.number, group_id, now_s, is_quiet=True), now_s


class TestTheFirstChat:
    def test_nothing_is_waited_for_before_the_call_begins(self) -> None:
        link = new_link()

        assert link.wake_s is None
        assert link.number is None
        assert not link.is_ready
        assert not link.was_ready
        assert link.woke(5.0, is_quiet=True) == []

    def test_it_is_opened_at_once_in_a_new_group(self) -> None:
        link = new_link()
        link.open(3.0)

        assert link.wake_s == 3.0
        assert link.woke(3.0, is_quiet=False) == [Connect(1, None, ATTEMPT_S)]
        assert link.number == 1
        assert not link.is_ready

    def test_it_is_the_calls_own_once_it_has_begun(self) -> None:
        link = opening_link()

        assert link.opened(1, "group-1", 0.2, is_quiet=False) == Opened(ChatOpening.FIRST)
        assert link.is_ready
        assert link.was_ready
        assert link.number == 1

    def test_a_chat_that_has_begun_is_not_begun_again(self) -> None:
        assert ready_link().opened(1, "group-1", 0.3, is_quiet=True) is None

    def test_a_chat_that_cannot_be_opened_is_tried_again_a_little_later(self) -> None:
        link = opening_link()
        link.failed(1, 0.5)

        assert link.number is None
        assert link.woke(0.5, is_quiet=True) == []
        assert link.wake_s == 0.5 + FIRST_DELAY_S
        assert wake(link) == [Connect(2, None, ATTEMPT_S)]

    def test_a_chat_that_says_nothing_is_given_up_and_another_one_tried(self) -> None:
        link = opening_link()

        assert link.wake_s == ATTEMPT_S
        assert wake(link) == [Disconnect(1)]
        assert link.wake_s == ATTEMPT_S + FIRST_DELAY_S
        assert wake(link) == [Connect(2, None, ATTEMPT_S)]

    def test_a_chat_that_was_given_up_is_not_wanted_when_it_begins_after_all(self) -> None:
        link = opening_link()
        wake(link)
        wake(link)

        assert link.opened(1, "group-1", 5.0, is_quiet=True) is None
        assert link.opened(2, "group-2", 5.0, is_quiet=True) == Opened(ChatOpening.FIRST)

    def test_one_that_the_server_refuses_is_the_end(self) -> None:
        assert opening_link().refused(1, 0.5)

    def test_one_that_is_closed_in_peace_before_it_has_begun_is_refused(self) -> None:
        assert opening_link().closed(1, NORMAL, None, 0.5) is EndReason.EVI_REFUSED

    def test_one_that_breaks_before_it_has_begun_is_tried_again(self) -> None:
        link = opening_link()

        assert link.closed(1, NO_CLOSE_FRAME, None, 0.5) is None
        assert link.wake_s == 0.5 + FIRST_DELAY_S

    def test_a_server_that_never_lets_one_be_opened_is_unreachable(self) -> None:
        link = opening_link()
        link.failed(1, FIRST_S - 0.01)

        assert link.wake_s == FIRST_S
        assert link.woke(FIRST_S, is_quiet=True) is EndReason.EVI_UNREACHABLE

    def test_a_group_that_was_never_asked_for_cannot_have_been_forgotten(self) -> None:
        link = opening_link()
        link.closed(1, NORMAL, "E0708", 0.5)

        assert not link.was_ready
        assert reopen(link)[0] == Opened(ChatOpening.FIRST)


class TestDelays:
    def test_they_double_up_to_a_limit(self) -> None:
        link = opening_link()
        delays_s = []
        for number in range(1, 9):
            link.failed(number, 1.0)
            assert link.wake_s is not None
            delays_s.append(link.wake_s - 1.0)
            link.woke(link.wake_s, is_quiet=True)

        doubled_s = [FIRST_DELAY_S * 2**n for n in range(8)]
        # The link gives up before the longest ones are over.
        longest_s = FIRST_S - 1.0
        assert delays_s == pytest.approx([min(s, MAX_DELAY_S, longest_s) for s in doubled_s])

    @pytest.mark.parametrize(("jitter", "share"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
    def test_half_of_a_delay_is_random(self, jitter: float, share: float) -> None:
        assert lost_link(10.0, jitter=jitter).wake_s == 10.0 + share * FIRST_DELAY_S

    def test_they_are_short_again_after_a_chat_has_begun(self) -> None:
        link = lost_link(10.0)
        for now_s in (11.0, 12.0, 13.0):
            wake(link)
            assert link.number is not None
            link.failed(link.number, now_s)
        _, reopened_s = reopen(link)
        assert link.number is not None
        link.closed(link.number, NO_CLOSE_FRAME, None, reopened_s + 100)

        assert link.wake_s == reopened_s + 100 + FIRST_DELAY_S


class TestALostChat:
    def test_its_group_is_gone_on_with(self) -> None:
        link = lost_link(10.0)

        assert not link.is_ready
        assert link.was_ready
        assert link.number is None
        assert wake(link) == [Connect(2, "group-1", ATTEMPT_S)]
        assert link.opened(2, "group-1", 10.5, is_quiet=True) == Opened(ChatOpening.RESUMED)
        assert link.is_ready

    def test_it_is_waited_for_so_long_and_no_longer(self) -> None:
        link = lost_link(10.0)
        while link.wake_s is not None and link.wake_s < 10.0 + RESUME_S:
            wake(link)

        assert link.wake_s == 10.0 + RESUME_S
        assert link.woke(10.0 + RESUME_S, is_quiet=True) is EndReason.EVI_LOST

    def test_a_group_that_the_server_has_forgotten_is_left_for_a_new_one(self) -> None:
        link = ready_link()

        assert link.closed(1, NORMAL, "E0710", 10.0) is Retry.AFRESH
        assert wake(link) == [Connect(2, None, ATTEMPT_S)]
        assert link.opened(2, "group-2", 10.5, is_quiet=True) == Opened(ChatOpening.AFRESH)

    def test_a_group_found_missing_when_it_is_resumed_is_left_for_a_new_one(self) -> None:
        link = lost_link()
        wake(link)

        assert link.closed(2, NORMAL, "E0708", 10.5) is None
        assert wake(link) == [Connect(3, None, ATTEMPT_S)]
        assert link.opened(3, "group-2", 10.9, is_quiet=True) == Opened(ChatOpening.AFRESH)

    def test_a_refusal_is_taken_for_one_of_the_group(self) -> None:
        link = lost_link()
        wake(link)

        assert not link.refused(2, 10.5)
        assert wake(link) == [Connect(3, None, ATTEMPT_S)]
        assert link.was_ready

    def test_the_new_group_is_not_waited_for_as_a_dead_server_would_be(self) -> None:
        link = lost_link()
        for _ in range(4):
            wake(link)
            assert link.number is not None
            link.failed(link.number, 11.0)
        wake(link)
        assert link.number is not None
        link.refused(link.number, 13.0)

        assert link.wake_s == 13.0 + FIRST_DELAY_S

    def test_a_second_refusal_is_the_end(self) -> None:
        link = lost_link()
        wake(link)
        link.refused(2, 10.5)
        wake(link)

        assert link.refused(3, 11.0)

    def test_the_new_group_is_gone_on_with_from_then_on(self) -> None:
        link = ready_link()
        link.closed(1, NORMAL, "E0708", 10.0)
        _, now_s = reopen(link, group_id="group-2")
        link.closed(2, NO_CLOSE_FRAME, None, now_s + 5)

        assert wake(link) == [Connect(3, "group-2", ATTEMPT_S)]
        assert link.opened(3, "group-2", now_s + 6, is_quiet=True) == Opened(ChatOpening.RESUMED)

    def test_a_chat_of_another_group_than_was_asked_for_begins_afresh(self) -> None:
        link = lost_link()

        assert reopen(link, group_id="group-2")[0] == Opened(ChatOpening.AFRESH)

    def test_one_closed_for_policy_when_it_is_resumed_is_taken_for_a_refusal_of_the_group(
        self,
    ) -> None:
        link = lost_link()
        wake(link)

        assert link.closed(2, POLICY, None, 10.5) is None
        assert wake(link) == [Connect(3, None, ATTEMPT_S)]
        assert link.closed(3, POLICY, None, 11.0) is EndReason.EVI_REFUSED

    def test_a_silence_that_was_asked_for_is_no_inactivity(self) -> None:
        link = ready_link()

        assert link.closed(1, NORMAL, "E0714", 10.0, may_be_idle=True) is Retry.RESUME
        assert wake(link) == [Connect(2, "group-1", ATTEMPT_S)]

    def test_any_other_silence_is_the_end(self) -> None:
        assert ready_link().closed(1, NORMAL, "E0714", 10.0) is EndReason.INACTIVITY

    def test_it_ends_the_call_if_its_close_says_so(self) -> None:
        assert ready_link().closed(1, NORMAL, None, 10.0) is EndReason.AGENT_HUNG_UP

    def test_one_that_was_given_up_cannot_be_lost_again(self) -> None:
        link = lost_link(10.0)
        wake_s = link.wake_s

        assert link.closed(1, POLICY, None, 10.01) is None
        link.failed(1, 10.02)
        assert not link.refused(1, 10.03)
        assert link.wake_s == wake_s


class TestAServerThatCannotHoldTheCall:
    def lose_after(self, link: ChatLink, seconds: float) -> Retry | EndReason | None:
        _, now_s = reopen(link)
        assert link.number is not None
        return link.closed(link.number, NO_CLOSE_FRAME, None, now_s + seconds)

    def test_too_many_losses_in_a_row_are_the_end(self) -> None:
        link = lost_link(1000.0)
        for _ in range(MAX_LOSSES - 1):
            assert self.lose_after(link, 5.0) is Retry.RESUME

        assert self.lose_after(link, 5.0) is EndReason.EVI_LOST

    def test_as_many_over_a_long_time_are_borne(self) -> None:
        link = lost_link(10.0)
        for _ in range(3 * MAX_LOSSES):
            assert self.lose_after(link, LOSSES_WITHIN_S / 2) is Retry.RESUME

    def test_a_silence_that_was_asked_for_is_borne_as_often_as_it_lasts(self) -> None:
        link = ready_link()
        link.closed(1, NORMAL, "E0714", 10.0, may_be_idle=True)
        for _ in range(3 * MAX_LOSSES):
            _, now_s = reopen(link)
            assert link.number is not None
            meaning = link.closed(link.number, NORMAL, "E0714", now_s + 1, may_be_idle=True)
            assert meaning is Retry.RESUME

    def test_the_same_fault_of_the_server_again_is_the_end(self) -> None:
        link = ready_link()
        assert link.closed(1, NORMAL, "I0118", 10.0) is Retry.RESUME
        _, now_s = reopen(link)

        assert link.closed(2, NORMAL, "I0118", now_s + 100) is EndReason.EVI_LOST

    def test_another_fault_is_borne(self) -> None:
        link = ready_link()
        link.closed(1, NORMAL, "I0118", 10.0)
        _, now_s = reopen(link)

        assert link.closed(2, NORMAL, "I0100", now_s + 1) is Retry.RESUME

    def test_the_same_fault_after_the_caller_was_understood_is_borne(self) -> None:
        link = ready_link()
        link.closed(1, NORMAL, "I0118", 10.0)
        _, now_s = reopen(link)
        link.talked()

        assert link.closed(2, NORMAL, "I0118", now_s + 1) is Retry.RESUME

    def test_a_chat_that_was_as_long_as_chats_get_is_no_fault(self) -> None:
        link = ready_link()
        assert link.closed(1, NORMAL, "E0715", 10.0) is Retry.RESUME
        _, now_s = reopen(link)

        assert link.closed(2, NORMAL, "E0715", now_s + 100) is Retry.RESUME


class TestASuccessor:
    def renewing_link(self) -> ChatLink:
        """A link whose successor, chat 2, is being opened since second 100."""
        link = ready_link()
        link.renew(100.0)
        assert link.woke(100.0, is_quiet=True) == [Connect(2, "group-1", ATTEMPT_S)]
        return link

    def test_one_is_opened_before_the_chat_gets_too_long(self) -> None:
        link = ready_link(1000.0)

        assert link.wake_s == 1000.0 + CHAT_S - RENEW_EARLY_S
        assert wake(link) == [Connect(2, "group-1", ATTEMPT_S)]
        assert link.number == 1
        assert link.is_ready

    def test_it_takes_over_when_it_has_begun(self) -> None:
        link = self.renewing_link()

        news = link.opened(2, "group-1", 100.3, is_quiet=True)

        assert news == Opened(ChatOpening.RENEWED, replaces=1)
        assert link.number == 2
        assert link.is_ready

    def test_the_end_of_the_chat_that_it_replaced_means_nothing(self) -> None:
        link = self.renewing_link()
        link.opened(2, "group-1", 100.3, is_quiet=True)

        assert link.closed(1, NORMAL, None, 100.5) is None
        assert link.number == 2
        assert link.is_ready

    def test_it_has_a_successor_of_its_own_in_time(self) -> None:
        link = self.renewing_link()
        link.opened(2, "group-1", 100.3, is_quiet=True)

        assert link.wake_s == 100.3 + CHAT_S - RENEW_EARLY_S
        assert wake(link) == [Connect(3, "group-1", ATTEMPT_S)]

    def test_a_chat_lost_later_is_resumed_as_any_other(self) -> None:
        link = self.renewing_link()
        link.opened(2, "group-1", 100.3, is_quiet=True)

        assert link.closed(2, NO_CLOSE_FRAME, None, 200.0) is Retry.RESUME
        assert reopen(link)[0] == Opened(ChatOpening.RESUMED)

    def test_it_waits_for_a_silence(self) -> None:
        link = ready_link()
        begins_s = CHAT_S - RENEW_EARLY_S

        assert wake(link, is_quiet=False) == []
        assert link.wake_s == begins_s + RENEW_AGAIN_S
        assert wake(link) == [Connect(2, "group-1", ATTEMPT_S)]

    def test_it_does_not_wait_for_a_silence_for_ever(self) -> None:
        link = ready_link()
        latest_s = CHAT_S - RENEW_LATEST_S
        while link.wake_s is not None and link.wake_s < latest_s:
            assert wake(link, is_quiet=False) == []

        assert link.wake_s == pytest.approx(latest_s)
        assert wake(link, is_quiet=False) == [Connect(2, "group-1", ATTEMPT_S)]
        assert link.opened(2, "group-1", latest_s + 0.3, is_quiet=False) == Opened(
            ChatOpening.RENEWED, replaces=1
        )

    def test_it_takes_over_at_the_latest_moment_whoever_speaks(self) -> None:
        link = self.renewing_link()

        assert link.opened(2, "group-1", 100.0 + RENEW_WINDOW_S, is_quiet=False) == Opened(
            ChatOpening.RENEWED, replaces=1
        )

    def test_it_is_dropped_when_somebody_has_begun_to_speak_meanwhile(self) -> None:
        link = self.renewing_link()

        assert link.opened(2, "group-1", 100.3, is_quiet=False) is None
        assert link.number == 1
        assert link.wake_s == 100.3 + RENEW_AGAIN_S
        assert wake(link) == [Connect(3, "group-1", ATTEMPT_S)]

    def test_one_that_says_nothing_is_given_up_and_another_one_tried(self) -> None:
        link = self.renewing_link()

        assert link.wake_s == 100.0 + ATTEMPT_S
        assert wake(link) == [Disconnect(2)]
        assert link.wake_s == 100.0 + ATTEMPT_S + RENEW_AFTER_FAILURE_S
        assert link.is_ready

    def test_one_that_cannot_be_opened_is_tried_again_later(self) -> None:
        link = self.renewing_link()
        link.failed(2, 100.3)

        assert link.wake_s == 100.3 + RENEW_AFTER_FAILURE_S
        assert wake(link) == [Connect(3, "group-1", ATTEMPT_S)]

    def test_one_that_is_refused_is_tried_again_later_in_the_same_group(self) -> None:
        link = self.renewing_link()

        assert not link.refused(2, 100.3)
        assert wake(link) == [Connect(3, "group-1", ATTEMPT_S)]

    def test_one_that_is_closed_before_it_has_begun_does_not_end_the_call(self) -> None:
        link = self.renewing_link()

        assert link.closed(2, POLICY, None, 100.3) is None
        assert link.number == 1
        assert wake(link) == [Connect(3, "group-1", ATTEMPT_S)]

    def test_when_its_chat_is_lost_it_is_the_next_one(self) -> None:
        link = self.renewing_link()
        link.closed(1, NO_CLOSE_FRAME, None, 100.2)

        assert link.number == 2
        assert link.wake_s is not None
        assert link.wake_s <= 100.2 + ATTEMPT_S
        assert link.opened(2, "group-1", 100.3, is_quiet=False) == Opened(ChatOpening.RESUMED)


class TestRenewing:
    def test_a_link_that_is_asked_to_moves_at_the_next_silence(self) -> None:
        link = ready_link()
        link.renew(100.0)

        assert link.wake_s == 100.0
        assert wake(link, is_quiet=False) == []
        assert link.wake_s == 100.0 + RENEW_AGAIN_S

    def test_it_does_not_wait_for_a_silence_for_ever(self) -> None:
        link = ready_link()
        link.renew(100.0)

        assert link.woke(100.0 + RENEW_WINDOW_S, is_quiet=False) == [
            Connect(2, "group-1", ATTEMPT_S)
        ]

    def test_a_link_that_moves_already_is_not_asked_twice(self) -> None:
        link = ready_link()
        link.renew(100.0)
        wake(link)
        link.renew(101.0)

        assert link.wake_s == 100.0 + ATTEMPT_S

    def test_a_link_without_a_chat_has_none_to_leave(self) -> None:
        link = lost_link(10.0)
        wake_s = link.wake_s
        link.renew(10.01)

        assert link.wake_s == wake_s

    def test_asking_again_puts_nothing_off(self) -> None:
        link = ready_link()
        link.renew(100.0)
        link.renew(100.0 + RENEW_WINDOW_S - 1)

        assert link.woke(100.0 + RENEW_WINDOW_S, is_quiet=False) == [
            Connect(2, "group-1", ATTEMPT_S)
        ]

    def test_asking_late_does_not_let_the_chat_get_too_long(self) -> None:
        link = ready_link()
        link.renew(CHAT_S - RENEW_LATEST_S - 1)

        assert link.woke(CHAT_S - RENEW_LATEST_S, is_quiet=False) == [
            Connect(2, "group-1", ATTEMPT_S)
        ]

    def test_silence_is_only_of_interest_while_it_is_waited_for(self) -> None:
        link = ready_link()
        begins_s = CHAT_S - RENEW_EARLY_S

        assert not link.wants_silence(begins_s - 0.1)
        assert link.wants_silence(begins_s)

        link.renew(100.0)
        assert link.wants_silence(100.0)
        link.closed(1, NO_CLOSE_FRAME, None, 101.0)
        assert not link.wants_silence(101.0)


class TestLeaving:
    @pytest.mark.parametrize("link", [new_link(), opening_link(), ready_link(), lost_link()])
    def test_a_link_that_was_left_waits_for_nothing(self, link: ChatLink) -> None:
        link.leave()

        assert link.wake_s is None
        assert not link.is_ready
        assert not link.wants_silence(CHAT_S)
        assert link.woke(CHAT_S, is_quiet=True) == []

    def test_a_chat_that_begins_after_that_is_not_wanted(self) -> None:
        link = opening_link()
        link.leave()

        assert link.opened(1, "group-1", 1.0, is_quiet=True) is None
        assert link.wake_s is None

    def test_a_chat_that_is_lost_after_that_is_not_replaced(self) -> None:
        link = ready_link()
        link.leave()

        assert link.closed(1, NO_CLOSE_FRAME, None, 1.0) is None
        assert link.wake_s is None

    def test_a_chat_that_cannot_be_opened_after_that_is_not_tried_again(self) -> None:
        link = opening_link()
        link.leave()
        link.failed(1, 1.0)

        assert link.wake_s is None

    def test_a_chat_that_is_refused_or_closed_after_that_ends_nothing(self) -> None:
        link = opening_link()
        link.leave()

        assert not link.refused(1, 1.0)
        assert link.closed(1, NORMAL, None, 1.0) is None

    @pytest.mark.parametrize("begins", [True, False])
    def test_a_successor_on_its_way_is_not_wanted_any_more(self, *, begins: bool) -> None:
        link = ready_link()
        link.renew(100.0)
        wake(link)
        link.leave()
        if begins:
            assert link.opened(2, "group-1", 100.3, is_quiet=True) is None
        else:
            link.failed(2, 100.3)

        assert link.wake_s is None


CODES = st.sampled_from([NO_CLOSE_FRAME, NO_CLOSE_FRAME, GOING_AWAY, NORMAL, POLICY])
ERRORS = st.sampled_from([None, None, "I0100", "E0708", "E0714", "E0715", "W0100"])


class AnyCourse(RuleBasedStateMachine):
    """Calls whose chats open, fail and close in any order, with news that come too late."""

    @initialize(jitter=st.floats(0, 1), begins_s=st.floats(0, 1e5), has_chat=st.booleans())
    def begin(self, jitter: float, begins_s: float, *, has_chat: bool) -> None:
        self.jitter = jitter
        self.now_s = begins_s
        self.has_chat = has_chat
        self.begin_call()

    def begin_call(self) -> None:
        self.link = new_link(self.jitter)
        self.waits_since: float | None = self.now_s
        """When the call began to be without a chat."""
        self.patience_s = FIRST_S
        self.numbers = 0
        self.group_id = ""
        self.asked: set[int] = set()
        """Chats of which nothing was heard yet."""
        self.chat: int | None = None
        """The chat that was last begun and is not lost."""
        self.is_left = False
        self.link.open(self.now_s)
        self.wake(is_quiet=True)
        if self.has_chat:
            self.a_chat_begins("group-1", is_quiet=True)

    def leave(self) -> None:
        self.link.leave()
        self.is_left = True
        self.chat = self.waits_since = None
        self.asked.clear()

    def end(self) -> None:
        """The link has said that the call ends."""
        self.leave()
        self.begin_call()

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Connect(number, _, timeout_s):
                    assert number > self.numbers
                    assert timeout_s == ATTEMPT_S
                    assert not self.asked
                    self.numbers = number
                    self.asked.add(number)
                case Disconnect(number):
                    self.asked.remove(number)
                case _:
                    raise AssertionError(action)

    def wake(self, *, is_quiet: bool) -> None:
        is_too_late = (
            self.waits_since is not None and self.now_s >= self.waits_since + self.patience_s
        )
        woken = self.link.woke(self.now_s, is_quiet=is_quiet)
        assert isinstance(woken, EndReason) is is_too_late
        if isinstance(woken, EndReason):
            self.end()
        else:
            self.do(woken)

    @precondition(lambda self: not self.is_left)
    @rule(late_s=st.sampled_from([0.0, 0.0, 0.0, 0.01, 1.0, 3600.0]), is_quiet=st.booleans())
    def the_link_is_woken(self, late_s: float, *, is_quiet: bool) -> None:
        assert self.link.wake_s is not None
        self.now_s = max(self.now_s, self.link.wake_s) + late_s
        self.wake(is_quiet=is_quiet)

    @rule(is_quiet=st.booleans())
    def the_link_is_woken_for_something_else(self, *, is_quiet: bool) -> None:
        if self.link.wake_s is None or self.link.wake_s > self.now_s:
            assert self.link.woke(self.now_s, is_quiet=is_quiet) == []

    @rule(seconds=st.floats(0, 2))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @precondition(lambda self: self.asked)
    @rule(group_id=st.sampled_from(["group-1", "group-1", "group-2"]), is_quiet=st.booleans())
    def a_chat_begins(self, group_id: str, *, is_quiet: bool) -> None:
        number, before = self.asked.pop(), self.chat
        news = self.link.opened(number, group_id, self.now_s, is_quiet=is_quiet)
        if news is None:  # a successor comes at the wrong moment
            assert before is not None
            assert not is_quiet
            return
        assert news.replaces == before
        is_same, self.group_id = group_id == self.group_id, group_id
        assert (news.why is ChatOpening.RENEWED) is (before is not None and is_same)
        self.chat = number
        self.waits_since = None

    @precondition(lambda self: self.asked)
    @rule()
    def a_chat_cannot_be_opened(self) -> None:
        self.link.failed(self.asked.pop(), self.now_s)

    @precondition(lambda self: self.asked)
    @rule()
    def a_chat_is_refused(self) -> None:
        is_end = self.link.refused(self.asked.pop(), self.now_s)
        assert not is_end or self.chat is None
        if is_end:
            self.end()

    @precondition(lambda self: self.asked)
    @rule(code=CODES, error=ERRORS)
    def a_chat_is_closed_before_it_has_begun(self, code: int, error: str | None) -> None:
        meaning = self.link.closed(self.asked.pop(), code, error, self.now_s)
        assert meaning is None or self.chat is None
        assert not isinstance(meaning, Retry)
        if meaning is not None:
            self.end()

    @precondition(lambda self: self.chat is not None)
    @rule(code=CODES, error=ERRORS, may_be_idle=st.booleans())
    def the_chat_closes(self, code: int, error: str | None, *, may_be_idle: bool) -> None:
        assert self.chat is not None
        meaning = self.link.closed(self.chat, code, error, self.now_s, may_be_idle=may_be_idle)
        assert meaning is not None
        if isinstance(meaning, EndReason):
            self.end()
            return
        self.chat = None
        self.waits_since, self.patience_s = self.now_s, RESUME_S
        # A successor that was being opened is either the next chat or not wanted any more.
        self.asked = {each for each in self.asked if each == self.link.number}

    @precondition(lambda self: not self.is_left)
    @rule(age=st.integers(0, 3), code=CODES, error=ERRORS, is_quiet=st.booleans())
    def news_of_an_earlier_chat_change_nothing(
        self, age: int, code: int, error: str | None, *, is_quiet: bool
    ) -> None:
        number = max(1, self.numbers - age)
        if number in self.asked or number == self.chat:
            return
        wake_s = self.link.wake_s
        assert self.link.opened(number, "group-3", self.now_s, is_quiet=is_quiet) is None
        assert self.link.closed(number, code, error, self.now_s) is None
        assert not self.link.refused(number, self.now_s)
        self.link.failed(number, self.now_s)
        assert self.link.wake_s == wake_s

    @rule()
    def the_caller_is_understood(self) -> None:
        self.link.talked()

    @rule()
    def an_operator_renews(self) -> None:
        self.link.renew(self.now_s)

    @invariant()
    def it_is_ready_when_a_chat_has_begun(self) -> None:
        assert self.link.is_ready is (self.chat is not None)
        assert self.link.is_ready is False or self.link.number == self.chat

    @invariant()
    def it_wants_to_be_woken_in_time(self) -> None:
        if self.is_left:
            assert self.link.wake_s is None
            return
        assert self.link.wake_s is not None
        if self.waits_since is not None:
            assert self.link.wake_s <= self.waits_since + self.patience_s


class AnyCourseToItsEnd(AnyCourse):
    """The same, to the end of one call; then news may still come, and change nothing."""

    def end(self) -> None:
        self.leave()

    @rule()
    def the_call_is_over(self) -> None:
        self.leave()

    @precondition(lambda self: self.is_left)
    @rule(age=st.integers(0, 3), code=CODES, error=ERRORS, is_quiet=st.booleans())
    def news_come_too_late(self, age: int, code: int, error: str | None, *, is_quiet: bool) -> None:
        number = max(1, self.numbers - age)
        assert self.link.opened(number, "group-1", self.now_s, is_quiet=is_quiet) is None
        assert self.link.closed(number, code, error, self.now_s) is None
        assert not self.link.refused(number, self.now_s)
        self.link.failed(number, self.now_s)


TestAnyCourse = AnyCourse.TestCase
TestAnyCourse.settings = settings(max_examples=200)
TestAnyCourseToItsEnd = AnyCourseToItsEnd.TestCase
TestAnyCourseToItsEnd.settings = settings(max_examples=200)
