"""What a base becomes: one-hot, an encoding of one's own as a function of (code, channel), or a function of strings."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .arguments import integer, number
from .errors import ConfigError
from .kernels.sequence import N_CODES, N_ROWS, UNKNOWN, complement
from .kernels.windows import bfloat16_bits

__all__ = ["SequenceEncoder", "StringEncoder", "encoding_table", "get_encoder", "one_hot_encoder", "register_encoder"]

StringEncoder = Callable[[list[str]], Any]
"""Takes the S sequences of a batch, upper case, and gives what the batch shall have instead."""

N_CHANNELS_OF_ONE_HOT = 4


@dataclass(frozen=True)
class SequenceEncoder:
    r"""An encoding that looks at one base at a time; it runs at the speed of one-hot, on both devices.

    A base has one of 15 codes, so ``encode`` is called once for each code and channel, and the kernels look up what it
    gave: it may be a plain Python function or a compiled one. The reverse complement needs no code of its own: the
    kernels encode the complement of each base.

    Parameters
    ----------
    name
        For error messages and representations.
    n_channels
        C, numbers that a base becomes.
    encode
        ``encode(code, channel)`` gives the number for a channel from 0 to C - 1. The code is a set of letters as bits:
        A 1, C 2, G 4, T 8; R, which is A or G, 5; N 15.

    Examples
    --------
    Purine or pyrimidine, and strong or weak:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from bigwig_numba.genome import ReferenceGenome
    >>> A, C, G, T = 1, 2, 4, 8
    >>> def chemistry(code, channel):
    ...     ones = (A | G, C | G)[channel]
    ...     return float(code & ones == code) - float(code & ones == 0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "genome.fa")
    ...     _ = path.write_text(">chr1\nACGTN\n")
    ...     with ReferenceGenome(path, device="cpu", cache=False) as genome:
    ...         genome.encode(["chr1"], [0], [5], encoder=SequenceEncoder("chemistry", 2, chemistry))
    array([[[ 1., -1.],
            [-1.,  1.],
            [ 1.,  1.],
            [-1., -1.],
            [ 0.,  0.]]], dtype=float32)
    """

    name: str
    n_channels: int
    encode: Callable[[int, int], float]

    def __post_init__(self) -> None:
        if integer(self.n_channels, "n_channels") < 1:
            message = f"n_channels is {self.n_channels}, expected 1 or more"
            raise ConfigError(message, argument="n_channels", value=self.n_channels)
        encode: Any = self.encode
        if not callable(encode):
            message = f"encode is {encode!r}, expected a function of (code, channel)"
            raise ConfigError(message, argument="encode", value=encode)

    def values(self) -> npt.NDArray[np.float32]:
        """(16, C) float32, what each code becomes. Code 0 is no base; its row is 0.

        Raises
        ------
        ConfigError
            ``encode`` gave something that is no number.
        """
        values = np.zeros((N_CODES, self.n_channels), dtype=np.float32)
        for code in range(1, N_CODES):
            for channel in range(self.n_channels):
                values[code, channel] = number(self.encode(code, channel), f"encode({code}, {channel})")
        return values


@functools.lru_cache(maxsize=16)
def one_hot_encoder(unknown_base: float = 0.25) -> SequenceEncoder:
    """A, C, G, T as four channels; IUPAC codes as fractions.

    Parameters
    ----------
    unknown_base
        What N is in each channel: 0.25, as if each letter were as likely, or 0. R, A or G, is 0.5 in two channels in
        any case.

    Returns
    -------
    SequenceEncoder

    Examples
    --------
    >>> one_hot_encoder().values()[[1, 5, 15]]  # A, R, N
    array([[1.  , 0.  , 0.  , 0.  ],
           [0.5 , 0.  , 0.5 , 0.  ],
           [0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """
    value_of_unknown = number(unknown_base, "unknown_base")
    if not math.isfinite(value_of_unknown):
        message = f"unknown_base is {unknown_base!r}, expected a finite number such as 0.25 or 0"
        raise ConfigError(message, argument="unknown_base", value=unknown_base)

    def encode(code: int, channel: int) -> float:
        if code == UNKNOWN:
            return value_of_unknown
        return 1.0 / code.bit_count() if code >> channel & 1 else 0.0

    return SequenceEncoder("onehot", N_CHANNELS_OF_ONE_HOT, encode)


@functools.lru_cache(maxsize=64)
def encoding_table(encoder: SequenceEncoder, dtype: str) -> npt.NDArray[Any]:
    """The table that the kernels look up: what each code becomes, and then what its complement becomes.

    Parameters
    ----------
    encoder
        Says what.
    dtype
        ``"float32"``, ``"float16"`` or ``"bfloat16"``, rounded to nearest even.

    Returns
    -------
    (32, C) float32, float16, or uint16 with the bits of bfloat16
        Read-only.

    Raises
    ------
    ConfigError
        Any other dtype.
    """
    values = encoder.values()
    both = np.concatenate([values, values[[complement.py_func(code) for code in range(N_CODES)]]])
    if dtype == "bfloat16":
        table: npt.NDArray[Any] = np.array([bfloat16_bits.py_func(value) for value in both.flat], dtype=np.uint16)
    elif dtype in ("float32", "float16"):
        table = both.astype(dtype)
    else:
        message = f"dtype is {dtype!r}, expected 'float32', 'float16' or 'bfloat16'"
        raise ConfigError(message, argument="dtype", value=dtype)
    table = table.reshape(N_ROWS, encoder.n_channels)
    table.flags.writeable = False
    return table


_registered: dict[str, SequenceEncoder | StringEncoder] = {}


def register_encoder(name: str, encoder: SequenceEncoder | StringEncoder) -> None:
    """Give an encoder a name, under which :func:`get_encoder` and datasets find it, in this process.

    Parameters
    ----------
    name
        Any but ``"onehot"``; an earlier encoder of this name is forgotten.
    encoder
        A :class:`SequenceEncoder`, or a function that takes the sequences of a batch as a list of strings.

    Raises
    ------
    ConfigError
        The name is taken by a built-in encoder, or the encoder is none.

    Examples
    --------
    >>> register_encoder("length", lambda sequences: [len(sequence) for sequence in sequences])
    >>> get_encoder("length")(["ACGT", "N"])
    [4, 1]
    """
    if not isinstance(name, str) or not name or name == "onehot":
        message = f"name is {name!r}, expected a name of your own: text, and not 'onehot', which is built in"
        raise ConfigError(message, argument="name", value=name)
    _registered[name] = _checked(encoder)


def get_encoder(
    encoder: str | SequenceEncoder | StringEncoder | None, *, unknown_base: float = 0.25
) -> SequenceEncoder | StringEncoder | None:
    """The encoder that an argument stands for.

    Parameters
    ----------
    encoder
        ``"onehot"``, a registered name, an encoder itself, or None for strings.
    unknown_base
        For ``"onehot"``: what N is in each channel.

    Returns
    -------
    SequenceEncoder, callable, or None
        A callable takes the sequences of a batch as a list of strings.

    Raises
    ------
    ConfigError
        A name that no encoder has, or something that is no encoder.

    Examples
    --------
    >>> get_encoder("onehot").n_channels
    4
    """
    if encoder is None:
        return None
    if not isinstance(encoder, str):
        return _checked(encoder)
    if encoder == "onehot":
        return one_hot_encoder(unknown_base)
    if encoder not in _registered:
        names = ", ".join(map(repr, ["onehot", *sorted(_registered)]))
        message = f"encoder is {encoder!r}, expected one of {names}; register_encoder makes a new name known"
        raise ConfigError(message, argument="encoder", value=encoder)
    return _registered[encoder]


def _checked(encoder: Any) -> SequenceEncoder | StringEncoder:
    if isinstance(encoder, SequenceEncoder):
        return encoder
    if callable(encoder):
        return cast(StringEncoder, encoder)
    message = f"encoder is {encoder!r}, expected a SequenceEncoder or a function of a list of strings"
    raise ConfigError(message, argument="encoder", value=encoder)
