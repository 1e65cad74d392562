"""The routes of the web server; imported in its process only, for it needs starlette."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from dingocar.parts.controllers.web._protocol import dump
from dingocar.parts.controllers.web._security import App, Guard, Refused, read_body
from dingocar.parts.controllers.web._socket import Pages
from dingocar.parts.controllers.web._store import Models, Tubs
from dingocar.parts.controllers.web._video import Video

STATIC = Path(__file__).resolve().parent / "static"
#: What the camera sees, and what a translator makes of it, if there is one.
VIDEOS = ("/video", "/video/translated")
_PICTURE = re.compile(r"(\d{1,13})\.jpg")


def make_app(token: str, pages: Pages, videos: Sequence[Video], tubs: Tubs, models: Models) -> App:
    """Puts the server's parts together; see `_security.Guard` for what guards them."""
    state, records = StateApi(pages, videos), TubApi(tubs)
    app = Starlette(
        routes=[
            Route("/", _drive_page, methods=["GET"]),
            Route("/tub", _tub_page, methods=["GET"]),
            *(Route(path, video) for path, video in zip(VIDEOS, videos, strict=False)),
            WebSocketRoute("/ws", pages),
            Route("/api/state", state.show, methods=["GET"]),
            Route("/api/models", ModelApi(models).list, methods=["GET"]),
            Route("/api/tubs", records.list, methods=["GET"]),
            Route("/api/tubs/{name}", records.one, methods=["GET"]),
            Route("/api/tubs/{name}/images/{file}", records.picture, methods=["GET"]),
            Route("/api/tubs/{name}/delete", records.delete, methods=["POST"]),
            Route("/api/tubs/{name}/restore", records.restore, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={Refused: _refused, HTTPException: _refused},
    )
    app.router.redirect_slashes = False  # what is not there is not there
    return Guard(app, token)


class StateApi:
    """The car's state, and what the server itself is doing."""

    def __init__(self, pages: Pages, videos: Sequence[Video]) -> None:
        self._pages, self._videos = pages, videos

    async def show(self, request: Request) -> Response:
        counters = {
            "viewers": self._videos[0].viewers,
            "encodes": sum(video.encodes for video in self._videos),
            "clients": len(self._pages),
            "tasks": len(asyncio.all_tasks()),
        }
        return Response(dump({**self._pages.state, **counters}), media_type="application/json")


class ModelApi:
    """The pilots in the car's folder."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def list(self, request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(self._models.list))


class TubApi:
    """The tubs; reading them takes up to a second, so threads do it."""

    def __init__(self, tubs: Tubs) -> None:
        self._tubs = tubs

    async def list(self, request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(self._tubs.list))

    async def one(self, request: Request) -> Response:
        body = await asyncio.to_thread(self._tubs.records, request.path_params["name"])
        return Response(body, media_type="application/json")

    async def picture(self, request: Request) -> Response:
        match = _PICTURE.fullmatch(request.path_params["file"])
        if match is None:
            raise Refused(404, "expected images/INDEX.jpg")
        name, index = request.path_params["name"], int(match[1])
        tag, body, kind = await asyncio.to_thread(
            self._tubs.picture, name, index, request.headers.get("if-none-match", "")
        )
        headers = {"etag": tag}
        return (
            Response(status_code=304, headers=headers) if body is None else Response(body, 200, headers, kind)
        )

    async def delete(self, request: Request) -> Response:
        return await self._change(request, delete=True)

    async def restore(self, request: Request) -> Response:
        return await self._change(request, delete=False)

    async def _change(self, request: Request, delete: bool) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":  # which no form of another site can send
            raise Refused(415, "expected the Content-Type application/json")
        body = await read_body(request.receive)
        return JSONResponse(
            await asyncio.to_thread(self._tubs.change, request.path_params["name"], body, delete)
        )


async def _drive_page(request: Request) -> Response:
    return FileResponse(STATIC / "index.html")


async def _tub_page(request: Request) -> Response:
    return FileResponse(STATIC / "tub.html")


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, Refused):
        return JSONResponse({"error": error.message}, error.status)
    assert isinstance(error, HTTPException)
    asked = ascii(f"{request.method} {request.url.path[:80]}")
    return JSONResponse({"error": f"{asked}: {error.detail}"}, error.status_code)
