"""What the JSON API takes and gives; its OpenAPI document is made of these classes."""

from typing import Annotated, Any, Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from results.page.page import plain
from study.service.snapshots import NAME, OpenTrial, Standing
from study.store.options import INITS, SAMPLERS, SCHEDULERS

MOST = 1_000_000
NAMES = r"^[A-Za-z0-9._-]{1,100}$"
MODEL_NAMES = r"^[A-Za-z0-9._:/-]{1,100}$"
DURATION = "[1-9][0-9]{0,5}[hms]?"
Row = dict[str, float | int | bool | str | None]
MAX_FRONT = 2000
"""Members of a front that are listed."""
Count = Annotated[int, Field(ge=1, le=MOST)]


class Body(BaseModel):
    """A request of the API: further fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Launch(Body):
    """A study to start, as the options of `python -m study.launch`."""

    space: str = Field(pattern=NAMES, description="a space that the service allows")
    name: str = Field("", pattern=f"^({NAME})?$", description="of the study; left out: the next free one")
    trials: Count | None = None
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    workers: Annotated[int, Field(ge=1, le=10_000)] | None = None
    time_budget: str | None = Field(None, pattern=f"^{DURATION}$", description="such as 30m")
    sampler: Literal[SAMPLERS] | None = None  # type: ignore[valid-type]
    scheduler: Literal[SCHEDULERS] | None = None  # type: ignore[valid-type]
    reduction_factor: Annotated[int, Field(ge=2, le=100)] | None = None
    init: Literal[INITS] | None = None  # type: ignore[valid-type]
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    dataset: str | None = Field(None, pattern=NAMES, description="a data set that the service allows")
    model: str | None = Field(None, pattern=MODEL_NAMES, description="a model that the service allows")
    objectives: str | None = Field(None, pattern=r"^[a-z_]+:(max|min)(,[a-z_]+:(max|min))+$", max_length=200)
    max_bops: Annotated[float, Field(gt=0, le=1e30)] | None = None
    max_size: Annotated[float, Field(gt=0, le=1e30)] | None = None


class Resume(Body):
    """What a resume changes."""

    trials: Count | None = Field(None, description="the new total")
    workers: Annotated[int, Field(ge=1, le=10_000)] | None = None
    time_budget: str | None = Field(None, pattern=f"^({DURATION}|none)$")


class Confirm(Body):
    """Which trials are retrained with fresh seeds and measured on the test split."""

    top: Annotated[int, Field(ge=1, le=1000)] = Field(3, description="members of the front")
    seeds: Annotated[int, Field(ge=1, le=100)] = 3
    refit: bool = False


class Started(BaseModel):
    """A study for which a command was started; `GET` of it says how it goes."""

    name: str


class Problem(BaseModel):
    """Why a request was refused."""

    error: str


class Brief(BaseModel):
    """How a study stands."""

    name: str
    state: str = Field(description="starting, running, interrupted, complete, confirming, not started, ...")
    problem: str = Field(description="why its record cannot be read; empty if it can")
    states: dict[str, int] = Field(description="number of trials: running, paused, complete, stopped, failed")
    total: int = Field(description="trials that the study will have")
    front: int = Field(description="members of the front")
    hypervolume: float

    @classmethod
    def of(cls, standing: Standing) -> Self:
        """Return how a study stands, in short."""
        snapshot = standing.snapshot
        return cls(
            name=standing.name,
            state=standing.state,
            problem=standing.problem,
            states=snapshot.states if snapshot else {},
            total=snapshot.total if snapshot else 0,
            front=snapshot.front if snapshot else 0,
            hypervolume=snapshot.hypervolume if snapshot else 0.0,
        )


class Detail(Brief):
    """A study in full."""

    objectives: dict[str, str] = {}
    command: str = ""
    output: list[str] = Field([], description="last lines of the command that the service started")
    open_trials: list[OpenTrial] = []
    front_trials: list[Row] = Field([], description="at most 2,000 members")
    recommended: dict[str, int] = {}

    @classmethod
    def of(cls, standing: Standing) -> Self:
        """Return how a study stands, in full."""
        made = super().of(standing)
        made.output = standing.output
        if standing.snapshot:
            study = standing.snapshot.study
            made.objectives = study.directions
            made.command = str(study.request.get("command", ""))
            made.open_trials = standing.snapshot.trials
            made.front_trials = rows(study.front().head(MAX_FRONT))
            made.recommended = {name: int(trial["number"]) for name, trial in study.recommend().items()}
        return made


class Trials(BaseModel):
    """Rows of the table of trials."""

    count: int
    rows: list[Row]


class Comparison(BaseModel):
    """Studies beside each other, in the objectives of the first."""

    studies: list[Row]
    coverage: dict[str, dict[str, float | None]] = Field(
        description="share of the front of the second name that the front of the first dominates"
    )
    attainment: list[Row]


class Choices(BaseModel):
    """What a launch may name."""

    spaces: list[str]
    datasets: list[str]
    models: list[str]
    samplers: list[str]
    schedulers: list[str]


class Session(BaseModel):
    """Who asks."""

    has_token: bool


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as JSON knows them."""
    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]
