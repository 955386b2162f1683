from evibridge.agent.open_turn import ANSWER_WITHIN_S, OpenTurn


class TestWaitingForAnAnswer:
    def test_at_first_nothing_is_owed(self) -> None:
        turn = OpenTurn()

        assert turn.is_answered
        assert turn.is_given_up(0.0)

    def test_a_question_is_open_until_the_agents_turn_is_over(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Where is my book?", 10.0)
        is_answered = [turn.is_answered]
        turn.answered()
        is_answered.append(turn.is_answered)

        assert is_answered == [False, True]
        assert turn.is_given_up(10.0)

    def test_an_answer_that_is_very_late_is_not_expected_any_more(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Where is my book?", 10.0)

        assert not turn.is_given_up(10.0 + ANSWER_WITHIN_S)
        assert turn.is_given_up(10.1 + ANSWER_WITHIN_S)
        assert not turn.is_answered

    def test_what_the_agent_is_given_to_say_is_waited_for_as_well(self) -> None:
        turn = OpenTurn()
        turn.words_are_due(10.0)

        assert not turn.is_answered
        assert not turn.is_given_up(10.0 + ANSWER_WITHIN_S)

    def test_the_result_of_a_tool_prolongs_the_wait_for_the_same_answer(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Where is my book?", 10.0)
        turn.words_are_due(20.0)

        assert not turn.is_given_up(20.0 + ANSWER_WITHIN_S)
        assert turn.ask_again() == "Where is my book?"


class TestSayingAgain:
    def test_what_a_broken_line_swallowed_is_said_again_once(self) -> None:
        turn = OpenTurn()
        turn.to_say_again = "It is on its way."

        assert turn.take_to_say_again() == "It is on its way."
        assert turn.take_to_say_again() == ""

    def test_it_is_out_of_date_when_the_caller_speaks(self) -> None:
        turn = OpenTurn()
        turn.to_say_again = "It is on its way."
        turn.caller_spoke("Never mind.", 10.0)

        assert turn.take_to_say_again() == ""


class TestAskingAgain:
    def test_the_last_words_without_an_answer_are_repeated(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Hello?", 1.0)
        turn.caller_spoke("Where is my book?", 2.0)

        assert turn.ask_again() == "Where is my book?"

    def test_nothing_is_repeated_once_it_was_answered(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Where is my book?", 2.0)
        turn.answered()

        assert turn.ask_again() == ""

    def test_an_announcement_that_is_due_leaves_no_words_to_repeat(self) -> None:
        turn = OpenTurn()
        turn.words_are_due(2.0)

        assert turn.ask_again() == ""
        assert not turn.was_asked_again("")

    def test_the_servers_echo_of_a_repetition_is_known_once(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Where is my book?", 2.0)
        words = turn.ask_again()

        assert not turn.was_asked_again("Something else.")
        assert turn.was_asked_again(words)
        assert not turn.was_asked_again(words)

    def test_words_that_were_never_repeated_are_the_callers_own(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Where is my book?", 2.0)

        assert not turn.was_asked_again("Where is my book?")
