"""Compare studies with each other, with the papers, or by one of their settings: python -m results.compare A B"""

import argparse

from study_common.commands import StudyParser, exit_code
from study_common.layout import find_study
from study_common.output import show


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = StudyParser("results.compare", "Compare studies with each other, or with the papers.")
    parser.add_argument("names", metavar="NAME", nargs="*", help="names of studies, or their paths")
    parser.add_argument("--paper", action="store_true", help="compare the studies with the papers' tables")
    parser.add_argument(
        "--by", metavar="PARAMETER", help="what each value of it gains, in trials that differ in nothing else"
    )
    arguments = parser.parse_args(argv)
    return exit_code(lambda: _compare(arguments))


def _compare(arguments: argparse.Namespace) -> None:
    from results.analysis import comparison, pairs, papers
    from results.analysis.fronts import hypervolume_warnings
    from results.analysis.studies import load
    from results.analysis.terminal import print_table

    studies = [load(find_study(name, arguments.runs_dir)) for name in arguments.names]
    if arguments.by:
        differences = pairs.paired_differences(studies, arguments.by)
        print_table(differences, "Gain over the value `against`, with its 95 % interval")
        return
    if arguments.paper:
        table = papers.compare_with_papers(studies)
        print_table(table, f"{papers.SALIENCY_ASSISTED}; {papers.RESOURCE_EFFICIENT}")
        show("Where the printed figures cannot be right:")
        for doubt in papers.DOUBTS:
            show(f"- {doubt}")
        return
    print_table(
        comparison.compare_studies(studies), "Fronts, in the objectives and the box of the first study"
    )
    for label, study in zip(comparison.labels(studies), studies, strict=True):
        for warning in hypervolume_warnings(study.trials, studies[0].objectives):
            show(f"{label}: {warning}")
    shares = comparison.coverage(studies).rename_axis("dominates of").reset_index()
    print_table(shares, "Share of the column's front that the row's front dominates")
    attained = comparison.attainment(studies)
    if len(attained):
        print_table(attained, "What the studies attain")


if __name__ == "__main__":
    raise SystemExit(main())
