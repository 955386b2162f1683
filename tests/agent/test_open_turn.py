from evibridge.agent.open_turn import ANSWER_WITHIN_S, MAX_TEXTS, STALE_S, OpenTurn


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

    def test_words_that_are_old_are_not_worth_an_answer_any_more(self) -> None:
        turn = OpenTurn()
        assert not turn.owes_answer(0.0)
        turn.caller_spoke("Where is my book?", 10.0)

        assert turn.owes_answer(10.0 + STALE_S)
        assert not turn.owes_answer(10.1 + STALE_S)


class TestWhatTheCallerMissed:
    def test_it_is_said_again_once(self) -> None:
        turn = OpenTurn()
        turn.missed("It is on its way.", may_be_repeated=False)
        turn.repeat_missed()

        assert turn.untold() == ["It is on its way."]
        turn.repeat_missed()
        assert turn.untold() == []

    def test_nothing_missed_is_nothing_to_say(self) -> None:
        turn = OpenTurn()
        turn.missed("It is on its way.", may_be_repeated=False)
        turn.missed("", may_be_repeated=True)
        turn.repeat_missed()

        assert turn.untold() == ["It is on its way."]

    def test_a_server_that_may_repeat_it_by_itself_is_given_the_time(self) -> None:
        turn = OpenTurn()
        turn.missed("It is on its way.", may_be_repeated=True)
        turn.repeat_missed()
        at_first = turn.untold()
        turn.repeat_missed(also_if_repeated=True)

        assert (at_first, turn.untold()) == ([], ["It is on its way."])

    def test_a_server_that_repeats_it_does_it_alone(self) -> None:
        turn = OpenTurn()
        turn.missed("It is on its way.", may_be_repeated=True)
        assert turn.has_missed
        turn.server_goes_on()

        assert not turn.has_missed

    def test_what_it_cannot_repeat_is_not_taken_for_repeated(self) -> None:
        turn = OpenTurn()
        turn.missed("It is on its way.", may_be_repeated=False)
        turn.server_goes_on()

        assert turn.has_missed

    def test_it_is_out_of_date_when_the_caller_speaks(self) -> None:
        turn = OpenTurn()
        turn.missed("It is on its way.", may_be_repeated=False)
        turn.caller_spoke("Never mind.", 10.0)

        assert not turn.has_missed


class TestWordForWord:
    def test_a_text_is_told_to_every_chat_until_it_is_spoken(self) -> None:
        turn = OpenTurn()
        turn.say("We close now. Good night.")
        told = [turn.untold()]
        turn.chat_lost()
        told.append(turn.untold())
        turn.spoken("We close now.")
        turn.spoken("Good night.")
        turn.chat_lost()
        told.append(turn.untold())

        assert told == [["We close now. Good night."], ["We close now. Good night."], []]

    def test_texts_are_told_in_their_order(self) -> None:
        turn = OpenTurn()
        turn.say("One.")
        turn.say("Two.")

        assert turn.untold() == ["One.", "Two."]
        turn.spoken("One.")
        turn.chat_lost()
        assert turn.untold() == ["Two."]

    def test_a_server_that_writes_it_differently_has_spoken_the_oldest(self) -> None:
        turn = OpenTurn()
        turn.say("Ten £.")
        turn.untold()
        turn.spoken("Ten pounds.")
        turn.chat_lost()

        assert turn.untold() == []

    def test_what_nobody_asked_for_is_none_of_them(self) -> None:
        turn = OpenTurn()
        turn.say("Not told yet.")
        turn.spoken("A nudge.")

        assert turn.untold() == ["Not told yet."]

    def test_of_very_many_texts_the_oldest_are_forgotten(self) -> None:
        turn = OpenTurn()
        for number in range(MAX_TEXTS + 1):
            turn.say(str(number))

        assert turn.untold()[0] == "1"


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
