import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evibridge.bridges.browser import messages
from evibridge.bridges.browser.messages import (
    End,
    Hello,
    Mark,
    Mute,
    Pause,
    Ping,
    Resume,
    Typed,
    parse,
)
from evibridge.errors import BadMessage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
RATES = ["capture_rate_hz", "playback_rate_hz"]
MEMBERS = st.sampled_from([*RATES, "token", "key", "since", "microphone", "text", "muted", "name"])
KINDS = st.sampled_from(["hello", "pause", "resume", "text", "mute", "end", "ping", "mark"])


def read(**message: Any) -> messages.Message:
    return parse(json.dumps(message).encode())


def fault(**message: Any) -> str:
    with pytest.raises(BadMessage) as bad:
        read(**message)
    return str(bad.value)


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        ({"type": "pause"}, Pause()),
        ({"type": "resume"}, Resume()),
        ({"type": "end"}, End()),
        ({"type": "ping", "anything": "more"}, Ping()),
        ({"type": "text", "text": " Hello "}, Typed(" Hello ")),
        ({"type": "mute", "muted": True}, Mute(is_muted=True)),
        ({"type": "mark", "name": "0:400"}, Mark("0:400")),
        ({"type": "hello", "token": "t"}, Hello("t")),
        (
            {
                "type": "hello",
                "key": "k",
                "since": 7,
                "capture_rate_hz": 44_100,
                "playback_rate_hz": 48_000,
                "microphone": False,
            },
            Hello(None, "k", 7, 44_100, 48_000, microphone=False),
        ),
        ({"type": "hello", "token": None, "key": "k", "since": None}, Hello(key="k")),
    ],
)
def test_each_message_is_read(message: dict[str, Any], meant: messages.Message) -> None:
    assert read(**message) == meant


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"type":"text","text":"\xff"}'])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(BadMessage, match="not JSON"):
        parse(text)


@pytest.mark.parametrize("text", [b"5", b"[]", b"{}", b'{"type":5}', b'{"type":["end"]}'])
def test_what_has_no_type_is_told_which_there_are(text: bytes) -> None:
    with pytest.raises(BadMessage, match="one of hello, pause"):
        parse(text)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"type": "hello"}, "either 'token' or 'key'"),
        ({"type": "hello", "token": "t", "key": "k"}, "either 'token' or 'key'"),
        ({"type": "hello", "token": ""}, "'token'"),
        ({"type": "hello", "key": 5}, "'key'"),
        ({"type": "hello", "token": "t" * 513}, "'token'"),
        ({"type": "hello", "token": "t", "since": -1}, "'since'"),
        ({"type": "hello", "token": "t", "since": True}, "'since'"),
        ({"type": "hello", "token": "t", "since": 2**53 + 1}, "'since'"),
        ({"type": "hello", "token": "t", "capture_rate_hz": 16e3}, "'capture_rate_hz'"),
        ({"type": "hello", "token": "t", "playback_rate_hz": None}, "'playback_rate_hz'"),
        ({"type": "hello", "token": "t", "microphone": 1}, "'microphone'"),
        ({"type": "text"}, "'text'"),
        ({"type": "text", "text": " \n"}, "'text'"),
        ({"type": "text", "text": "a" * 4001}, "4001"),
        ({"type": "mute"}, "'muted'"),
        ({"type": "mute", "muted": "yes"}, "'muted'"),
        ({"type": "mark"}, "'name'"),
        ({"type": "mark", "name": "a" * 129}, "'name'"),
    ],
)
def test_what_is_wrong_is_named(message: dict[str, Any], named: str) -> None:
    sentence = fault(**message)
    assert named in sentence
    assert sentence.endswith(".")
    assert sentence.startswith(f"{message['type']}: ")


@given(st.binary())
def test_any_bytes_are_a_message_or_a_bad_one(text: bytes) -> None:
    with suppress(BadMessage):
        parse(text)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draws, on a busy machine
@given(KINDS, st.dictionaries(MEMBERS, JSON, max_size=4))
def test_any_members_make_a_message_or_a_bad_one(kind: str, members: dict[str, Any]) -> None:
    try:
        message = read(**{**members, "type": kind})
    except BadMessage:
        return
    if isinstance(message, Typed):
        assert 0 < len(message.text) <= messages.MAX_TEXT
    if isinstance(message, Hello):
        assert (message.token is None) != (message.key is None)


def test_neither_secrets_nor_words_show_in_a_log() -> None:
    assert "secret" not in repr(Hello(token="secret", key="secret"))
    assert "secret" not in repr(Typed("secret"))


def test_what_the_service_says_is_written_type_first_and_without_what_is_not_there() -> None:
    welcome = messages.welcome(
        call_id="web-1", key="k", resume_s=20.0, agent_name="Agent", transport="webrtc"
    )
    assert welcome == (
        b'{"type":"welcome","call_id":"web-1","key":"k","resume_s":20.0,'
        b'"agent":{"name":"Agent"},"transport":"webrtc"}'
    )
    assert messages.refused("busy", "Later.") == (
        b'{"type":"refused","code":"busy","message":"Later."}'
    )
    refused = json.loads(messages.refused("busy", "Later.", command="pause", retry_after_s=5.0))
    assert refused["command"] == "pause"
    assert refused["retry_after_s"] == 5.0
    assert messages.mark("0:400") == b'{"type":"mark","name":"0:400"}'
    assert messages.PONG == b'{"type":"pong"}'
    assert messages.CLEAR == b'{"type":"clear"}'


def test_half_a_surrogate_pair_keeps_no_message_back() -> None:
    told = messages.message("tool", words="a\ud800", more=[{"name": "\udfff", "score": 0.5}])
    assert json.loads(told) == {
        "type": "tool",
        "words": "a?",
        "more": [{"name": "?", "score": 0.5}],
    }
