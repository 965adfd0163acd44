"""Work on all cores."""

import threading

import pytest

from trainables.data.images.parallel import on_all_cores


def test_results_come_in_order_and_an_error_comes_through():
    assert on_all_cores(lambda item: item * item, range(100), "Squaring") == [n * n for n in range(100)]
    assert on_all_cores(str, [], "Nothing") == []
    with pytest.raises(ZeroDivisionError):
        on_all_cores(lambda item: 1 // item, [1, 0], "Dividing")


def test_functions_run_beside_each_other_where_there_are_cores():
    import os

    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core")
    barrier = threading.Barrier(2, timeout=30)
    on_all_cores(lambda _: barrier.wait(), range(2), "Meeting")  # one alone would wait until the time-out
