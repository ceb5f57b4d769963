"""A look at everything that Switchboard needs: each thing by itself, all at once, each with what mends it.

It runs in a process of its own, `python -m daemon doctor`, and inside a daemon for `doctor` in Slack. The same checks
run there: each makes its own connections out of the settings, as a process that starts would.
"""

from daemon.doctor.checkup import Checkup
from daemon.doctor.examination import examine

__all__ = ["Checkup", "examine"]
