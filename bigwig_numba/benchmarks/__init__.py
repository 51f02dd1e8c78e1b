"""Benchmarks, run by ``bigwig-numba bench``: what is timed here is what the library runs, checked byte by byte."""
