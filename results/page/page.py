"""The report: one HTML page that works offline, of ``page.html``, ``page.css``, our scripts and plotly.js.

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

from results.analysis import confirmation, formatting, selection, thinning
from results.analysis.studies import Study
from results.page import confusions, gallery
from results.page.panels import Panel, panels
from study_common import layout

MOST_STRIPS = 8
"""Trials in the saliency gallery."""

MOST_FAILURES = 50
"""Failed trials listed."""

WHY = {
    "Most accurate": "The highest validation accuracy of the front; the cheapest of equals.",
    "Knee": "The nearest to the best of every objective at once, each scaled to its range over the front.",
    "Cheapest within 1 point": "The least {cost} of those on the front at most one point below its best accuracy.",
}

SCRIPTS = ("page.js", "figures.js", "table.js")

CARD_METRICS = ("accuracy", "flops", "bops", "size_bytes", "faithfulness")


def page(study: Study) -> str:
    """Return the report of ``study`` as HTML."""
    recommended = selection.recommend(study)
    chosen = [int(row["number"]) for row in recommended.values()]
    examined = gallery.examined(study, chosen)
    drawn = thinning.drawn(study, always=[*chosen, *study.confirmations["trial"], *examined.index])
    strips = _strips(study, drawn, chosen)
    columns = [_column(study, strip) for strip in _float_strip(strips, study) + strips]
    sections = panels(study, drawn, strips)
    tests = confirmation.confirmed(study)
    source = files("results.page")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.undefined = jinja2.StrictUndefined
    return environment.from_string(source.joinpath("page.html").read_text("utf-8")).render(
        study=study,
        place=shlex.quote(str(study.path)),
        sentence=formatting.in_a_sentence(study),
        cards=[_card(study, tests, name, row) for name, row in recommended.items()],
        sections=sections,
        columns=columns,
        unseen=[number for number in dict.fromkeys(chosen) if number not in {one.number for one in strips}],
        examined=examined,
        confused=_confused(study, chosen),
        looks=len(study.test_reads),
        confirmed=_confirmed(study, tests),
        failures=_failures(study),
        shown=len(drawn),
        tell=formatting.tell,
        style=Markup(source.joinpath("page.css").read_text("utf-8")),
        plotly=Markup(get_plotlyjs()),
        script=Markup("\n".join(source.joinpath(name).read_text("utf-8") for name in SCRIPTS)),
        data=_data(study, drawn, sections),
    )


def _card(study: Study, tests: pd.DataFrame, name: str, row: pd.Series) -> dict[str, Any]:
    """Return what the first screen says of a recommended trial; ``tests`` is :func:`results.confirmed`."""
    figures = []
    for metric in dict.fromkeys([*CARD_METRICS, *study.objectives]):
        if f"metrics.{metric}" in row:
            error = selection.error_bar(row, metric)
            figures.append((metric, *_with_error(metric, row[f"metrics.{metric}"], error)))
    measured = (tests["trial"] == row["number"]) & ~tests["objective"].isin(selection.COSTS)
    for test in tests[measured].itertuples():
        metric = f"{test.objective}, test{' after refit' if test.refit else ''}"
        figures.append((metric, *_with_error(test.objective, test.mean, test.high - test.mean)))
    return {
        "name": name,
        "why": WHY[name].format(cost=selection.cost_metric(study)),
        "number": int(row["number"]),
        "figures": figures,
        "widths": selection.widths(study, row),
        "command": selection.export_command(study, row),
    }


def _with_error(metric: str, value: float, error: float) -> tuple[str, str]:
    return formatting.tell(metric, value), f"± {formatting.tell(metric, error)}" if math.isfinite(
        error
    ) else ""


def _strips(study: Study, drawn: pd.DataFrame, chosen: list[int]) -> list[gallery.Strip]:
    """Return saliency of the recommended trials and of as many others of the front as the gallery holds."""
    front = drawn.loc[drawn["role"] == "front", "number"]
    found = (gallery.strip(study, number) for number in dict.fromkeys([*chosen, *front]))
    return [strip for strip, _ in zip((one for one in found if one), range(MOST_STRIPS), strict=False)]


def _float_strip(strips: list[gallery.Strip], study: Study) -> list[gallery.Strip]:
    """Return the strip of the float model, if the study has one and its trials show the same images."""
    found = gallery.strip(study, None)
    return [found] if found and strips and found.images == strips[0].images else []


def _column(study: Study, strip: gallery.Strip) -> dict[str, Any]:
    """Return a strip with what stands above it: whose it is, how accurate and how wide."""
    if strip.number is None:
        return {"strip": strip, "accuracy": _float_accuracy(study), "widths": []}
    row = study.trials[study.trials["number"] == strip.number].iloc[0]
    widths = selection.widths(study, row).values()
    kinds = {kind: [w[kind] for w in widths if kind in w] for kind in ("weights", "activations")}
    told = [
        f"{name} {_brief(kinds[kind])}"
        for kind, name in (("weights", "weights"), ("activations", "inputs"))
        if kinds[kind]
    ]
    return {"strip": strip, "accuracy": row.get("metrics.accuracy", math.nan), "widths": told}


def _float_accuracy(study: Study) -> float:
    try:
        return float(pd.read_csv(study.path / layout.INIT_DIR / layout.CURVE_FILE)["accuracy"].iloc[-1])
    except (OSError, ValueError, LookupError):  # not copied, or cut short
        return math.nan


def _brief(bits: list[int]) -> str:
    """Say the widths of all layers in a few characters.

    >>> _brief([4, 4, 32]), _brief([2, 8] * 10)
    ('4 4 32', '2 to 8')
    """
    return " ".join(map(str, bits)) if len(bits) <= 6 else f"{min(bits)} to {max(bits)}"


def _confused(study: Study, chosen: list[int]) -> list[dict[str, Any]]:
    """Return the confusion matrix of each recommended trial that left one, a row a class."""
    found = ((number, confusions.confusion(study, number)) for number in dict.fromkeys(chosen))
    return [
        {
            "number": number,
            "classes": list(matrix),
            "rows": list(zip(matrix.to_numpy(), confusions.by_class(matrix).itertuples(), strict=True)),
        }
        for number, matrix in found
        if matrix is not None
    ]


def _confirmed(study: Study, tests: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one entry a confirmed trial: its figures by objective and its chance of being non-dominated."""
    chances = confirmation.probability_nondominated(study).to_dict()
    return [
        {
            "trial": trial,
            "refit": refit,
            "seeds": int(rows["seeds"].iloc[0]),
            "chance": chances[trial, refit],
            "objectives": rows.to_dict("records"),
        }
        for (trial, refit), rows in tests.groupby(["trial", "refit"])
    ]


def _failures(study: Study) -> dict[str, Any]:
    failed = study.trials[study.trials["state"] == "failed"]
    listed = failed.head(MOST_FAILURES)
    return {
        "count": len(failed),
        "rows": list(zip(listed["number"], listed["error"].fillna(""), strict=True)),
    }


def _data(study: Study, drawn: pd.DataFrame, sections: dict[str, list[Panel]]) -> Markup:
    """Return the JSON that the script works on; no ``<`` in it can end the element that holds it."""
    lead = ["number", "role", *(f"metrics.{name}" for name in study.objectives)]
    table = drawn[lead + [name for name in drawn if name not in [*lead, "state", "feasible"]]]
    document = {
        "name": study.name,
        "objectives": list(study.objectives),
        "columns": list(table),
        "rows": [[_plain(value) for value in row] for row in table.itertuples(index=False, name=None)],
        "figures": {
            panel.id: json.loads(panel.figure.to_json()) for group in sections.values() for panel in group
        },
    }
    return Markup(json.dumps(document, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))


def _plain(value: Any) -> Any:
    """Return a cell as JSON knows it; nothing for what is missing or not finite."""
    if pd.isna(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if hasattr(value, "item") else value
