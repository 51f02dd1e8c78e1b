"""The decorator of all functions that are compiled for the CPU: Numba's, without what nothing here needs.

Beside each function Numba compiles two wrappers, one for callers in Python and one for callers in C. Nobody calls from
C, and without that wrapper the first batch is there a sixth earlier. Closures that only compiled code can get hold of
also go without the first, ``no_cpython_wrapper``: to call those from Python would end the process.
"""

import functools

import numba

njit = functools.partial(numba.njit, no_cfunc_wrapper=True)
