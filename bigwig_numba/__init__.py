"""BigWig files to arrays, on CPU and GPU.

>>> import bigwig_numba
>>> from bigwig_numba.example_data import example_data
>>> path = example_data(chromosome_length=50_000).bigwig_paths[0]
>>> with bigwig_numba.open(path) as track:
...     track.values("chr1", 20_000, 20_004)
array([3., 3., 3., 3.], dtype=float32)
"""

from bigwig_numba.bigwig import BigWig, Intervals, open
from bigwig_numba.checking import CheckResult, check
from bigwig_numba.collection import BigWigCollection
from bigwig_numba.encoders import SequenceEncoder, register_encoder
from bigwig_numba.errors import (
    BigWigError,
    BlockDecodeError,
    ChromNotFoundError,
    ConfigError,
    DeviceError,
    FormatError,
    StaleFileError,
    StorageError,
    WindowError,
    WorkerError,
)
from bigwig_numba.genome import ReferenceGenome
from bigwig_numba.kernels.statistics import Statistic
from bigwig_numba.kernels.swapping import InflateKernel, ReduceKernel
from bigwig_numba.storage import RemoteOptions
from bigwig_numba.validation import validate
from bigwig_numba.version import __version__
from bigwig_numba.write import write_bigwig

__all__ = [
    "BigWig",
    "BigWigCollection",
    "BigWigError",
    "BlockDecodeError",
    "CheckResult",
    "ChromNotFoundError",
    "ConfigError",
    "DeviceError",
    "FormatError",
    "InflateKernel",
    "Intervals",
    "ReduceKernel",
    "ReferenceGenome",
    "RemoteOptions",
    "SequenceEncoder",
    "StaleFileError",
    "Statistic",
    "StorageError",
    "WindowError",
    "WorkerError",
    "__version__",
    "check",
    "open",
    "register_encoder",
    "validate",
    "write_bigwig",
]
