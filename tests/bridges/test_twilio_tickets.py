from evibridge.agent.call_plan import CallerFacts
from evibridge.bridges.twilio_tickets import TICKET_S, Tickets


def test_a_ticket_is_good_for_one_stream() -> None:
    tickets = Tickets()
    ticket = tickets.issue(CallerFacts("CA1", "+1", "+2"), 0.0)

    assert tickets.redeem("CA1", ticket.token, 1.0) == ticket
    assert tickets.redeem("CA1", ticket.token, 1.0) is None


def test_a_repeated_webhook_gets_the_same_ticket() -> None:
    tickets = Tickets()

    assert (
        tickets.issue(CallerFacts("CA1"), 0.0).token == tickets.issue(CallerFacts("CA1"), 1.0).token
    )
    assert tickets.count(1.0) == 1


def test_each_call_gets_a_ticket_of_its_own() -> None:
    tickets = Tickets()

    assert (
        tickets.issue(CallerFacts("CA1"), 0.0).token != tickets.issue(CallerFacts("CA2"), 0.0).token
    )


def test_a_ticket_of_another_call_is_refused() -> None:
    tickets = Tickets()
    tickets.issue(CallerFacts("CA1"), 0.0)
    other = tickets.issue(CallerFacts("CA2"), 0.0)

    assert tickets.redeem("CA1", other.token, 1.0) is None
    assert tickets.redeem("CA3", other.token, 1.0) is None
    assert tickets.redeem("CA1", "é", 1.0) is None


def test_an_old_ticket_has_expired_and_its_place_is_free() -> None:
    tickets = Tickets()
    ticket = tickets.issue(CallerFacts("CA1"), 0.0)

    assert tickets.count(TICKET_S) == 0
    assert tickets.redeem("CA1", ticket.token, TICKET_S) is None


def test_the_token_and_the_numbers_stay_out_of_logs() -> None:
    ticket = Tickets().issue(CallerFacts("CA1", "+14155550100"), 0.0)

    assert ticket.token not in repr(ticket)
    assert "+14155550100" not in repr(ticket)
