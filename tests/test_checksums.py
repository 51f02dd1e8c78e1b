"""Checksums: Adler-32 is zlib's for any bytes, and who asks for it learns of a block whose checksum is wrong."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from bigwig_numba import BigWigCollection, InflateKernel
from bigwig_numba.errors import BlockDecodeError, ConfigError
from bigwig_numba.kernels import checksums
from bigwig_numba.kernels.inflate import reference
from bigwig_numba.kernels.planning import LARGEST_SECTION
from bigwig_numba.kernels.statuses import BlockStatus
from tests.bigwig_writer import fixed_step, variable_step, write_bigwig
from tests.conftest import on_host

N_LANES = 32

contents = st.binary(max_size=300) | st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 3_000)).map(
    lambda run: run[0] * run[1]
)


@njit
def adler_32_of_one_lane(words, base, n_bytes):  # type: ignore[no-untyped-def]
    return checksums.adler_32(words, base, n_bytes, np.uint32(0), np.uint32(1))


@njit
def partial_sums(words, base, n_bytes, lane):  # type: ignore[no-untyped-def]
    return checksums.partial_sums(words, base, n_bytes, lane, np.uint32(N_LANES))


@njit
def stored_checksum(data, source, end):  # type: ignore[no-untyped-def]
    return checksums.stored_checksum(data, source, end)


def as_words(content: bytes, first: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Content from word `first` on, between bytes that must not count."""
    return np.frombuffer(b"\xa5" * 4 * first + content + b"\xa5" * (8 - len(content) % 4), np.uint32)


# --- the sums


@given(content=contents, first=st.integers(0, 3))
@example(content=b"\xff" * LARGEST_SECTION, first=1)
def test_one_lane_gives_zlibs_checksum(content: bytes, first: int) -> None:
    ours = adler_32_of_one_lane(as_words(content, first), np.uint64(first), np.uint32(len(content)))
    assert int(ours) == zlib.adler32(content)


@given(content=contents)
@example(content=b"\xff" * LARGEST_SECTION)
def test_the_sums_of_all_lanes_make_zlibs_checksum(content: bytes) -> None:
    words, n_bytes = as_words(content, 0), np.uint32(len(content))
    parts = np.array([partial_sums(words, np.uint64(0), n_bytes, np.uint32(lane)) for lane in range(N_LANES)], np.int64)
    assert (parts < checksums.PRIME).all()
    low, high = (parts.sum(axis=0) + np.array([1, len(content)])) % checksums.PRIME
    assert int(high) << 16 | int(low) == zlib.adler32(content)


@given(content=contents)
def test_the_reference_gives_zlibs_checksum(content: bytes) -> None:
    assert reference.adler_32(content) == zlib.adler32(content)


@given(stream=st.binary(max_size=9), checksum=st.integers(0, 2**32 - 1), first=st.integers(0, 2))
def test_a_streams_checksum_is_read_wherever_it_stands(stream: bytes, checksum: int, first: int) -> None:
    data = as_words(stream + checksum.to_bytes(4, "big"), first)
    assert int(stored_checksum(data, np.uint64(first), np.uint32(len(stream)))) == checksum


# --- in files


def with_wrong_checksum(payload: bytes) -> bytes:
    stream = zlib.compress(payload)
    return stream[:-1] + bytes([stream[-1] ^ 1])


@pytest.fixture
def damaged_file(tmp_path: Path) -> Path:
    """Twelve long sections, of which the fifth has a wrong checksum and right values."""
    draw, starts = np.random.default_rng(0), np.arange(3_000)
    sections = [
        fixed_step("chr1", 10_000 * number, draw.normal(size=3_000).round(2), step=3)
        if number % 2
        else variable_step("chr1", 10_000 * number + 3 * starts, draw.normal(size=3_000).round(2))
        for number in range(12)
    ]
    sections[4] = replace(sections[4], compress=with_wrong_checksum)
    path = tmp_path / "damaged.bw"
    write_bigwig(path, {"chr1": 120_000}, sections)
    return path


# Of few windows, those of the GPU are planned on the host, or even made there.
@pytest.mark.parametrize("n_windows", [1, 100, 1_200])
@pytest.mark.parametrize("inflate", ["auto", "lanes", "warps"])
@pytest.mark.parametrize("store", ["stream", "device"])
def test_only_who_verifies_finds_a_wrong_checksum(
    store: str, inflate: str, n_windows: int, device: str, damaged_file: Path
) -> None:
    # The head of each section: who does not verify may stop long before the checksum.
    starts = np.full(n_windows, 40_000) if n_windows == 1 else 10_000 * (np.arange(n_windows) % 12)
    windows = (["chr1"] * n_windows, starts, starts + 30)
    options: dict[str, Any] = {"device": device, "store": store, "inflate": inflate}
    with BigWigCollection(damaged_file, **options) as trusting:
        values = on_host(trusting.get_batch(*windows))
    with (
        BigWigCollection(damaged_file, verify=True, **options) as verifying,
        pytest.raises(BlockDecodeError, match=r"damaged\.bw.*Adler-32 checksum is wrong") as caught,
    ):
        verifying.get_batch(*windows)
    assert caught.value.status == BlockStatus.CHECKSUM_MISMATCH
    with BigWigCollection(damaged_file, device="cpu") as plain:
        np.testing.assert_array_equal(values, plain.get_batch(*windows))
    assert values.any()


def test_verifying_changes_no_value_of_blocks_that_are_right(device: str, damaged_file: Path) -> None:
    windows = (["chr1"] * 1_200, starts := np.resize([50_000, 63_210, 119_000], 1_200), starts + 300)
    batches = []
    for verify in (False, True):
        with BigWigCollection(damaged_file, device=device, store="device", verify=verify) as collection:
            batches.append(on_host(collection.get_batch(*windows)))
    np.testing.assert_array_equal(batches[0], batches[1])
    assert batches[0].any()


def test_who_verifies_cannot_have_a_decoder_without_checksums(damaged_file: Path) -> None:
    own = InflateKernel("own", decode=njit(lambda *_: (0, 0)))
    with pytest.raises(ConfigError, match="verify=True needs the built-in decoders") as caught:
        BigWigCollection(damaged_file, device="cpu", inflate=own, verify=True)
    assert caught.value.argument == "verify"
