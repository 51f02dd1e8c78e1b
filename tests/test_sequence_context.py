"""Encoders that see neighbours: in Python, compiled on each device, and by slicing strings; on both strands."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.encoders import SequenceEncoder, get_encoder, one_hot_encoder
from bigwig_numba.engine.sequences import CpuSequences, FunctionLayout
from bigwig_numba.errors import ConfigError
from bigwig_numba.genome import ReferenceGenome
from bigwig_numba.kernels.sequence import BASES_PER_PIECE, LETTERS
from bigwig_numba.kernels.sequence_context import MOST_BASES
from bigwig_numba.parallel import ThreadTeam
from tests.conftest import on_host
from tests.dataset_world import World
from tests.genomes import Windows, genomes, random_genome, random_windows, windows_on, write_fasta
from tests.own_functions import ALL_CODES, BY_CODE, CPG, ONE_HOT, STRONG, TEXT, one_of_codes

COMPLEMENTS = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")
SEQUENCES = random_genome({"chr1": 3 * BASES_PER_PIECE, "chr2": 9})


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fasta(tmp_path_factory.mktemp("genome") / "genome.fa", SEQUENCES)


def seen_at(sequences: dict[str, str], windows: Windows, context: tuple[int, int]) -> list[list[str]]:
    """Of each window, the letters around each base, by padding, slicing and translating strings."""
    found, pad = [], 200 + windows.length
    for name, start, flag in zip(windows.chromosomes, windows.starts, windows.reverse_complement, strict=True):
        strand = f"{'N' * pad}{sequences[name].upper().replace('U', 'T')}{'N' * pad}"
        first = start + pad
        if flag:
            strand, first = strand[::-1].translate(COMPLEMENTS), len(strand) - first - windows.length
        before, after = context
        found.append([strand[i - before : i + 1 + after] for i in range(first, first + windows.length)])
    return found


def expected(sequences: dict[str, str], windows: Windows, encoder: SequenceEncoder) -> npt.NDArray[np.float32]:
    """(S, L, C): the function called with what is around each base."""
    flat = [
        [encoder.encode(tuple(map(LETTERS.index, letters)), channel) for channel in range(encoder.n_channels)]
        for of_window in seen_at(sequences, windows, encoder.neighbours)
        for letters in of_window
    ]
    return np.array(flat, np.float32).reshape(len(windows.starts), windows.length, encoder.n_channels)


def encoded(genome: ReferenceGenome, windows: Windows, encoder: SequenceEncoder, **how: Any) -> Any:
    options = {"encoder": encoder, "reverse_complement": windows.reverse_complement, **how}
    return on_host(genome.encode(*windows.query, **options))


# --- numbers


@given(data=st.data(), sequences=genomes())
def test_any_base_is_seen_with_its_neighbours_on_the_chromosome(
    data: st.DataObject, sequences: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_fasta(tmp_path_factory.mktemp("any") / "genome.fa", sequences)
    windows = data.draw(windows_on(sequences))
    with ReferenceGenome(path, device="cpu", cache=False) as genome:
        found = encoded(genome, windows, ALL_CODES)
    np.testing.assert_array_equal(found, expected(sequences, windows, ALL_CODES), strict=True)


@pytest.mark.parametrize("layout", ["BLT", "BTL"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_each_device_gives_each_type_and_layout(dtype: str, layout: str, fasta: Path, device: str) -> None:
    windows = random_windows(SEQUENCES, 4, BASES_PER_PIECE + 33)
    numbers = expected(SEQUENCES, windows, STRONG)
    numbers = numbers if layout == "BLT" else numbers.swapaxes(1, 2)
    with ReferenceGenome(fasta, device=device) as genome:
        found = encoded(genome, windows, STRONG, dtype=dtype, layout=layout)
    if dtype == "bfloat16":
        found = (found.astype(np.uint32) << 16).view(np.float32)
    steps = {"float32": 2.0**-23, "float16": 2.0**-11, "bfloat16": 2.0**-8}
    assert found.shape == numbers.shape
    np.testing.assert_allclose(found, numbers, rtol=steps[dtype])


@pytest.mark.parametrize("n_bases", [18, pytest.param(MOST_BASES, marks=pytest.mark.gpu)])
def test_as_many_neighbours_as_two_words_hold(n_bases: int, fasta: Path, device: str) -> None:
    encoder = SequenceEncoder("each code", n_bases, one_of_codes, context=(12, n_bases - 13))
    windows = random_windows(SEQUENCES, 6, 40)
    with ReferenceGenome(fasta, device=device) as genome:
        found = encoded(genome, windows, encoder)
    np.testing.assert_array_equal(found, expected(SEQUENCES, windows, encoder), strict=True)


def test_what_a_base_becomes_does_not_depend_on_its_window(fasta: Path) -> None:
    with ReferenceGenome(fasta, device="cpu") as genome:
        whole = genome.encode(["chr1"], [100], [200], encoder=ALL_CODES)[0]
        parts = genome.encode(["chr1"] * 100, np.arange(100, 200), np.arange(101, 201), encoder=ALL_CODES)[:, 0]
    np.testing.assert_array_equal(whole, parts)


def test_one_base_by_a_compiled_function_is_as_by_a_table(fasta: Path, device: str) -> None:
    windows = random_windows(SEQUENCES, 8, 300)
    with ReferenceGenome(fasta, device=device) as genome:
        own, built_in = (encoded(genome, windows, encoder) for encoder in (ONE_HOT, one_hot_encoder()))
    np.testing.assert_array_equal(own, built_in)


@pytest.mark.gpu
def test_a_genome_that_is_not_on_the_gpu_brings_neighbours_too(fasta: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bigwig_numba.engine import cuda_sequences

    monkeypatch.setattr(cuda_sequences.CudaSequences.__init__, "__kwdefaults__", {"resident_share": 0.0})
    windows = random_windows(SEQUENCES, 30, 101)
    with ReferenceGenome(fasta, device="cuda") as genome:
        found = encoded(genome, windows, ALL_CODES)
    np.testing.assert_array_equal(found, expected(SEQUENCES, windows, ALL_CODES))


def test_an_output_can_be_given(fasta: Path, device: str) -> None:
    with ReferenceGenome(fasta, device=device) as genome:
        first = genome.encode(["chr1"], [5], [50], encoder=CPG)
        again = genome.encode(["chr1"], [5], [50], encoder=CPG, out=first)
        assert again is first
        assert first.shape == (1, 45, 1)
        with pytest.raises(ConfigError, match="out must be a C-contiguous array"):
            genome.encode(["chr1"], [5], [50], encoder=STRONG, out=first)


def test_datasets_take_them_in_place_of_one_hot(world: World, device: str) -> None:
    how = {"reverse_complement": 0.5, "batches_per_epoch": 2, "device": device}
    with world.dataset(sequence_encoder=None, **how) as texts, world.dataset(sequence_encoder=STRONG, **how) as dataset:
        for text_batch, batch in zip(texts, dataset, strict=True):
            found = on_host(batch.sequences)
            assert found.shape == (6, 96, 2)
            for text, sequence in zip(text_batch.sequences, found, strict=True):
                np.testing.assert_allclose(sequence[3:-3], STRONG.of_sequence(text)[3:-3], rtol=1e-6)


# --- plain Python


def test_plain_python_sees_what_one_can_see() -> None:
    assert CPG.of_sequence("acGCG")[:, 0].tolist() == [0, 1, 0, 1, 0]
    assert CPG.of_sequence("GCGT", reverse_complement=True)[:, 0].tolist() == [0, 1, 0, 0]  # ACGC
    assert CPG.of_sequence("C")[0, 0] == 0  # beyond is N
    assert CPG.of_sequence("").shape == (0, 1)
    before = SequenceEncoder("the one before", 1, one_of_codes, context=(1, 0))
    assert before.of_sequence("AC").tolist() == [[15], [1]]
    np.testing.assert_array_equal(BY_CODE.of_sequence("ARN")[:, 1], np.float32([1 / 3, 5 / 3, 5]))


def test_each_strand_is_the_others_reversed_complement() -> None:
    text = SEQUENCES["chr1"][:99].upper().replace("U", "T")
    np.testing.assert_array_equal(
        ALL_CODES.of_sequence(text, reverse_complement=True), ALL_CODES.of_sequence(text[::-1].translate(COMPLEMENTS))
    )


def test_encoders_travel_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(CPG)) == CPG


# --- what is refused


@pytest.mark.parametrize("context", [(-1, 0), (0,), 3, "ab", (0, MOST_BASES), (1.5, 0), (1, 2, 3)])
def test_a_context_that_makes_no_sense_is_refused(context: Any) -> None:
    with pytest.raises(ConfigError, match=r"context is .*, expected \(before, after\): bases .* up to 31"):
        SequenceEncoder("none", 1, one_of_codes, context=context)


def test_a_function_that_cannot_be_compiled_is_told_before_the_first_batch(fasta: Path) -> None:
    uses: list[Callable[[], Any]] = [lambda: get_encoder(TEXT)]
    genome = ReferenceGenome(fasta, device="cpu")
    uses.append(lambda: genome.encode(["chr1"], [0], [5], encoder=TEXT))
    for use in uses:
        with pytest.raises(ConfigError, match=r"the function of encoder 'text' cannot be compiled: .*own_functions"):
            use()
    genome.close()


def test_other_types_and_codes_by_themselves_are_refused(fasta: Path) -> None:
    with ReferenceGenome(fasta, device="cpu") as genome, pytest.raises(ConfigError, match="dtype is 'float64'"):
        genome.encode(["chr1"], [0], [5], encoder=CPG, dtype="float64")
    with pytest.raises(ConfigError, match="sees neighbours"):
        CPG.values()


def test_kernels_read_nothing_outside_the_genome() -> None:
    """The chromosome is all there is: a read beyond it would be beyond the array."""
    from bigwig_numba.engine.sequences import SequenceWindows

    one = np.zeros(1, np.int64)
    windows = SequenceWindows.place(one, one + 4, one - 2, 8, np.array([False]), (1, 3))
    layout = FunctionLayout(ALL_CODES.encode, 5, 1)
    found = CpuSequences(np.array([0x21, 0x84], np.uint8), ThreadTeam(1)).encode(windows, layout)
    by_hand = [tuple([*[15] * 3, 1, 2, 4, 8, *[15] * 5][i : i + 5]) for i in range(8)]
    assert found.ravel().tolist() == [all_codes_of(codes) for codes in by_hand]


def all_codes_of(codes: tuple[int, ...]) -> float:
    return float(np.float32(ALL_CODES.encode(codes, 0)))
