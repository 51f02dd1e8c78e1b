"""write_bigwig: what is read back, by pyBigWig and pybigtools, is what was painted base by base."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pybigtools
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba import bigwig, write
from bigwig_numba.errors import ChromNotFoundError, ConfigError, StorageError, WindowError
from bigwig_numba.write import write_bigwig

SIZES = {"chr2": 50, "chr10": 37, "chrX": 64}

Floats = npt.NDArray[np.float32]
Window = tuple[str, int, Floats]
Overlaps = Literal["mean", "last"]


@dataclass(frozen=True)
class Case:
    """Windows (bins, tracks), and how to write them."""

    windows: list[Window]
    bin_size: int
    n_tracks: int
    overlaps: Overlaps


@st.composite
def cases(draw: st.DrawFn) -> Case:
    bin_size, n_tracks = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    values = st.one_of(st.just(math.nan), st.sampled_from([0.0, 1.0, -2.5]), st.floats(-(2.0**99), 2.0**99, width=32))
    windows = []
    for chrom, start, n_bins in draw(
        st.lists(st.tuples(st.sampled_from(sorted(SIZES)), st.integers(-10, 63), st.integers(0, 8)), max_size=14)
    ):
        if start < SIZES[chrom] and start + n_bins * bin_size > 0:
            drawn = draw(st.lists(values, min_size=n_bins * n_tracks, max_size=n_bins * n_tracks))
            windows.append((chrom, start, np.array(drawn, dtype=np.float32).reshape(n_bins, n_tracks)))
    # A file needs a value.
    windows.append(("chr2", 3, np.ones((1, n_tracks), dtype=np.float32)))
    return Case(draw(st.permutations(windows)), bin_size, n_tracks, draw(st.sampled_from(["mean", "last"])))


def painted(case: Case, chrom: str, track: int) -> Floats:
    """(length,) what every base has, NaN in gaps."""
    on_base: list[list[float]] = [[] for _ in range(SIZES[chrom])]
    for name, start, values in case.windows:
        for number, value in enumerate(values[:, track].tolist() if name == chrom else []):
            for base in range(start + number * case.bin_size, start + (number + 1) * case.bin_size):
                if 0 <= base < SIZES[chrom] and not math.isnan(value):
                    on_base[base].append(value)
    reduced = [math.nan if not on else on[-1] if case.overlaps == "last" else sum(on) / len(on) for on in on_base]
    return np.array(reduced).astype(np.float32)


def read_with_pybigwig(path: Path, chrom: str) -> Floats:
    with pyBigWig.open(str(path)) as file:
        if chrom not in file.chroms():
            return np.full(SIZES[chrom], np.nan, dtype=np.float32)
        assert file.chroms(chrom) == SIZES[chrom]
        values: Floats = file.values(chrom, 0, SIZES[chrom], numpy=True).astype(np.float32)
        return values


def one_window(values: Sequence[float] = (1.0, 2.0)) -> list[Window]:
    return [("chr2", 10, np.array(values, dtype=np.float32))]


class TestNumbers:
    @given(cases(), st.sampled_from([3, 1 << 22]))
    def test_are_what_was_painted(self, tmp_path_factory: pytest.TempPathFactory, case: Case, cells: int) -> None:
        folder = tmp_path_factory.mktemp("tracks")
        paths = [folder / f"{track}.bw" for track in range(case.n_tracks)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(write, "CELLS_AT_A_TIME", cells)
            write_bigwig(paths, SIZES, case.windows, bin_size=case.bin_size, overlaps=case.overlaps)
        for track, path in enumerate(paths):
            for chrom in SIZES:
                np.testing.assert_array_equal(read_with_pybigwig(path, chrom), painted(case, chrom, track))

    @pytest.mark.parametrize("starts", [(0, 3, 6), (6, 3, 0), (3, 6, 0)])
    def test_of_the_window_that_was_given_last_win(self, tmp_path: Path, starts: tuple[int, ...]) -> None:
        path = tmp_path / "a.bw"
        windows = [("chr2", start, np.full(5, number + 1.0)) for number, start in enumerate(starts)]
        write_bigwig(path, SIZES, windows, overlaps="last")
        expected = np.zeros(11)
        for _, start, values in windows:
            expected[start : start + 5] = values
        np.testing.assert_array_equal(read_with_pybigwig(path, "chr2")[:11], expected)

    def test_are_the_same_in_every_reader(self, tmp_path: Path) -> None:
        path = tmp_path / "a.bw"
        values = np.random.default_rng(0).normal(size=SIZES["chrX"]).astype(np.float32)
        values[10:20] = np.nan
        write_bigwig(path, SIZES, [("chrX", 0, values)])
        np.testing.assert_array_equal(read_with_pybigwig(path, "chrX"), values)
        np.testing.assert_array_equal(pybigtools.open(str(path)).values("chrX", fillna=None).astype(np.float32), values)
        with bigwig.open(path) as file:
            np.testing.assert_array_equal(file.values("chrX", 0, len(values)), values)
            assert file.summary is not None
            assert file.summary.bases_covered == len(values) - 10

    def test_equal_neighbours_become_one_interval_and_gaps_none(self, tmp_path: Path) -> None:
        path = tmp_path / "a.bw"
        write_bigwig(path, SIZES, [("chr2", 0, np.array([1, 1, np.nan, 0, 2, 2, 2]))], bin_size=5)
        with pyBigWig.open(str(path)) as file:
            assert file.intervals("chr2") == ((0, 10, 1.0), (15, 20, 0.0), (20, 35, 2.0))

    def test_of_more_windows_than_fit_into_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        values = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
        windows = [("chr2", start, values[start : start + 3]) for start in range(0, 30, 3)]
        paths = [tmp_path / "0.bw", tmp_path / "1.bw"]
        monkeypatch.setattr(write, "SPOOL_BYTES", 10)
        write_bigwig(paths, SIZES, reversed(windows))  # type: ignore[arg-type]
        for track, path in enumerate(paths):
            np.testing.assert_array_equal(read_with_pybigwig(path, "chr2")[:30], values[:, track])

    def test_of_far_windows_leave_the_space_between_out(self, tmp_path: Path) -> None:
        path, far = tmp_path / "a.bw", 50_000_000
        write_bigwig(path, {"chr1": 2**32 - 1}, [("chr1", far, np.ones(5)), ("chr1", 0, np.ones(2))], bin_size=7)
        with pyBigWig.open(str(path)) as file:
            assert file.intervals("chr1") == ((0, 14, 1.0), (far, far + 35, 1.0))

    def test_lie_where_they_should_on_the_longest_chromosomes(self, tmp_path: Path) -> None:
        path, far = tmp_path / "a.bw", 4_000_000_000
        write_bigwig(path, {"chr1": 2**32 - 1}, [("chr1", far, np.ones(5))])
        with bigwig.open(path) as file:
            intervals = file.intervals("chr1", 0, 2**32 - 1)
        assert (intervals.starts.tolist(), intervals.ends.tolist()) == ([far], [far + 5])

    @pytest.mark.parametrize("dtype", ["int8", "uint16", "float16", "float64", "bool"])
    def test_may_be_of_any_type(self, tmp_path: Path, dtype: str) -> None:
        path = tmp_path / "a.bw"
        write_bigwig(path, SIZES, [("chr2", np.int32(0), np.array([1, 0, 1], dtype=dtype))])
        np.testing.assert_array_equal(read_with_pybigwig(path, "chr2")[:3], [1, 0, 1])

    def test_chromosomes_are_sorted_by_their_bytes(self, tmp_path: Path) -> None:
        path = tmp_path / "a.bw"
        write_bigwig(path, SIZES, [(chrom, 0, np.ones(1)) for chrom in ("chrX", "chr10", "chr2")])
        with bigwig.open(path) as file:
            assert list(file.chroms) == ["chr10", "chr2", "chrX"]


class TestFiles:
    def test_take_the_place_of_old_ones_when_complete(self, tmp_path: Path) -> None:
        path = tmp_path / "a.bw"
        path.write_text("old")

        def windows() -> Iterator[Window]:
            yield from one_window()
            assert path.read_text() == "old"

        write_bigwig(path, SIZES, windows())
        assert read_with_pybigwig(path, "chr2")[10] == 1.0
        assert list(tmp_path.iterdir()) == [path]

    def test_stay_as_they_were_after_an_error_in_the_windows(self, tmp_path: Path) -> None:
        path = tmp_path / "a.bw"
        path.write_text("old")

        def windows() -> Iterator[Window]:
            yield from one_window()
            raise RuntimeError("the model failed")

        with pytest.raises(RuntimeError, match="the model failed"):
            write_bigwig(path, SIZES, windows())
        assert (list(tmp_path.iterdir()), path.read_text()) == ([path], "old")

    @pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
    def test_stay_as_they_were_after_an_error_while_writing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
    ) -> None:
        paths = [tmp_path / "0.bw", tmp_path / "1.bw"]

        def sweep(store: Any, pieces: Any, track: int, overlaps: str) -> Iterator[Any]:
            yield 0, 1, np.ones(4, dtype=np.float32)
            if track == 1:
                raise error

        monkeypatch.setattr(write, "_sweep", sweep)
        with pytest.raises(type(error)):
            write_bigwig(paths, SIZES, [("chr2", 0, np.ones((4, 2)))])
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("kept", [0, 1])
    def test_that_are_not_complete_are_noticed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
    ) -> None:
        """As on a full disk, where pybigtools prints a line and returns."""

        class HalfWriter:
            def __init__(self, path: str) -> None:
                self.writer = original(path, "w")

            def write(self, sizes: Any, items: Any) -> None:
                self.writer.write(sizes, list(items)[:kept])

        original = pybigtools.open
        monkeypatch.setattr(
            write.pybigtools, "open", lambda path, mode="r": HalfWriter(path) if mode == "w" else original(path)
        )
        with pytest.raises(StorageError, match="could not be written"):
            write_bigwig(tmp_path / "a.bw", SIZES, one_window())
        assert list(tmp_path.iterdir()) == []

    def test_may_lie_in_several_folders(self, tmp_path: Path) -> None:
        paths = [tmp_path / "one" / "a.bw", tmp_path / "other" / "a.bw"]
        for path in paths:
            path.parent.mkdir()
        write_bigwig(paths, SIZES, [("chr2", 0, np.ones((4, 2)))])
        assert all(list(path.parent.iterdir()) == [path] for path in paths)

    def test_nothing_is_printed_without_a_terminal(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        write_bigwig(tmp_path / "a.bw", SIZES, one_window())
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("progress", [True, False])
    def test_progress_is_shown_on_a_terminal(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: bool
    ) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        write_bigwig(tmp_path / "a.bw", SIZES, one_window(), progress=progress)
        assert ("windows" in terminal.getvalue()) is progress

    def test_need_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="none"):
            write_bigwig(tmp_path / "none" / "a.bw", SIZES, one_window())


class TestRefusals:
    @pytest.mark.parametrize(
        ("window", "why"),
        [
            (("chr2", 0), "no triple"),
            (None, "no triple"),
            (("chr2", 0.5, [1.0]), r"\(chr2, 0.5\) has a start"),
            (("chr2", 2**63, [1.0]), "has a start"),
            (("chr2", 50, [1.0]), "ends at 60 and lies outside the chromosome, which has 50 bases"),
            (("chr2", -10, [1.0]), "ends at 0 and lies outside"),
            (("chr2", 0, [[1.0, 2.0]]), r"shape \(1, 2\), expected \(bins, 1\) or \(bins,\)"),
            (("chr2", 0, 1.0), r"shape \(\)"),
            (("chr2", 0, ["a"]), "no numbers"),
            (("chr2", 0, [np.inf]), "infinite"),
            (("chr2", 0, [1e39]), "infinite"),
        ],
    )
    def test_windows_that_make_no_sense_are_named(self, tmp_path: Path, window: Any, why: str) -> None:
        with pytest.raises(WindowError, match=f"window 1.*{why}") as caught:
            write_bigwig(tmp_path / "a.bw", SIZES, [*one_window(), window], bin_size=10)
        assert caught.value.rows == (1,)

    def test_unknown_chromosomes(self, tmp_path: Path) -> None:
        with pytest.raises(ChromNotFoundError, match="did you mean 'chr2'"):
            write_bigwig(tmp_path / "a.bw", SIZES, [("2", 0, np.ones(1))])

    @pytest.mark.parametrize("windows", [[], [("chr2", 0, np.array([np.nan]))], [("chr2", 0, np.empty(0))]])
    def test_no_values_at_all(self, tmp_path: Path, windows: list[Window], capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(ConfigError, match=r"no values for .*a\.bw"):
            write_bigwig(tmp_path / "a.bw", SIZES, windows)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"bin_size": 0}, "bin_size is 0"),
            ({"overlaps": "sum"}, "'sum'"),
            ({"chrom_sizes": {"chr2": 0}}, "chr2"),
            ({"chrom_sizes": {"chr2": 2**32}}, "32 bits"),
            ({"path": []}, "empty list"),
            ({"path": "s3://bucket/a.bw"}, "local path"),
            ({"path": ["a.bw", "./a.bw"]}, "twice"),
        ],
    )
    def test_arguments_that_make_no_sense(self, tmp_path: Path, options: dict[str, Any], why: str) -> None:
        with pytest.raises(ConfigError, match=why):
            write_bigwig(**{"path": tmp_path / "a.bw", "chrom_sizes": SIZES, "windows": one_window(), **options})
