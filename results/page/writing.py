"""Writing what can be made again from the record: the table of trials, the front, the report."""

import os

from results.analysis.studies import Study, load
from results.page.page import page
from study_common import layout
from study_common.errors import NO_ROOM, UserError
from study_common.files import replacing


def write_results(path: str | os.PathLike[str]) -> Study:
    """Write `trials.parquet`, `front.csv` and `report.html` of the study `path`; return the study.

    `front.csv` has the columns of `trials.parquet` but for the duration, so that the same seed on one worker writes
    the same file again; then `draws`, `p_front` and the errors of `Study.configurations`. Each file is written
    completely or not at all. O(n log n) for n trials, as the front.

    Raises:
        UserError: As `load`, or a directory that cannot be written.
    """
    study = load(path)
    front = study.front().drop(columns="duration_s")
    report = page(study)
    try:
        with replacing(study.path / layout.TRIALS_FILE) as part:
            study.trials.to_parquet(part, index=False)
        with replacing(study.path / layout.FRONT_FILE) as part:
            front.to_csv(part, index=False)
        with replacing(study.path / layout.REPORT_FILE) as part:
            part.write_text(report, encoding="utf-8")
    except OSError as error:
        remedy = "free some space" if error.errno in NO_ROOM else "copy the study to a directory of your own"
        raise UserError(f"the report cannot be written ({error}); {remedy}") from None
    return study
