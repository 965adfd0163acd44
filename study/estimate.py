"""What a study would try, cost and take, before it starts: the text of --dry-run."""

import os

import trainables
from search_spaces import Domain, Float
from study.objectives import COSTS
from study.request import Request


def describe(request: Request) -> str:
    """Return the space, the range of the costs and an estimate of the time, which it trains one epoch for."""
    size = request.space.size()
    lines = [f"space {request.space.name}: {'infinitely many' if size is None else size} configurations"]
    lines += [f"  {name}: {_range(domain)}" for name, domain in request.space.parameters.items()]
    lines += [f"  {point}" for point in request.space.points]
    extremes = request.space.points or request.queue or [{}]
    costs = [trainables.costs(request.config(point)) for point in extremes]
    for name in COSTS:
        least, most = (pick(cost[name] for cost in costs) for pick in (min, max))
        lines.append(f"{name}: {least:,.0f} to {most:,.0f}")
    seconds = next(trainables.train(request.config(extremes[0]))).seconds
    workers = request.workers or os.cpu_count() or 1
    trials = min(request.trials, size or request.trials)
    total = trials * request.epochs * seconds / workers
    lines.append(
        f"time: {trials} trials of up to {request.epochs} epochs of {seconds:.1f} s on {workers} workers "
        f"take at most {total / 60:.0f} min, {expected_share(request) * total / 60:.0f} min if "
        f"{request.scheduler} stops as many as it should"
    )
    return "\n".join(lines)


def expected_share(request: Request) -> float:
    """Return the share of the epochs of all trials that is trained if each rung lets one in the factor pass.

    1 / `reduction_factor` of those that reach a rung go on; under fifo there is one rung and the share is 1.
    """
    share, earlier = 0.0, 0
    for level, epoch in enumerate(request.rungs):
        share += (epoch - earlier) / request.reduction_factor**level
        earlier = epoch
    return share / request.epochs


def _range(domain: Domain) -> str:
    values = domain.finite()
    if values is not None:
        return ", ".join(map(str, values))
    assert isinstance(domain, Float)
    return f"{domain.low} to {domain.high}{', logarithmic' if domain.log else ''}"
