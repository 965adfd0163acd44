"""Reasons of failed trials, grouped."""

from study.execution.failures import LONGEST, Failures


def test_reasons_that_differ_in_numbers_or_settings_are_one() -> None:
    failures = Failures()
    for trial in range(3):
        failures.add(f'epoch {trial}: kl is not finite; lower lr; config {{"seed": {trial}}}')
    failures.add("RuntimeError: derivative is not implemented\nTraceback ...")
    assert failures.lines() == [
        "3 x epoch 0: kl is not finite; lower lr",
        "1 x RuntimeError: derivative is not implemented",
    ]
    assert len(failures) == 4


def test_a_long_reason_is_cut() -> None:
    failures = Failures()
    failures.add("x" * 1000)
    assert failures.lines() == ["1 x " + "x" * LONGEST + "..."]
