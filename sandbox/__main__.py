"""`python -m sandbox`."""

from sandbox import playing  # noqa: F401 - adds its commands
from sandbox.commands import main

main(prog_name="python -m sandbox")
