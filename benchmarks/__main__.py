"""Run benchmarks by name, or all; exit with 1 if a figure falls short."""

import importlib
import sys
from pathlib import Path

_NOT_SCRIPTS = {"__init__", "__main__", "crowd", "days", "figures", "meter", "pulse", "softcard", "together", "town"}


def main(names: list[str]) -> int:
    """Run the named benchmarks and print their figures as they come."""
    known = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in _NOT_SCRIPTS)
    if unknown := [name for name in names if name not in known]:
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    ok = True
    for name in names or known:
        print(f"\n{name}", flush=True)
        for figure in importlib.import_module(f"benchmarks.{name}").figures():
            print(figure.row(), figure.line(), sep="\n", flush=True)
            ok = ok and figure.ok
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
