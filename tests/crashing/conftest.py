from __future__ import annotations

import pytest

# What a journey finds wrong at a far end is shown as a test's own assertions are.
pytest.register_assert_rewrite(
    *(f"tests.crashing.{name}" for name in ("act", "asking", "deciding", "everyday", "trouble"))
)
