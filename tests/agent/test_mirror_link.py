import pytest

from evibridge.agent.actions import Connect, Disconnect
from evibridge.agent.mirror_link import (
    ATTEMPT_S,
    FIRST_DELAY_S,
    MAX_DELAY_S,
    SELDOM_S,
    STEADY_S,
    MirrorFate,
    MirrorLink,
    fate_of_close,
    fate_of_refusal,
)
from evibridge.events import EndReason

FIRST_S, RESUME_S = 30.0, 20.0


@pytest.fixture
def link() -> MirrorLink:
    """A link whose first mirror is being opened at 0 s; each delay is as long as it may be."""
    link = MirrorLink(first_s=FIRST_S, resume_s=RESUME_S, random=lambda: 1.0)
    link.open(0.0)
    assert link.woke(0.0) == [Connect(1, None, ATTEMPT_S)]
    return link


def opened(link: MirrorLink, now_s: float = 0.0) -> MirrorLink:
    assert link.opened(link.number, now_s)
    return link


def test_nothing_is_opened_before_the_sidecar_begins() -> None:
    link = MirrorLink(first_s=FIRST_S, resume_s=RESUME_S, random=lambda: 1.0)

    assert link.wake_s is None
    assert link.woke(5.0) == []


def test_an_open_mirror_waits_for_nothing(link: MirrorLink) -> None:
    opened(link)

    assert (link.is_open, link.was_open, link.wake_s) == (True, True, None)


def test_a_lost_mirror_is_opened_again_after_a_moment(link: MirrorLink) -> None:
    opened(link)

    assert link.gone(1, 100.0)

    assert not link.is_open
    assert link.woke(100.0) == []
    assert link.wake_s == 100.0 + FIRST_DELAY_S
    assert link.woke(100.0 + FIRST_DELAY_S) == [Connect(2, None, ATTEMPT_S)]


def test_the_delays_grow_to_a_limit(link: MirrorLink) -> None:
    now_s, delays = 0.0, []
    for _ in range(8):
        link.gone(link.number, now_s)
        assert link.wake_s is not None
        delays.append(min(link.wake_s, FIRST_S) - now_s)
        now_s = link.wake_s
        link.woke(now_s)

    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, MAX_DELAY_S, MAX_DELAY_S])


def test_a_mirror_that_breaks_at_once_does_not_begin_the_delays_anew(link: MirrorLink) -> None:
    opened(link, 0.0).gone(1, 0.0)
    link.woke(1.0)
    opened(link, 1.0).gone(2, 1.0)
    assert link.wake_s == pytest.approx(1.0 + 2 * FIRST_DELAY_S)

    link.woke(2.0)
    opened(link, 2.0).gone(3, 2.0 + STEADY_S)
    assert link.wake_s == pytest.approx(2.0 + STEADY_S + FIRST_DELAY_S)


def test_half_of_a_delay_is_left_to_chance() -> None:
    link = MirrorLink(first_s=FIRST_S, resume_s=RESUME_S, random=lambda: 0.0)
    link.open(0.0)
    link.woke(0.0)

    link.gone(1, 0.0)

    assert link.wake_s == FIRST_DELAY_S / 2


def test_an_attempt_that_takes_too_long_is_given_up(link: MirrorLink) -> None:
    assert link.wake_s == ATTEMPT_S
    assert link.woke(ATTEMPT_S) == [Disconnect(1)]
    assert not link.opened(1, ATTEMPT_S)
    assert link.woke(ATTEMPT_S + 1) == [Connect(2, None, ATTEMPT_S)]


def test_news_of_a_mirror_that_was_given_up_change_nothing(link: MirrorLink) -> None:
    opened(link).gone(1, 0.0)
    link.woke(1.0)
    opened(link, 1.0)

    assert not link.gone(1, 2.0)
    assert not link.opened(2, 2.0)
    assert link.is_open


def test_a_server_that_never_answers_is_given_up(link: MirrorLink) -> None:
    link.gone(1, 0.0)

    assert link.woke(FIRST_S) is EndReason.EVI_UNREACHABLE


def test_a_mirror_that_does_not_come_back_is_given_up(link: MirrorLink) -> None:
    opened(link).gone(1, 100.0)

    assert link.woke(100.0 + RESUME_S) is EndReason.EVI_LOST


def test_a_mirror_that_nobody_waits_for_is_tried_now_and_then(link: MirrorLink) -> None:
    link.gone(1, 0.0)
    link.go_on_without()
    assert link.is_gone_without
    assert link.woke(FIRST_S) == [Connect(2, None, ATTEMPT_S)]
    link.gone(2, FIRST_S)
    assert link.wake_s == FIRST_S + SELDOM_S


def test_one_that_comes_all_the_same_is_waited_for_when_it_is_lost(link: MirrorLink) -> None:
    link.go_on_without()
    opened(link)
    assert not link.is_gone_without
    link.gone(1, 200.0)
    assert link.woke(200.0 + RESUME_S) is EndReason.EVI_LOST


def test_a_barred_link_asks_no_more(link: MirrorLink) -> None:
    assert link.gone(1, 0.0)
    link.bar()

    assert link.is_gone_without
    assert link.wake_s is None
    assert link.woke(99.0) == []


def test_a_link_that_is_left_waits_for_nothing(link: MirrorLink) -> None:
    opened(link).leave()

    assert (link.is_open, link.is_gone_without, link.wake_s) == (False, False, None)
    assert not link.gone(1, 1.0)


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        (1000, MirrorFate.CHAT_IS_OVER),
        (1001, MirrorFate.COMES_BACK),
        (1005, MirrorFate.COMES_BACK),
        (1006, MirrorFate.COMES_BACK),
        (1008, MirrorFate.NOT_ALLOWED),
        (1011, MirrorFate.COMES_BACK),
    ],
)
def test_a_close_code_tells_what_becomes_of_the_mirror(code: int, fate: MirrorFate) -> None:
    assert fate_of_close(code) is fate


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (None, MirrorFate.COMES_BACK),
        (400, MirrorFate.CHAT_IS_OVER),
        (401, MirrorFate.BAD_KEY),
        (403, MirrorFate.NOT_ALLOWED),
        (404, MirrorFate.CHAT_IS_OVER),
        (422, MirrorFate.CHAT_IS_OVER),
        (429, MirrorFate.COMES_BACK),
        (503, MirrorFate.COMES_BACK),
    ],
)
def test_a_refusal_tells_what_becomes_of_the_mirror(status: int | None, fate: MirrorFate) -> None:
    assert fate_of_refusal(status) is fate
