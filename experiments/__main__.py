"""`python -m experiments` lists what can be run; `python -m experiments NAME ...` runs it."""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import sys

from experiments import MODULES, launch
from synthetic.base.console import Console


def main() -> int:
    """List, or hand the rest of the command line on to an experiment."""
    name, *words = sys.argv[1:] or ("--help",)
    if name in ("-h", "--help"):
        Console().print("\n".join((f"{__doc__}\n", *MODULES)), soft_wrap=True)
        return 0
    sys.argv[1:] = words
    return launch(name)


if __name__ == "__main__":
    sys.exit(main())
