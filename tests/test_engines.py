"""Engines: the same plan gives the same numbers on one thread, on two and on the GPU, and the same errors.

What the numbers should be is painted in `test_end_to_end.py`. Here one thread of the CPU is what the others must equal.
"""

from __future__ import annotations

import importlib
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigwig_numba.engine.cpu import ALIGNMENT, CpuEngine, aligned_empty
from bigwig_numba.engine.reduction import Reduction
from bigwig_numba.errors import BlockDecodeError, ConfigError, DeviceError
from bigwig_numba.kernels.statistics import get_statistic, get_statistics
from bigwig_numba.kernels.statuses import BlockStatus
from bigwig_numba.plan import ReadPlan, plan_windows
from tests.bigwig_writer import fixed_step, write_bigwig
from tests.conftest import CorpusFile
from tests.corpus import CORPUS, DAMAGED, Window
from tests.engines import Engine, Tracks, assert_same_bits, make_engine, to_host
from tests.own_statistics import RANGE, SEVERAL
from tests.painting import STATISTICS

NAN = float("nan")
DTYPES = ("float32", "float16", "bfloat16")


on_gpu = [pytest.param(name, marks=pytest.mark.gpu) for name in ("cuda", "cuda, verifying")]


@pytest.fixture(params=["two threads", "verifying", *on_gpu])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine that must equal one thread of the CPU."""
    made = make_engine(request.param)
    yield made
    made.close()


@pytest.fixture
def one_thread() -> CpuEngine:
    return CpuEngine(1)


def tolerance(statistic: str) -> dict[str, float]:
    """Logarithms of C and of CUDA differ in the last place."""
    return {"rtol": 1e-5, "atol": 2.0**-16} if statistic == "log_mean" else {"rtol": 1e-6, "atol": 2.0**-126}


# --- the same numbers


@pytest.mark.parametrize("name", CORPUS)
def test_every_file_gives_the_same_numbers(
    name: str, engine: Engine, one_thread: CpuEngine, corpus_file: CorpusFile
) -> None:
    path, recipe = corpus_file(name)
    tracks = Tracks.open(path)
    for window_size, default in ((1, NAN), (1, 2.5), (11, 0.0), (128, NAN)):
        plan = tracks.plan(recipe.windows(520, seed=window_size), window_size)
        reduction = tracks.reduction(default=default)
        ours = to_host(engine.run(plan, tracks.sources, reduction))
        theirs = one_thread.run(plan, tracks.sources, reduction)
        if window_size == 1:
            assert_same_bits(ours, theirs)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=2.0**-126)


@pytest.fixture
def several(corpus_file: CorpusFile) -> tuple[Tracks, Sequence[Window]]:
    """Tracks of both byte orders, compressed and not, and windows on all their chromosomes and over the ends."""
    names = ["mixed section kinds", "big-endian", "uncompressed", "big-endian, uncompressed, version 1", "stored NaN"]
    files = [corpus_file(name) for name in names]
    windows = [window for _, recipe in files for window in recipe.windows(700, count=10, seed=3)]
    return Tracks.open(*(path for path, _ in files)), windows


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("default", [0.0, 2.5, NAN])
def test_every_statistic_gives_the_same_numbers(
    statistic: str, default: float, engine: Engine, one_thread: CpuEngine, several: tuple[Tracks, Sequence[Window]]
) -> None:
    tracks, windows = several
    for window_size in (1, 2, 11, 128):
        plan, reduction = tracks.plan(windows, window_size), tracks.reduction(statistic, default)
        ours = to_host(engine.run(plan, tracks.sources, reduction))
        assert ours.shape == (len(windows), 700 // window_size, len(tracks.sources))
        theirs = one_thread.run(plan, tracks.sources, reduction)
        np.testing.assert_allclose(ours, theirs, **tolerance(statistic), strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("default", [0.0, 2.5, NAN])
def test_every_dtype_gives_the_same_bits(
    dtype: str, default: float, engine: Engine, one_thread: CpuEngine, several: tuple[Tracks, Sequence[Window]]
) -> None:
    tracks, windows = several
    plan, reduction = tracks.plan(windows), tracks.reduction(default=default, dtype=dtype)
    ours, theirs = (to_host(each.run(plan, tracks.sources, reduction)) for each in (engine, one_thread))
    assert ours.dtype == {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}[dtype]
    assert_same_bits(ours, theirs)


def test_a_statistic_of_ones_own_runs(engine: Engine, several: tuple[Tracks, Sequence[Window]]) -> None:
    tracks, windows = several
    plan, highest = tracks.plan(windows, 100), tracks.reduction("max", NAN)
    reductions = (replace(highest, statistic=RANGE), highest, tracks.reduction("min", NAN))
    ours, highest_values, lowest_values = (to_host(engine.run(plan, tracks.sources, each)) for each in reductions)
    np.testing.assert_array_equal(ours, highest_values - lowest_values, strict=True)
    assert (ours > 0).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_statistics_are_a_last_axis(
    dtype: str, engine: Engine, several: tuple[Tracks, Sequence[Window]]
) -> None:
    tracks, windows = several
    statistics = get_statistics(SEVERAL)
    plan = tracks.plan(windows, 11)
    ours = to_host(engine.run(plan, tracks.sources, replace(tracks.reduction(dtype=dtype), statistic=statistics)))
    for i, statistic in enumerate(statistics):
        alone = engine.run(plan, tracks.sources, replace(tracks.reduction(dtype=dtype), statistic=statistic))
        assert_same_bits(np.ascontiguousarray(ours[..., i]), to_host(alone))
    assert ours.shape == (len(windows), 700 // 11, len(tracks.sources), len(statistics))


def test_an_engine_goes_on_after_it_was_closed(
    engine: Engine, one_thread: CpuEngine, several: tuple[Tracks, Sequence[Window]]
) -> None:
    tracks, windows = several
    plan, reduction = tracks.plan(windows), tracks.reduction()
    engine.run(plan, tracks.sources, reduction)
    engine.close()
    ours = to_host(engine.run(plan, tracks.sources, reduction))
    assert_same_bits(ours, one_thread.run(plan, tracks.sources, reduction))


# --- nothing to do


@pytest.mark.parametrize(
    ("windows", "window_size"),
    {
        "no windows": ([], 1),
        "windows without bins": ([("chr1", 0, 5), ("chr2", 3, 8)], 6),
        "windows without bases": ([("chr1", 7, 7)], 1),
        "windows outside": ([("chr1", -500, -400), ("chr1", 20_000, 20_100)], 10),
        "a chromosome without data": ([("chr1_random", 0, 700)], 100),
    }.values(),
)
def test_windows_without_data_are_default(
    windows: list[Window], window_size: int, engine: Engine, corpus_file: CorpusFile
) -> None:
    tracks = Tracks.open(corpus_file("mixed section kinds")[0], corpus_file("version 2")[0])
    plan = tracks.plan(windows, window_size)
    batch = to_host(engine.run(plan, tracks.sources, tracks.reduction(default=2.5)))
    length = windows[0][2] - windows[0][1] if windows else 0
    assert batch.shape == (len(windows), length // window_size, 2)
    assert (batch == 2.5).all()


def test_no_tracks_make_an_empty_last_axis(engine: Engine, corpus_file: CorpusFile) -> None:
    tracks = Tracks.open(corpus_file("mixed section kinds")[0])
    none = np.empty(0, np.int64)
    row = np.array([0], np.int64)
    plan = plan_windows(tracks.table, row, starts=row, ends=row + 10, window_size=1, track_indices=none)
    reduction = Reduction(get_statistic("mean"), 0.0, "float32", np.empty(0, np.float32))
    assert engine.run(plan, tracks.sources, reduction).shape == (1, 10, 0)


# --- where the numbers go


@pytest.fixture
def small(corpus_file: CorpusFile) -> tuple[Tracks, ReadPlan]:
    path, recipe = corpus_file("mixed section kinds")
    tracks = Tracks.open(path, path)
    return tracks, tracks.plan(recipe.windows(200, count=5))


def empty(engine: Engine, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of the engine's device."""
    if engine.name == "cuda":
        import cupy

        return cupy.full(shape, 7, dtype)
    return np.full(shape, 7, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_out_is_filled_and_returned(dtype: str, engine: Engine, small: tuple[Tracks, ReadPlan]) -> None:
    tracks, plan = small
    reduction = tracks.reduction(dtype=dtype, default=NAN)
    fresh = engine.run(plan, tracks.sources, reduction)
    out = empty(engine, fresh.shape, fresh.dtype)
    assert engine.run(plan, tracks.sources, reduction, out=out) is out
    assert_same_bits(to_host(out), to_host(fresh))


def test_an_out_that_does_not_fit_is_refused_and_left_alone(engine: Engine, small: tuple[Tracks, ReadPlan]) -> None:
    tracks, plan = small
    s, b, t = plan.n_windows, plan.n_bins, plan.n_tracks
    wrong = [
        empty(engine, (s, b, t + 1), np.float32),
        empty(engine, (b, s, t), np.float32),
        empty(engine, (s * b * t,), np.float32),
        empty(engine, (s, b, t), np.float64),
        empty(engine, (s, b, t), np.uint16),
        empty(engine, (t, b, s), np.float32).T,
        empty(engine, (s, b, 2 * t), np.float32)[..., ::2],
    ]
    for out in wrong:
        with pytest.raises(ConfigError, match=re.escape(f"shape ({s}, {b}, {t}) and type float32")) as caught:
            engine.run(plan, tracks.sources, tracks.reduction(), out=out)
        assert caught.value.argument == "out"
        assert (to_host(out) == 7).all()


def test_each_run_makes_memory_of_its_own(engine: Engine, small: tuple[Tracks, ReadPlan]) -> None:
    tracks, plan = small
    first = engine.run(plan, tracks.sources, tracks.reduction())
    kept = to_host(first).copy()
    second = engine.run(plan, tracks.sources, tracks.reduction(default=9.0))
    second[...] = -1
    assert_same_bits(to_host(first), kept)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint16])
def test_new_memory_starts_at_a_multiple_of_64_bytes(dtype: Any) -> None:
    kept = []
    assert aligned_empty((3, 0, 2), dtype).shape == (3, 0, 2)
    for shape in [(n, m, t) for n in (1, 2, 3) for m in (1, 5, 33) for t in (1, 3)]:
        array = aligned_empty(shape, dtype)
        assert (array.shape, array.dtype, array.flags.c_contiguous) == (shape, dtype, True)
        assert array.ctypes.data % ALIGNMENT == 0
        array[...] = 1
        kept.append(array)
    assert all((array == 1).all() for array in kept)


def test_batches_of_the_cpu_start_at_a_multiple_of_64_bytes(small: tuple[Tracks, ReadPlan]) -> None:
    tracks, plan = small
    batches = [CpuEngine(2).run(plan, tracks.sources, tracks.reduction(dtype=dtype)) for dtype in DTYPES]
    assert [batch.ctypes.data % 64 for batch in batches] == [0, 0, 0]


# --- damage


def error_of(engine: Engine, tracks: Tracks, plan: ReadPlan) -> BlockDecodeError:
    with pytest.raises(BlockDecodeError) as caught:
        engine.run(plan, tracks.sources, tracks.reduction())
    return caught.value


@pytest.mark.parametrize("name", [name for name, recipe in DAMAGED.items() if recipe().broken])
def test_a_damaged_block_is_named_and_its_neighbours_do_not_matter(
    name: str, engine: Engine, one_thread: CpuEngine, tmp_path: Path
) -> None:
    damaged = DAMAGED[name]()
    assert damaged.broken is not None
    assert damaged.healthy is not None
    tracks = Tracks.open(damaged.write(tmp_path / "damaged.bw"))
    healthy = tracks.plan([damaged.healthy])
    batch = to_host(engine.run(healthy, tracks.sources, tracks.reduction(default=NAN)))
    np.testing.assert_array_equal(batch[0, :, 0], damaged.recipe.track.values(*damaged.healthy))

    broken = tracks.plan([damaged.healthy, damaged.broken])
    ours, theirs = (error_of(each, tracks, broken) for each in (engine, one_thread))
    assert "damaged.bw" in ours.url
    assert f"bytes {ours.offset:,} to {ours.offset + ours.size:,}" in str(ours)
    assert BlockStatus(ours.status).words in str(ours)
    assert (ours.url, ours.block, ours.offset, ours.size) == (theirs.url, theirs.block, theirs.offset, theirs.size)
    assert ours.offset == broken.block_offsets[ours.block]


def test_the_first_of_several_damaged_blocks_is_named_and_the_others_counted(engine: Engine, tmp_path: Path) -> None:
    starts = range(0, 6_000, 1_000)
    sections = [fixed_step("chr1", start, np.arange(100), step=2, span=2) for start in starts]
    for i in (1, 3, 4):
        sections[i] = replace(sections[i], compress=lambda payload: b"\xfe" * 50)
    write_bigwig(tmp_path / "damaged.bw", {"chr1": 6_000}, sections)
    tracks = Tracks.open(tmp_path / "damaged.bw")
    error = error_of(engine, tracks, tracks.plan([("chr1", start, start + 200) for start in reversed(starts)]))
    assert (error.block, error.status) == (1, BlockStatus.BAD_ZLIB_HEADER)
    assert "2 more of this batch's 6 blocks are damaged" in str(error)


def test_only_a_verifying_engine_finds_a_wrong_checksum(tmp_path: Path) -> None:
    def with_wrong_checksum(payload: bytes) -> bytes:
        return zlib.compress(payload)[:-4] + b"\0\0\0\0"

    section = fixed_step("chr1", 0, np.arange(100))
    write_bigwig(tmp_path / "a.bw", {"chr1": 100}, [replace(section, compress=with_wrong_checksum)])
    tracks = Tracks.open(tmp_path / "a.bw")
    plan = tracks.plan([("chr1", 0, 10)])
    batch = CpuEngine(1).run(plan, tracks.sources, tracks.reduction())
    assert batch[0, :, 0].tolist() == list(range(10))
    error = error_of(CpuEngine(1, verify=True), tracks, plan)
    assert error.status == BlockStatus.CHECKSUM_MISMATCH
    assert "a.bw" in str(error)


# --- what only a GPU has


@pytest.mark.gpu
def test_batches_come_out_on_the_current_stream(small: tuple[Tracks, ReadPlan], one_thread: CpuEngine) -> None:
    import cupy

    tracks, plan = small
    engine, batches = make_engine("cuda"), []
    for default in (0.0, 1.0, 2.0, 3.0):
        with cupy.cuda.Stream(non_blocking=True) as stream:
            batches.append(engine.run(plan, tracks.sources, tracks.reduction(default=default)))
            stream.synchronize()
    for default, batch in enumerate(batches):
        assert_same_bits(to_host(batch), one_thread.run(plan, tracks.sources, tracks.reduction(default=float(default))))


@pytest.mark.gpu
def test_kernels_are_compiled_once_for_all_processes(
    small: tuple[Tracks, ReadPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = importlib.import_module("bigwig_numba.engine.launcher")
    monkeypatch.setenv("BIGWIG_NUMBA_CACHE", str(tmp_path))
    tracks, plan = small
    first = to_host(make_engine("cuda").run(plan, tracks.sources, tracks.reduction()))
    assert list((tmp_path / "kernels").iterdir())
    monkeypatch.setattr(launcher.KernelLauncher, "_compile", lambda *_: pytest.fail("compiled again"))
    assert_same_bits(to_host(make_engine("cuda").run(plan, tracks.sources, tracks.reduction())), first)


@pytest.mark.gpu
def test_without_a_place_to_keep_them_kernels_are_compiled_anyway(
    small: tuple[Tracks, ReadPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: CpuEngine
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("BIGWIG_NUMBA_CACHE", str(tmp_path / "file"))
    tracks, plan = small
    batch = to_host(make_engine("cuda").run(plan, tracks.sources, tracks.reduction()))
    assert_same_bits(batch, one_thread.run(plan, tracks.sources, tracks.reduction()))


@pytest.mark.gpu
def test_too_little_memory_is_an_error_that_says_what_to_do(small: tuple[Tracks, ReadPlan]) -> None:
    import cupy

    tracks = small[0]
    plan = tracks.plan([("chr1", 0, 2_000)] * 20_000)  # more than any other test has left in the pool
    engine, pool = make_engine("cuda"), cupy.get_default_memory_pool()
    engine.close()
    pool.set_limit(size=pool.total_bytes() + 512)
    try:
        with pytest.raises(DeviceError, match="fewer windows or tracks"):
            engine.run(plan, tracks.sources, tracks.reduction())
    finally:
        pool.set_limit(size=0)
    assert engine.run(plan, tracks.sources, tracks.reduction()).size
