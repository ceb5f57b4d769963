"""Chaos: real processes under load and faults; then what was offered is held against what stands at the far ends."""
