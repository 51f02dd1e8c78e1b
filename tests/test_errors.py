"""Errors: one tree, plain messages that help, facts as attributes, and they cross processes."""

from __future__ import annotations

import pickle

import pytest

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

EXAMPLES: list[tuple[BigWigError, type[Exception]]] = [
    (FormatError("bad bytes", url="a.bw", offset=12), ValueError),
    (BlockDecodeError("bad block", url="a.bw", block=3, offset=100, size=20, status=2), FormatError),
    (StorageError("no bytes", url="a.bw", ranges=[(0, 5), (9, 2)]), OSError),
    (ChromNotFoundError("no 1", name="1", near_misses=["chr1"], url="a.bw"), KeyError),
    (WindowError("bad rows", rows=[1, 2]), ValueError),
    (ConfigError("bad argument", argument="dtype", value="int3"), ValueError),
    (WorkerError("failed", batch=7), RuntimeError),
    (DeviceError("no GPU"), RuntimeError),
]
IDS = [type(error).__name__ for error, _ in EXAMPLES]


@pytest.mark.parametrize(("error", "standard"), EXAMPLES, ids=IDS)
def test_every_error_is_a_bigwig_error_and_of_the_standard_kind(error: BigWigError, standard: type[Exception]) -> None:
    assert isinstance(error, BigWigError)
    assert isinstance(error, standard)


@pytest.mark.parametrize(("error", "standard"), EXAMPLES, ids=IDS)
def test_the_text_is_the_plain_message(error: BigWigError, standard: type[Exception]) -> None:
    assert str(error) == error.args[0]


@pytest.mark.parametrize(("error", "standard"), EXAMPLES, ids=IDS)
def test_errors_survive_pickling_with_their_facts(error: BigWigError, standard: type[Exception]) -> None:
    error.add_note("in batch 3")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    facts = {name: repr(value) if name == "value" else value for name, value in vars(error).items()}
    assert dict(vars(copy)) == facts


def test_an_argument_that_cannot_be_pickled_does_not_keep_its_error_from_it() -> None:
    error = ConfigError("not a path", argument="path", value=lambda: None)
    assert "lambda" in pickle.loads(pickle.dumps(error)).value


def test_an_os_error_message_is_not_taken_for_an_error_number() -> None:
    error = StorageError("no bytes", url="a.bw")
    assert (error.errno, error.ranges) == (None, ())


HUMAN = [f"chr{name}" for name in (*range(1, 23), "X", "Y", "M")]
ENSEMBL = [str(name) for name in (*range(1, 23), "X", "Y", "MT")]


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("1", HUMAN, "chr1"),
        ("chr1", ENSEMBL, "1"),
        ("Chr1", HUMAN, "chr1"),
        ("CHRX", ENSEMBL, "X"),
        ("MT", HUMAN, "chrM"),
        ("chrM", ENSEMBL, "MT"),
        ("x", HUMAN, "chrX"),
        ("scafold_12", ["scaffold_12", "contig_1"], "scaffold_12"),
    ],
)
def test_a_wrong_chromosome_name_is_answered_with_the_likely_one(name: str, known: list[str], meant: str) -> None:
    error = ChromNotFoundError.for_name(name, known, url="a.bw")
    assert error.near_misses[0] == meant
    assert str(error).startswith(f"a.bw has no chromosome {name!r}; did you mean {meant!r}")


def test_a_name_like_no_other_is_answered_with_some_names() -> None:
    error = ChromNotFoundError.for_name("plasmid", HUMAN, url="a.bw")
    assert error.near_misses == ()
    assert str(error) == "a.bw has no chromosome 'plasmid' (25 chromosomes: chr1, chr2, chr3, chr4, chr5, ...)"


def test_a_file_without_chromosomes_says_so() -> None:
    assert str(ChromNotFoundError.for_name("chr1", [], url="a.bw")) == "a.bw has no chromosome 'chr1' (it has none)"
