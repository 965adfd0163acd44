"""The words of the project: standard English and one name per thing, in code, messages and docs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("study", "trainables", "results", "search_spaces", "study_common", "examples")
CODE = (".py", ".toml", ".html", ".js")
TEXTS = sorted(
    [
        *(file for package in PACKAGES for file in (ROOT / package).rglob("*") if file.suffix in CODE),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ]
)
JOINED = "of|in|at|to|for|from|with|as|is|not|that|and|by|or"
COUNTED = "trial|epoch|layer|class|channel|step|driver|configuration|parameter|study|rung"

AVOIDED = {
    r"\bseed [AB]\b(?! alone)": "paper A, paper B: a seed is of random numbers",
    r"\bDESIGN\b|\bdesign card\b": "nothing refers to a document outside the repository",
    r"\b[Tt]akes? in (that|what|whether)\b": "learn that, record that",
    r"\bhangs? on\b": "depends on",
    r"\bmend(s|ed|ing)?\b": "correct, repair",
    r"\bdear\b": "expensive",
    r"\bfor ever\b": "always",
    r"\bwho lowers\b": "whoever lowers, or a sentence without it",
    r"\btaken[ _]up\b": "resumed",
    r"\b(rooms|[Tt]his room|[Tt]he room)\b": "package",
    r"\b([Ss]pell|spells of)\b": "run interval",
    r"\ball the same\b": "nevertheless",
    r"\bwould rather\b": "prefers to",
    rf"\b(one|an?) (\w+ )?(?!({JOINED})\b)\w+ a ({COUNTED})\b": "per",
}


@pytest.mark.parametrize("pattern", AVOIDED)
def test_words_that_readers_stumble_over_are_avoided(pattern):
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for file in TEXTS
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not found, f"write instead: {AVOIDED[pattern]}\n" + "\n".join(found)
