import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evibridge.engine import config_file
from evibridge.engine.chat.timeouts import ChatLimits, EventMessage
from evibridge.engine.config import (
    OPENAI_URL,
    CustomMindConfig,
    EngineConfig,
    HibariVoiceConfig,
    OpenAIDefaults,
    OpenAIEarsConfig,
    OpenAIMindConfig,
    OpenAIVoiceConfig,
    ScriptedMindConfig,
    Service,
    WhisperEarsConfig,
)
from evibridge.engine.config_file import read_config
from evibridge.engine.hearing.turns import TurnTaking
from evibridge.engine.web_search import MAX_RESULT_CHARACTERS
from evibridge.engine.webhooks.configuration import WEBHOOK_KEYS
from evibridge.errors import EngineSetupError

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "engine.md"
OPENAI = OpenAIDefaults(api_key="sk-hush")
VARIABLES = {"GROQ_API_KEY": "gsk-hush", "EMPTY_KEY": " "}
KINDS = {
    "mind": config_file.MIND_KEYS,
    "ears": config_file.EARS_KEYS,
    "voice": config_file.VOICE_KEYS,
}
SECTIONS = {
    "turn_detection": config_file.TURN_DETECTION_KEYS,
    "interruption": config_file.INTERRUPTION_KEYS,
    "nudges": config_file.NUDGE_KEYS,
    "event_messages": config_file.OCCASIONS,
    "timeouts": config_file.TIMEOUT_KEYS,
    "prompt": config_file.PROMPT_KEYS,
    "webhooks": WEBHOOK_KEYS,
    "limits": config_file.LIMIT_KEYS,
}


@pytest.fixture(autouse=True)
def _imports_are_undone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "engine.yaml"


def config(
    path: Path,
    text: str,
    *,
    openai: OpenAIDefaults = OPENAI,
    variables: Mapping[str, str] = VARIABLES,
    script: Path | None = None,
) -> EngineConfig:
    path.write_text(dedent(text), encoding="utf-8")
    return read_config(
        path, openai=openai, variables=variables, signing_key="whk-hush", script=script
    )


def fault(path: Path, text: str, openai: OpenAIDefaults = OPENAI) -> str:
    with pytest.raises(EngineSetupError) as error:
        config(path, text, openai=openai)
    sentence = str(error.value)
    assert sentence.startswith(f"{path}, line ")
    assert sentence.endswith(".")
    assert not sentence.endswith("..")
    assert "hush" not in sentence
    return sentence.removeprefix(f"{path}, ")


def test_a_file_that_changes_nothing_gives_the_defaults(path: Path) -> None:
    assert config(path, "limits: {}") == EngineConfig()


def test_the_defaults_are_the_documented_ones(path: Path) -> None:
    read = config(path, "nudges: {enabled: true}")

    assert read.turn_taking == TurnTaking(800, 0.5, 300, min_interruption_ms=240)
    assert read.limits == ChatLimits(120, 1800, 30, nudge_interval_s=15)
    assert (read.max_chats, read.drain_s) == (100, 30)
    assert EngineConfig().limits.nudge_interval_s is None


def test_a_value_that_is_null_counts_as_left_out(path: Path) -> None:
    text = "{mind: null, nudges: ~, event_messages: {on_new_chat: {enabled: false, text: null}}}"

    assert config(path, text).limits == ChatLimits(on_new_chat=EventMessage(enabled=False))


def test_an_openai_mind_is_read(path: Path) -> None:
    text = """
        mind:
          kind: openai
          base_url: https://api.groq.com/openai/v1
          api_key_env: GROQ_API_KEY
          model: llama
          temperature: 0.3
          max_tokens: 200
          first_token_timeout_s: 5
          filler: Well, let me see.
          filler_after_ms: 800
        """
    service = Service("https://api.groq.com/openai/v1", "gsk-hush")

    assert config(path, text).mind == OpenAIMindConfig(
        service, "llama", 0.3, 200, 5, filler="Well, let me see.", filler_after_s=0.8
    )


def test_address_and_key_of_every_openai_part_are_those_of_the_environment(path: Path) -> None:
    text = """
        mind: {kind: openai, model: m}
        ears: {kind: openai, model: e}
        voice: {kind: openai, model: v, voice: alloy}
        """
    service = Service("https://llm.example/v1", "sk-hush")

    read = config(path, text, openai=OpenAIDefaults("https://llm.example/v1", "sk-hush"))

    assert read.mind == OpenAIMindConfig(service, "m")
    assert read.ears == OpenAIEarsConfig(service, "e")
    assert read.voice == OpenAIVoiceConfig(service, "v", "alloy")


def test_openai_itself_is_the_address_when_nobody_names_one(path: Path) -> None:
    mind = config(path, "mind: {kind: openai, model: m}").mind

    assert isinstance(mind, OpenAIMindConfig)
    assert mind.service == Service(OPENAI_URL, "sk-hush")


def test_a_service_of_ones_own_needs_no_key(path: Path) -> None:
    text = "mind: {kind: openai, base_url: 'http://127.0.0.1:11434/v1', model: m}"

    mind = config(path, text, openai=OpenAIDefaults()).mind

    assert isinstance(mind, OpenAIMindConfig)
    assert mind.service.api_key is None


def test_ears_and_voice_are_read(path: Path) -> None:
    text = """
        ears: {kind: openai, model: e, language: en, timeout_s: 4}
        voice:
          kind: openai
          model: v
          voice: alloy
          voices: {9e068547-5ba4-4c8e-8e03-69282a008f04: nova}
          rate_hz: 16000
          timeout_s: 4.5
        """
    service = Service(OPENAI_URL, "sk-hush")
    read = config(path, text)

    assert read.ears == OpenAIEarsConfig(service, "e", language="en", timeout_s=4)
    voices = {"9e068547-5ba4-4c8e-8e03-69282a008f04": "nova"}
    assert read.voice == OpenAIVoiceConfig(service, "v", "alloy", voices, 16_000, 4.5)


def test_parts_of_this_machine_are_read(path: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    text = "{ears: {kind: whisper, model_folder: model, workers: 2}, voice: {kind: hibari}}"
    read = config(path, text)

    assert read.ears == WhisperEarsConfig(tmp_path / "model", workers=2)
    assert read.voice == HibariVoiceConfig()


@pytest.mark.parametrize(
    ("url", "is_socket"),
    [("https://llm.example/clm?team=a", False), ("wss://llm.example/clm/", True)],
)
def test_a_custom_language_model_is_read(path: Path, url: str, *, is_socket: bool) -> None:
    mind = config(path, f"mind: {{kind: custom, url: '{url}', api_key_env: GROQ_API_KEY}}").mind

    assert mind == CustomMindConfig(Service(url, "gsk-hush"))
    assert isinstance(mind, CustomMindConfig)
    assert mind.is_socket is is_socket


def test_the_key_of_openai_is_not_for_a_custom_language_model(path: Path) -> None:
    assert config(path, "mind: {kind: custom, url: 'ws://llm.example'}").mind == CustomMindConfig(
        Service("ws://llm.example", None)
    )


def test_a_script_is_looked_for_beside_the_file(path: Path, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").touch()

    mind = config(path, "mind: {kind: script, script: shop.yaml}", script=Path("agent.yaml")).mind

    assert mind == ScriptedMindConfig(tmp_path / "shop.yaml")


@pytest.mark.parametrize("text", ["limits: {}", "mind: {kind: script}"])
def test_the_script_of_an_agent_is_used_when_the_file_names_none(path: Path, text: str) -> None:
    read = config(path, text, script=Path("agent.yaml"))

    assert read.mind == ScriptedMindConfig(Path("agent.yaml"))


def test_the_course_of_chats_is_read(path: Path) -> None:
    text = """
        turn_detection:
          end_of_turn_silence_ms: 600
          speech_detection_threshold: 0.4
          prefix_padding_ms: 0
        interruption: {min_interruption_ms: 800}
        nudges: {enabled: true, interval_secs: 8}
        event_messages:
          on_new_chat: {text: Hello.}
          on_inactivity_timeout: {text: Hello?, enabled: true}
          on_max_duration_timeout: {enabled: false}
        timeouts:
          inactivity: {enabled: false}
          max_duration: {duration_secs: 600}
          tool_secs: 12.5
        prompt: {text: Be brief.}
        limits: {max_chats: 7, drain_secs: 0.5}
        """
    read = config(path, text)

    assert read.turn_taking == TurnTaking(600, 0.4, 0, min_interruption_ms=800)
    assert read.limits == ChatLimits(
        inactivity_s=None,
        max_duration_s=600,
        tool_timeout_s=12.5,
        nudge_interval_s=8,
        on_new_chat=EventMessage(text="Hello."),
        on_inactivity=EventMessage(text="Hello?"),
        on_max_duration=EventMessage(enabled=False),
    )
    assert (read.max_chats, read.drain_s) == (7, 0.5)
    assert read.system_prompt == "Be brief."


async def test_a_web_search_is_imported_from_beside_the_file(path: Path, tmp_path: Path) -> None:
    source = """
        async def look_up(query):
            return f"All about {query}."

        def hidden(query):
            return look_up(query)

        def look_up_slowly(query, limit=3):
            return {"query": query, "limit": limit}
        """
    (tmp_path / "shop_search.py").write_text(dedent(source))

    quick = config(path, "web_search: shop_search:look_up").web_search
    slow = config(path, "web_search: shop_search:look_up_slowly").web_search
    hidden = config(path, "web_search: shop_search:hidden").web_search

    assert quick is not None
    assert slow is not None
    assert await quick("books") == '{"summary":"All about books.","references":[]}'
    assert hidden is not None
    assert await slow("books") == '{"query":"books","limit":3}'
    assert await hidden("books") == await quick("books")


async def test_a_web_search_that_fails_raises_what_it_raised(path: Path, tmp_path: Path) -> None:
    (tmp_path / "failing_search.py").write_text("def find(query):\n    raise LookupError(query)\n")

    search = config(path, "web_search: failing_search:find").web_search

    assert search is not None
    with pytest.raises(LookupError, match="books"):
        await search("books")


async def test_what_a_web_search_finds_is_cut_to_what_a_mind_can_use(
    path: Path, tmp_path: Path
) -> None:
    (tmp_path / "wordy_search.py").write_text("def find(query):\n    return query * 100_000\n")

    search = config(path, "web_search: wordy_search:find").web_search

    assert search is not None
    summary = json.loads(await search("a"))["summary"]
    assert summary == "a" * MAX_RESULT_CHARACTERS


async def test_a_web_search_that_finds_far_too_much_has_failed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "endless_search.py").write_text("def find(query):\n    return [query] * 100_000\n")

    search = config(path, "web_search: endless_search:find").web_search

    assert search is not None
    with pytest.raises(ValueError, match="return fewer"):
        await search("a")


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("shop_search", '"shop_search" is no function; write module:function'),
        ("./shop.py:find", "is no function; write module:function"),
        ("no_such_module_here:find", "no_such_module_here cannot be imported (ModuleNotFoundErr"),
        ("broken_search:find", "broken_search cannot be imported (ZeroDivisionError"),
        ("odd_search:fnd", 'the module odd_search has no function "fnd"'),
        ("odd_search:find", "odd_search:find cannot be called with a query alone"),
        ("odd_search:number", 'has no function "number"'),
    ],
)
def test_a_web_search_that_cannot_work_is_told_with_its_place(
    path: Path, tmp_path: Path, where: str, sentence: str
) -> None:
    (tmp_path / "broken_search.py").write_text("1 / 0\n")
    (tmp_path / "odd_search.py").write_text("number = 1\ndef find(query, limit):\n    pass\n")

    told = fault(path, f"web_search: {where}")

    assert told.startswith("line 1, column 13: ")
    assert sentence in told


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[mind]", 'line 1, column 1: the configuration is expected here; write "key: value" li'),
        ("minds: {}", 'line 1, column 1: "minds" is no key of the configuration; write "mind".'),
        (
            "mind: openai",
            'line 1, column 7: "mind" has keys of its own; write it as {kind: openai, model: ...}.',
        ),
        ("ears: [whisper]", "write it as {kind: whisper}."),
        ("voice: hibari", "write it as {kind: hibari}."),
        ("mind: {model: m}", 'line 1, column 7: "mind" needs the key "kind"; write it.'),
        ("mind: {kind: opanai}", 'line 1, column 14: "opanai" is no kind of mind; write "openai".'),
        ("ears: {kind: vosk}", '"vosk" is no kind of ears; write one of whisper, openai.'),
        ("mind: {kind: openai}", '"mind" of kind openai needs the key "model"; write it.'),
        ("voice: {kind: openai, model: v}", 'of kind openai needs the key "voice"; write it.'),
        ("mind: {kind: custom}", 'needs the key "url"; write it.'),
        (
            "mind: {kind: script, model: m}",
            'line 1, column 22: "model" is no key of "mind" of kind script; write one of kind, scr',
        ),
        (
            "mind:\n  kind: openai\n  api_key: sk-hush",
            "line 3, column 12: keys do not stand in this file; put the key into an environment",
        ),
        (
            "mind: {kind: openai, model: m, api_key_env: sk-proj-hush}",
            "line 1, column 45: the name of an environment variable is expected here",
        ),
        (
            "mind: {kind: openai, model: m, api_key_env: OTHER_KEY}",
            "line 1, column 45: the environment variable OTHER_KEY is not set; set it to the key.",
        ),
        ("mind: {kind: custom, url: 'ws://a', api_key_env: EMPTY_KEY}", "EMPTY_KEY is not set"),
        (
            "mind: {kind: openai, model: m, base_url: 127.0.0.1:8000}",
            "line 1, column 42: an address is expected here; write one that begins with http://.",
        ),
        ("mind: {kind: openai, model: m, base_url: 'http://a:b'}", "an address is expected"),
        ("ears: {kind: openai, model: m, base_url: 'localhost:80/v1'}", "begins with http://."),
        ("ears: {kind: openai, model: m, base_url: 'ftp://192.168.1.2'}", "begins with http://."),
        ("ears: {kind: openai, model: m, base_url: a.example/v1}", "begins with https://."),
        ("ears: {kind: openai, model: m, base_url: 'http://[a'}", "begins with https://."),
        ("mind: {kind: custom, url: 'ftp://a.example'}", "begins with https:// or wss://."),
        ("mind: {kind: custom, url: 'llm:80'}", "begins with http:// or ws://."),
        ("mind: {kind: custom, url: 'https://u:hush@a'}", "an address has no user name here"),
        ("mind: {kind: openai, model: m, temperature: 3}", "a number from 0 to 2 is expected"),
        ("mind: {kind: openai, model: m, max_tokens: 1.5}", "a whole number from 1 to 1000000"),
        ("mind: {kind: openai, model: m, filler: ''}", "a text is expected here; write one, or"),
        ("mind: {kind: script, script: no.yaml}", "no.yaml does not exist; write a path that"),
        ("ears: {kind: whisper, model_folder: no}", "line 1, column 37: "),
        ("voice: {kind: openai, model: v, voice: a, voices: [b]}", '"voices" is expected here'),
        ("voice: {kind: openai, model: v, voice: a, rate_hz: fast}", "a whole number from 8000"),
        ("turn_detection: {end_of_turn_silence_ms: 499}", "a whole number from 500 to 3000 is"),
        ("turn_detection: {speech_detection_threshold: 1.1}", "a number from 0 to 1 is expected"),
        ("interruption: {min_interruption: 9}", 'of "interruption"; write "min_interruption_ms".'),
        ("nudges: {enabled: maybe}", "line 1, column 19: a truth value is expected here"),
        ("nudges: {enabled: false, interval_secs: 0}", "a number from 1 to 1800"),
        ("timeouts: {inactivity: 120}", 'line 1, column 24: "inactivity" is expected here'),
        ("timeouts: {inactivity: {duration_secs: 29}}", "a number from 30 to 1800 is"),
        ("timeouts: {max_duration: {duration_secs: 1801}}", "a number from 30 to 1800"),
        ("limits: {max_chats: 0}", "a whole number from 1 to 10000 is expected here"),
    ],
)
def test_a_fault_is_told_with_its_place(path: Path, text: str, sentence: str) -> None:
    assert sentence in fault(path, text)


def test_openai_without_a_key_is_told_with_the_part_that_wants_it(path: Path) -> None:
    text = "limits: {max_chats: 3}\nmind:\n  kind: openai\n  model: m"

    told = fault(path, text, OpenAIDefaults())

    assert told.startswith("line 3, column 3: OPENAI_API_KEY is not set: set it to your key")


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("mind: {kind: openai}", "model"),
        ("ears: {kind: openai}", "model"),
        ("voice: {kind: openai, model: v}", "voice"),
    ],
)
def test_a_missing_name_is_told_before_a_missing_key(path: Path, text: str, missing: str) -> None:
    assert f'needs the key "{missing}"' in fault(path, text, OpenAIDefaults())


def test_a_file_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(EngineSetupError, match=r"engine.yaml cannot be read \(No such file"):
        read_config(path, openai=OPENAI, variables={})


def test_keys_do_not_show(path: Path) -> None:
    text = "mind: {kind: openai, model: m, base_url: 'https://a.example/v1?code=hush'}"

    read = config(path, text)

    assert "hush" not in repr(read.mind).replace("code=hush", "")
    assert read.mind.description == "m at https://a.example/v1"


@pytest.mark.parametrize(
    ("text", "descriptions"),
    [
        (
            "limits: {}",
            (
                "small talk, without a script",
                "Whisper (tiny) on this machine",
                "hibari on this machine",
            ),
        ),
        (
            """
            mind: {kind: custom, url: 'wss://a.example/b'}
            ears: {kind: openai, model: e}
            voice: {kind: openai, model: v, voice: alloy}
            """,
            (
                "the custom language model at wss://a.example/b",
                "e at https://api.openai.com/v1",
                "v (alloy) at https://api.openai.com/v1",
            ),
        ),
    ],
)
def test_every_part_says_what_it_is(
    path: Path, text: str, descriptions: tuple[str, str, str]
) -> None:
    read = config(path, text)

    assert read.descriptions() == dict(zip(("mind", "ears", "voice"), descriptions, strict=True))


def test_a_script_is_described_by_its_path() -> None:
    assert ScriptedMindConfig(Path("shop.yaml")).description == "the script shop.yaml"


def documented(key: str) -> bool:
    """A key stands alone, or between those that it belongs to and those that belong to it."""
    text = DOCUMENTATION.read_text(encoding="utf-8")
    return re.search(rf"`([a-z_]+\.)*{key}(\.[a-z_]+)*`", text) is not None


@pytest.mark.parametrize(
    "key",
    sorted(
        {
            *config_file.CONFIG_KEYS,
            *(kind for kinds in KINDS.values() for kind in kinds),
            *(key for kinds in KINDS.values() for keys in kinds.values() for key in keys),
            *(key for keys in SECTIONS.values() for key in keys),
            *config_file.EVENT_MESSAGE_KEYS,
            *config_file.DURATION_KEYS,
        }
    ),
)
def test_every_key_is_documented(key: str) -> None:
    assert documented(key)


def test_the_examples_of_the_documentation_are_configurations(path: Path, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").touch()
    (tmp_path / "shop.py").write_text("def search(query): ...\n")
    blocks = DOCUMENTATION.read_text(encoding="utf-8").split("```yaml\n")[1:]
    assert blocks
    for block in blocks:
        assert config(path, block.split("```")[0]) != EngineConfig()


def test_the_complete_example_holds_every_section(path: Path, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("def search(query): ...\n")
    example = DOCUMENTATION.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]

    config(path, example)

    for key in config_file.CONFIG_KEYS:
        assert f"\n{key}:" in f"\n{example}"


NUMBERS = st.integers(-10, 4000) | st.floats(-1, 4000).map(lambda number: round(number, 3))


@given(
    st.dictionaries(st.sampled_from(config_file.TURN_DETECTION_KEYS), NUMBERS),
    st.dictionaries(st.sampled_from(config_file.INTERRUPTION_KEYS), NUMBERS),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_ranges_of_turn_taking_are_those_of_the_detector(
    path: Path, detection: dict[str, float], interruption: dict[str, float]
) -> None:
    def written(knobs: dict[str, float]) -> str:
        return "{" + ", ".join(f"{name}: {value}" for name, value in knobs.items()) + "}"

    whole = {
        name: value
        for name, value in {**detection, **interruption}.items()
        if name != "speech_detection_threshold"
    }
    text = f"turn_detection: {written(detection)}\ninterruption: {written(interruption)}"
    try:
        knobs = {"min_interruption_ms": 240, **detection, **interruption}
        wanted = TurnTaking(**knobs)  # type: ignore[arg-type]  # what it refuses is the question
        possible = all(isinstance(value, int) for value in whole.values())
    except ValueError:
        possible = False
    if possible:
        assert config(path, text).turn_taking == wanted
    else:
        assert "number from" in fault(path, text)


@given(
    st.recursive(
        st.sampled_from(["openai", "custom", "script", "whisper", "yes", "1", "''", "~", "a:b"]),
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
            | st.dictionaries(
                st.sampled_from(
                    ["kind", "model", "url", "api_key_env", *SECTIONS, *config_file.CONFIG_KEYS]
                ),
                inner,
                max_size=5,
            ).map(lambda items: "{" + ", ".join(f"{k}: {v}" for k, v in items.items()) + "}")
        ),
        max_leaves=25,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_yaml_is_a_configuration_or_refused_in_words(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    try:
        read = read_config(path, openai=OPENAI, variables=VARIABLES)
    except EngineSetupError as error:
        sentence = str(error)
    else:
        assert read.max_chats == 100
        return
    assert sentence.startswith(f"{path}, line 1, column ")
