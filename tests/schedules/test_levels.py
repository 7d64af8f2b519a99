import pytest

from schedules.errors import DomainError
from schedules.levels import Level, LevelError


def test_levels_are_coded_as_the_provincial_interfaces_code_them() -> None:
    assert [(level.word, int(level)) for level in Level] == [("emergency", 1), ("priority", 2), ("routine", 3)]


def test_the_lower_number_takes_the_air() -> None:
    assert Level.EMERGENCY.outranks(Level.PRIORITY)
    assert Level.PRIORITY.outranks(Level.ROUTINE)
    assert not Level.ROUTINE.outranks(Level.ROUTINE)


@pytest.mark.parametrize("level", Level)
def test_words_go_both_ways(level: Level) -> None:
    assert Level.from_word(level.word) is level


def test_another_word_is_refused() -> None:
    with pytest.raises(LevelError, match="'urgent' is not a level; send one of emergency, priority, routine") as caught:
        Level.from_word("urgent")
    assert caught.value.code == "unknown_level"
    assert caught.value.fields == {"level": "urgent", "known": ["emergency", "priority", "routine"]}


def test_an_error_has_only_the_codes_that_its_class_tells() -> None:
    with pytest.raises(ValueError, match="no code 'typo'"):
        LevelError("typo", "a sentence")
    with pytest.raises(ValueError, match="no code"):
        DomainError("anything", "a sentence")
