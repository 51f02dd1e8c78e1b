"""BigWig files to arrays, on CPU and GPU.

>>> import bigwig_numba
>>> from bigwig_numba.example_data import example_data
>>> import tempfile
>>> folder = tempfile.TemporaryDirectory()
>>> path = example_data(folder.name, chromosome_length=50_000).bigwig_paths[0]
>>> with bigwig_numba.open(path) as track:
...     track.values("chr1", 20_000, 20_004)
array([3., 3., 3., 3.], dtype=float32)
>>> folder.cleanup()
"""

from bigwig_numba.bigwig import BigWig, Intervals, open
from bigwig_numba.collection import BigWigCollection
from bigwig_numba.errors import (
    BigWigError,
    BlockDecodeError,
    ChromNotFoundError,
    ConfigError,
    DeviceError,
    FormatError,
    StorageError,
    WindowError,
    WorkerError,
)
from bigwig_numba.version import __version__
from bigwig_numba.write import write_bigwig

__all__ = [
    "BigWig",
    "BigWigCollection",
    "BigWigError",
    "BlockDecodeError",
    "ChromNotFoundError",
    "ConfigError",
    "DeviceError",
    "FormatError",
    "Intervals",
    "StorageError",
    "WindowError",
    "WorkerError",
    "__version__",
    "open",
    "write_bigwig",
]
