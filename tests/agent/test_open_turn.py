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
        turn.ended()
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
        turn.repeat_missed(1.0)

        assert turn.untold(2.0) == ["It is on its way."]
        turn.repeat_missed(1.0)
        assert turn.untold(2.0) == []

    def test_nothing_missed_is_nothing_to_say(self) -> None:
        turn = OpenTurn()
        turn.missed("It is on its way.", may_be_repeated=False)
        turn.missed("", may_be_repeated=True)
        turn.repeat_missed(1.0)

        assert turn.untold(2.0) == ["It is on its way."]

    def test_a_server_that_may_repeat_it_by_itself_is_given_the_time(self) -> None:
        turn = OpenTurn()
        turn.missed("It is on its way.", may_be_repeated=True)
        turn.repeat_missed(1.0)
        at_first = turn.untold(2.0)
        turn.repeat_missed(1.0, also_if_repeated=True)

        assert (at_first, turn.untold(2.0)) == ([], ["It is on its way."])

    def test_a_server_that_repeats_it_does_it_alone(self) -> None:
        turn = OpenTurn()
        turn.missed("It is on its way.", may_be_repeated=True)
        assert turn.has_missed
        turn.server_answers()

        assert not turn.has_missed

    def test_what_it_cannot_repeat_is_not_taken_for_repeated(self) -> None:
        turn = OpenTurn()
        turn.missed("It is on its way.", may_be_repeated=False)
        turn.server_answers()

        assert turn.has_missed

    def test_it_is_out_of_date_when_the_caller_speaks(self) -> None:
        turn = OpenTurn()
        turn.missed("It is on its way.", may_be_repeated=False)
        turn.caller_spoke("Never mind.", 10.0)

        assert not turn.has_missed

    def test_what_was_refused_is_missed_behind_what_was_cut_off(self) -> None:
        turn = OpenTurn()
        turn.missed("One moment.", may_be_repeated=False)
        turn.refused("It is on its way.", from_text=False, may_be_repeated=False)
        turn.repeat_missed(1.0)

        assert turn.untold(2.0) == ["One moment. It is on its way."]


class TestTheEndOfATurn:
    def test_a_text_that_was_spoken_is_no_answer_to_the_caller(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Where is my book?", 1.0)
        turn.say("One moment.", 1.0)
        turn.untold(1.0)
        turn.spoken("One moment.")
        turn.ended()
        after_the_text = turn.is_answered
        turn.server_answers()
        turn.ended()

        assert (after_the_text, turn.is_answered) == (False, True)

    def test_a_text_behind_an_answer_takes_nothing_from_it(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Where is my book?", 1.0)
        turn.server_answers()
        turn.spoken("One moment.")
        turn.ended()

        assert turn.is_answered

    def test_a_turn_without_a_word_is_an_answer_too(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Where is my book?", 1.0)
        turn.ended()

        assert turn.is_answered


class TestWordForWord:
    def test_a_text_whose_speaking_was_refused_is_told_again(self) -> None:
        turn = OpenTurn()
        turn.say("We close now.", 1.0)
        turn.untold(1.0)
        turn.refused("We close now.", from_text=True, may_be_repeated=False)
        turn.refused("A nudge.", from_text=True, may_be_repeated=False)

        assert turn.untold(2.0) == ["We close now."]

    def test_the_same_text_can_be_spoken_twice_in_a_call(self) -> None:
        turn = OpenTurn()
        for _ in range(2):
            turn.say("Please hold on.", 1.0)
            turn.untold(1.0)
            turn.spoken("Please hold on.")
            turn.ended()

        turn.chat_lost()
        assert turn.untold(2.0) == []

    def test_a_text_that_nobody_has_spoken_for_long_is_dropped(self) -> None:
        turn = OpenTurn()
        turn.say("Your taxi is here.", 1.0)
        turn.untold(1.0)
        turn.chat_lost()
        owed = [turn.owes_texts(1.0 + STALE_S), turn.owes_texts(1.1 + STALE_S)]

        assert owed == [True, False]
        assert turn.untold(1.1 + STALE_S) == []

    def test_a_long_text_that_the_server_writes_differently_takes_no_other_with_it(self) -> None:
        turn = OpenTurn()
        turn.say("Ten £. Twelve £.", 1.0)
        turn.say("Good night.", 1.0)
        turn.untold(1.0)
        turn.spoken("Ten pounds.")
        turn.spoken("Twelve pounds.")
        turn.chat_lost()

        assert turn.untold(2.0) == ["Good night."]

    def test_a_text_is_told_to_every_chat_until_it_is_spoken(self) -> None:
        turn = OpenTurn()
        turn.say("We close now. Good night.", 1.0)
        told = [turn.untold(2.0)]
        turn.chat_lost()
        told.append(turn.untold(2.0))
        turn.spoken("We close now.")
        turn.spoken("Good night.")
        turn.chat_lost()
        told.append(turn.untold(2.0))

        assert told == [["We close now. Good night."], ["We close now. Good night."], []]

    def test_texts_are_told_in_their_order(self) -> None:
        turn = OpenTurn()
        turn.say("One.", 1.0)
        turn.say("Two.", 1.0)

        assert turn.untold(2.0) == ["One.", "Two."]
        turn.spoken("One.")
        turn.chat_lost()
        assert turn.untold(2.0) == ["Two."]

    def test_a_server_that_writes_it_differently_has_spoken_the_oldest(self) -> None:
        turn = OpenTurn()
        turn.say("Ten £.", 1.0)
        turn.untold(2.0)
        turn.spoken("Ten pounds.")
        turn.chat_lost()

        assert turn.untold(2.0) == []

    def test_a_sentence_of_a_text_is_known_by_its_words(self) -> None:
        turn = OpenTurn()
        turn.say("We close now. Good night.", 1.0)
        before = turn.was_told("Good night.")
        turn.untold(1.0)

        assert (before, turn.was_told("Good night."), turn.was_told("Hello.")) == (
            False,
            True,
            False,
        )

    def test_what_nobody_asked_for_is_none_of_them(self) -> None:
        turn = OpenTurn()
        turn.say("Not told yet.", 1.0)
        turn.spoken("A nudge.")

        assert turn.untold(2.0) == ["Not told yet."]

    def test_of_very_many_texts_the_oldest_are_forgotten(self) -> None:
        turn = OpenTurn()
        for number in range(MAX_TEXTS + 1):
            turn.say(str(number), 1.0)

        assert turn.untold(2.0)[0] == "1"


class TestAskingAgain:
    def test_the_last_words_without_an_answer_are_repeated(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Hello?", 1.0)
        turn.caller_spoke("Where is my book?", 2.0)

        assert turn.ask_again() == "Where is my book?"

    def test_nothing_is_repeated_once_it_was_answered(self) -> None:
        turn = OpenTurn()
        turn.caller_spoke("Where is my book?", 2.0)
        turn.ended()

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
