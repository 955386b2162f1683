"""How events read for programs that watch calls."""

import json
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge import events
from evibridge.bus import EventBus, Told
from evibridge.event_wire import TYPE_NAMES, encode, event_members, utc_text

AT_S = 1_795_857_120.1234

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(0, 1 << 53)


def told(event: events.CallEvent) -> Told:
    return Told("CA1", 1_795_857_120_123, AT_S, event)


def test_what_a_caller_said_reads_as_documented() -> None:
    event = events.CallerSaid("Grüß Gott", interim=False, typed=False, scores={"Joy": 0.5})
    assert json.loads(encode(told(event))) == {
        "type": "caller_said",
        "call_id": "CA1",
        "seq": 1_795_857_120_123,
        "at": "2026-11-28T09:12:00.123Z",
        "text": "Grüß Gott",
        "interim": False,
        "typed": False,
        "scores": {"Joy": 0.5},
        "by_caller": True,
        "spoke_ms": None,
    }


def test_members_have_the_order_of_the_documentation() -> None:
    text = encode(told(events.CallEnded(events.EndReason.BUSY)))
    assert text == (
        b'{"type":"call_ended","call_id":"CA1","seq":1795857120123,'
        b'"at":"2026-11-28T09:12:00.123Z","reason":"busy"}'
    )


@pytest.mark.parametrize(
    ("event", "own_members"),
    [
        (events.AgentPaused(), {"type": "agent_paused"}),
        (events.ChatLost(1006, None), {"type": "chat_lost", "code": 1006, "error": None}),
        (
            events.CallBegan(events.CallKind.SIDECAR),
            {"type": "call_began", "kind": "sidecar", "direction": "inbound"},
        ),
        (
            events.AgentSounded(None, MappingProxyType({"Awe": 1.0})),
            {"type": "agent_sounded", "utterance_id": None, "scores": {"Awe": 1.0}},
        ),
    ],
)
def test_fields_keep_their_names_and_values(
    event: events.CallEvent, own_members: dict[str, Any]
) -> None:
    members = event_members(told(event))
    frame = {name: members.pop(name) for name in ("call_id", "seq", "at")}
    assert members == own_members
    assert frame["call_id"] == "CA1"


def test_every_event_has_a_name_of_its_own() -> None:
    classes = get_args(events.CallEvent)
    assert set(TYPE_NAMES) == set(classes)
    assert len(set(TYPE_NAMES.values())) == len(classes)
    assert {"hang_up_decided", "digits_sent", "chat_opened"} < set(TYPE_NAMES.values())


@pytest.mark.parametrize("event_class", get_args(events.CallEvent))
def test_no_field_of_an_event_takes_the_place_of_its_frame(event_class: type) -> None:
    assert not {"type", "call_id", "seq", "at"} & {each.name for each in fields(event_class)}


@pytest.mark.parametrize("event_class", get_args(events.CallEvent))
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_every_event_says_in_json_what_it_says_in_python(
    event_class: Any, data: st.DataObject
) -> None:
    values = {
        each.name: data.draw(some(get_type_hints(event_class)[each.name]))
        for each in fields(event_class)
    }
    members = json.loads(encode(told(event_class(**values))))
    assert {name: members.pop(name) for name in values} == values
    assert list(members) == ["type", "call_id", "seq", "at"]


def some(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    if get_origin(hint) is Mapping:
        return st.dictionaries(st.text(), FLOATS, max_size=3)
    if get_origin(hint) is UnionType:
        return st.one_of([some(each) for each in get_args(hint)])
    return {float: FLOATS, int: INTEGERS}.get(hint, st.from_type(hint))


def test_text_that_is_no_unicode_is_told_without_what_is_wrong_in_it() -> None:
    event = events.CommandGiven("say", by="ada", text="half \ud83d a smile")
    assert json.loads(encode(told(event)))["text"] == "half ? a smile"


def test_an_event_is_encoded_once_for_all_its_readers() -> None:
    bus = EventBus(lambda: AT_S)
    texts: list[bytes] = []
    for _ in range(3):
        bus.subscribe(lambda each: texts.append(encode(each)))
    bus.publish("CA1", events.AgentPaused())
    bus.publish("CA1", events.AgentResumed())
    assert texts[0] is texts[1] is texts[2]
    assert texts[3] is texts[4] is texts[5]
    assert texts[0] != texts[3]


@pytest.mark.parametrize(
    ("at_s", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (AT_S, "2026-11-28T09:12:00.123Z"),
        (AT_S - 0.1234, "2026-11-28T09:12:00.000Z"),
    ],
)
def test_times_are_told_to_the_millisecond(at_s: float, text: str) -> None:
    assert utc_text(at_s) == text
