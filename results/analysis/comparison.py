"""Two or more studies compared: what the front of each dominates, and what most of them attain.

Fronts are compared in the objectives of the first study, normalised to its (ideal, reference) pairs.
"""

from collections.abc import Sequence

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.analysis import fronts
from results.analysis.studies import Study
from study_common.errors import UserError
from study_common.files import real


def compare_studies(studies: Sequence[Study]) -> pd.DataFrame:
    """Return one row per study: study, trials, complete, front, hypervolume, joint, epsilon.

    `joint` is how many of its trials are on the front of all studies together; `epsilon` is by how much
    its normalised objectives would have to improve to reach all of that (additive epsilon indicator,
    Zitzler et al. 2003). O(n log n).

    Raises:
        UserError: Fewer than two studies, one twice, different objectives, or different data sets.
    """
    points = _points(studies)
    everything = np.concatenate(points)
    best = fronts.nondominated(everything)
    shares = np.split(best, np.cumsum([len(mine) for mine in points])[:-1])
    rows = []
    for study, name, mine, joint in zip(studies, labels(studies), points, shares, strict=True):
        rows.append(
            {
                "study": name,
                "trials": len(study.trials),
                "complete": int((study.trials["state"] == "complete").sum()),
                "front": len(mine),
                "hypervolume": fronts.volume(mine),
                "joint": int(joint.sum()),
                "epsilon": moocore.epsilon_additive(mine, ref=everything[best]) if len(mine) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def coverage(studies: Sequence[Study]) -> pd.DataFrame:
    """Return the share of the column's front that the row's front dominates."""
    points = _points(studies)
    table = [[_dominated_share(of=theirs, by=mine) for theirs in points] for mine in points]
    return pd.DataFrame(table, index=labels(studies), columns=labels(studies))


def attainment(studies: Sequence[Study]) -> pd.DataFrame:
    """Return the hypervolume of what at least one, half and all of k studies attain.

    Columns: attained by, studies, hypervolume. The surfaces are those of the empirical attainment function
    (Fonseca et al. 2011), O(k n log n) for two objectives and O(k^2 n log n) for three; empty beyond, and
    for a study without a front.
    """
    points = _points(studies)
    levels = {"one": 1, "half": (len(studies) + 1) // 2, "all": len(studies)}
    columns = ["attained by", "studies", "hypervolume"]
    if points[0].shape[1] not in (2, 3) or not all(len(some) for some in points):
        return pd.DataFrame(columns=columns)
    sets = np.repeat(np.arange(len(points)), [len(some) for some in points])
    rows = []
    for name, level in levels.items():
        surface = moocore.eaf(np.concatenate(points), sets=sets, percentiles=[100 * level / len(studies)])
        rows.append((name, level, fronts.volume(surface[:, :-1])))
    return pd.DataFrame(rows, columns=columns)


def labels(studies: Sequence[Study]) -> list[str]:
    """Return a label of each study: its name, or its path where names repeat."""
    plain = [study.name for study in studies]
    return plain if len(set(plain)) == len(plain) else [str(study.path) for study in studies]


def _points(studies: Sequence[Study]) -> list[NDArray[np.float64]]:
    """Return the front of each study as normalised costs, (f, m)."""
    if len(studies) < 2:
        raise UserError("a comparison takes at least two studies; name another, or give --paper")
    if len({real(study.path) for study in studies}) < len(studies):
        raise UserError("a comparison takes different studies")
    first = studies[0]
    for study in studies[1:]:
        if study.directions != first.directions:
            raise UserError(
                f"{study.name} optimises {_aims(study)} and {first.name} {_aims(first)}; "
                "compare studies of the same objectives"
            )
    images = {
        data["fingerprint"]: f"{study.name} is of {data.get('dataset')} ({data['fingerprint']})"
        for study in studies
        if "fingerprint" in (data := study.request.get("data", {}))
    }
    if len(images) > 1:
        raise UserError(f"{' and '.join(images.values())}; compare studies of the same data set")
    return [fronts.normalised(study.front(), first.objectives) for study in studies]


def _aims(study: Study) -> str:
    return ",".join(f"{name}:{direction}" for name, direction in study.directions.items())


def _dominated_share(*, of: NDArray[np.float64], by: NDArray[np.float64]) -> float:
    """Return which share of one front another dominates, NaN of an empty one."""
    kept = fronts.nondominated(np.concatenate([of, by]))[: len(of)]
    return float(1 - kept.mean()) if len(of) else float("nan")
