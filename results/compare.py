"""``python -m results.compare A B``: studies against each other; ``--paper``: beside the papers' tables."""

import argparse

from results.analysis import command_line, comparison, papers
from results.analysis.studies import load
from study_common.commands import StudyParser, exit_code
from study_common.layout import find_study


def main(argv: list[str] | None = None) -> int:
    """Print a comparison of studies, or of studies and the papers."""
    parser = StudyParser("results.compare", "Compare studies with each other, or with the papers.")
    parser.add_argument("names", metavar="NAME", nargs="*", help="studies' names, or their paths")
    parser.add_argument("--paper", action="store_true", help="place the studies beside the papers' tables")
    arguments = parser.parse_args(argv)
    return exit_code(lambda: _compare(arguments))


def _compare(arguments: argparse.Namespace) -> None:
    studies = [load(find_study(name, arguments.runs_dir)) for name in arguments.names]
    if arguments.paper:
        command_line.show(papers.beside(studies), f"{papers.SALIENCY_ASSISTED}; {papers.RESOURCE_EFFICIENT}")
        print("Where the printed figures cannot be right:")
        for doubt in papers.DOUBTS:
            print(f"- {doubt}")
        return
    command_line.show(comparison.compare(studies), "Fronts, normalised as the first study says")
    shares = comparison.coverage(studies).rename_axis("dominates of").reset_index()
    command_line.show(shares, "Share of the column's front that the row's dominates")
    attained = comparison.attainment(studies)
    if len(attained):
        command_line.show(attained, "What the studies attain")


if __name__ == "__main__":
    raise SystemExit(main())
