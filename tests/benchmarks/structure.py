"""Measure the structure of the packages: entries at the top, imports between them, depth, circles.

    python -m tests.benchmarks.structure [--root CHECKOUT] [--json FILE]

An entry is a module or a sub-package at the top of a package, the package's `__init__` left out. An import is counted
once per pair of entries. The depth is the number of entries on the longest chain of imports. A circle is a set of
entries that import each other.
"""

import argparse
import json
import sys
from itertools import groupby
from pathlib import Path

import grimp

PACKAGES = ("study", "trainables", "results", "search_spaces", "study_common")


def main() -> None:
    """Print one row per package, and write the figures as JSON if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.structure", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--root", type=Path, default=Path.cwd(), help="the checkout to measure (default: this one)"
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.root.resolve()))
    found = [name for name in PACKAGES if (arguments.root / name / "__init__.py").exists()]
    graph = grimp.build_graph(*found, cache_dir=None)
    figures = {name: measure(graph, name) for name in found}
    print(f"{'package':<14}{'entries':>8}{'modules':>9}{'imports':>9}{'depth':>7}  circles")
    for name, row in figures.items():
        counts = f"{row['entries']:>8}{row['modules']:>9}{row['imports']:>9}{row['depth']:>7}"
        print(f"{name:<14}{counts}  {row['circles'] or 'none'}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def measure(graph: grimp.ImportGraph, package: str) -> dict[str, object]:
    """Return the figures of one package."""
    modules = [name for name in graph.modules if name.startswith(f"{package}.")]
    edges: dict[str, set[str]] = {name: set() for name in map(_entry, modules)}
    for module in modules:
        for imported in graph.find_modules_directly_imported_by(module):
            if imported.startswith(f"{package}.") and _entry(imported) != _entry(module):
                edges[_entry(module)].add(_entry(imported))
    circles = [circle for circle in _circles(edges) if len(circle) > 1]
    return {
        "entries": len(edges),
        "modules": len(modules),
        "imports": sum(map(len, edges.values())),
        "depth": 0 if circles else max(map(len, (_longest(name, edges) for name in edges)), default=0),
        "circles": circles,
    }


def _entry(module: str) -> str:
    return module.split(".")[1]


def _longest(name: str, edges: dict[str, set[str]]) -> list[str]:
    """Return the longest chain of imports that starts at an entry of a graph without circles."""
    return [name, *max((_longest(other, edges) for other in edges[name]), key=len, default=[])]


def _circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Return the entries in groups that reach each other."""
    reach = {name: _reached(name, edges) for name in edges}
    key = {name: sorted(other for other in reach[name] if name in reach[other]) or [name] for name in edges}
    return [group for group, _ in groupby(sorted(key.values()))]


def _reached(name: str, edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = set(edges[name])
    while waiting:
        found |= waiting
        waiting = set().union(*(edges[other] for other in waiting)) - found
    return found


if __name__ == "__main__":
    main()
