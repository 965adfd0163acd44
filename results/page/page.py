"""The report: one HTML page that works offline, of `page.html`, `page.css`, our scripts and plotly.js.

What the page shows is gathered here; how it looks is in the HTML and CSS; hovering, pinning, sorting and
exporting are in the JavaScript. All text is escaped by the template, all data travels as JSON.
"""

import json
import math
import shlex
from importlib.resources import files
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from results.analysis import confirmation, estimates, image_files, membership, thinning
from results.analysis.classes import class_metrics
from results.analysis.formatting import format_metric
from results.analysis.fronts import hypervolume_warnings
from results.analysis.run_files import Latency, RunFiles
from results.analysis.studies import Study
from results.page import gallery
from results.page.cards import Z95, cards, format_probability
from results.page.panels import Panel, panels
from results.page.summary import summary

MAX_FAILURES = 50
"""Failed trials listed."""

SCRIPTS = ("page.js", "figures.js", "table.js")


def page(study: Study) -> str:
    """Return the report of `study` as HTML."""
    return (
        environment()
        .get_template("page.html")
        .render(
            **content(study), style=Markup(style()), plotly=Markup(get_plotlyjs()), script=Markup(script())
        )
    )


def environment(*packages: tuple[str, str]) -> jinja2.Environment:
    """Return what renders `page.html`, and the templates in other folders, which may extend it.

    Args:
        packages: Each folder of templates: the package that it is in, and its path there.
    """
    folders = [jinja2.PackageLoader(*folder) for folder in (("results", "page"), *packages)]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(folders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def style() -> str:
    """Return the style sheet of the report."""
    return files("results.page").joinpath("page.css").read_text("utf-8")


def script() -> str:
    """Return the scripts of the report as one; the function `start` in it draws the page."""
    return "\n".join(files("results.page").joinpath(name).read_text("utf-8") for name in SCRIPTS)


def content(study: Study) -> dict[str, Any]:
    """Return what `page.html` shows of a study, by name."""
    run_files = RunFiles(study.path)
    chosen = [int(trial["number"]) for trial in study.recommend().values()]
    examined = gallery.examined(study, run_files, chosen)
    shown = thinning.shown_trials(study, always=[*chosen, *study.confirmations["trial"], *examined.index])
    front = shown.loc[shown["role"] == "front", "number"]
    columns = gallery.columns(study, run_files, list(dict.fromkeys([*chosen, *front])))
    sections = panels(study, shown, [column.strip for column in columns], run_files)
    tests = confirmation.confirmed(study)
    return {
        "study": study,
        "path": shlex.quote(str(study.path)),
        "summary": summary(study),
        "warnings": hypervolume_warnings(study.trials, study.objectives),
        "caveat": membership.caveat(study.configurations, study.confirmations),
        "cards": cards(study, tests, run_files),
        "sections": sections,
        "agreement": _agreement(study, run_files),
        "initial": f"{study.request['request'].get('init') or 'float'} model",
        "columns": columns,
        "unseen": [n for n in dict.fromkeys(chosen) if n not in {column.strip.number for column in columns}],
        "examined": examined,
        "matrices": _matrices(run_files, chosen),
        "image_files": _image_files(run_files),
        "latencies": _latencies(run_files, study.front()["number"].tolist()),
        "confirmed": _confirmed(study, tests),
        "failures": _failures(study),
        "shown": len(shown),
        "damaged": run_files.damaged,
        "format_metric": format_metric,
        "format_probability": format_probability,
        "data": _data(study, shown, sections),
    }


def _agreement(study: Study, run_files: RunFiles) -> list[dict[str, Any]]:
    """Return how well the width table ranks the trials, one row per objective; none without a table."""
    table = run_files.width_table()
    found = [] if table is None else estimates.agreement(study, table).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in found]


def _matrices(run_files: RunFiles, chosen: list[int]) -> list[dict[str, Any]]:
    """Return the confusion matrix of each recommended trial that left one, one row per class."""
    found = ((number, run_files.confusion(number)) for number in dict.fromkeys(chosen))
    return [
        {
            "number": number,
            "classes": list(matrix),
            "rows": list(zip(matrix.to_numpy(), class_metrics(matrix).itertuples(), strict=True)),
        }
        for number, matrix in found
        if matrix is not None
    ]


def _image_files(run_files: RunFiles) -> dict[str, Any] | None:
    """Return the counts of the image files by class and by reason; None if the images are in no folder."""
    rows = run_files.image_files()
    if rows is None:
        return None
    classes, reasons = image_files.by_class(rows), image_files.by_reason(rows)
    kinds = rows["reason"].map(image_files.kind)
    examples = dict(zip(kinds[::-1], rows["path"][::-1], strict=True))  # the first of each
    return {
        "count": len(rows),
        "groups": image_files.by_group(rows),
        "columns": list(classes),
        "classes": [(name, row.tolist()) for name, row in classes.iterrows()],
        "reasons": [(reason, count, examples[reason]) for reason, count in reasons.items()],
    }


def _latencies(run_files: RunFiles, numbers: list[int]) -> list[tuple[int, str, Latency]]:
    """Return what was measured of each exported model of these trials: trial, file, figures."""
    return [
        (number, name, one) for number in numbers for name, one in (run_files.latency(number) or {}).items()
    ]


def _confirmed(study: Study, tests: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one entry per confirmed trial: its figures by objective and its probability of being non-dominated."""
    probabilities = confirmation.probability_nondominated(study).to_dict()
    return [
        {
            "trial": trial,
            "refit": refit,
            "seeds": int(rows["seeds"].iloc[0]),
            "probability": probabilities[trial, refit],
            "objectives": rows.to_dict("records"),
        }
        for (trial, refit), rows in tests.groupby(["trial", "refit"])
    ]


def _failures(study: Study) -> dict[str, Any]:
    failed = study.trials[study.trials["state"] == "failed"]
    listed = failed.head(MAX_FAILURES)
    return {
        "count": len(failed),
        "rows": list(zip(listed["number"], listed["error"].fillna(""), strict=True)),
    }


def _data(study: Study, shown: pd.DataFrame, sections: dict[str, list[Panel]]) -> Markup:
    """Return the JSON that the script works on; no `<` in it can end the element that holds it."""
    first = ["number", "role", "p_front", "draws", *(f"metrics.{name}" for name in study.objectives)]
    doubtful = [] if shown["doubt"].notna().any() else ["doubt"]
    hidden = ["state", *doubtful, "feasible", "likely", *(f"error.{name}" for name in study.objectives)]
    table = shown[first + [name for name in shown if name not in [*first, *hidden]]]
    half_widths = {
        name: [plain(value) for value in (Z95 * shown[f"error.{name}"]).replace(0.0, math.nan)]
        for name in study.objectives
    }
    document = {
        "name": study.name,
        "objectives": list(study.objectives),
        "columns": list(table),
        "rows": [[plain(value) for value in row] for row in table.itertuples(index=False, name=None)],
        "half_widths": half_widths,
        "figures": {
            panel.id: json.loads(panel.figure.to_json()) for group in sections.values() for panel in group
        },
    }
    return Markup(json.dumps(document, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))


def plain(value: Any) -> Any:
    """Return a cell as JSON knows it; nothing for what is missing or not finite."""
    if pd.isna(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if hasattr(value, "item") else value
