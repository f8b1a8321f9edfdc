"""`python -m experiments` lists what can be run; `python -m experiments NAME ...` runs it."""

import synthetic.base.terminal  # noqa: F401 (Ctrl-C from here on)

# isort: split
import importlib
import sys

from experiments import MODULES
from synthetic.base.console import Console
from synthetic.base.errors import guarded, pick


def main() -> int:
    """List, or hand the rest of the command line on to an experiment."""
    name, *rest = sys.argv[1:] or ("--help",)
    if name in ("-h", "--help"):
        Console().print("\n".join((f"{__doc__}\n", *MODULES)), soft_wrap=True)
        return 0
    module = importlib.import_module(MODULES[pick(name, MODULES, "experiment")])
    sys.argv = [f"python -m experiments {name}", *rest]
    return module.main()


if __name__ == "__main__":
    sys.exit(guarded(main))
