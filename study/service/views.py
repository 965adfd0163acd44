"""What is shown, of the present versions: how each study stands, its page, the list of all."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from results.page.page import content, environment
from study.service import schemas
from study.service.kept import Kept, Version
from study.service.settings import Settings
from study.service.snapshots import Snapshots, Standing
from study.store.options import SAMPLERS, SCHEDULERS
from study_common.layout import REPORT_FILE


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page."""

    html: bytes
    version: str
    """As it says in the page, for the script to compare with."""
    has_figures: bool
    """Whether it has figures, whose script needs more rights."""


class Views:
    """Keeps what was made of each study until the study changes.

    Args:
        settings: Of the service.
        snapshots: The reader of studies.
    """

    def __init__(self, settings: Settings, snapshots: Snapshots) -> None:
        self._settings = settings
        self._snapshots = snapshots
        self._environment = environment(("study.service", "templates"))
        self._standings = Kept(snapshots.signature, snapshots.standing)
        self._details = Kept(lambda name, _: self._standings.get(name).number, self._detail)
        self._pages = Kept(lambda name, _: self._standings.get(name).number, self._page)
        self._lists = Kept(lambda _, __: self._numbers(), self._list)

    def standing(self, name: str) -> Version[Standing]:
        """Return how a study stands, which must exist."""
        return self._standings.get(name)

    def detail(self, name: str) -> bytes:
        """Return what the API says of a study, which must exist, as JSON."""
        return self._details.get(name).value

    def page(self, name: str) -> Version[Page]:
        """Return the page of a study, which must exist."""
        return self._pages.get(name)

    def overview(self) -> Version[Page]:
        """Return the page with all studies."""
        return self._lists.get("")

    def choices(self) -> dict[str, list[str]]:
        """Return what a launch may name."""
        return {
            "spaces": list(self._settings.spaces),
            "datasets": list(self._settings.datasets),
            "models": list(self._settings.models),
            "samplers": list(SAMPLERS),
            "schedulers": list(SCHEDULERS),
        }

    def render(self, template: str, **shown: Any) -> bytes:
        """Return a page that is made anew each time."""
        return self._environment.get_template(template).render(shown).encode()

    def _detail(self, name: str) -> bytes:
        return schemas.Detail.of(self._standings.get(name).value).model_dump_json().encode()

    def _numbers(self) -> tuple[tuple[str, int], ...]:
        return tuple((name, self._standings.get(name).number) for name in self._snapshots.names())

    def _list(self, _: str) -> Page:
        standings = [self._standings.get(name) for name in self._snapshots.names()]
        shown = [standing.value for standing in standings]
        version = _version([(standing.value.name, standing.number) for standing in standings])
        html = self.render("list.html", standings=shown, choices=self.choices(), version=version)
        return Page(html=html, version=version, has_figures=False)

    def _page(self, name: str) -> Page:
        standing = self._standings.get(name)
        version = _version(standing.number)
        shown: dict[str, Any] = {"standing": standing.value, "version": version}
        if standing.value.snapshot is None:
            return Page(html=self.render("waiting.html", **shown), version=version, has_figures=False)
        study = standing.value.snapshot.study
        shown["has_report"] = (study.path / REPORT_FILE).is_file()
        html = self.render("live.html", **content(study), **shown)
        return Page(html=html, version=version, has_figures=True)


START = secrets.token_hex(4)
"""Tells the versions of this service from those of one before it."""


def _version(of: object) -> str:
    """Return a short text that changes with `of`."""
    return hashlib.sha256(f"{START} {of}".encode()).hexdigest()[:16]
