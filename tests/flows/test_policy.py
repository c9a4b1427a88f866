"""How tasks run: what a try that failed had found is not told twice."""

import pytest

from flows.policy import from_a_fresh_log
from geodata.schema import Findings, InputError


def reader(fails):
    """Reads at the second try; each try notes the same repair."""
    tries = iter(fails)

    def read(path, log):
        log.reviews.append("a question")
        log.repair(file=path, field="crs", found="none", expected="a CRS", action="read as declared")
        if error := next(tries):
            raise error
        return len(log.items)

    return read


@pytest.mark.parametrize("by_name", [False, True])
def test_a_second_try_starts_from_a_fresh_log(by_name):
    log, read = Findings("sources.rain"), from_a_fresh_log(reader([OSError("the drive was away"), None]))
    arguments = {"path": "a.tif", "log": log} if by_name else {}
    for attempt in range(2):
        try:
            found = read(**arguments) if by_name else read("a.tif", log)
        except OSError:
            assert attempt == 0
            assert log.items == []
    assert found == 1
    assert [f.field for f in log.items] == ["crs"]
    assert log.reviews == ["a question"]


def test_what_was_found_before_a_wrong_input_is_told():
    log = Findings("sources.rain")
    wrong = InputError([])
    with pytest.raises(InputError):
        from_a_fresh_log(reader([wrong]))("a.tif", log)
    assert [f.field for f in log.items] == ["crs"]
