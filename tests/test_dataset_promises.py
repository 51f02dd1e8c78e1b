"""What goes wrong in bigwig-loader 0.3.2, one promise after the other; and what is left behind: nothing."""

from __future__ import annotations

import gc
import itertools
import pickle
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bigwig_numba import BigWigCollection
from bigwig_numba.dataset import BigWigDataset
from bigwig_numba.errors import BlockDecodeError, ConfigError, WorkerError
from tests.conftest import on_host
from tests.dataset_world import REGIONS, SIZES, World, positions, same_batches
from tests.prefetch_threads import prefetch_threads
from tests.sampling import frame

pytestmark = pytest.mark.usefixtures("no_thread_left")

SPOTS = [("chr1", 900 + 7 * number) for number in range(20)]


class TestPositions:
    def test_every_region_is_drawn_in_proportion_to_its_length(self, world: World) -> None:
        """The peer never draws the last region."""
        regions = frame(("chr1", 1_000, 1_300), ("chr1", 5_000, 5_100), ("chr2", 1_000, 1_600))
        with world.dataset(regions, batch_size=500, batches_per_epoch=4, reference_genome_path=None) as dataset:
            drawn = Counter(
                (chrom, start + 32 >= 5_000 and chrom == "chr1") for chrom, start in positions(list(dataset))
            )
        shares = [drawn["chr1", False] / 2_000, drawn["chr1", True] / 2_000, drawn["chr2", False] / 2_000]
        np.testing.assert_allclose(shares, [0.3, 0.1, 0.6], atol=0.05)  # more than four standard deviations

    def test_one_region_is_enough(self, world: World) -> None:
        with world.dataset(frame(("chr1", 1_000, 1_001))) as dataset:
            assert set(positions(list(dataset))) == {("chr1", 1_000 - 32)}

    @pytest.mark.parametrize("sampling", ["random", "regions", "tile"])
    def test_the_frame_of_the_caller_is_not_changed(self, world: World, sampling: str) -> None:
        regions = REGIONS.set_index(pd.Index([9, 4, 4, 1]))
        before = regions.copy(deep=True)
        with world.dataset(regions, sampling=sampling, jitter=3) as dataset:
            list(dataset)
        pd.testing.assert_frame_equal(regions, before)

    def test_nothing_is_printed(self, world: World, capfd: pytest.CaptureFixture[str]) -> None:
        with world.dataset() as dataset:
            list(dataset)
        assert tuple(capfd.readouterr()) == ("", "")

    def test_the_same_positions_are_repeated_all_of_them(self, world: World) -> None:
        arguments = {"repeat_same_positions": True, "position_sampler_buffer_size": 15, "batches_per_epoch": 5}
        with world.dataset(**arguments) as dataset:
            first, second = positions(list(dataset)), positions(list(dataset))
        assert first == second
        assert first[:15] == first[15:]
        assert len(set(first[:15])) > 10

    def test_soft_masked_bases_are_bases(self, world: World, tmp_path: Path) -> None:
        upper, lower = tmp_path / "upper.fa", tmp_path / "lower.fa"
        header_and_lines = world.fasta.read_text().splitlines()
        for path, change in ((upper, str.upper), (lower, str.lower)):
            path.write_text("\n".join(x if x[0] == ">" else change(x) for x in header_and_lines) + "\n")
        batches = []
        for path in (upper, lower, world.fasta):
            with world.dataset(reference_genome_path=path) as dataset:
                batches.append(list(dataset))
        assert same_batches(batches[0], batches[1])
        assert same_batches(batches[0], batches[2])


class TestCustomSamplers:
    def test_a_list_is_an_epoch_and_comes_again(self, world: World) -> None:
        with world.dataset(custom_position_sampler=SPOTS, batches_per_epoch=None) as dataset:
            first, second = list(dataset), list(dataset)
        assert positions(first) == positions(second) == [(name, center - 32) for name, center in SPOTS]
        assert [len(batch) for batch in first] == [6, 6, 6, 2]

    def test_a_finite_generator_ends_the_epoch(self, world: World) -> None:
        with world.dataset(custom_position_sampler=(spot for spot in SPOTS), batches_per_epoch=None) as dataset:
            assert [len(batch) for batch in dataset] == [6, 6, 6, 2]
            assert list(dataset) == []

    def test_an_endless_generator_goes_on_in_the_next_epoch(self, world: World) -> None:
        endless = (("chr1", 900 + number) for number in itertools.count())
        with world.dataset(custom_position_sampler=endless, batches_per_epoch=2) as dataset:
            starts = [start for _, start in positions([*dataset, *dataset])]
        assert starts == list(range(900 - 32, 900 - 32 + 24))

    def test_mappings_bring_more_with_them(self, world: World) -> None:
        spots = [{"chromosome": name, "center": center, "label": center % 3} for name, center in SPOTS]
        with world.dataset(custom_position_sampler=spots, batches_per_epoch=None) as dataset:
            labels = [label for batch in dataset for label in batch.other_batched["label"]]
        assert labels == [center % 3 for _, center in SPOTS]

    def test_tracks_of_a_list_come_in_its_order(self, world: World) -> None:
        with world.dataset(custom_track_sampler=[[3], [0, 1]], super_batch_size=30) as dataset:
            assert [batch.track_indices.tolist() for batch in dataset][:3] == [[3], [0, 1], [3]]

    def test_a_sampler_that_fails_is_met_at_its_batch(self, world: World) -> None:
        def spots() -> Iterator[tuple[str, int]]:
            yield from SPOTS[:12]
            raise LookupError("no more spots")

        with world.dataset(custom_position_sampler=spots(), batches_per_epoch=None) as dataset:
            batches = iter(dataset)
            assert positions([next(batches), next(batches)]) == [(name, center - 32) for name, center in SPOTS[:12]]
            with pytest.raises(WorkerError, match="no more spots") as caught:
                next(batches)
        assert isinstance(caught.value.__cause__, LookupError)
        assert caught.value.batch == 2


class TestValues:
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
    def test_the_moving_average_runs_along_bins(self, world: World, dtype: str, device: str) -> None:
        arguments = {"dtype": dtype, "device": device, "window_size": 1}
        with world.dataset(**arguments) as plain, world.dataset(**arguments, moving_average_window_size=5) as smoothed:
            for one, other in zip(plain, smoothed, strict=True):
                values = as_float(on_host(one.values))
                expected = np.apply_along_axis(np.convolve, 1, values, np.ones(5) / 5, mode="same")
                tolerance = {"float32": 1e-5, "bfloat16": 2**-8, "float16": 2**-10}[dtype]
                np.testing.assert_allclose(as_float(on_host(other.values)), expected, rtol=tolerance, atol=tolerance)

    def test_defaults_are_not_scaled(self, world: World) -> None:
        arguments = {"window_size": 1, "default_value": -7.0, "reference_genome_path": None}
        with (
            world.dataset(**arguments) as plain,
            world.dataset(**arguments, scale={"1_sparse": 10.0}) as scaled,
        ):
            for one, other in zip(plain, scaled, strict=True):
                uncovered = one.values[:, :, 1] == -7.0
                assert uncovered.any()
                np.testing.assert_array_equal(other.values[uncovered, 1], -7.0)
                np.testing.assert_array_equal(other.values[~uncovered, 1], 10 * one.values[~uncovered, 1])

    @pytest.mark.parametrize("super_batch_size", [None, 18])
    def test_every_batch_is_its_own_memory(self, world: World, super_batch_size: int | None, device: str) -> None:
        with world.dataset(super_batch_size=super_batch_size, device=device) as dataset:
            batches, before = [], []
            for batch in dataset:
                batches.append(batch)
                before.append((on_host(batch.values).copy(), on_host(batch.sequences).copy()))
                batches[0].values[...] = 0  # a consumer may write to what it got
            for batch, (values, sequences) in zip(batches[1:], before[1:], strict=True):
                np.testing.assert_array_equal(on_host(batch.values), values)
                np.testing.assert_array_equal(on_host(batch.sequences), sequences)

    def test_the_last_part_of_a_super_batch_is_delivered(self, world: World) -> None:
        arguments: dict[str, Any] = {"custom_position_sampler": SPOTS, "batches_per_epoch": None, "batch_size": 4}
        with world.dataset(**arguments) as dataset:
            expected = list(dataset)
        for super_batch_size in (7, 10, 11, 1_000):
            with world.dataset(**arguments, super_batch_size=super_batch_size) as dataset:
                assert same_batches(list(dataset), expected)


class TestFailures:
    @pytest.fixture
    def damaged(self, world: World, tmp_path: Path) -> list[Path]:
        """The tracks, and one of which the blocks behind the first few are rubbish."""
        path = tmp_path / "9_damaged.bw"
        image = bytearray(world.tracks[0].read_bytes())
        image[5_000:9_000] = b"\xff" * 4_000
        path.write_bytes(image)
        return [*world.tracks, path]

    @pytest.mark.parametrize("super_batch_size", [None, 24])
    def test_a_damaged_block_is_met_at_its_batch_with_its_cause(
        self, world: World, damaged: list[Path], super_batch_size: int | None
    ) -> None:
        """Those before it come as always, and the error does not wait for anything."""
        spots = [("chr1", 100 + 40 * number) for number in range(280)]
        arguments: dict[str, Any] = {"custom_position_sampler": spots, "batches_per_epoch": None}
        with world.dataset(**arguments) as dataset:
            expected = positions(list(dataset))
        with world.dataset(collection=damaged, super_batch_size=super_batch_size, **arguments) as dataset:
            batches = []
            with pytest.raises(WorkerError, match=r"BlockDecodeError: .*9_damaged\.bw") as caught:
                batches.extend(dataset)
        assert isinstance(caught.value.__cause__, BlockDecodeError)
        assert caught.value.batch == len(batches) > 0
        assert positions(batches) == expected[: 6 * len(batches)]

    def test_a_failing_encoder_is_met_with_its_cause(self, world: World) -> None:
        def encode(sequences: list[str]) -> Any:
            raise ZeroDivisionError("in the encoder")

        with world.dataset(sequence_encoder=encode) as dataset, pytest.raises(WorkerError) as caught:
            next(iter(dataset))
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    def test_the_next_epoch_can_be_had_after_a_failure(self, world: World) -> None:
        fail = threading.Event()
        fail.set()

        def encode(sequences: list[str]) -> Any:
            if fail.is_set():
                raise OSError("a moment")
            return np.zeros(len(sequences))

        with world.dataset(sequence_encoder=encode) as dataset:
            with pytest.raises(WorkerError):
                list(dataset)
            fail.clear()
            assert len(list(dataset)) == 7


class TestNothingIsLeftBehind:
    def test_leaving_the_loop(self, world: World) -> None:
        dataset = world.dataset()
        for _ in dataset:
            break
        assert prefetch_threads() == []
        assert len(list(dataset)) == 7
        dataset.close()

    def test_an_exception_in_the_training_step(self, world: World) -> None:
        dataset = world.dataset()

        def train() -> None:
            for _ in dataset:
                raise RuntimeError("diverged")

        with pytest.raises(RuntimeError):
            train()
        assert prefetch_threads() == []
        dataset.close()

    def test_closing_ends_iterations_under_way(self, world: World) -> None:
        dataset = world.dataset()
        batches = iter(dataset)
        next(batches)
        dataset.close()
        assert prefetch_threads() == []
        assert list(batches) == []

    def test_a_dataset_that_is_dropped_goes_at_once(self, world: World) -> None:
        gc.collect()
        gc.disable()
        try:
            dataset = world.dataset()
            batches = iter(dataset)
            next(batches)
            watched = [weakref.ref(item) for item in (dataset, dataset.bigwig_collection, dataset.genome)]
            del dataset, batches
            assert [reference() for reference in watched] == [None] * 3
        finally:
            gc.enable()
        assert prefetch_threads() == []

    @pytest.mark.gpu
    def test_memory_of_the_gpu(self, world: World) -> None:
        import cupy

        pool = cupy.get_default_memory_pool()
        with BigWigCollection(world.tracks, device="cuda", store="stream") as collection:
            with world.dataset(collection=collection, device="cuda", batches_per_epoch=3) as dataset:
                list(dataset)  # what stays for later batches is there now
            gc.collect()
            before = pool.used_bytes()
            with world.dataset(collection=collection, device="cuda", batches_per_epoch=100) as dataset:
                batches = iter(dataset)
                kept = [next(batches) for _ in range(5)]
            del kept
            assert pool.used_bytes() <= before

    @pytest.mark.gpu
    def test_memory_is_not_used_again_while_the_consumer_may_read_it(self, world: World) -> None:
        """The consumer's stream is kept busy, and its batches are dropped before it gets to them."""
        import cupy

        arguments: dict[str, Any] = {"device": "cuda", "batches_per_epoch": 40, "window_size": 1}
        with world.dataset(**arguments) as dataset:
            expected = [float(on_host(batch.values).sum(dtype=np.float64)) for batch in dataset]
            dataset.set_epoch(0)
            stream, sums = cupy.cuda.Stream(non_blocking=True), []
            with stream:
                ballast = cupy.ones((3_000, 3_000), cupy.float32)
                for batch in dataset:
                    ballast = ballast @ ballast * 0
                    sums.append(batch.values.sum(dtype=cupy.float64))
                    del batch
                found = [float(total) for total in sums]
        np.testing.assert_allclose(found, expected, rtol=1e-9)

    @pytest.mark.gpu
    def test_the_stream_of_the_consumer_is_respected(self, world: World) -> None:
        import cupy

        with world.dataset(device="cuda") as dataset:
            expected = [on_host(batch.sequences) for batch in dataset]
            dataset.set_epoch(0)
            with cupy.cuda.Stream(non_blocking=True):
                for batch, sequences in zip(dataset, expected, strict=True):
                    np.testing.assert_array_equal(batch.sequences.get(), sequences)


class TestOtherProcesses:
    def test_a_pickled_dataset_goes_on_where_it_was(self, world: World) -> None:
        with world.dataset(reverse_complement=0.5) as dataset:
            list(dataset)
            copy = pickle.loads(pickle.dumps(dataset))
            expected = list(dataset)
        with copy:
            assert same_batches(list(copy), expected)

    def test_a_generator_cannot_travel_and_says_so(self, world: World) -> None:
        expected = pytest.raises(ConfigError, match=r"custom_position_sampler is an iterator.*give a list")
        with world.dataset(custom_position_sampler=iter(SPOTS)) as dataset, expected:
            pickle.dumps(dataset)

    def test_parts_together_are_the_whole(self, world: World) -> None:
        with world.dataset() as dataset:
            whole = list(dataset)
        parts = []
        for part in range(3):
            with world.dataset() as dataset:
                parts.append(list(dataset.iterate(lambda batch: batch, part=part, n_parts=3)))
        assert [len(batches) for batches in parts] == [3, 2, 2]
        together = [batch for step in itertools.zip_longest(*parts) for batch in step if batch is not None]
        assert same_batches(together, whole)


def as_float(values: Any) -> Any:
    """bfloat16 is the upper half of a float32."""
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


def test_without_regions_whole_chromosomes_are_taken(world: World) -> None:
    arguments: dict[str, Any] = {"device": "cpu", "sequence_length": 100, "batch_size": 300, "batches_per_epoch": 1}
    with BigWigDataset(None, world.tracks, world.fasta, return_batch_objects=True, **arguments) as dataset:
        assert {name for name, _ in positions(list(dataset))} == set(SIZES)
    with pytest.raises(ConfigError, match="regions_of_interest is None"):
        BigWigDataset(None, world.tracks, world.fasta, sampling="regions", **arguments)
    with BigWigDataset(
        None, world.tracks, world.fasta, device="cpu", custom_position_sampler=[("chr1", 2_000)], sequence_length=100
    ) as dataset:
        assert [values.shape for _, values in dataset] == [(1, 100, 4)]
