"""Faults over HTTP, for whoever plays the bad weather from another process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from aiohttp import web

from sandbox.waha.answers import answer, body_of
from sandbox.waha.environment import Json
from sandbox.waha.faults import Fault
from sandbox.waha.receipt_faults import ReceiptFault
from sandbox.waha.server import SandboxWaha
from sandbox.waha.start_faults import StartFault
from sandbox.waha.switches import Switch
from sandbox.waha.webhook_faults import WebhookFault
from sandbox.whatsapp import PhoneError

_Add = Callable[[Any], Switch]


class FaultControl:
    """`GET /faults`, `POST /faults/requests|webhooks|receipts|starts`, `DELETE /faults` (which heals everything).

    The body of a POST has the fields of `Fault`, `WebhookFault`, `ReceiptFault` or `StartFault`:
    `{"kind": "delay", "path": "/api/send*", "seconds": [0.1, 0.5], "probability": 0.2, "seed": 4}`.
    """

    def __init__(self, waha: SandboxWaha) -> None:
        self._waha = waha

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/faults", self._list),
            web.delete("/faults", self._heal),
            web.post("/faults/requests", self._requests),
            web.post("/faults/webhooks", self._webhooks),
            web.post("/faults/receipts", self._receipts),
            web.post("/faults/starts", self._starts),
        ]

    async def _list(self, _request: web.Request) -> web.Response:
        return answer(self._all())

    async def _heal(self, _request: web.Request) -> web.Response:
        self._waha.heal()
        return answer(self._all())

    async def _requests(self, request: web.Request) -> web.Response:
        return await _switch_on(request, Fault, self._waha.faults.add)

    async def _webhooks(self, request: web.Request) -> web.Response:
        return await _switch_on(request, WebhookFault, self._waha.webhook_faults.add)

    async def _receipts(self, request: web.Request) -> web.Response:
        return await _switch_on(request, ReceiptFault, self._waha.receipts.add)

    async def _starts(self, request: web.Request) -> web.Response:
        return await _switch_on(request, StartFault, self._waha.starts.add)

    def _all(self) -> Json:
        return {
            "requests": [_as_json(fault) for fault in self._waha.faults.switched_on],
            "webhooks": [_as_json(fault) for fault in self._waha.webhook_faults.switched_on],
            "receipts": [_as_json(fault) for fault in self._waha.receipts.switched_on],
            "starts": [_as_json(fault) for fault in self._waha.starts.switched_on],
        }


async def _switch_on(request: web.Request, kind: type[Switch], add: _Add) -> web.Response:
    body = await body_of(request)
    kinds = get_args(get_type_hints(kind)["kind"])
    if body.get("kind") not in kinds:
        raise PhoneError(f'Say which kind: {{"kind": "…"}} is one of {", ".join(kinds)}.')
    known = {field.name for field in fields(kind) if field.init}
    if unknown := sorted(set(body) - known):
        raise PhoneError(f"There is no {', '.join(unknown)}; there are {', '.join(sorted(known))}.")
    if isinstance(seconds := body.get("seconds"), list):
        body["seconds"] = tuple(seconds)
    return answer(_as_json(add(kind(**body))), status=201)


def _as_json(fault: Switch) -> Json:
    shown = [field.name for field in fields(fault) if field.init or field.name == "hits"]
    return {name: getattr(fault, name) for name in shown}
