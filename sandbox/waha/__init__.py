"""A simulated WAHA (WhatsApp HTTP API), written from WAHA's own documents and recordings."""

from sandbox.waha.control import Control
from sandbox.waha.engine import EngineName
from sandbox.waha.faults import Hold
from sandbox.waha.server import SandboxWaha

__all__ = ["Control", "EngineName", "Hold", "SandboxWaha"]
