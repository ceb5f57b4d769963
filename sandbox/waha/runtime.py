"""What every session of one server shares."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.waha.background import Background
from sandbox.waha.engine import Engine
from sandbox.waha.environment import Environment
from sandbox.waha.files import Files
from sandbox.waha.receipt_faults import ReceiptFaults
from sandbox.waha.start_faults import StartFaults
from sandbox.waha.webhooks import Webhooks
from sandbox.whatsapp import WhatsApp


@dataclass(frozen=True)
class Runtime:
    environment: Environment
    engine: Engine
    whatsapp: WhatsApp
    webhooks: Webhooks
    files: Files
    background: Background
    receipts: ReceiptFaults
    starts: StartFaults
