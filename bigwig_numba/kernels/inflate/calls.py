"""How the functions of the CPU's decoder are compiled: so that a call costs what it passes, and no more.

Numba counts references. A function that is given arrays adds one to the count of each and takes it off at its end, by
atomic operations: 22 of them where tables are passed, at every call, which takes as long as 20 symbols. None of these
functions allocates or keeps anything (their callers do), so they are compiled without it (``_nrt=False``).

Numba also hands ``forceinline`` on to what is compiled first by way of a function that has it, so it is always said.
"""

OUT_OF_LINE = {"nogil": True, "cache": True, "_nrt": False, "forceinline": False}
IN_LINE = {"nogil": True, "_nrt": False, "forceinline": True}
