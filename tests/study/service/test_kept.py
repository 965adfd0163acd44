"""Values that are kept: made once per change, by one thread, and nobody waits for the next one."""

import threading
from collections.abc import Callable

from study.service import kept
from study.service.kept import Kept


def counting(signature: Callable[[], object]) -> tuple[Kept[int], list[int]]:
    made: list[int] = []

    def make(name: str) -> int:
        made.append(len(made))
        return made[-1]

    return Kept(lambda name, old: signature(), make), made


def test_a_value_is_made_again_when_its_signature_changes(monkeypatch) -> None:
    monkeypatch.setattr(kept, "REST", 0.0)
    state = ["a"]
    values, made = counting(lambda: state[0])
    assert [values.get("x").value for _ in range(3)] == [0, 0, 0]
    state[0] = "b"
    assert [values.get("x").number for _ in range(3)] == [2, 2, 2]
    assert len(made) == 2


def test_names_have_values_of_their_own() -> None:
    values, _ = counting(lambda: 0)
    assert values.get("x").value != values.get("y").value


def test_the_next_value_waits_for_a_rest() -> None:
    state = [0]

    def make(name: str) -> int:
        threading.Event().wait(0.05)
        return state[0]

    values = Kept(lambda name, old: state[0], make)
    assert values.get("x").value == 0
    state[0] = 1
    assert values.get("x").value == 0
    threading.Event().wait(0.05 * kept.REST + 0.05)
    assert values.get("x").value == 1


def test_who_asks_while_a_value_is_made_gets_the_one_before(monkeypatch) -> None:
    monkeypatch.setattr(kept, "REST", 0.0)
    state, making, go_on = [0], threading.Event(), threading.Event()

    def make(name: str) -> int:
        if state[0]:
            making.set()
            assert go_on.wait(60)
        return state[0]

    values = Kept(lambda name, old: state[0], make)
    assert values.get("x").value == 0
    state[0] = 1
    maker = threading.Thread(target=values.get, args=["x"])
    maker.start()
    assert making.wait(60)
    assert values.get("x").value == 0
    go_on.set()
    maker.join()
    assert values.get("x").value == 1


def test_the_first_value_is_made_once_however_many_ask() -> None:
    values, made = counting(lambda: 0)
    threads = [threading.Thread(target=values.get, args=["x"]) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
