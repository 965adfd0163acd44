"""The application: the guard around the API and the pages, and what every error looks like."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from study.service import api, pages
from study.service.events import Streams
from study.service.guard import API, Guard
from study.service.processes import BusyError, Processes
from study.service.settings import Settings
from study.service.snapshots import Snapshots
from study.service.views import Views
from study.service.workplace import Workplace
from study_common.errors import UserError


def application(settings: Settings, workplace: Workplace, is_closing: Any = lambda: False) -> Guard:
    """Return the ASGI application.

    Args:
        settings: What it may do.
        workplace: The directory that it serves.
        is_closing: Tells whether the service is about to end, so that streams end too.
    """
    processes = Processes(settings, workplace)
    snapshots = Snapshots(workplace, processes)
    views = Views(settings, snapshots)
    key = workplace.key()
    app = FastAPI(
        title="sgt-pact studies",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        description="Studies of one directory: list, start, watch, stop, resume, confirm, compare.",
    )
    app.include_router(api.router(settings, snapshots, views, processes, Streams(is_closing)))
    app.include_router(pages.router(settings, key, snapshots, views))

    def refused(request: Request, status: int, why: str, headers: Any = None) -> Response:
        if request.url.path.startswith(API):
            return JSONResponse({"error": why}, status_code=status, headers=headers)
        html = views.render("problem.html", title="This did not work", problem=why)
        return HTMLResponse(html, status_code=status, headers=headers)

    @app.exception_handler(HTTPException)
    def of_http(request: Request, error: HTTPException) -> Response:
        return refused(request, error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    def of_form(request: Request, error: RequestValidationError) -> Response:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        return refused(request, 422, faults)

    @app.exception_handler(BusyError)
    def of_busy(request: Request, error: BusyError) -> Response:
        return refused(request, 409, str(error))

    @app.exception_handler(UserError)
    def of_user(request: Request, error: UserError) -> Response:
        return refused(request, 400, str(error))

    return Guard(app, settings, key)
