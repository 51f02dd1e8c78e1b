"""What a base becomes: one-hot, an encoding of one's own by a function of bases, or a function of strings."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .arguments import integer, number
from .errors import ConfigError
from .kernels.compiling import compile_as, compile_function, is_typed_in
from .kernels.sequence import N_CODES, N_ROWS, UNKNOWN, complement, encode_slowly
from .kernels.sequence_context import DTYPES, MOST_BASES, encode_signature, make_typed_encode
from .kernels.windows import bfloat16_bits

__all__ = [
    "SequenceEncoder",
    "StringEncoder",
    "checked_dtype",
    "compile_encoder",
    "encoding_table",
    "get_encoder",
    "one_hot_encoder",
    "register_encoder",
]

StringEncoder = Callable[[list[str]], Any]
"""Takes the S sequences of a batch, upper case, and gives what the batch shall have instead."""

N_CHANNELS_OF_ONE_HOT = 4


@dataclass(frozen=True)
class SequenceEncoder:
    r"""What each base becomes, as a function of its code, or of its code and those of its neighbours.

    Of a base by itself there are 15 codes, so ``encode`` is called once for each code and channel, and the kernels look
    up what it gave, at the speed of one-hot. With ``context`` it sees neighbours too: it is compiled, for the CPU and
    into the CUDA kernel, which calls it for each base and channel.

    The other strand needs no code of its own: the function gets the reversed and complemented sequence, in order.

    Parameters
    ----------
    name
        For error messages and representations.
    n_channels
        C, numbers that a base becomes.
    encode
        ``encode(code, channel)``, or with ``context`` ``encode(codes, channel)``, gives the number for a channel from
        0 to C - 1. A code is a set of letters as bits: A 1, C 2, G 4, T 8; R, which is A or G, 5; N 15. ``codes`` is a
        tuple of them in the order of the sequence, ``codes[before]`` that of the base itself.
    context
        ``(before, after)``, how many bases the function sees before and after each; together, with the base itself, up
        to 32. None: it sees the base itself only, and gets its code, not a tuple.

        Neighbours are those on the chromosome, also if they are not in the window: what a base becomes does not depend
        on which window it is in. Outside the chromosome is N.

    Raises
    ------
    ConfigError
        Arguments that make no sense.

    Notes
    -----
    With ``context``, the function may use what a :class:`~bigwig_numba.Statistic` may: numbers, tuples, ``if``, loops,
    ``math``, and plain functions of the same kind; codes are whole numbers, floats are float32.

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

    The C of a CpG, which may be methylated; in plain Python, on either strand:

    >>> def is_cpg(codes, channel):
    ...     base, following = codes
    ...     return 1.0 if base == C and following == G else 0.0
    >>> cpg = SequenceEncoder("CpG", 1, is_cpg, context=(0, 1))
    >>> cpg.of_sequence("ACGTCA")[:, 0]
    array([0., 1., 0., 0., 0., 0.], dtype=float32)
    >>> cpg.of_sequence("ACGTCA", reverse_complement=True)[:, 0]  # TGACGT
    array([0., 0., 0., 1., 0., 0.], dtype=float32)
    """

    name: str
    n_channels: int
    encode: Callable[[Any, int], float] = field(repr=False)
    context: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if integer(self.n_channels, "n_channels") < 1:
            message = f"n_channels is {self.n_channels}, expected 1 or more"
            raise ConfigError(message, argument="n_channels", value=self.n_channels)
        encode: Any = self.encode
        if not callable(encode):
            message = f"encode is {encode!r}, expected a function of (code, channel)"
            raise ConfigError(message, argument="encode", value=encode)
        if self.context is not None:
            object.__setattr__(self, "context", _checked_context(self.context))
            if is_typed_in(encode):
                compile_function(encode)  # not later: the source of what was typed in may be forgotten by then

    @property
    def neighbours(self) -> tuple[int, int]:
        """Bases that the function sees before and after each."""
        return self.context or (0, 0)

    @property
    def n_bases(self) -> int:
        """Bases that the function sees at a time."""
        return sum(self.neighbours) + 1

    def values(self) -> npt.NDArray[np.float32]:
        """(16, C) float32, what each code becomes by itself. Code 0 is no base; its row is 0.

        Raises
        ------
        ConfigError
            ``encode`` gave something that is no number, or wants neighbours.
        """
        if self.context is not None:
            message = f"the encoder {self.name!r} sees neighbours, so that no code by itself becomes anything"
            raise ConfigError(message, argument="encoder", value=self)
        values = np.zeros((N_CODES, self.n_channels), dtype=np.float32)
        for code in range(1, N_CODES):
            for channel in range(self.n_channels):
                values[code, channel] = number(self.encode(code, channel), f"encode({code}, {channel})")
        return values

    def of_sequence(self, sequence: str, *, reverse_complement: bool = False) -> npt.NDArray[np.float32]:
        """What a sequence becomes in plain Python, where ``print`` and a debugger work in the function.

        Parameters
        ----------
        sequence
            Letters, in either case. Beyond its ends is N.
        reverse_complement
            Whether to read the other strand.

        Returns
        -------
        (L, C) float32
            The same bits as compiled, unless the function calculates with floats: in Python these have 64 bits.
        """
        return np.array(
            [
                [self.of_codes(codes, channel) for channel in range(self.n_channels)]
                for codes in self.codes_of(sequence, reverse_complement=reverse_complement)
            ],
            dtype=np.float32,
        ).reshape(len(sequence), self.n_channels)

    def of_codes(self, codes: tuple[int, ...], channel: int) -> np.float32:
        """What the function gives in plain Python for a base with its neighbours."""
        encode: Any = getattr(self.encode, "py_func", self.encode)
        with np.errstate(all="ignore"):
            return np.float32(encode(codes[0] if self.context is None else codes, channel))

    def codes_of(self, sequence: str, *, reverse_complement: bool = False) -> list[tuple[int, ...]]:
        """What the function sees at each of L bases, a tuple of ``n_bases`` codes; beyond the sequence's ends is N."""
        before, after = reversed(self.neighbours) if reverse_complement else self.neighbours
        codes = encode_slowly(
            sequence, -before, len(sequence) + after, reverse_complement=reverse_complement, encode=int
        )
        return [tuple(codes[place : place + self.n_bases]) for place in range(len(sequence))]


def _checked_context(context: Any) -> tuple[int, int]:
    try:
        before, after = (integer(each, "context") for each in context)
    except (TypeError, ValueError):
        before, after = -1, -1
    if min(before, after) < 0 or before + 1 + after > MOST_BASES:
        message = (
            f"context is {context!r}, expected (before, after): bases that the function sees on each side, together up "
            f"to {MOST_BASES - 1}"
        )
        raise ConfigError(message, argument="context", value=context)
    return before, after


@functools.lru_cache(maxsize=64)
def compile_encoder(encoder: SequenceEncoder) -> None:
    """Compile the function of an encoder with context, to see that it can be.

    Raises
    ------
    ConfigError
        With what Numba has to say.
    """
    compile_as(
        make_typed_encode(encoder.encode),
        encode_signature(encoder.n_bases),
        what=f"the function of encoder {encoder.name!r}",
        argument="encode",
        value=encoder.encode,
    )


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
    checked_dtype(dtype)
    values = encoder.values()
    both = np.concatenate([values, values[[complement.py_func(code) for code in range(N_CODES)]]])
    if dtype == "bfloat16":
        table: npt.NDArray[Any] = np.array([bfloat16_bits(value) for value in both.flat], dtype=np.uint16)
    else:
        table = both.astype(dtype)
    table = table.reshape(N_ROWS, encoder.n_channels)
    table.flags.writeable = False
    return table


def checked_dtype(dtype: str) -> str:
    """The name of a type that bases are encoded in; ``ConfigError`` for any other."""
    if dtype not in DTYPES:
        message = f"dtype is {dtype!r}, expected 'float32', 'float16' or 'bfloat16'"
        raise ConfigError(message, argument="dtype", value=dtype)
    return dtype


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
        A name that no encoder has, something that is no encoder, or one whose function cannot be compiled.

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
        if encoder.context is not None:
            compile_encoder(encoder)  # whether it can be is said now, not at the first batch
        return encoder
    if callable(encoder):
        return cast(StringEncoder, encoder)
    message = f"encoder is {encoder!r}, expected a SequenceEncoder or a function of a list of strings"
    raise ConfigError(message, argument="encoder", value=encoder)
