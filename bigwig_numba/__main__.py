"""``python -m bigwig_numba`` is ``bigwig-numba``."""

import sys

from bigwig_numba.cli import main

if __name__ == "__main__":
    sys.exit(main())
