"""One's own kernels in place of the built-in ones: found by name, run on each device, raced, and told when wrong."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from bigwig_numba import BigWigCollection, InflateKernel, ReduceKernel, cli
from bigwig_numba.benchmarks.inflate import InflateResult, race_inflate_kernels
from bigwig_numba.engine.choose import choose_engine
from bigwig_numba.errors import BlockDecodeError, ConfigError
from bigwig_numba.importing import import_object
from bigwig_numba.kernels.loops import make_reduce_range
from bigwig_numba.kernels.statuses import BlockStatus
from bigwig_numba.kernels.swapping import get_inflate_kernel, get_reduce_kernel, inflate_streams
from tests.conftest import CorpusFile, on_host
from tests.deflate_streams import DAMAGED_STREAMS, VALID_STREAMS, DamagedStream, ValidStream
from tests.own_statistics import SEVERAL

EXAMPLE = Path(__file__).parent.parent / "examples" / "hack_a_kernel.py"
PLAIN: InflateKernel = import_object(f"{EXAMPLE}:plain_inflate")
FILES = ("mixed section kinds", "big-endian", "uncompressed", "stored NaN")
CAPACITY = 1 << 17


@njit
def refuse(data, source, size, words, base, capacity, scratch):  # type: ignore[no-untyped-def]
    return 13, 0


@njit
def forget_a_byte(data, source, size, words, base, capacity, scratch):  # type: ignore[no-untyped-def]
    words[base] = 7
    return 0, capacity


REFUSING, FORGETFUL = InflateKernel("refusing", refuse), InflateKernel("forgetful", forget_a_byte)


def inflate(stream: bytes, kernel: InflateKernel = PLAIN) -> tuple[int, bytes]:
    """Status and bytes of one stream, between words that must not change."""
    data = np.zeros(-(-len(stream) // 4) + 9, np.uint32)
    data.view(np.uint8)[: len(stream)] = np.frombuffer(stream, np.uint8)
    words = np.full(CAPACITY // 4 + 8, 0xEEEEEEEE, np.uint32)
    sizes = np.array([len(stream)])
    statuses, lengths = inflate_streams(kernel, data, np.zeros(1, np.int64), sizes, words, 0, CAPACITY)
    assert (words[CAPACITY // 4 :] == 0xEEEEEEEE).all()
    return int(statuses[0]), words.view(np.uint8)[: int(lengths[0])].tobytes()


def batch_of(corpus_file: CorpusFile, device: str, **kernels: Any) -> Any:
    files = [corpus_file(name) for name in FILES]
    windows = [window for _, recipe in files for window in recipe.windows(700, count=8, seed=2)]
    names, starts, ends = zip(*windows, strict=True)
    with BigWigCollection([path for path, _ in files], sort=False, device=device, **kernels) as collection:
        return on_host(collection.get_batch(names, starts, ends, window_size=11, statistic=SEVERAL))


# --- the example's decoder is right


def of_name(stream: ValidStream | DamagedStream) -> str:
    return stream.name


@pytest.mark.parametrize("valid", VALID_STREAMS, ids=of_name)
def test_the_examples_decoder_inflates_every_kind_of_stream(valid: ValidStream) -> None:
    expected = (0, valid.output) if len(valid.output) <= CAPACITY else (BlockStatus.OUTPUT_FULL, None)
    status, output = inflate(valid.stream)
    assert (status, output if status == 0 else None) == expected


@given(data=st.data())
def test_the_examples_decoder_ends_on_any_input(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from(VALID_STREAMS)).stream[:4_000])
    places = st.integers(2, len(damaged) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        damaged[place] = value
    status, output = inflate(bytes(damaged))
    assert BlockStatus(status).words
    assert len(output) <= CAPACITY


@pytest.mark.parametrize("damaged", [each for each in DAMAGED_STREAMS if each.capacity >= CAPACITY // 2], ids=of_name)
def test_the_examples_decoder_ends_on_damaged_streams(damaged: DamagedStream) -> None:
    assert BlockStatus(inflate(damaged.stream)[0]).words


# --- in batches


@pytest.mark.parametrize(
    "kernel", [PLAIN, f"{EXAMPLE}:plain_inflate", "lanes", "warps"], ids=["own", "named", "lanes", "warps"]
)
def test_batches_are_the_same_whatever_inflates(kernel: Any, device: str, corpus_file: CorpusFile) -> None:
    np.testing.assert_array_equal(
        batch_of(corpus_file, device, inflate=kernel), batch_of(corpus_file, device), strict=True
    )


def test_a_block_that_ones_own_kernel_refuses_is_an_error(device: str, corpus_file: CorpusFile) -> None:
    with pytest.raises(BlockDecodeError, match="checksum"):
        batch_of(corpus_file, device, inflate=REFUSING)


def test_a_reduce_kernel_takes_the_place_of_the_built_in_one(corpus_file: CorpusFile) -> None:
    asked: list[Any] = []

    def make(statistic: Any) -> Any:
        asked.append(statistic)
        return make_reduce_range(statistic)

    ours = batch_of(corpus_file, "cpu", reduce=ReduceKernel("counting", cpu=make))
    np.testing.assert_array_equal(ours, batch_of(corpus_file, "cpu"))
    assert [[each.name for each in statistics] for statistics in asked] == [["max", "share_above", "mean", "max"]]


@pytest.mark.gpu
def test_a_reduce_kernel_takes_its_place_on_the_gpu(corpus_file: CorpusFile) -> None:
    from bigwig_numba.kernels.launch import make_reduce_windows

    ours = batch_of(corpus_file, "cuda", reduce=ReduceKernel("same", cuda=make_reduce_windows))
    np.testing.assert_array_equal(ours, batch_of(corpus_file, "cuda"))


def test_a_collection_takes_its_kernels_along_to_other_processes(corpus_file: CorpusFile) -> None:
    path, _ = corpus_file("mixed section kinds")
    with BigWigCollection(path, device="cpu", inflate="tests.test_swapping:REFUSING") as collection:
        again = pickle.loads(pickle.dumps(collection))
    with again, pytest.raises(BlockDecodeError):
        again.get_batch(["chr1"], [0], [700])


# --- names


def test_names_become_kernels() -> None:
    assert [get_inflate_kernel(name).name for name in ("auto", "lanes", "warps")] == ["auto", "lanes", "warps"]
    assert get_inflate_kernel("tests.test_swapping:REFUSING").name == "refusing"
    assert get_inflate_kernel(REFUSING) is REFUSING
    assert get_reduce_kernel("auto") == ReduceKernel("auto")


@pytest.mark.parametrize("wrong", ["fast", "math:pi", "no_such_module_here:x", "math:", ":x", 7, None])
def test_other_names_are_errors(wrong: Any) -> None:
    for get in (get_inflate_kernel, get_reduce_kernel):
        with pytest.raises(ConfigError):
            get(wrong)


def test_a_kernel_without_code_or_room_is_an_error() -> None:
    with pytest.raises(ConfigError, match="neither decode nor cuda"):
        InflateKernel("empty")
    with pytest.raises(ConfigError, match="at least 1"):
        InflateKernel("none", refuse, scratch_words=0)


def test_a_kernel_for_gpus_only_is_told_apart() -> None:
    engine = choose_engine("cpu")
    with pytest.raises(ConfigError, match="device='cuda'"):
        engine.use(InflateKernel("cuda only", cuda=refuse), ReduceKernel("auto"))
    engine.close()


# --- races


def race(kernel: InflateKernel) -> InflateResult:
    results = race_inflate_kernels([kernel], n_blocks=4, n_items=50)
    return next(result for result in results if result.decoder.startswith(kernel.name))


def test_a_right_kernel_is_timed() -> None:
    result = race(PLAIN)
    assert result.right
    assert result.gigabytes_per_second > 0
    assert "every byte right" in result.line()


@pytest.mark.parametrize(
    ("kernel", "words"),
    [(REFUSING, "refused"), (FORGETFUL, "block 0:")],
    ids=["refusing", "forgetful"],
)
def test_a_wrong_kernel_is_not_timed_but_told_where(kernel: InflateKernel, words: str) -> None:
    results = race_inflate_kernels([kernel], n_blocks=4, n_items=50)
    result = next(result for result in results if result.decoder == f"{kernel.name}, 1 thread")
    assert not result.right
    assert np.isnan(result.milliseconds)
    assert words in result.line()


def test_the_command_races_a_kernel_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "inflate", "--items", "20", "--blocks", "64"]
    assert cli.main([*words, "--kernel", f"{EXAMPLE}:plain_inflate"]) == 0
    assert "plain_inflate" in capsys.readouterr().out
    assert cli.main([*words, "--kernel", "tests.test_swapping:FORGETFUL"]) == 1
    printed = capsys.readouterr()
    assert "WRONG" in printed.out
    assert "wrong bytes" in printed.err


def test_the_example_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigwig_numba.checking.report.why_no_assembler", lambda: "that takes seconds")
    import_object(f"{EXAMPLE}:main")()
    printed = capsys.readouterr().out
    assert "share_above: right" in printed
    assert "own decoder, same batch: True" in printed
    assert "WRONG" not in printed
