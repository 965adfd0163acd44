"""What a study would try, cost and take, before it starts: the text of --dry-run."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import trainables
from search_spaces import Domain, Float
from study.planning import initial_points
from study.search.scheduler import expected_epochs
from study.store.request import Request
from study_common.machine import available_cpus, available_memory, peak_memory
from study_common.objectives import COSTS


def describe(request: Request) -> str:
    """Return the space, the range of the costs and an estimate of the time; one epoch is trained to measure it."""
    size = request.space.size()
    lines = [f"space {request.space.name}: {'infinitely many' if size is None else size} configurations"]
    lines += [f"  {name}: {_range(domain)}" for name, domain in request.space.parameters.items()]
    lines += [f"  {point}" for point in request.space.points]
    extremes = _extremes(request) or [{}]
    costs = [trainables.costs(request.config(point)) for point in extremes]
    for name in COSTS:
        least, most = (pick(cost[name] for cost in costs) for pick in (min, max))
        lines.append(f"{name}: {least:,.0f} to {min(most, request.constraints.get(name, most)):,.0f}")
    trainables.prepare_process()  # on one thread, as a worker does
    with contextlib.nullcontext() if request.gpus_per_trial else _without_gpus():
        seconds = next(trainables.epochs(request.config(extremes[0]))).seconds
    workers = min(request.workers or available_cpus(), available_cpus())
    each = peak_memory()  # imports, the images and an epoch, as in a worker
    if (start := request.start()) is not None:
        passes, quantisers = 3 if start.widths else 1, _quantiser_bytes(start)
        each += quantisers
        line = (
            f"start: {_counted(start.epochs, 'epoch')} of about {passes * seconds:.1f} s for the {request.init} model, "
            f"on one worker, take {_time(start.epochs * passes * seconds)}"
        )
        lines.append(line + (f"; its quantisers take {quantisers / 1e6:.1f} MB" if start.widths else ""))
    lines.append(_memory(workers, each, available_memory()))
    trials, epochs = _counted(request.attainable, "trial"), _counted(request.epochs, "epoch")
    lines.append(
        f"time: {trials} of up to {epochs} of {seconds:.1f} s on {_counted(workers, 'worker')} take about "
        f"{_time(expected_epochs(request) * seconds / workers)}"
    )
    return "\n".join(lines)


def _time(seconds: float) -> str:
    """Return a time as a reader plans with it.

    >>> _time(8.6), _time(200)
    ('9 s', '3 min')
    """
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"


def _memory(workers: int, each: int, available: int) -> str:
    """Say what workers of so many bytes each take, and what to do when that is more than there is.

    >>> _memory(4, 3 * 10**9, 10**10)
    'memory: 4 workers of 3.0 GB take 12.0 of 10.0 GB: too much; give fewer --workers, or a smaller batch_size by --set'
    """
    whole = f"{workers * each / 1e9:.1f} of {available / 1e9:.1f} GB"
    said = f"memory: {_counted(workers, 'worker')} of {each / 1e9:.1f} GB take{'s' * (workers == 1)} {whole}"
    if workers * each <= available:
        return said
    return f"{said}: too much; give fewer --workers, or a smaller batch_size by --set"


def _quantiser_bytes(config: trainables.Config) -> int:
    """Return the memory of the quantisers in training: each value has a gradient and two averages of Adam."""
    return 16 * trainables.quantiser_values(config)


@contextlib.contextmanager
def _without_gpus() -> Iterator[None]:
    name = "CUDA_VISIBLE_DEVICES"
    before = os.environ.get(name)
    os.environ[name] = ""
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _extremes(request: Request) -> list[dict[str, Any]]:
    """Return configurations that a study may try, the cheapest and the most expensive among them."""
    space = request.space
    if space.points:
        return [dict(point) for point in space.points if request.is_feasible(point)]
    corners = initial_points.corners(space, request.flat({}))
    return [point for point in corners if point in space or point in request.queue]


def _range(domain: Domain) -> str:
    values = domain.finite()
    if values is not None:
        return ", ".join(map(str, values))
    assert isinstance(domain, Float)
    return f"{domain.low} to {domain.high}{', logarithmic' if domain.log else ''}"
