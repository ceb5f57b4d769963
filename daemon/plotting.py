"""`python -m daemon.plotting`: figures as JSON on stdin, a PNG on stdout. Nothing imports it.

The plotting library takes 80 MB and over a second to load, so it lives and dies with a picture. The figures are those
of `operations.report_pictures`. The colours are told apart by people who do not see all of them (Okabe and Ito), and
what they say is hatched or written as well.
"""

from __future__ import annotations

import io
import json
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import matplotlib as mpl
from matplotlib import dates, ticker
from matplotlib.figure import Figure
from matplotlib.patches import Patch

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

_WIDTH, _DPI = 9.0, 100  # 900 pixels
_INK, _FAINT = "#222222", "#d9d9d9"
_BLUE, _ORANGE = "#0072B2", "#E69F00"
_STATUS: Final = {
    "working": ("#009E73", ""),
    "starting": ("#56B4E9", ""),
    "scan_qr": ("#E69F00", "//"),
    "failed": ("#D55E00", "xx"),
    "stopped": ("#999999", ""),
    "server away": ("#333333", ".."),
}
_UNKNOWN = ("#CC79A7", "")
# Of the time that is shown. An outage of minutes in a week would be narrower than a pixel, and is what one looks for.
_NARROWEST = 1 / 200
_STATUS_WORDS = {"scan_qr": "to be linked"}
_LOOK: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 17,
    "axes.titlesize": 20,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "hatch.linewidth": 0.8,
    "hatch.color": "white",
    # What stands in names is shown as it is.
    "text.parse_math": False,
}


def draw(figures: dict[str, Any]) -> bytes:
    """A PNG, 900 pixels wide."""
    mpl.rcParams.update(_LOOK)
    height, paint = _KINDS[figures["kind"]]
    figure = Figure(figsize=(_WIDTH, height(figures)), dpi=_DPI, layout="constrained")
    paint(figure.add_subplot(), figures)
    made = io.BytesIO()
    figure.savefig(made, format="png", pil_kwargs={"optimize": True})
    return made.getvalue()


def _timeline(axes: Axes, figures: dict[str, Any]) -> None:
    sessions = figures["sessions"]
    least = (_day(figures["until"]) - _day(figures["since"])) * _NARROWEST
    for row, session in enumerate(sessions):
        for begin, end, status in session["spans"]:
            colour, hatch = _STATUS.get(status, _UNKNOWN)
            width = _day(end) - _day(begin)
            order = 2 if status == "working" else 3
            # A hatch would hide what is narrow.
            pattern = hatch if width > 4 * least else ""
            axes.barh(row, max(width, least), left=_day(begin), height=0.62, color=colour, hatch=pattern, zorder=order)
    axes.set_title("Status of each session", pad=14)
    axes.set_yticks(range(len(sessions)), [session["name"] for session in sessions])
    axes.set_ylim(len(sessions) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    ups = axes.secondary_yaxis("right")
    ups.set_yticks(range(len(sessions)), [session["up"] for session in sessions])
    ups.tick_params(length=0)
    ups.spines["right"].set_visible(False)
    ups.set_ylabel("worked")
    _time_axis(axes, figures)
    seen = {span[2] for session in sessions for span in session["spans"]}
    _legend(axes, [(_STATUS_WORDS.get(one, one), *_STATUS[one]) for one in _STATUS if one in seen])


def _volume(axes: Axes, figures: dict[str, Any]) -> None:
    zone = ZoneInfo(figures["time_zone"])
    begins = [_day(begin) for begin in figures["begins"]]
    step = figures["step"] / 86400
    axes.bar(begins, figures["received"], width=step * 0.42, align="edge", color=_BLUE)
    right = [begin + step * 0.46 for begin in begins]
    axes.bar(right, figures["sent"], width=step * 0.42, align="edge", color=_ORANGE, hatch="//")
    axes.set_title(f"Messages by {figures['by']}", pad=14)
    axes.set_ylabel("messages")
    _count_axis(axes, [*figures["received"], *figures["sent"]])
    _time_axis(axes, figures, end=figures["begins"][-1] + figures["step"])
    axes.set_xlabel(f"time in {zone.key}")
    totals = (sum(figures["received"]), sum(figures["sent"]))
    _legend(axes, [(f"received {totals[0]:,}", _BLUE, ""), (f"sent {totals[1]:,}", _ORANGE, "//")])


def _answers(axes: Axes, figures: dict[str, Any]) -> None:
    places = range(len(figures["counts"]))
    bars = axes.bar(places, figures["counts"], width=0.8, color=_BLUE)
    axes.bar_label(bars, labels=[f"{count:,}" for count in figures["counts"]], padding=3)
    axes.set_xticks(places, figures["labels"])
    axes.set_title(
        f"First answers: half within {figures['median']},\nnine of ten within {figures['ninetieth']}", pad=14
    )
    axes.set_xlabel("answered within (and later than the bar before)")
    axes.set_ylabel("customers")
    axes.margins(y=0.15)
    _count_axis(axes, figures["counts"])


def _count_axis(axes: Axes, counts: list[int]) -> None:
    axes.yaxis.set_major_locator(ticker.MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.set_ylim(bottom=0, top=max(1.0, max(counts) * 1.15))
    axes.grid(axis="y", color=_FAINT)
    axes.set_axisbelow(True)


def _time_axis(axes: Axes, figures: dict[str, Any], end: float | None = None) -> None:
    zone = ZoneInfo(figures["time_zone"])
    axes.set_xlim(_day(figures["since"]), _day(end or figures["until"]))
    locator = dates.AutoDateLocator(tz=zone, minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formats = ["%Y", "%b", "%-d %b", "%H:%M", "%H:%M", "%H:%M:%S"]
    zeros = ["", "%Y", "%-d %b", "%-d %b\n%H:%M", "%H:%M", "%H:%M"]
    form = {"tz": zone, "formats": formats, "zero_formats": zeros, "show_offset": False}
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, **form))  # type: ignore[no-untyped-call]
    axes.set_xlabel(f"time in {zone.key}")


def _legend(axes: Axes, entries: list[tuple[str, str, str]]) -> None:
    handles = [Patch(facecolor=colour, hatch=hatch, label=label) for label, colour, hatch in entries]
    axes.figure.legend(
        handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False, handlelength=1.6
    )


def _day(seconds: float) -> float:
    return float(dates.date2num(datetime.fromtimestamp(seconds, ZoneInfo("UTC"))))  # type: ignore[no-untyped-call]


_KINDS: Final[dict[str, tuple[Callable[[dict[str, Any]], float], Callable[[Axes, dict[str, Any]], None]]]] = {
    "timeline": (lambda figures: 2.9 + 0.45 * len(figures["sessions"]), _timeline),
    "volume": (lambda _: 5.2, _volume),
    "answers": (lambda _: 5.2, _answers),
}


def main() -> None:
    os.nice(10)  # what customers wait for goes first
    sys.stdout.buffer.write(draw(json.load(sys.stdin)))


if __name__ == "__main__":
    main()
