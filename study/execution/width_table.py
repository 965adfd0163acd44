"""The width table, `widths.parquet`: configurations measured with the weights of the shared model, by the workers.

It is an estimate, kept apart from the record: no row of it is a trial. The driver writes it after every few rows, so a
study that was cut off measures what is missing. A table that was altered, or that belongs to another shared model, is
measured again.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from ray.exceptions import RayError

import trainables
from results.analysis.estimates import by_loss
from results.analysis.run_files import read_width_table
from search_spaces import Point
from study.execution import keeper, run_folder
from study.execution.batch import Failed, do_all
from study.execution.patience import Patience
from study.execution.start_model import StartModel
from study.search.estimated import Estimable, promising
from study.store.inputs import Inputs
from study.store.lease import is_current
from study.store.request import Request
from study_common import digests, layout, objectives
from study_common.documents import parse_json
from study_common.errors import UserError

Estimate = Callable[[Mapping[str, Any]], Mapping[str, float]]
"""Measures a flat configuration, whose `init` is the shared model."""
AT_A_TIME = 4
"""Configurations that a worker measures before it reports."""
SAY_EVERY = 100
"""Rows after which a line says how far it is."""
POINT, SHARED = "point", "shared_model"
"""Columns: the searched values as JSON, the digest of the shared weights; beside them `params.*` and `metrics.*`."""


def estimate(flat: Mapping[str, Any]) -> Mapping[str, float]:
    """Run `trainables.estimate`: the `Estimate` of every study but those of the engine's own tests."""
    trainables.prepare_process()
    return trainables.estimate(flat)


def measure(
    request: Request,
    directory: Path,
    shared: StartModel,
    token: str,
    measure_one: Estimate,
    stop: Callable[[], bool],
    patience: Patience,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """Return the width table of a study, measuring what it lacks; a connected Ray does the work.

    Args:
        request: A study with --init shared.
        directory: Its directory.
        shared: The shared model.
        token: That of the lease of this driver.
        measure_one: How a configuration is measured.
        stop: Asked about twice per second whether to stop.
        patience: How long a worker may say nothing.
        say: Shows a line to the user.

    Raises:
        InterruptedBatchError: `stop` returned true.
        UserError: A configuration cannot be measured.
    """
    path = directory / layout.WIDTHS_FILE
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a regular file; remove it, so that the table is measured")
    estimable = Estimable.of(request)
    rows = _read(path, shared.weights, request, estimable, say)
    while wanted := estimable.next(
        _widths(rows, estimable), gains(request, pd.DataFrame(rows)), request.seed
    ):
        say(f"estimating {len(wanted)} configurations with the shared model; {len(rows)} are in the table")
        asked = len(rows) + len(wanted)
        points = [estimable.point(widths) for widths in wanted]
        parts = [points[i : i + AT_A_TIME] for i in range(0, len(points), AT_A_TIME)]
        jobs = [[{**request.flat(point), **shared.settings} for point in part] for part in parts]
        names = [f"part {number + 1} of {len(jobs)} of the width table" for number in range(len(jobs))]
        study, inputs = directory.absolute(), request.inputs
        work = partial(
            _several, measure_one=measure_one, study=study, token=token, inputs=inputs, weights=shared.weights
        )
        for number, found in do_all(jobs, work, request.gpus_per_trial, stop, patience, names, say):
            if isinstance(found, Failed):
                raise UserError(f"the width table cannot be measured: {found.reason}")
            before = len(rows)
            rows += [_row(p, m, shared.weights) for p, m in zip(parts[number], found, strict=True)]
            with digests.sealed(path) as part:
                pd.DataFrame(rows).to_parquet(part, index=False)
            if len(rows) // SAY_EVERY > before // SAY_EVERY:
                say(f"width table: {len(rows)} of {asked} configurations")
    return pd.DataFrame(rows)


def to_try(request: Request, table: pd.DataFrame) -> list[Point]:
    """Return the configurations of the table that deserve a trial: at most half of the study's."""
    points = [parse_json(text) for text in table[POINT]]
    return promising(points, gains(request, table), request.trials // 2)


def gains(request: Request, table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the estimated gains of each row, (n, m); accuracy as its loss predicts it."""
    table = by_loss(table)
    named = {name: f"metrics.{name}" for name in request.objectives}
    rows = [
        objectives.gains(request.objectives, {name: row[column] for name, column in named.items()})
        for row in table.to_dict("records")
    ]
    return np.array(rows, dtype=float).reshape(len(rows), len(named))


def _several(
    flats: Sequence[dict[str, Any]],
    measure_one: Estimate,
    study: Path,
    token: str,
    inputs: Inputs,
    weights: str,
) -> Iterator[list[dict[str, float]] | Failed]:
    """Measure several configurations, on a worker, which may not see the study; an exception becomes a sentence.

    `token` tells it whether it does, `inputs` and `weights` whether images and shared model are those of the table.
    """
    try:
        inputs.check(trainables.Config.parse(flats[0]))
        seen = is_current(study, token) or not keeper.there_is_one()
        with nullcontext(flats[0]) if seen else keeper.with_start(flats[0], study) as first:
            run_folder.check_weights(Path(flats[0]["init"]), weights, Path(first["init"]))
            yield [dict(measure_one({**flat, "init": first["init"]})) for flat in flats]
    except RayError:
        raise
    except Exception as error:
        named = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        yield Failed(reason=f"{named}{error}")


def _row(point: Point, metrics: Mapping[str, float], shared: str) -> dict[str, Any]:
    return {
        SHARED: shared,
        POINT: json.dumps(dict(point)),
        **{f"params.{name}": value for name, value in point.items()},
        **{f"metrics.{name}": float(value) for name, value in metrics.items()},
    }


def _widths(rows: list[dict[str, Any]], estimable: Estimable) -> list[Point]:
    return [
        {name: value for name, value in parse_json(row[POINT]).items() if name not in estimable.others}
        for row in rows
    ]


def _read(
    path: Path, shared: str, request: Request, estimable: Estimable, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return the rows of a table that can be believed and is of this shared model; else none, and say why."""
    if not path.exists():
        return []
    try:
        digests.check(path)
        table = read_width_table(path)
        rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
        if any(row[SHARED] != shared for row in rows):
            raise ValueError("it is of another shared model")
        _widths(rows, estimable)
        gains(request, table)
        return rows
    except KeyError as error:
        reason = f"it lacks {error}"
    except (OSError, ValueError, TypeError, AttributeError) as error:  # a point that is text or no table
        reason = str(error)
    say(f"{path} cannot be used ({reason}); it is measured again")
    return []
