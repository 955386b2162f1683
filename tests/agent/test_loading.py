import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evibridge import Agent
from evibridge.agent.loading import load_agent
from evibridge.errors import AgentLoadError

GOOD = 'from evibridge import Agent\n{name} = Agent(system_prompt="You sell books.")\n'


@pytest.fixture(autouse=True)
def _imports_are_undone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    known = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield
    for name in set(sys.modules) - known:
        del sys.modules[name]


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_an_agent_is_taken_out_of_a_file(tmp_path: Path) -> None:
    agent = load_agent(write(tmp_path / "shop_a.py", GOOD.format(name="agent")))

    assert isinstance(agent, Agent)
    assert agent.system_prompt == "You sell books."


def test_another_name_can_be_given(tmp_path: Path) -> None:
    place = write(tmp_path / "shop_b.py", GOOD.format(name="clerk"))

    assert load_agent(f"{place}:clerk").system_prompt == "You sell books."


def test_a_module_on_the_path_or_in_this_folder_can_be_given(tmp_path: Path) -> None:
    write(tmp_path / "shop_c.py", GOOD.format(name="clerk"))

    assert load_agent("shop_c:clerk").system_prompt == "You sell books."


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "prices.py", "PROMPT = 'Cheap.'\n")
    place = write(
        tmp_path / "sub" / "shop_d.py",
        "from evibridge import Agent\n"
        "from prices import PROMPT\n"
        "agent = Agent(system_prompt=PROMPT)\n",
    )

    assert load_agent(place).system_prompt == "Cheap."


def test_a_file_called_like_a_module_in_use_does_not_replace_it(tmp_path: Path) -> None:
    json_before = sys.modules["json"]

    load_agent(write(tmp_path / "json.py", GOOD.format(name="agent")))

    assert sys.modules["json"] is json_before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def :\n", r"bad.py, line 1: invalid syntax\."),
        ("x = 1\nx.y\n", r"bad.py, line 2, cannot be imported: AttributeError"),
        ("import no_such_module_here\n", "bad.py, line 1, .*no_such_module_here"),
        ("raise ValueError('one\\ntwo')\n", "bad.py, line 1, .*: ValueError: one two"),
        ("import sys\nsys.exit('no key')\n", "bad.py, line 2, .*: SystemExit: no key"),
        ("agent = 7\n", r"no Agent named 'agent': write `agent = Agent\(...\)` in it"),
        (GOOD.format(name="clerk"), "no Agent named 'agent': use .*bad.py:clerk"),
        (
            "from evibridge import Tools\nt = Tools()\n@t.tool\ndef f(x):\n    '''Do.'''\n",
            "bad.py: .*x",
        ),
    ],
)
def test_a_fault_in_the_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(AgentLoadError, match=sentence) as failed:
        load_agent(write(tmp_path / "bad.py", text))

    assert "\n" not in str(failed.value)


def test_a_file_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(AgentLoadError, match=r"nowhere\.py does not exist"):
        load_agent("nowhere.py")


def test_a_module_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(AgentLoadError, match="no_such_module_at_all cannot be imported"):
        load_agent("no_such_module_at_all")
