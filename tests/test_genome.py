"""``ReferenceGenome``: windows of a FASTA file are as plain Python and pyfaidx read them, on each device; errors."""

from __future__ import annotations

import gzip
import itertools
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyfaidx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.encoders import SequenceEncoder
from bigwig_numba.errors import BigWigError, ChromNotFoundError, ConfigError, StorageError, WindowError
from bigwig_numba.genome import ReferenceGenome
from tests.conftest import on_host
from tests.genomes import (
    IUPAC,
    Windows,
    fasta_text,
    genomes,
    one_hot_of,
    random_genome,
    random_windows,
    windows_on,
    write_fasta,
)

LENGTHS = {"1": 5001, "2": 300, "X": 77, "empty": 0}
COMPLEMENTS = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")


@pytest.fixture(scope="module")
def sequences() -> dict[str, str]:
    return random_genome(LENGTHS)


@pytest.fixture(scope="module")
def fasta(sequences: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fasta(tmp_path_factory.mktemp("genome") / "genome.fa", sequences)


@pytest.fixture(scope="module")
def genome(fasta: Path, device: str) -> Iterator[ReferenceGenome]:
    with ReferenceGenome(fasta, device=device) as genome:
        yield genome


@pytest.fixture(scope="module")
def on_cpu(fasta: Path) -> Iterator[ReferenceGenome]:
    with ReferenceGenome(fasta, device="cpu") as genome:
        yield genome


def texts_of(sequences: dict[str, str], windows: Windows) -> list[str]:
    """Windows by slicing, padding and translating strings."""
    texts = []
    for name, start, flag in zip(windows.chromosomes, windows.starts, windows.reverse_complement, strict=True):
        end = start + windows.length
        inside = sequences[name][max(start, 0) : max(end, 0)].upper().replace("U", "T")
        before = min(max(-start, 0), windows.length)
        text = ("N" * before + inside).ljust(windows.length, "N")
        texts.append(text[::-1].translate(COMPLEMENTS) if flag else text)
    return texts


def bfloat16_as_float32(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    return (bits.astype(np.uint32) << 16).view(np.float32)


# --- the same as plain Python


@given(data=st.data(), sequences=genomes(), width=st.integers(1, 70), newline=st.sampled_from(["\n", "\r\n"]))
def test_any_window_of_any_fasta_is_as_plain_python_reads_it(
    data: st.DataObject, sequences: dict[str, str], width: int, newline: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_fasta(tmp_path_factory.mktemp("any") / "genome.fa", sequences, width=width, newline=newline)
    windows = data.draw(windows_on(sequences))
    with ReferenceGenome(path, device="cpu", cache=False) as genome:
        assert genome.chromosome_sizes == {name: len(sequence) for name, sequence in sequences.items()}
        texts = texts_of(sequences, windows)
        assert genome.strings(*windows.query, reverse_complement=windows.reverse_complement) == texts
        one_hot = genome.one_hot(*windows.query, reverse_complement=windows.reverse_complement)
        expected = np.array([[one_hot_of(letter) for letter in text] for text in texts], np.float32)
        np.testing.assert_array_equal(one_hot, expected.reshape(len(texts), windows.length, 4), strict=True)
        unknown = [sum(len(IUPAC[letter]) > 1 for letter in text) for text in texts]
        assert genome.unknown_counts(*windows.query).tolist() == unknown


@pytest.mark.parametrize("layout", ["BLT", "BTL"])
@pytest.mark.parametrize("unknown_base", [0.25, 0.0])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_each_device_gives_each_type_and_layout(
    dtype: str, unknown_base: float, layout: Any, genome: ReferenceGenome, sequences: dict[str, str]
) -> None:
    windows = random_windows(sequences, 40, 301)
    texts = texts_of(sequences, windows)
    expected = np.array([[one_hot_of(letter, unknown_base) for letter in text] for text in texts], np.float32)
    if layout == "BTL":
        expected = expected.swapaxes(1, 2)
    ours = on_host(
        genome.one_hot(
            *windows.query,
            reverse_complement=windows.reverse_complement,
            unknown_base=unknown_base,
            dtype=dtype,
            layout=layout,
        )
    )
    if dtype == "bfloat16":
        assert ours.dtype == np.uint16
        np.testing.assert_allclose(bfloat16_as_float32(ours), expected, rtol=2.0**-9, strict=True)
    else:
        np.testing.assert_array_equal(ours, expected.astype(dtype), strict=True)


def test_each_device_gives_codes_strings_and_counts(genome: ReferenceGenome, sequences: dict[str, str]) -> None:
    windows = random_windows(sequences, 40, 301, seed=1)
    texts = texts_of(sequences, windows)
    codes = [[sum(1 << "ACGT".index(base) for base in IUPAC[letter]) for letter in text] for text in texts]
    ours = on_host(genome.codes(*windows.query, reverse_complement=windows.reverse_complement))
    np.testing.assert_array_equal(ours, np.array(codes, np.uint8), strict=True)
    assert genome.strings(*windows.query, reverse_complement=windows.reverse_complement) == texts
    counts = genome.unknown_counts(*windows.query)
    assert counts.tolist() == [sum(len(IUPAC[letter]) > 1 for letter in text) for text in texts]
    assert isinstance(counts, np.ndarray)


def test_each_device_runs_encoders_of_ones_own(genome: ReferenceGenome, sequences: dict[str, str]) -> None:
    windows = random_windows(sequences, 20, 65, seed=2)
    encoder = SequenceEncoder("mixed", 5, lambda code, channel: code * 10 + channel)
    query = {"encoder": encoder, "reverse_complement": windows.reverse_complement}
    codes = on_host(genome.codes(*windows.query, reverse_complement=windows.reverse_complement))
    expected = (codes[:, :, None] * 10.0 + np.arange(5)).astype(np.float32)
    np.testing.assert_array_equal(on_host(genome.encode(*windows.query, **query)), expected, strict=True)
    by_channel = on_host(genome.encode(*windows.query, **query, layout="BTL", dtype="float16"))
    np.testing.assert_array_equal(by_channel, expected.swapaxes(1, 2).astype(np.float16), strict=True)


@pytest.mark.parametrize("length", [100_000, 99_999])
def test_each_device_cuts_few_long_windows_into_pieces(length: int, device: str, tmp_path: Path) -> None:
    sequences = random_genome({"long": 150_001}, letters="ACGTN")
    windows = random_windows(sequences, 3, length, seed=3)
    with ReferenceGenome(write_fasta(tmp_path / "long.fa", sequences, width=60), device=device) as genome:
        codes = on_host(genome.codes(*windows.query, reverse_complement=windows.reverse_complement))
    table = np.zeros(128, np.uint8)
    table[[ord(letter) for letter in "ACGTN"]] = [1, 2, 4, 8, 15]
    texts = texts_of(sequences, windows)
    np.testing.assert_array_equal(codes, [table[np.frombuffer(text.encode(), np.uint8)] for text in texts])


@pytest.mark.gpu
@pytest.mark.parametrize("share", [0.0, 0.9])
def test_a_genome_that_does_not_fit_on_the_gpu_gives_the_same(
    share: float, on_cpu: ReferenceGenome, sequences: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bigwig_numba.engine import cuda_sequences

    monkeypatch.setattr(cuda_sequences.CudaSequences.__init__, "__kwdefaults__", {"resident_share": share})
    windows = random_windows(sequences, 500, 301, seed=4)
    query = {"reverse_complement": windows.reverse_complement}
    with ReferenceGenome(on_cpu.path, device="cuda") as genome:
        for _ in range(3):
            ours = on_host(genome.one_hot(*windows.query, **query))
            np.testing.assert_array_equal(ours, on_cpu.one_hot(*windows.query, **query), strict=True)


@pytest.mark.gpu
def test_on_cuda_the_callers_stream_is_used(fasta: Path, on_cpu: ReferenceGenome, sequences: dict[str, str]) -> None:
    import cupy

    windows = random_windows(sequences, 500, 301, seed=5)
    with ReferenceGenome(fasta, device="cuda") as genome:
        streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(3)]
        outputs = []
        for stream in streams:
            with stream:
                outputs.append(genome.codes(*windows.query))
        for stream, output in zip(streams, outputs, strict=True):
            stream.synchronize()
            np.testing.assert_array_equal(output.get(), on_cpu.codes(*windows.query))


# --- real genomes


@pytest.fixture(scope="module")
def yeast(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pyfaidx.Fasta]:
    """sacCer3 as it is, bgzipped, with names like I; and its text, as pyfaidx reads it."""
    compressed = real_data / "genome" / "sacCer3.R64-1-1.toplevel.fa.gz"
    if not compressed.is_file():
        pytest.skip(f"no real genome: {compressed} is not there")
    text = tmp_path_factory.mktemp("yeast") / "yeast.fa"
    with gzip.open(compressed) as source, text.open("wb") as target:
        shutil.copyfileobj(source, target)
    return compressed, pyfaidx.Fasta(str(text), as_raw=True)


def test_yeast_is_as_pyfaidx_reads_it(yeast: tuple[Path, pyfaidx.Fasta], device: str) -> None:
    path, theirs = yeast
    rng = np.random.default_rng(0)
    with ReferenceGenome(path, device=device, chrom_aliases="chr") as genome:
        sizes = genome.chromosome_sizes
        assert sizes == {name: len(theirs[name]) for name in theirs.keys()}  # noqa: SIM118 - it is no mapping
        names = rng.choice(list(sizes), 300)
        starts = np.array([rng.integers(0, sizes[name] - 2048) for name in names])
        texts = [str(theirs[name][start : start + 2048]).upper() for name, start in zip(names, starts, strict=True)]
        aliases = [f"chr{name}" for name in names]  # as its tracks have them
        assert genome.strings(aliases, starts, starts + 2048) == texts
        ours = on_host(genome.one_hot(aliases, starts, starts + 2048))
        letters = np.array([list(text) for text in texts])
        np.testing.assert_array_equal(ours, letters[:, :, None] == np.array(list("ACGT")))
        whole = genome.strings(["chrMito"], [0], [sizes["Mito"]])
        assert whole == [str(theirs["Mito"][:]).upper()]


def test_soft_masked_bases_are_bases(real_data: Path) -> None:
    path = real_data / "genome" / "volvox.fa"
    if not path.is_file():
        pytest.skip(f"no real genome: {path} is not there")
    text = "".join(path.read_text().split("\n")[1:])
    assert set(text) >= set("acgtACGT")
    end = text.index(">") if ">" in text else len(text)
    with ReferenceGenome(path, device="cpu") as genome:
        name = next(iter(genome.chromosome_sizes))
        assert genome.strings([name], [0], [end]) == [text[:end].upper()]


# --- names


@pytest.fixture(scope="module")
def both_styles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fasta(
        tmp_path_factory.mktemp("names") / "names.fa", {"1": "A", "chr2": "C", "MT": "G", "chrX_alt": "T"}
    )


def open_names(path: Path, chrom_aliases: Any) -> ReferenceGenome:
    return ReferenceGenome(path, device="cpu", chrom_aliases=chrom_aliases)


@pytest.mark.parametrize(
    ("chrom_aliases", "name", "expected"),
    [
        (None, "1", "1"),
        ("chr", "1", "1"),
        ("chr", "chr1", "1"),
        ("chr", "2", "chr2"),
        ("chr", "chr2", "chr2"),
        ("chr", "X_alt", "chrX_alt"),
        ({"chrM": "MT"}, "chrM", "MT"),
        ({"chrM": "MT"}, "MT", "MT"),
        ({"chrM": "MT", "chr7": "7"}, "chr2", "chr2"),  # what is mapped need not be there
        ({"MT": "chrM"}, "chrM", "MT"),  # in either direction
        ({"MT": "chrM"}, "MT", "MT"),
        ({"1": "chr2"}, "1", "chr2"),  # a mapping is meant
    ],
)
def test_names_are_found_by_alias(chrom_aliases: Any, name: str, expected: str, both_styles: Path) -> None:
    with open_names(both_styles, chrom_aliases) as genome:
        assert genome.name_of(name) == expected
        base = {"1": "A", "chr2": "C", "MT": "G", "chrX_alt": "T"}[expected]
        assert genome.strings([name, name], [0, 0], [1, 1]) == [base, base]


@pytest.mark.parametrize(
    ("chrom_aliases", "name", "advice"),
    [
        (None, "chr1", r"did you mean '1'\?.* chrom_aliases='chr' takes 'chr1' for '1'"),
        (None, "2", r"did you mean 'chr2'\?.* chrom_aliases='chr' takes '2' for 'chr2'"),
        ({}, "chr1", "chrom_aliases='chr' takes 'chr1' for '1'"),
        (None, "chrM", r"did you mean 'MT'\?.* chrom_aliases=\{'chrM': 'MT'\}"),
        ("chr", "chrM", r"chrom_aliases=\{'chrM': 'MT'\}"),
        ("chr", "Zebra", r"chrom_aliases=\{'Zebra': 'its name in the FASTA'\}"),
        ({"chr7": "7"}, "chr7", "no chromosome 'chr7'"),
        ({"chr7": "7"}, "7", "no chromosome '7'"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_that_says_how_to_allow_it(
    chrom_aliases: Any, name: str, advice: str, both_styles: Path
) -> None:
    with open_names(both_styles, chrom_aliases) as genome:
        for look_up in (genome.name_of, lambda name: genome.codes([name, "1"], [0, 0], [1, 1])):
            with pytest.raises(ChromNotFoundError, match=advice) as caught:
                look_up(name)
            assert "names.fa has no chromosome" in str(caught.value)


@pytest.mark.parametrize("chrom_aliases", ["ucsc", 1, [("chr1", "1")]])
def test_aliases_that_are_none_are_refused(chrom_aliases: Any, both_styles: Path) -> None:
    with pytest.raises(ConfigError, match=r"chrom_aliases is .*expected 'chr', a mapping"):
        open_names(both_styles, chrom_aliases)


@pytest.mark.parametrize("names", [[1], [b"1"], [None], "1", 1, [["1"]]])
def test_what_is_no_name_is_refused(names: Any, both_styles: Path) -> None:
    with open_names(both_styles, "chr") as genome, pytest.raises(ConfigError, match="chromosome"):
        genome.codes(names, [0], [1])


# --- queries


@pytest.mark.parametrize(
    "columns",
    [
        lambda names, starts, ends: (tuple(names), tuple(starts), tuple(ends)),
        lambda names, starts, ends: (np.array(names), np.array(starts, np.int32), np.array(ends, float)),
        lambda names, starts, ends: (np.array(names, object), np.array(starts), np.array(ends)),
        lambda names, starts, ends: (pd.Series(names), pd.Series(starts), pd.Series(ends)),
        lambda names, starts, ends: (pd.Categorical(names), pd.Index(starts), pd.array(ends)),
    ],
)
def test_columns_may_come_in_any_form(columns: Callable[..., Any], on_cpu: ReferenceGenome) -> None:
    query = (["1", "X", "1"], [0, 10, 300], [9, 19, 309])
    np.testing.assert_array_equal(on_cpu.codes(*columns(*query)), on_cpu.codes(*query))


@pytest.mark.parametrize("call", ["one_hot", "codes", "strings", "unknown_counts"])
def test_no_windows_and_windows_of_no_bases_are_fine(call: str, genome: ReferenceGenome) -> None:
    shapes = {"one_hot": ((0, 0, 4), (2, 0, 4)), "codes": ((0, 0), (2, 0))}
    nothing = getattr(genome, call)([], [], [])
    no_bases = getattr(genome, call)(["1", "2"], [5, 7], [5, 7])
    if call in shapes:
        assert (nothing.shape, no_bases.shape) == shapes[call]
    else:
        assert (list(nothing), list(no_bases)) == ([], [""] * 2 if call == "strings" else [0, 0])


@pytest.mark.parametrize(
    ("query", "rows", "message"),
    [
        ((["1"] * 3, [0, 5, 5], [4, 8, 9]), (1,), "one length"),
        ((["1"], [9], [4]), (0,), "end before they start"),
        ((["1", "1"], [0], [4]), (1,), "2 chromosomes, 1 starts and 1 ends"),
        ((["1", "1"], [0, 0.5], [4, 4.5]), (1,), "starts is no whole number"),
        ((["1"], [2**62 + 1], [2**62 + 5]), (0,), "position beyond"),
    ],
)
def test_windows_that_make_no_sense_are_named(
    query: Any, rows: tuple[int, ...], message: str, on_cpu: ReferenceGenome
) -> None:
    with pytest.raises(WindowError, match=message) as caught:
        on_cpu.one_hot(*query)
    assert caught.value.rows == rows


def test_windows_far_outside_are_unknown(genome: ReferenceGenome) -> None:
    far = 2**61
    assert genome.strings(["1", "X"], [far, -far], [far + 3, -far + 3]) == ["NNN", "NNN"]
    assert genome.unknown_counts(["1", "X"], [far, -far], [far + 3, -far + 3]).tolist() == [3, 3]
    assert (on_host(genome.codes(["1", "X"], [far, -far], [far + 3, -far + 3])) == 15).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "uint8"}, "dtype is 'uint8', expected 'float32', 'float16' or 'bfloat16'"),
        ({"layout": "BCL"}, "layout is 'BCL', expected 'BLT'"),
        ({"unknown_base": "N"}, "unknown_base is 'N', expected a number"),
        ({"unknown_base": float("nan")}, "unknown_base is nan, expected a finite number"),
        ({"reverse_complement": [True, False]}, r"reverse_complement .* expected \(1,\) bool"),
        ({"reverse_complement": [1]}, r"reverse_complement is of type int64"),
        ({"out": np.empty((1, 4, 3), np.float32)}, r"out must be .* shape \(1, 4, 4\)"),
        ({"out": np.empty((1, 4, 4), np.float64)}, "type float32"),
        ({"out": np.empty((1, 4, 8), np.float32)[:, :, ::2]}, "not contiguous"),
        ({"out": [0.0]}, "out is of type list"),
        ({"out": np.broadcast_to(np.float32(0), (1, 4, 4))}, "read-only"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    options: dict[str, Any], message: str, on_cpu: ReferenceGenome
) -> None:
    with pytest.raises(ConfigError, match=message):
        on_cpu.one_hot(["1"], [0], [4], **options)


def test_only_sequence_encoders_encode(on_cpu: ReferenceGenome) -> None:
    with pytest.raises(ConfigError, match="encoder is of type function, expected a SequenceEncoder"):
        on_cpu.encode(["1"], [0], [4], encoder=lambda strings: strings)


# --- outputs


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_outputs_are_memory_of_their_own_aligned_to_64_bytes(dtype: str, on_cpu: ReferenceGenome) -> None:
    outputs = [on_cpu.one_hot(["1"], [start], [start + 101], dtype=dtype) for start in range(8)]
    assert {output.ctypes.data % 64 for output in outputs} == {0}
    assert not any(np.shares_memory(one, other) for one, other in itertools.combinations(outputs, 2))
    assert all(output.flags.writeable and output.flags.c_contiguous for output in outputs)


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 5])
@pytest.mark.parametrize(("dtype", "held"), [("float32", np.float32), ("bfloat16", np.uint16)])
@pytest.mark.parametrize("layout", ["BLT", "BTL"])
def test_out_is_written_to_wherever_it_starts(
    layout: Any, dtype: str, held: Any, offset: int, device: str, genome: ReferenceGenome
) -> None:
    module: Any = np
    if device == "cuda":
        import cupy as module  # type: ignore[no-redef]

    query = (["1", "2", "X"], [-3, 100, 60], [14, 117, 77])
    expected = on_host(genome.one_hot(*query, dtype=dtype, layout=layout))
    memory = module.full(expected.size + offset + 1, 7, held)
    out = memory[offset : offset + expected.size].reshape(expected.shape)
    assert genome.one_hot(*query, dtype=dtype, layout=layout, out=out) is out
    np.testing.assert_array_equal(on_host(out), expected)
    edges = on_host(memory)[[*range(offset), -1]]
    assert (edges == 7).all()


# --- life


def test_a_genome_can_be_pickled(genome: ReferenceGenome, device: str) -> None:
    again = pickle.loads(pickle.dumps(genome))
    assert again.device == device
    assert again.chromosome_sizes == genome.chromosome_sizes
    assert again.strings(["1"], [0], [99]) == genome.strings(["1"], [0], [99])
    again.close()


def test_aliases_are_pickled(both_styles: Path) -> None:
    again = pickle.loads(pickle.dumps(open_names(both_styles, {"chrM": "MT"})))
    assert again.strings(["chrM"], [0], [1]) == ["G"]


def test_a_closed_genome_says_so(fasta: Path, device: str) -> None:
    genome = ReferenceGenome(fasta, device=device)
    assert repr(genome) == f"ReferenceGenome('{fasta}', 4 chromosomes, 5,378 bases, device='{device}')"
    genome.one_hot(["1"], [0], [4])
    genome.close()
    genome.close()
    assert "closed" in repr(genome)
    for call in (genome.codes, genome.strings, genome.unknown_counts, genome.one_hot):
        with pytest.raises(StorageError, match=r"genome\.fa is closed"):
            call(["1"], [0], [4])


def test_a_device_that_does_not_exist_is_refused_before_the_file_is_read() -> None:
    with pytest.raises(ConfigError, match="'auto', 'cuda', 'cpu'"):
        ReferenceGenome("no_such_file.fa", device="gpu")


@pytest.mark.parametrize("path", [None, 5, ["genome.fa"]])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(BigWigError, match="expected the path or URL of a FASTA file"):
        ReferenceGenome(path)


def test_the_fasta_of_the_examples_is_text() -> None:
    assert fasta_text({"a": "ACGTACGTA", "b": ""}, width=4) == ">a made up\nACGT\nACGT\nA\n>b made up\n"
