"""`python -m sandbox`."""

from sandbox.commands import main

main(prog_name="python -m sandbox")
