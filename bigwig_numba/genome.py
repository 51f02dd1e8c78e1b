"""``ReferenceGenome``: the bases of any windows of a FASTA file, encoded, on CPU or GPU."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from .arguments import check_out, dtype_name, positions, rows_of_names
from .encoders import SequenceEncoder, checked_dtype, compile_encoder, encoding_table, one_hot_encoder
from .engine.choose import choose_device
from .engine.sequences import (
    LAYOUTS,
    CpuSequences,
    FunctionLayout,
    OutputLayout,
    Sequences,
    SequenceWindows,
    TableLayout,
    count_unknown,
)
from .errors import ChromNotFoundError, ConfigError, StorageError
from .kernels.sequence import LETTERS, N_CODES, complement
from .packed_genome import PackedGenome, read_genome
from .parallel import ThreadTeam
from .plan import checked_length
from .retries import display_url

__all__ = ["ReferenceGenome"]

Names = Sequence[str] | npt.NDArray[Any]
Positions = Sequence[int] | npt.NDArray[Any]
Layout = Literal["BLT", "BTL"]

_BOTH_STRANDS = np.array([*range(N_CODES), *(complement.py_func(code) for code in range(N_CODES))], dtype=np.uint8)
_CODES = _BOTH_STRANDS[:, None]
_LETTERS = np.frombuffer(LETTERS.encode(), dtype=np.uint8)[_CODES]


class ReferenceGenome:
    r"""The reference sequence of a genome, ready to be cut into windows.

    The FASTA file is read once. Its bases, four bits each (a human genome takes 1.5 GB), are kept in the user's cache
    folder, from where the next process maps them into memory; a file that changed is read again. On the GPU they lie in
    device memory if they take at most a quarter of what is free there; else each batch brings its own.

    Positions are 0-based and half-open. Lower case (soft-masked) bases are bases. Windows may hang over the ends of a
    chromosome, or lie outside it: what is there is N.

    Parameters
    ----------
    path
        FASTA: a local path, or a URL that fsspec opens; plain, gzip or bgzip, with an index or without.
    device
        ``"cuda"``, ``"cpu"``, or ``"auto"`` for CUDA where it works and else the CPU.
    chrom_aliases
        Other names for its chromosomes: ``"chr"`` takes ``chr1`` for ``1`` and ``1`` for ``chr1``; a mapping takes its
        keys for the names that it maps them to, and these for the keys; not all of them need be in the FASTA. By
        default only the names in the FASTA count.
    storage_options
        Passed to fsspec, for instance credentials.
    cache
        Whether to keep the encoded bases on disk. Without, each process reads the file anew, into its own memory.

    Attributes
    ----------
    path
        As given.
    device
        ``"cpu"`` or ``"cuda"``: where arrays are made.

    Raises
    ------
    FileNotFoundError, PermissionError
        As they are.
    FormatError
        The file is no FASTA of nucleotides, or is damaged.
    StorageError
        The file cannot be read, or the cache not be written to.
    ConfigError
        An argument that makes no sense.
    DeviceError
        ``device="cuda"`` where it does not work.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "genome.fa")
    >>> _ = path.write_text(">1 first chromosome\nACGTacgtRN\n>2\nTTTT\n")
    >>> genome = ReferenceGenome(path, device="cpu", chrom_aliases="chr", cache=False)
    >>> genome.chromosome_sizes
    {'1': 10, '2': 4}
    >>> genome.strings(["chr1", "2"], [6, 0], [11, 5])
    ['GTRNN', 'TTTTN']
    >>> genome.one_hot(["chr1"], [6], [10], reverse_complement=[True])
    array([[[0.25, 0.25, 0.25, 0.25],
            [0.  , 0.5 , 0.  , 0.5 ],
            [1.  , 0.  , 0.  , 0.  ],
            [0.  , 1.  , 0.  , 0.  ]]], dtype=float32)
    >>> genome.unknown_counts(["1", "2"], [0, 0], [10, 10])
    array([2, 6])
    >>> genome.close()
    >>> folder.cleanup()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        device: str = "auto",
        chrom_aliases: Literal["chr"] | Mapping[str, str] | None = None,
        storage_options: dict[str, Any] | None = None,
        cache: bool = True,
    ) -> None:
        _check_arguments(path, chrom_aliases)
        self.path = os.fspath(path)
        self.device = choose_device(device)
        self._requested_device = device
        self._chrom_aliases = dict(chrom_aliases) if isinstance(chrom_aliases, Mapping) else chrom_aliases
        self._storage_options = storage_options
        self._cache = cache
        self._url = display_url(self.path)
        self._open()

    def _open(self) -> None:
        genome = read_genome(self.path, storage_options=self._storage_options, cache=self._cache)
        self._genome: PackedGenome | None = genome
        self._row_of_name = {name: row for row, name in enumerate(genome.names)}
        mapped = self._chrom_aliases if isinstance(self._chrom_aliases, dict) else {}
        # What was looked up before; aliases come to it once they were asked for.
        self._rows = {name: row for name, row in self._row_of_name.items() if name not in mapped}
        self._team = ThreadTeam()
        self._on_host = CpuSequences(genome.bases, self._team)
        self._sequences: Sequences = self._on_host
        if self.device == "cuda":
            from .engine.cuda_sequences import CudaSequences  # needs CuPy

            self._sequences = CudaSequences(genome.bases, self._team)

    @property
    def chromosome_sizes(self) -> dict[str, int]:
        """Name to length in bases, as they stand in the FASTA."""
        genome = self._open_genome()
        return dict(zip(genome.names, genome.lengths.tolist(), strict=True))

    def name_of(self, name: str) -> str:
        """The name in the FASTA of a chromosome, which may be called by an alias.

        Parameters
        ----------
        name
            A name in the FASTA, or what ``chrom_aliases`` takes for one.

        Raises
        ------
        ChromNotFoundError
            There is none; the message says which are alike, and how to allow them.
        """
        _check_name(name)
        other_style = name.removeprefix("chr") if name.startswith("chr") else f"chr{name}"
        candidates = [name]
        if isinstance(self._chrom_aliases, dict):
            candidates.insert(0, self._chrom_aliases.get(name, name))
            candidates += [key for key, value in self._chrom_aliases.items() if value == name]
        elif self._chrom_aliases == "chr":
            candidates.append(other_style)
        found = next((candidate for candidate in candidates if candidate in self._row_of_name), None)
        if found is not None:
            return found
        error = ChromNotFoundError.for_name(name, self._row_of_name, url=self._url)
        if other_style in self._row_of_name:
            advice = f"chrom_aliases='chr' takes {name!r} for {other_style!r}"
        else:
            near = error.near_misses[0] if error.near_misses else "its name in the FASTA"
            advice = f"a mapping does so for single names: chrom_aliases={{{name!r}: {near!r}}}"
        advised = f"{error}. If they are the same chromosome, {advice}"
        raise ChromNotFoundError(advised, name=name, near_misses=error.near_misses, url=self._url)

    def one_hot(
        self,
        chromosomes: Names,
        starts: Positions,
        ends: Positions,
        *,
        reverse_complement: npt.ArrayLike | None = None,
        unknown_base: float = 0.25,
        dtype: npt.DTypeLike = "float32",
        layout: Layout = "BLT",
        out: Any | None = None,
    ) -> Any:
        """Bases as four channels, A, C, G, T.

        Parameters
        ----------
        chromosomes
            (S,) names, one per window.
        starts, ends
            (S,) positions on the chromosome in bases, 0-based and half-open. All windows have one length, L.
        reverse_complement
            (S,) bool, which windows to read from the other strand; none by default.
        unknown_base
            What N, and a base outside the chromosome, is in each channel: 0.25, as if each letter were as likely, or 0.
            Other IUPAC codes are fractions: R, A or G, is 0.5 in two channels.
        dtype
            ``"float32"``, ``"float16"`` or ``"bfloat16"``, rounded to nearest even.
        layout
            ``"BLT"`` for (S, L, 4), ``"BTL"`` for (S, 4, L).
        out
            The output's shape and type, C-contiguous, on the genome's device: to be written to and returned. By default
            a new array each time.

        Returns
        -------
        (S, L, 4) or (S, 4, L) array
            NumPy on the CPU, from a multiple of 64 bytes on; CuPy on CUDA, in the order of the current stream. bfloat16
            comes as its bits, uint16, as neither of them has it.

        Raises
        ------
        WindowError
            Windows of several lengths, or that end before they start; ``rows`` says which.
        ChromNotFoundError
            A chromosome that the FASTA does not have.
        ConfigError
            Any other argument that makes no sense.
        """
        return self.encode(
            chromosomes,
            starts,
            ends,
            encoder=one_hot_encoder(unknown_base),
            reverse_complement=reverse_complement,
            dtype=dtype,
            layout=layout,
            out=out,
        )

    def encode(
        self,
        chromosomes: Names,
        starts: Positions,
        ends: Positions,
        *,
        encoder: SequenceEncoder,
        reverse_complement: npt.ArrayLike | None = None,
        dtype: npt.DTypeLike = "float32",
        layout: Layout = "BLT",
        out: Any | None = None,
    ) -> Any:
        """Bases as any encoding of one's own.

        Parameters
        ----------
        encoder
            Says what each base becomes, by itself or with its neighbours: C channels.
        chromosomes, starts, ends, reverse_complement, dtype, layout, out
            As in :meth:`one_hot`.

        Returns
        -------
        (S, L, C) or (S, C, L) array
            As in :meth:`one_hot`, with the same errors.
        """
        _check_encoding(encoder, layout)
        if out is not None:
            check_out(out, device=self.device, owner="genome")
        how = _layout_of(encoder, dtype_name(dtype), channels_last=layout == "BLT")
        windows = self._windows(chromosomes, starts, ends, reverse_complement, encoder.neighbours)
        return self._sequences.encode(windows, how, out=out)

    def codes(
        self,
        chromosomes: Names,
        starts: Positions,
        ends: Positions,
        *,
        reverse_complement: npt.ArrayLike | None = None,
    ) -> Any:
        """Bases as sets of letters, a bit each: A 1, C 2, G 4, T 8; R, A or G, 5; N, and what is outside, 15.

        Parameters
        ----------
        chromosomes, starts, ends, reverse_complement
            As in :meth:`one_hot`.

        Returns
        -------
        (S, L) uint8
            NumPy on the CPU, CuPy on CUDA. Errors are those of :meth:`one_hot`.
        """
        windows = self._windows(chromosomes, starts, ends, reverse_complement)
        return self._sequences.encode(windows, TableLayout(_CODES))[:, :, 0]

    def strings(
        self,
        chromosomes: Names,
        starts: Positions,
        ends: Positions,
        *,
        reverse_complement: npt.ArrayLike | None = None,
    ) -> list[str]:
        """Bases as text: IUPAC letters in upper case, T for U, N outside the chromosome. Made on the host.

        Parameters
        ----------
        chromosomes, starts, ends, reverse_complement
            As in :meth:`one_hot`.

        Returns
        -------
        list of str
            S of L letters. Errors are those of :meth:`one_hot`.
        """
        windows = self._windows(chromosomes, starts, ends, reverse_complement)
        if windows.length == 0:
            return [""] * windows.n_windows
        letters = self._on_host.encode(windows, TableLayout(_LETTERS))
        return list(map(bytes.decode, letters[:, :, 0].view(f"S{windows.length}")[:, 0].tolist()))

    def unknown_counts(self, chromosomes: Names, starts: Positions, ends: Positions) -> npt.NDArray[np.int64]:
        """How many bases of each window are not exactly A, C, G or T; what is outside the chromosome counts.

        The runs of unknown bases are known since the FASTA was read, so a window takes two bisections, however long.

        Parameters
        ----------
        chromosomes, starts, ends
            As in :meth:`one_hot`.

        Returns
        -------
        (S,) int64
            NumPy on either device. Errors are those of :meth:`one_hot`.
        """
        windows = self._windows(chromosomes, starts, ends, None)
        return count_unknown(windows, self._open_genome().unknown_runs, self._team)

    def close(self) -> None:
        """Give back the map, threads and device memory. The genome gives no more sequences."""
        if self._genome is not None:
            self._genome = None
            self._sequences.close()
            self._team.close()

    def _windows(
        self,
        chromosomes: Names,
        starts: Positions,
        ends: Positions,
        reverse_complement: npt.ArrayLike | None,
        neighbours: tuple[int, int] = (0, 0),
    ) -> SequenceWindows:
        genome = self._open_genome()
        rows = self._chromosome_rows(chromosomes)
        first, last = positions(starts, "starts"), positions(ends, "ends")
        length = checked_length(len(genome.names), rows, first, last)
        is_reversed = _checked_flags(reverse_complement, len(rows))
        return SequenceWindows.place(
            genome.first_bases[rows], genome.lengths[rows], first, length, is_reversed, neighbours
        )

    def _chromosome_rows(self, chromosomes: Names) -> npt.NDArray[np.int64]:
        names, rows = rows_of_names(chromosomes, self._rows)
        if len(rows) and rows.min() < 0:
            for name in {names[row] for row in np.flatnonzero(rows < 0).tolist()}:
                self._rows[name] = self._row_of_name[self.name_of(name)]
            _, rows = rows_of_names(names, self._rows)
        return rows

    def _open_genome(self) -> PackedGenome:
        if self._genome is None:
            raise StorageError(f"The reference genome {self._url} is closed; open it again", url=self._url)
        return self._genome

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        n_bases = "closed" if self._genome is None else f"{int(self._genome.lengths.sum()):,} bases"
        return (
            f"ReferenceGenome({self._url!r}, {len(self._row_of_name)} chromosomes, {n_bases}, device={self.device!r})"
        )

    def __getstate__(self) -> dict[str, Any]:
        """What opens the same file again: maps, threads and device memory cannot travel to another process."""
        return {
            "path": self.path,
            "device": self._requested_device,
            "chrom_aliases": self._chrom_aliases,
            "storage_options": self._storage_options,
            "cache": self._cache,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def _check_arguments(path: Any, chrom_aliases: Any) -> None:
    if not isinstance(path, str | os.PathLike):
        message = f"path is of type {type(path).__name__}, expected the path or URL of a FASTA file"
        raise ConfigError(message, argument="path", value=path)
    if not (chrom_aliases is None or chrom_aliases == "chr" or isinstance(chrom_aliases, Mapping)):
        message = f"chrom_aliases is {chrom_aliases!r}, expected 'chr', a mapping like {{'chr1': '1'}}, or None"
        raise ConfigError(message, argument="chrom_aliases", value=chrom_aliases)


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        message = f"a chromosome is {name!r} of type {type(name).__name__}, expected a name: text"
        raise ConfigError(message, argument="chromosomes", value=name)


def _check_encoding(encoder: Any, layout: Any) -> None:
    if not isinstance(encoder, SequenceEncoder):
        message = f"encoder is of type {type(encoder).__name__}, expected a SequenceEncoder"
        raise ConfigError(message, argument="encoder", value=encoder)
    if layout not in LAYOUTS:
        message = f"layout is {layout!r}, expected 'BLT' for (S, L, C) or 'BTL' for (S, C, L)"
        raise ConfigError(message, argument="layout", value=layout)


def _layout_of(encoder: SequenceEncoder, dtype: str, *, channels_last: bool) -> OutputLayout:
    if encoder.context is None:
        return TableLayout(encoding_table(encoder, dtype), channels_last)
    compile_encoder(encoder)
    return FunctionLayout(encoder.encode, encoder.n_bases, encoder.n_channels, checked_dtype(dtype), channels_last)


def _checked_flags(flags: npt.ArrayLike | None, n_windows: int) -> npt.NDArray[np.bool_]:
    """(S,) bool."""
    if flags is None:
        return np.zeros(n_windows, dtype=np.bool_)
    array = np.asarray(flags)
    if array.shape != (n_windows,) or (array.dtype != np.bool_ and array.size):
        found = f"of type {array.dtype} and shape {array.shape}"
        message = f"reverse_complement is {found}, expected ({n_windows},) bool, one per window"
        raise ConfigError(message, argument="reverse_complement", value=flags)
    return array.astype(np.bool_)
