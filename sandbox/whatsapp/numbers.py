"""Numbers that are written in two ways: WhatsApp knows an account under one of them alone.

Brazilian mobiles got a ninth digit (55 11 9 9999-9999), Mexican ones lost a 1 (52 1 55 …), Argentine ones have a 9
abroad (54 9 11 …). Old accounts live on under the old form.
"""

from __future__ import annotations

import re

_BRAZIL = re.compile(r"55(\d{2})(9?)(\d{8})")
_MEXICO = re.compile(r"52(1?)(\d{10})")
_ARGENTINA = re.compile(r"54(9?)(\d{10})")


def written_otherwise(digits: str) -> str | None:
    """`5511999998888` -> `551199998888` and back; None for numbers that have one form."""
    if found := _BRAZIL.fullmatch(digits):
        area, ninth, rest = found.groups()
        return f"55{area}{'' if ninth else '9'}{rest}"
    if found := _MEXICO.fullmatch(digits):
        return f"52{'' if found[1] else '1'}{found[2]}"
    if found := _ARGENTINA.fullmatch(digits):
        return f"54{'' if found[1] else '9'}{found[2]}"
    return None
