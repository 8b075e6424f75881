"""The package of the build folder that the program's tests use: from package import altprop."""
import os
import sys
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("ALTPROP_BUILD", Path(__file__).parents[2] / "build")).resolve()
if not list((BUILD / "python" / "altprop").glob("_core*.so")):
    missing = f"{BUILD}/python has no compiled part: configure with -DALTPROP_PYTHON_MODULE=ON, and build"
    if "ALTPROP_BUILD" in os.environ:  # a build that was named was meant to be tested
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing, allow_module_level=True)
sys.path.insert(0, str(BUILD / "python"))
import altprop  # noqa: E402,F401
