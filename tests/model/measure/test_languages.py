from model.measure.languages import same_slots


def test_slots_that_both_fill_alike_count_and_silence_does_not() -> None:
    found = same_slots([("a red orb", "a red orb"), ("a red orb", "a blue orb"), ("a red orb", "a red one")])
    # colour and shape of the first; shape of the second; colour of the third; one slot wrong in each of the last two.
    assert (found.right, found.count) == (4, 6)
    assert same_slots([("", "")]).count == 0
