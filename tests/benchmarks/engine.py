"""What the engine costs a trial, beside its peers in the same run.

    python -m tests.benchmarks.engine [--json FILE] [--quick]

overhead_s: seconds from the end of one trial to the end of the next, training that takes no time on 2 slots, every
trial in a database on disk. ask_tell_56_ms: proposing and recording a configuration of 56 bit-widths and its end, in
SQLite. ask_tell_3000_ms: the same at 3,000 recorded trials of 25 parameters. ask_tell_resnet18_first_ms and _last_ms: a
study of 30 trials over every layer of resnet18, its first ten and its last ten. Medians.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import ray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState
from ray import tune
from ray.tune.search.optuna import OptunaSearch

import search_spaces
import study
from search_spaces import Choice, Domain, Float, Space
from study.planning.spec import Spec
from study.search.encoding import from_unit
from study.search.feasible import FeasibleSpace
from study.search.proposals import Proposals, make_sampler
from study.store import database
from study.store.record import Record, new_result
from study_common.layout import RESULT
from study_common.objectives import Objective
from tests.study import toys
from trainables.models.catalogue import layer_names

OBJECTIVES = {name: Objective(direction="max", ideal=1.0, reference=0.0) for name in ("a", "b", "c")}
WIDTHS = (2, 3, 4, 6, 8)
EPOCHS = 9


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.engine", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--quick", action="store_true", help="fewer trials")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    trials, asks = (20, 8) if arguments.quick else (100, 30)
    with tempfile.TemporaryDirectory() as folder:
        figures: dict[str, Any] = {"sampler": Spec.sampler}
        figures |= asks_and_tells(Path(folder), asks)
        figures |= overheads(Path(folder), trials)
    for name, value in figures.items():
        print(f"{name:32} {value if isinstance(value, str) else f'{value:10.3f}'}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def asks_and_tells(folder: Path, asks: int) -> dict[str, float]:
    """Time proposals and records, ours and Optuna's, in milliseconds."""
    wide = Space(name="wide", parameters={f"bits.{i}": Choice(values=WIDTHS) for i in range(56)})
    mixed = Space(
        name="mixed",
        parameters={f"bits.{i}": Choice(values=WIDTHS) for i in range(13)}
        | {f"x{i}": Float(low=0.01, high=10.0, log=True) for i in range(12)},
    )
    rng = np.random.default_rng(0)
    earlier = [random_point(mixed, rng) for _ in range(3000)]
    every_layer = search_spaces.load("kvasir_mixed_bits").resolve(layer_names("resnet18"))
    resnet18 = ours(folder / "r.db", every_layer, 30, [])
    return {
        "ask_tell_56_ms": statistics.median(ours(folder / "a.db", wide, asks, [])),
        "ask_tell_3000_ms": statistics.median(ours(folder / "b.db", mixed, asks, earlier)),
        "ask_tell_resnet18_first_ms": statistics.median(resnet18[:10]),
        "ask_tell_resnet18_last_ms": statistics.median(resnet18[-10:]),
        "optuna_rdb_ask_tell_56_ms": optunas(wide, asks, [], TPESampler(seed=0), f"sqlite:///{folder}/c.db"),
        "optuna_tpe_ask_tell_3000_ms": optunas(mixed, min(asks, 8), earlier, TPESampler(seed=0), None),
        "optuna_tpe_multivariate_ask_tell_3000_ms": optunas(
            mixed, asks, earlier, TPESampler(seed=0, multivariate=True), None
        ),
    }


def ours(file: Path, space: Space, asks: int, earlier: list[dict[str, Any]]) -> list[float]:
    """Time each of our default sampler and record; the earlier trials are in both."""
    whole = FeasibleSpace(space)
    proposals = Proposals(whole, make_sampler(Spec.sampler, whole, len(OBJECTIVES), 0, EPOCHS))
    distributions = {name: distribution_of(domain) for name, domain in space.parameters.items()}
    with Record.open(f"sqlite:///{file}", "s", OBJECTIVES, new=True) as record:
        for point in earlier:
            proposals.start(point)
            finish(proposals, record, None, point)
        times = []
        for _ in range(asks):
            began = time.perf_counter()
            point = proposals.next()
            assert point
            number = record.add(point, distributions, new_result(0))
            finish(proposals, record, number, point)
            times.append(1e3 * (time.perf_counter() - began))
    return times


def finish(proposals: Proposals, record: Record, number: int | None, point: dict[str, Any]) -> None:
    """Tell the end of a trial; without a number only the sampler hears of it."""
    values = gains_of(point)
    proposals.measure(point, 1, values)
    proposals.measure(point, EPOCHS, values)
    proposals.end(point)
    if number is not None:
        metrics = dict(zip(OBJECTIVES, values, strict=True))
        known = new_result(0) | {"finished": "now", "metrics": metrics, "epochs": EPOCHS}
        record.finish(number, TrialState.COMPLETE, known)  # type: ignore[arg-type]


def optunas(
    space: Space, asks: int, earlier: list[dict[str, Any]], sampler: TPESampler, url: str | None
) -> float:
    """Time Optuna's own ask and tell."""
    known = optuna.create_study(directions=["maximize"] * 3, sampler=sampler, storage=url)
    distributions = {name: distribution_of(domain) for name, domain in space.parameters.items()}
    known.add_trials(
        [
            optuna.trial.create_trial(params=p, distributions=distributions, values=gains_of(p))
            for p in earlier
        ]
    )
    times = []
    for _ in range(asks):
        began = time.perf_counter()
        trial = known.ask(distributions)
        known.tell(trial, gains_of(trial.params))
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


def distribution_of(domain: Domain) -> BaseDistribution:
    """Return the Optuna distribution of a domain of these spaces."""
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.log)
    return CategoricalDistribution(domain.finite())


def random_point(space: Space, rng: np.random.Generator) -> dict[str, Any]:
    """Draw a configuration."""
    return {name: from_unit(domain, rng.random()) for name, domain in space.parameters.items()}


def gains_of(point: dict[str, Any]) -> list[float]:
    """Make up three objectives in [0, 1] that trade off against each other."""
    widths = np.array([value for name, value in point.items() if name.startswith("bits")])
    others = np.array([value for name, value in point.items() if name.startswith("x")] or [1.0])
    return [
        float(1 - (2.0**-widths).mean() * 2),
        float(1 - widths.mean() / 10),
        float(np.exp(-(np.log(others) ** 2)).mean()),
    ]


def overheads(folder: Path, trials: int) -> dict[str, float]:
    """Time trials that train nothing, ours and Ray Tune's, on 2 slots."""
    with local_ray():
        spec = Spec(space="mixed_bits", name="s", runs_dir=str(folder), trials=trials, epochs=1, workers=2)
        directory = study.run_study(spec, train=toys.toy).directory
        with Record.open(database.url_in(directory), "s", study.Request.read(directory).objectives) as record:
            ends = [trial.user_attrs[RESULT]["finished"] for trial in record.study.get_trials()]
        figures = {"overhead_s": interval([datetime.fromisoformat(end).timestamp() for end in ends])}
    rdb = optuna.storages.RDBStorage(f"sqlite:///{folder}/tune.db")
    search = OptunaSearch(
        space={f"bits{i}": CategoricalDistribution(WIDTHS) for i in range(9)},
        metric=["a", "b"], mode=["max", "min"], storage=rdb, seed=0,
    )  # fmt: skip
    peers: dict[str, Callable[[], list[float]]] = {
        "ray_tune_default_overhead_s": lambda: tuned(folder, max(6, trials // 5), reuse_actors=False),
        "ray_tune_reuse_optuna_overhead_s": lambda: tuned(
            folder, max(6, trials // 3), reuse_actors=True, search_alg=search
        ),
    }
    for name, peer in peers.items():
        with local_ray():
            figures[name] = interval(peer())
    return figures


def tuned(folder: Path, trials: int, **options: Any) -> list[float]:
    """Run Ray Tune as it comes on a function that returns at once; the times at which its trials ended."""
    ends: list[float] = []

    class Clock(tune.Callback):
        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            ends.append(time.time())

    tune.run(
        nothing, num_samples=trials, callbacks=[Clock()], storage_path=str(folder), verbose=0,
        max_concurrent_trials=2, **options,
    )  # fmt: skip
    return ends


def nothing(config: dict[str, Any]) -> None:
    """Train nothing."""
    tune.report({"a": 1.0, "b": 0.0})


def interval(ends: list[float]) -> float:
    """Return the mean seconds between two ends."""
    return (max(ends) - min(ends)) / (len(ends) - 1)


@contextmanager
def local_ray() -> Iterator[None]:
    """A Ray of two CPUs, new for each of those that are compared."""
    ray.cloudpickle.register_pickle_by_value(toys)
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
