from __future__ import annotations

from waha.calls import Timeouts
from waha.examining import ExaminingCalls
from waha.files import FileCalls
from waha.history import HistoryCalls
from waha.sending import SendingCalls
from waha.sessions import SessionCalls

__all__ = ["Timeouts", "WahaClient"]


class WahaClient(SessionCalls, SendingCalls, FileCalls, HistoryCalls, ExaminingCalls):
    """One WAHA server.

    Every call is bounded in time as a whole, raises `waha.errors.WahaError` alone, and is made once: repeating is the
    business of whoever keeps the row.

        async with WahaClient("http://127.0.0.1:3000", api_key) as waha:
            sent = await waha.send_text("acme-1", "4915123456789@c.us", "Hello", message_id=new_message_id())
    """
