"""The JSON API: `/api/openapi.json` describes it."""

from collections.abc import Mapping
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse

from results.analysis import comparison
from results.analysis.studies import Study
from results.page.page import plain
from study.service import schemas
from study.service.events import Streams
from study.service.processes import Processes
from study.service.settings import Settings, check_allowed
from study.service.snapshots import Snapshots, Standing
from study.service.views import Views

MAX_COMPARED = 10
"""Studies that are compared at a time."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": schemas.Problem, "description": what}
    for code, what in {
        400: "something is wrong with what was asked",
        401: "no token, or one that is wrong or has expired",
        403: "the page of another site asks",
        404: "there is no such study",
        408: "the body did not arrive in time",
        409: "it does not go with what runs at present",
        413: "the body is too large",
        422: "the request does not have the documented form",
        429: "too many requests",
        503: "too many streams",
    }.items()
}


def router(
    settings: Settings, snapshots: Snapshots, views: Views, processes: Processes, streams: Streams
) -> APIRouter:
    """Return the routes of the API."""
    routes = APIRouter(prefix="/api", responses=PROBLEMS)

    def standing_of(name: str) -> Standing:
        if not snapshots.exists(name):
            raise HTTPException(404, f"there is no study {name!r} here")
        return views.standing(name).value

    def study_of(name: str) -> Study:
        standing = standing_of(name)
        if standing.snapshot is None:
            raise HTTPException(409, standing.problem or f"{name} has no record yet")
        return standing.snapshot.study

    @routes.get("/session")
    def session(request: Request) -> schemas.Session:
        """Say whether the request has a valid token."""
        return schemas.Session(has_token=request.scope["has_token"])

    @routes.get("/choices")
    def choices() -> schemas.Choices:
        """Say what a launch may name."""
        return schemas.Choices(**views.choices())

    @routes.get("/studies")
    def studies() -> list[schemas.Brief]:
        """List all studies."""
        return [schemas.Brief.of(views.standing(name).value) for name in snapshots.names()]

    @routes.post("/studies", status_code=202)
    def launch(asked: schemas.Launch) -> schemas.Started:
        """Start a study."""
        check_allowed("space", asked.space, settings.spaces, "--allow-space")
        given = asked.model_dump(exclude_none=True, exclude={"space", "name"})
        if asked.dataset:
            check_allowed("data set", asked.dataset, settings.datasets, "--allow-dataset")
            if folder := settings.datasets[asked.dataset]:
                given["data_dir"] = folder
        if asked.model:
            check_allowed("model", asked.model, settings.models, "--allow-model")
        return schemas.Started(name=processes.launch(asked.space, asked.name, given))

    @routes.get("/studies/{name}", response_model=schemas.Detail)
    def study(name: str) -> Response:
        """Say how a study stands, with its front and the trials that are open."""
        standing_of(name)
        return Response(views.detail(name), media_type="application/json")

    @routes.get("/studies/{name}/trials")
    def trials(
        name: str,
        offset: Annotated[int, Query(ge=0, le=schemas.MOST)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> schemas.Trials:
        """Return rows of the table of trials, in the order of their numbers."""
        table = study_of(name).trials
        return schemas.Trials(count=len(table), rows=schemas.rows(table.iloc[offset : offset + limit]))

    @routes.post("/studies/{name}/stop", status_code=202)
    def stop(name: str) -> schemas.Started:
        """Ask what runs a study to stop, as Ctrl-C does."""
        standing_of(name)
        processes.stop(name)
        return schemas.Started(name=name)

    @routes.post("/studies/{name}/resume", status_code=202)
    def resume(name: str, asked: schemas.Resume) -> schemas.Started:
        """Continue a study."""
        settings.check_study(study_of(name).request)
        processes.resume(name, asked.model_dump(exclude_none=True))
        return schemas.Started(name=name)

    @routes.post("/studies/{name}/confirm", status_code=202)
    def confirm(name: str, asked: schemas.Confirm) -> schemas.Started:
        """Retrain members of the front with fresh seeds and measure them on the test split."""
        settings.check_study(study_of(name).request)
        processes.confirm(name, asked.model_dump())
        return schemas.Started(name=name)

    @routes.get("/compare")
    def compare(
        name: Annotated[list[str], Query(min_length=2, max_length=MAX_COMPARED)],
    ) -> schemas.Comparison:
        """Compare studies of the same objectives and images."""
        tables = compared([study_of(one) for one in name])
        shares = tables["coverage"]
        return schemas.Comparison(
            studies=schemas.rows(tables["studies"]),
            coverage={
                str(one): {str(of): plain(shares.at[one, of]) for of in shares} for one in shares.index
            },
            attainment=schemas.rows(tables["attainment"]),
        )

    event_stream: dict[int | str, dict[str, Any]] = {
        200: {"description": "events named standing", "content": {"text/event-stream": {}}}
    }

    @routes.get("/events", response_class=StreamingResponse, responses=event_stream)
    def all_events() -> StreamingResponse:
        """Stream an event whenever the list of studies changes."""

        def look() -> dict[str, Any]:
            return {"version": views.overview().value.version, "state": "", "problem": ""}

        return opened(look)

    @routes.get("/studies/{name}/events", response_class=StreamingResponse, responses=event_stream)
    def events(name: str) -> StreamingResponse:
        """Stream an event whenever the study changes."""
        standing_of(name)

        def look() -> dict[str, Any]:
            if not snapshots.exists(name):
                return {"version": "gone", "state": "gone", "problem": f"{name} is no longer there"}
            page, standing = views.page(name), views.standing(name).value
            return {"version": page.value.version, "state": standing.state, "problem": standing.problem}

        return opened(look)

    def opened(look: Any) -> StreamingResponse:
        if streams.is_full:
            raise HTTPException(503, "too many streams are open; close a page", {"Retry-After": "30"})
        return StreamingResponse(streams.follow(look), media_type="text/event-stream")

    return routes


def compared(studies: list[Study]) -> Mapping[str, pd.DataFrame]:
    """Return the tables of a comparison: studies, coverage and attainment.

    Raises:
        UserError: They cannot be compared.
    """
    return {
        "studies": comparison.compare_studies(studies),
        "coverage": comparison.coverage(studies),
        "attainment": comparison.attainment(studies),
    }
