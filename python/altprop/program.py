"""The command `altprop` of an installed package: becomes the program that lies in the package."""
import os
import sys
from pathlib import Path

import torch

PROGRAM = Path(__file__).parent / "bin" / "altprop"


def main():
    """Replaces this process, so that signals, exit codes and terminal are the program's own."""
    if not PROGRAM.is_file():
        return f"altprop: {PROGRAM} is missing: this is no installed package; use the program of the build folder"
    library = Path(torch.__file__).parent / "lib"
    if not (PROGRAM.parents[2] / "torch" / "lib").exists():  # in another folder of packages than this one
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [str(library), os.environ.get("LD_LIBRARY_PATH")]))
    try:
        os.execv(PROGRAM, ["altprop", *sys.argv[1:]])
    except OSError as problem:
        return f"altprop: {PROGRAM} cannot be run ({problem.strerror}); install altprop again"


if __name__ == "__main__":
    sys.exit(main())
