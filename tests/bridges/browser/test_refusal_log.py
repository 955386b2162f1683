from evibridge.bridges.browser.refusal_log import RefusalLog


def test_a_code_has_one_line_per_second_that_counts_the_others() -> None:
    log = RefusalLog()
    assert [log.count("bad_offer", 10.0 + n / 10) for n in range(10)] == [1, *[0] * 9]
    assert log.count("token_used", 10.5) == 1
    assert log.count("bad_offer", 11.0) == 10
    assert log.count("bad_offer", 11.5) == 0
    assert log.count("bad_offer", 30.0) == 2
