"""Programs that some tests need and a machine may lack."""

import os
import shutil

import pytest


def require(name: str) -> str:
    """Return the path of the program ``name``; without it fail where CI is set, skip the test elsewhere."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is not installed"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and with CI set every program must be there")
    pytest.skip(reason)
