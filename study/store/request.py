"""The request: a checked study, everything it was asked to do, frozen in `study.toml`."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self, get_type_hints

import tomli_w
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

import search_spaces
from search_spaces import Choice, Domain, Float, Int, Space, is_width
from study.store.inputs import REMEDY, Inputs, told_to_restore
from study.store.options import LOGS, Options, check_choices
from study_common import digests
from study_common import objectives as rules
from study_common.documents import parse_toml
from study_common.errors import UserError, check_known, located
from study_common.files import read_text
from study_common.layout import FORMAT, REQUEST_FILE
from study_common.objectives import Objective
from trainables import Config, costs, float_config, shared_config
from trainables.training.inputs import forget_images, masks_of

BASIC = ("dataset", "data_dir", "model", "preset")
"""The settings of a run that have a flag of their own and a place in [request]."""


@dataclass(frozen=True, kw_only=True)
class Request(Options):
    """A checked study, with every option decided. `study.resume` reads it back and asks nothing else."""

    name: str
    created: str
    command: str
    git_commit: str
    space: Space
    """Resolved for the model: one domain for each searched name."""
    fixed: dict[str, Any]
    """The settings of every trial by flat name, those of `BASIC` and `seed` included."""
    queue: list[dict[str, Any]]
    """Searched values to try first: the corners of the space, then the points of a warm start."""
    objectives: dict[str, Objective]
    constraints: dict[str, float]
    init_settings: Mapping[str, Any] = field(default_factory=dict)
    """The settings of the model that `init` trains, where they were asked to be others than the trials'."""
    target: str = ""
    """The device that every trial is for, by name or as the absolute path of its file; "" for none."""
    pretrained_digest: str = ""
    """The digest of the file of pretrained weights; "" if there is none."""
    log: str = ""
    """The tool in which the trials are shown too, one of `LOGS`; "" for none."""
    trials: int
    epochs: int
    rungs: tuple[int, ...]
    """The epochs at which trials are measured in full and compared; the last is `epochs`."""
    workers: int
    """Trials at a time; 0: one per CPU, or as many as the GPUs fit."""
    data: dict[str, Any]
    """Name, classes, fingerprint and sizes of the data set."""
    versions: dict[str, str]

    @property
    def attainable(self) -> int:
        """The largest number of trials: `trials`, or if that is smaller the size of a finite space with its queue and
        the replicates.

        It is an upper bound: constraints may leave fewer, except in a space that lists its points.
        """
        listed = self.space.points
        size = sum(map(self.is_feasible, listed)) if listed else self.space.size()
        if size is None:
            return self.trials
        size += sum(p not in self.space and self.is_feasible(p) for p in self.queue)
        return min(self.trials, size + self.replicates)

    def config(self, values: Mapping[str, Any]) -> Config:
        """Return the configuration of the trial that has these searched `values`."""
        return Config.parse({**self.fixed, **values, "epochs": self.epochs, "rungs": self.rungs})

    @property
    def central(self) -> dict[str, Any]:
        """The values of the searched parameters that are no widths, as the corners of the space have them."""
        corner = next((point for point in self.queue if point in self.space), {})
        return {name: value for name, value in corner.items() if not is_width(name)}

    def start(self, seed: int | None = None) -> Config | None:
        """Return the configuration of the model that all trials start from (--init), None if they start from none.

        Args:
            seed: Its seed; None is that of the study.
        """
        config = self.config(self.central | ({} if seed is None else {"seed": seed}))
        if self.init == "shared":
            return shared_config(config, self.space.widths(), self.init_settings)
        return float_config(config, self.init_settings) if self.init else None

    def is_replicate(self, known: Mapping[str, object]) -> bool:
        """Tell whether a trial with this `Result` is a replicate: its seed is not that of the study."""
        return known["seed"] != self.seed

    def replicates_left(self, known: Collection[Mapping[str, object]]) -> int:
        """Return how many replicates may still begin in a study with trials of these `Result`s."""
        began = sum(map(self.is_replicate, known))
        return max(0, min(self.replicates - began, self.trials - len(known)))

    def flat(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return that configuration by flat names, defaults included."""
        return self.config(values).flat()

    @property
    def inputs(self) -> Inputs:
        """What every trial reads."""
        masks = str(self.data.get("masks", ""))
        return Inputs(images=self.fingerprint, masks=masks, weights=self.pretrained_digest)

    @property
    def fingerprint(self) -> str:
        """That of the images."""
        return str(self.data.get("fingerprint", ""))

    def check_files(self) -> None:
        """Raise UserError if the images, their masks or pretrained weights are not those of the launch."""
        config = self.config({})
        forget_images(config)
        self.inputs.check(config)

    def check_test_masks(self) -> None:
        """Raise UserError if the masks of the test images are not those of the launch."""
        config, known = self.config({}), self.data.get("test_masks")
        if not config.masks:
            return
        with told_to_restore():
            found = masks_of(config, "test").fingerprint
        if known and found != known:
            raise UserError(
                f"{config.masks} does not hold the masks of the test images with which the study began; {REMEDY}"
            )

    def is_feasible(self, values: Mapping[str, Any]) -> bool:
        """Tell whether these searched `values` keep every constraint; costs are known without training."""
        known = costs(self.config(values)) if self.constraints else {}
        return all(known[name] <= bound for name, bound in self.constraints.items())

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the Optuna distribution of each searched name, as the record keeps it.

        A choice also has the values that occur only in the queue, such as width 32 of the float corner.
        """
        return {
            name: _distribution(domain, [point[name] for point in self.queue if name in point])
            for name, domain in self._domains().items()
        }

    def _domains(self) -> dict[str, Domain]:
        if not self.space.points:
            return self.space.parameters
        names = self.space.points[0]
        return {
            name: Choice(values=tuple(dict.fromkeys(p[name] for p in self.space.points))) for name in names
        }

    def document(self) -> dict[str, Any]:
        """Return the TOML document that `from_document` reads back."""
        request = {name: self.fixed.get(name, "") for name in BASIC}
        return {
            "format": FORMAT,
            **{name: getattr(self, name) for name in _TOP},
            "description": self.space.description,
            "request": request
            | {option.name: getattr(self, option.name) for option in fields(Options)}
            | {"rungs": list(self.rungs)},
            "fixed": {name: value for name, value in self.fixed.items() if name not in BASIC},
            "queue": self.queue,
            "space": {"name": self.space.name} | self.space.to_document(),
            "objectives": rules.document(self.objectives),
            "constraints": self.constraints,
            **({"init_settings": dict(self.init_settings)} if self.init_settings else {}),
            **({"target": self.target} if self.target else {}),
            **({"pretrained_digest": self.pretrained_digest} if self.pretrained_digest else {}),
            **({"log": self.log} if self.log else {}),
            "data": self.data,
            "versions": self.versions,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` returned.

        Raises:
            UserError: It has the format of another version of this program, or values that `plan` does not write.
            KeyError: It is not complete.
        """
        if document["format"] != FORMAT:
            raise UserError(
                f"{REQUEST_FILE} has format {document['format']!r} and this version reads {FORMAT}; "
                "continue with the version that made the study"
            )
        request, space = document["request"], dict(document["space"])
        _check(request)
        with located(REQUEST_FILE):
            check_known("log", filter(None, [document.get("log", "")]), LOGS)
        return cls(
            **{name: document[name] for name in (*_TOP, "queue", "constraints", "data", "versions")},
            **{option.name: request[option.name] for option in fields(Options)},
            init_settings=document.get("init_settings", {}),
            target=document.get("target", ""),
            pretrained_digest=document.get("pretrained_digest", ""),
            log=document.get("log", ""),
            rungs=tuple(request["rungs"]),
            fixed={name: request[name] for name in BASIC if request[name]} | document["fixed"],
            space=search_spaces.parse(space, space.pop("name")),
            objectives={name: Objective(**table) for name, table in document["objectives"].items()},
        )

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the request of the study in `directory`.

        Raises:
            UserError: There is none, or it is damaged or was altered.
        """
        path = directory / REQUEST_FILE
        try:
            request = cls.from_document(parse_toml(read_text(path)))
        except FileNotFoundError:
            raise UserError(f"{directory} is not a study: it has no {REQUEST_FILE}") from None
        except UserError:
            raise
        except tomllib.TOMLDecodeError as error:
            raise UserError(f"{path} is not a TOML file: {error}; restore it from a copy") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}); restore it from a copy") from None
        except KeyError as error:
            raise UserError(f"{path} is not complete (it lacks {error}); restore it from a copy") from None
        except (TypeError, AttributeError) as error:
            raise UserError(f"{path} is not complete ({error}); restore it from a copy") from None
        digests.check_frozen(path)
        return request

    def write(self, directory: Path) -> None:
        """Write `study.toml` into `directory`, in one step."""
        with digests.sealed(directory / REQUEST_FILE) as part:
            part.write_text(tomli_w.dumps(self.document()), encoding="utf-8")


_TOP = ("name", "created", "command", "git_commit")


def _check(request: Mapping[str, Any]) -> None:
    """Raise UserError for values that `plan` would not have written: a file that was edited by hand."""
    kinds = get_type_hints(Request)
    for name in (option.name for option in fields(Options)):
        value, kind = request[name], kinds[name]
        if isinstance(value, bool) or not isinstance(value, int | float if kind is float else kind):
            raise UserError(f"{REQUEST_FILE}: {name} is {value!r}, which is not of type {kind.__name__}")
    with located(REQUEST_FILE):
        check_choices(Options, request)


def _distribution(domain: Domain, queued: Sequence[Any]) -> BaseDistribution:
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.log)
    if isinstance(domain, Int):
        return IntDistribution(domain.low, domain.high, step=domain.step, log=domain.log)
    return CategoricalDistribution(tuple(dict.fromkeys((*domain.values, *queued))))
