from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from evibridge.operators.idempotency import KEEP_S, MAX_KEYS, Begin, Idempotency


def test_a_repetition_gets_the_first_answer() -> None:
    kept = Idempotency[str]()
    assert kept.begin("anna", "/say", "k", b"hello", 0.0) is Begin.FIRST

    kept.finish("anna", "/say", "k", "done")

    assert kept.begin("anna", "/say", "k", b"hello", 1.0) == "done"
    assert kept.begin("anna", "/say", "k", b"hello", 2.0) == "done"


def test_a_repetition_does_not_get_ahead_of_the_answer() -> None:
    kept = Idempotency[str]()
    kept.begin("anna", "/say", "k", b"hello", 0.0)

    assert kept.begin("anna", "/say", "k", b"hello", 0.1) is Begin.RUNNING


def test_a_key_is_not_for_two_bodies() -> None:
    kept = Idempotency[str]()
    kept.begin("anna", "/say", "k", b"hello", 0.0)

    assert kept.begin("anna", "/say", "k", b"goodbye", 0.1) is Begin.OTHER_BODY
    kept.finish("anna", "/say", "k", "done")
    assert kept.begin("anna", "/say", "k", b"goodbye", 0.2) is Begin.OTHER_BODY


def test_a_key_belongs_to_one_author_and_one_path() -> None:
    kept = Idempotency[str]()
    kept.begin("anna", "/say", "k", b"hello", 0.0)

    assert kept.begin("bob", "/say", "k", b"hello", 0.1) is Begin.FIRST
    assert kept.begin("anna", "/inject", "k", b"hello", 0.1) is Begin.FIRST


def test_a_command_that_was_given_up_may_be_sent_again() -> None:
    kept = Idempotency[str]()
    kept.begin("anna", "/say", "k", b"hello", 0.0)

    kept.drop("anna", "/say", "k")

    assert not kept.knows("anna", "/say", "k", 0.1)
    assert kept.begin("anna", "/say", "k", b"hello", 0.1) is Begin.FIRST


def test_after_a_day_a_key_is_free() -> None:
    kept = Idempotency[str]()
    kept.begin("anna", "/say", "k", b"hello", 0.0)
    kept.finish("anna", "/say", "k", "done")

    assert kept.knows("anna", "/say", "k", KEEP_S - 1.0)
    assert not kept.knows("anna", "/say", "k", KEEP_S)


def test_the_oldest_key_of_an_author_makes_room_for_the_newest() -> None:
    kept = Idempotency[str]()
    kept.begin("bob", "/say", "k", b"", 0.0)
    for number in range(MAX_KEYS + 1):
        kept.begin("anna", "/say", str(number), b"", 0.0)

    kept.finish("anna", "/say", "0", "done")  # too late, and no harm

    assert [kept.knows("anna", "/say", str(number), 0.0) for number in (0, 1, MAX_KEYS)] == [
        False,
        True,
        True,
    ]
    assert kept.knows("bob", "/say", "k", 0.0)


def test_an_answer_to_nobodys_command_is_not_kept() -> None:
    kept = Idempotency[str]()

    kept.finish("anna", "/say", "k", "done")
    kept.drop("bob", "/say", "k")

    assert kept.begin("anna", "/say", "k", b"hello", 0.0) is Begin.FIRST


KEYS = st.tuples(st.sampled_from(["anna", "bob"]), st.sampled_from(["/a", "/b"]), st.just("k"))


class AnyOrder(RuleBasedStateMachine):
    """Commands come, are repeated, and end, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = Idempotency[int]()
        self.now_s = 0.0
        self.known: dict[tuple[str, str, str], tuple[bytes, float, int | None]] = {}
        self.done = 0

    @rule(seconds=st.sampled_from([1.0, KEEP_S / 2, KEEP_S]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.known = {
            each: what for each, what in self.known.items() if what[1] + KEEP_S > self.now_s
        }

    @rule(place=KEYS, body=st.sampled_from([b"1", b"2"]))
    def command_comes(self, place: tuple[str, str, str], body: bytes) -> None:
        begun = self.kept.begin(*place, body, self.now_s)

        if place not in self.known:
            assert begun is Begin.FIRST
            self.known[place] = (body, self.now_s, None)
        elif self.known[place][0] != body:
            assert begun is Begin.OTHER_BODY
        else:
            assert begun == (self.known[place][2] or Begin.RUNNING)

    @rule(place=KEYS)
    def command_ends(self, place: tuple[str, str, str]) -> None:
        if place in self.known and self.known[place][2] is None:
            self.done += 1
            self.kept.finish(*place, self.done)
            self.known[place] = (*self.known[place][:2], self.done)

    @rule(place=KEYS)
    def command_is_given_up(self, place: tuple[str, str, str]) -> None:
        if place in self.known and self.known[place][2] is None:
            self.kept.drop(*place)
            del self.known[place]

    @invariant()
    def what_is_known_is_known(self) -> None:
        for author in ("anna", "bob"):
            for path in ("/a", "/b"):
                is_known = self.kept.knows(author, path, "k", self.now_s)
                assert is_known == ((author, path, "k") in self.known)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
