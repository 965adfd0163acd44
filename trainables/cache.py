"""`python -m trainables.cache`: the decoded images that are kept between runs, listed or removed."""

import argparse
from collections.abc import Sequence

from study_common.commands import Parser, exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line per set of images; the exit code."""
    parser = Parser("trainables.cache", __doc__)
    parser.add_argument(
        "--clear", action="store_true", help="remove them all; they are decoded again when needed"
    )
    arguments = parser.parse_args(argv)
    return exit_code(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> None:
    """List the sets, and remove them if asked to."""
    from trainables.data.images.cache_files import cache_folder
    from trainables.data.images.cached_sets import list_sets, remove_sets
    from trainables.data.listing.file_tree import printable

    sets = remove_sets() if arguments.clear else list_sets()
    for one in sets:
        print(
            f"{one.bytes / 1e6:9.1f} MB {one.images:7} images {one.path} of {printable(one.source) or 'unknown'}"
        )
    total = sum(one.bytes for one in sets) / 1e6
    print(f"{'removed' if arguments.clear else 'kept'} {len(sets)} sets, {total:.1f} MB, in {cache_folder()}")


if __name__ == "__main__":
    raise SystemExit(main())
