"""The pages: the list, one per study, the comparison, the login; and the files that they load."""

import gzip
import os
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from plotly.offline import get_plotlyjs

from results.page import page as report
from study.service import tokens
from study.service.api import MAX_COMPARED, compared
from study.service.guard import FIGURES_POLICY, cookie_name
from study.service.settings import Settings
from study.service.snapshots import Snapshots
from study.service.views import Page, Views
from study_common.errors import UserError
from study_common.files import open_without_links
from study_common.layout import REPORT_FILE

REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Of a report.html, which somebody else may have made: it runs, but not as a page of this service."""
MAX_REPORT = 64 * 2**20
"""Bytes of a report.html."""


def router(settings: Settings, key: bytes, snapshots: Snapshots, views: Views) -> APIRouter:
    """Return the routes of the pages."""
    routes = APIRouter(include_in_schema=False)
    cookie = cookie_name(settings.port)

    @routes.get("/")
    def list_page() -> Response:
        return _answer(views.overview().value)

    @routes.get("/studies/{name}")
    def study_page(name: str) -> Response:
        check(name)
        return _answer(views.page(name).value)

    @routes.get("/studies/{name}/report")
    def report_page(name: str) -> Response:
        check(name)
        directory = snapshots.directory(name)
        try:
            if directory is None:
                raise FileNotFoundError
            with open(open_without_links(directory / REPORT_FILE, os.O_RDONLY), "rb") as file:
                content = file.read(MAX_REPORT)
        except (OSError, UserError):
            raise HTTPException(
                404, f"{name} has no {REPORT_FILE} yet; its driver writes one at its end"
            ) from None
        return HTMLResponse(content, headers={"Content-Security-Policy": REPORT_POLICY})

    @routes.get("/compare")
    def compare_page(name: Annotated[list[str] | None, Query(max_length=MAX_COMPARED)] = None) -> Response:
        tables, problem = {}, ""
        if name:
            for one in name:
                check(one)
            try:
                found = [views.standing(one).value for one in name]
                if unread := [one.name for one in found if one.snapshot is None]:
                    raise UserError(f"{unread[0]} cannot be read yet")
                made = compared([one.snapshot.study for one in found if one.snapshot])
                shares = made["coverage"].rename_axis("dominates of").reset_index()
                tables = {
                    "Fronts, in the objectives and the box of the first study": made["studies"],
                    "Share of the column's front that the row's front dominates": shares,
                    "What the studies attain": made["attainment"],
                }
            except UserError as error:
                problem = str(error)
        html = views.render(
            "compare.html", names=snapshots.names(), chosen=name or [], tables=tables, problem=problem
        )
        return HTMLResponse(html)

    @routes.get("/login")
    def login_page() -> Response:
        return HTMLResponse(views.render("login.html", problem=""))

    @routes.post("/login")
    async def login(request: Request) -> Response:
        fields = parse_qs((await request.body()).decode("utf-8", "replace"))
        token = fields.get("token", [""])[0].strip()
        seconds = tokens.seconds_left(token, key)
        if not seconds:
            html = views.render("login.html", problem="This token is not valid, or it has expired.")
            return HTMLResponse(html, status_code=403)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(cookie, token, max_age=seconds, httponly=True, samesite="strict")
        return answer

    @routes.post("/logout")
    def logout() -> Response:
        answer = Response(status_code=204)
        answer.delete_cookie(cookie, httponly=True, samesite="strict")
        return answer

    @routes.get("/static/{name}")
    def static(name: str, request: Request) -> Response:
        if name not in STATIC:
            raise HTTPException(404, "there is no such file")
        packed = "gzip" in request.headers.get("accept-encoding", "")
        headers = {
            "Content-Type": KINDS[name.rpartition(".")[2]],
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
        }
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Response(_packed(name) if packed else _content(name), headers=headers)

    def check(name: str) -> None:
        if not snapshots.exists(name):
            raise HTTPException(404, f"there is no study {name!r} here")

    return routes


KINDS: Mapping[str, str] = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
STATIC = ("page.css", "service.css", "theme.js", "plotly.js", "report.js", "live.js")
"""What the pages load. The report has the same style sheet and scripts inside it."""


@cache
def _content(name: str) -> bytes:
    made = {"page.css": report.style, "report.js": report.script, "plotly.js": get_plotlyjs}
    text = (
        made[name]() if name in made else files("study.service").joinpath("static", name).read_text("utf-8")
    )
    return text.encode()


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(_content(name), compresslevel=6, mtime=0)


def _answer(page: Page) -> Response:
    headers = {"Content-Security-Policy": FIGURES_POLICY} if page.has_figures else {}
    return HTMLResponse(page.html, headers=headers)
