"""The dataset's batches: what is in them, whichever way positions are chosen, and that nothing else decides."""

from __future__ import annotations

import gzip
import itertools
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from bigwig_numba import BigWigCollection
from bigwig_numba.batch import Batch
from bigwig_numba.dataset import BigWigDataset
from bigwig_numba.errors import ChromNotFoundError, ConfigError, WorkerError
from bigwig_numba.genome import ReferenceGenome
from bigwig_numba.transforms import Log1p, Scale
from tests.conftest import on_host
from tests.dataset_world import REGIONS, SIZES, STRAND_PAIR, Recipe, World, positions, same_batches

SAMPLING: dict[str, dict[str, Any]] = {
    "random": {"sampling": "random"},
    "regions": {"sampling": "regions", "batches_per_epoch": None, "batch_size": 3},
    "tile": {"sampling": "tile", "batches_per_epoch": None, "stride": 500, "batch_size": 8},
    "list": {"custom_position_sampler": [("chr1", 900 + 7 * i) for i in range(20)], "batches_per_epoch": None},
}
AUGMENTED = {"reverse_complement": 0.5, "jitter": 9, "strand_pairs": [STRAND_PAIR]}


class TestContent:
    @pytest.mark.parametrize("sampling", SAMPLING)
    def test_batches_are_those_of_pyfaidx_and_pybigwig(self, world: World, sampling: str, device: str) -> None:
        with world.dataset(**SAMPLING[sampling], **AUGMENTED, device=device, super_batch_size=16) as dataset:
            batches = list(dataset)
            assert len(batches) > 1
            assert {bool(flag) for batch in batches for flag in batch.reverse_complement} == {True, False}
            for batch in batches:
                Recipe.of(dataset).check(batch, world)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"sequence_length": 101, "center_bin_to_predict": 50, "window_size": 7},
            {"sequence_length": 90, "center_bin_to_predict": None, "window_size": 1},
            {"layout": "BTL", "unknown_base": 0, "default_value": 2.5},
            {"moving_average_window_size": 3},
            {"sub_sample_tracks": 3},
            {"sequence_length": 33, "center_bin_to_predict": 33, "window_size": 33, "batch_size": 1},
        ],
        ids=["odd", "every base", "layout", "moving average", "tracks", "one of each"],
    )
    def test_whatever_the_shape(self, world: World, arguments: dict[str, Any], device: str) -> None:
        with world.dataset(**AUGMENTED, device=device, **arguments) as dataset:
            for batch in dataset:
                Recipe.of(dataset).check(batch, world)

    def test_whole_chromosomes_are_tiled_to_the_last_base(self, world: World) -> None:
        with BigWigDataset(
            None, world.tracks, world.fasta, sequence_length=300, center_bin_to_predict=200, window_size=50,
            batch_size=16, sampling="tile", return_batch_objects=True, device="cpu",
        ) as dataset:  # fmt: skip
            batches = list(dataset)
            for batch in batches:
                Recipe.of(dataset).check(batch, world)
        assert positions(batches) == [(name, start) for name in SIZES for start in range(0, SIZES[name], 200)]
        assert [len(batch) for batch in batches] == [16] * 6 + [14]

    @pytest.mark.parametrize("layout", ["BLT", "BTL"])
    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    def test_memory_begins_where_frameworks_can_take_it(self, world: World, layout: str, dtype: str) -> None:
        """Also in the middle of a super batch whose batches are of odd size."""
        arguments = {"layout": layout, "dtype": dtype, "batch_size": 3, "super_batch_size": 15, "window_size": 64}
        with world.dataset(**arguments, sequence_length=65) as dataset:
            for batch in dataset:
                for array in (batch.values, batch.sequences):
                    assert array.ctypes.data % 64 == 0
                    assert array.flags.c_contiguous
                    assert array.flags.writeable

    def test_a_tuple_is_given_unless_batches_are_asked_for(self, world: World) -> None:
        with world.dataset(return_batch_objects=False) as dataset:
            sequences, values = next(iter(dataset))
            assert (sequences.shape, values.shape) == ((6, 96, 4), (6, 8, 4))
        with world.dataset(return_batch_objects=False, sub_sample_tracks=2) as dataset:
            sequences, values, track_indices, track_names = next(iter(dataset))
            assert values.shape == (6, 8, 2)
            assert track_names == [str(world.tracks[track]) for track in track_indices]

    def test_sequences_may_be_strings_or_anything_made_of_them(self, world: World) -> None:
        arguments = {"reverse_complement": 0.5, "super_batch_size": 12}
        with world.dataset(sequence_encoder=None, **arguments) as dataset:
            strings = [batch.sequences for batch in dataset]
        assert {len(text) for text in strings[0]} == {96}

        def count_g(sequences: list[str]) -> npt.NDArray[np.int64]:
            return np.array([text.count("G") for text in sequences])

        with world.dataset(sequence_encoder=count_g, **arguments) as dataset:
            counts = [batch.sequences.tolist() for batch in dataset]
        assert counts == [[text.count("G") for text in texts] for texts in strings]

    def test_without_a_genome_there_are_values_only(self, world: World) -> None:
        with world.dataset(reference_genome_path=None) as dataset:
            batch = next(iter(dataset))
        assert batch.sequences is None
        assert batch.values.shape == (6, 8, 4)

    def test_transforms_apply_to_the_tracks_they_name(self, world: World) -> None:
        plain, changed = (
            list(world.dataset(transforms=transforms)) for transforms in (None, {"0_dense": [Scale(2.0), Log1p()]})
        )
        for one, other in zip(plain, changed, strict=True):
            np.testing.assert_allclose(other.values[:, :, 0], np.log1p(2 * one.values[:, :, 0]), rtol=1e-5)
            np.testing.assert_array_equal(other.values[:, :, 1:], one.values[:, :, 1:])

    def test_other_statistics_are_those_of_the_collection(self, world: World) -> None:
        with world.dataset(statistic="max", default_value=-1.0) as dataset:
            batch = next(iter(dataset))
            place = (batch.chromosomes, batch.starts, batch.ends)
            expected = dataset.bigwig_collection.get_batch(*place, 8, -1.0, statistic="max")
        np.testing.assert_array_equal(batch.values, expected)


class TestReproducibility:
    def test_threads_and_super_batches_change_nothing(self, world: World, device: str) -> None:
        arguments = {**AUGMENTED, "sub_sample_tracks": 2, "strand_pairs": [STRAND_PAIR], "device": device}
        with world.dataset(n_threads=1, **arguments) as dataset:
            expected = list(dataset)
        for n_threads, super_batch_size in itertools.product((1, 3), (6, 13, 100)):
            with world.dataset(n_threads=n_threads, super_batch_size=super_batch_size, **arguments) as dataset:
                assert same_batches(list(dataset), expected)

    @pytest.mark.gpu
    def test_devices_change_nothing(self, world: World) -> None:
        with world.dataset(**AUGMENTED) as on_cpu, world.dataset(**AUGMENTED, device="cuda") as on_gpu:
            for one, other in zip(on_cpu, on_gpu, strict=True):
                assert positions([one]) == positions([other])
                np.testing.assert_array_equal(on_host(one.sequences), on_host(other.sequences))
                np.testing.assert_allclose(on_host(one.values), on_host(other.values), rtol=1e-6)

    def test_epochs_and_seeds_differ_and_come_again(self, world: World) -> None:
        with world.dataset() as dataset:
            first, second = list(dataset), list(dataset)
            dataset.set_epoch(0)
            assert same_batches(list(dataset), first)
            assert same_batches(list(dataset), second)
        with world.dataset(seed=4) as dataset:
            other = list(dataset)
        assert len({str(positions(batches)) for batches in (first, second, other)}) == 3

    @pytest.mark.parametrize("sampling", SAMPLING)
    @pytest.mark.parametrize("world_size", [2, 3])
    def test_ranks_share_an_epoch(self, world: World, sampling: str, world_size: int) -> None:
        arguments = {**SAMPLING[sampling], **AUGMENTED}
        with world.dataset(**arguments) as dataset:
            alone = list(dataset)
        ranks = []
        for rank in range(world_size):
            with world.dataset(**arguments, rank=rank, world_size=world_size) as dataset:
                ranks.append(list(dataset))
        assert {len(batches) for batches in ranks} == {-(-len(alone) // world_size)}
        together = [batch for step in zip(*ranks, strict=True) for batch in step]
        assert same_batches(together[: len(alone)], alone)

    def test_the_launcher_says_which_rank_this_is(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        with world.dataset(rank=1, world_size=2) as dataset:
            expected = list(dataset)
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        with world.dataset() as dataset:
            assert same_batches(list(dataset), expected)


class TestResuming:
    @pytest.mark.parametrize("sampling", SAMPLING)
    @pytest.mark.parametrize("step", [0, 1, 2])
    def test_goes_on_with_the_batches_that_would_have_come(self, world: World, sampling: str, step: int) -> None:
        arguments = {**SAMPLING[sampling], **AUGMENTED, "super_batch_size": 12}
        with world.dataset(**arguments) as dataset:
            list(dataset)
            batches = iter(dataset)
            for _ in range(step):
                next(batches)
            state = dataset.state_dict()
            rest, after = list(batches), list(dataset)
        assert {type(value) for value in state.values()} <= {int, dict}
        with world.dataset(**{**arguments, "n_threads": 1, "super_batch_size": None}) as dataset:
            dataset.load_state_dict(state)
            assert same_batches(list(dataset), rest)
            assert same_batches(list(dataset), after)

    def test_at_the_last_batch_of_an_epoch_nothing_is_left_of_it(self, world: World) -> None:
        with world.dataset() as dataset:
            for _, _ in zip(range(7), dataset, strict=False):
                state = dataset.state_dict()
        with world.dataset() as dataset:
            dataset.load_state_dict(state)
            assert (state["step"], len(list(dataset)), len(list(dataset))) == (7, 0, 7)

    def test_a_generator_is_read_up_to_where_it_was(self, world: World) -> None:
        spots = [("chr1", 900 + 7 * i) for i in range(40)]
        with world.dataset(custom_position_sampler=iter(spots), batches_per_epoch=None) as dataset:
            batches = iter(dataset)
            next(batches)
            state, rest = dataset.state_dict(), list(batches)
        with world.dataset(custom_position_sampler=iter(spots), batches_per_epoch=None) as dataset:
            dataset.load_state_dict(state)
            assert same_batches(list(dataset), rest)

    def test_a_state_of_other_settings_is_refused(self, world: World) -> None:
        with world.dataset() as dataset:
            state = dataset.state_dict()
        with world.dataset(batch_size=5) as dataset, pytest.raises(ConfigError, match="batch_size=6"):
            dataset.load_state_dict(state)
        with world.dataset(rank=0, world_size=2) as dataset, pytest.raises(ConfigError, match="world_size=1"):
            dataset.load_state_dict(state)
        for no_state in ({}, {**state, "step": -1}, {**state, "settings": None}, None):
            with world.dataset() as dataset, pytest.raises(ConfigError):
                dataset.load_state_dict(no_state)  # type: ignore[arg-type]


class TestNames:
    @pytest.fixture
    def bare(self, world: World, tmp_path: Path) -> Path:
        """The genome with names like `1`."""
        path = tmp_path / "bare.fa"
        path.write_text(world.fasta.read_text().replace(">chr", ">"))
        return path

    @pytest.mark.parametrize("style", ["tracks", "genome"])
    @pytest.mark.parametrize("aliases", ["chr", {name: name.removeprefix("chr") for name in SIZES}])
    def test_names_that_differ_by_chr_can_be_allowed(self, world: World, bare: Path, style: str, aliases: Any) -> None:
        with world.dataset() as dataset:
            expected = list(dataset)
        regions = REGIONS.copy()
        if style == "genome":
            regions["chrom"] = regions["chrom"].str.removeprefix("chr")
        with world.dataset(regions, reference_genome_path=bare, chrom_aliases=aliases) as dataset:
            for one, other in zip(dataset, expected, strict=True):
                np.testing.assert_array_equal(one.sequences, other.sequences)
                np.testing.assert_array_equal(one.values, other.values)

    def test_otherwise_the_error_says_how(self, world: World, bare: Path) -> None:
        with pytest.raises(ChromNotFoundError, match="chrom_aliases='chr'"):
            world.dataset(reference_genome_path=bare)
        regions = REGIONS.assign(chrom=REGIONS["chrom"].str.removeprefix("chr"))
        with pytest.raises(ChromNotFoundError, match=r"collection has no chromosome '1'.*chrom_aliases='chr'"):
            world.dataset(regions, reference_genome_path=bare)

    def test_whole_chromosomes_are_those_of_tracks_and_genome(self, world: World, bare: Path) -> None:
        arguments: dict[str, Any] = {"sampling": "tile", "return_batch_objects": True, "device": "cpu"}
        with BigWigDataset(None, world.tracks, bare, chrom_aliases="chr", **arguments) as dataset:
            assert {name for name, _ in positions(list(dataset))} == set(SIZES)
        with pytest.raises(ChromNotFoundError, match="chrom_aliases='chr'"):
            BigWigDataset(None, world.tracks, bare, **arguments)

    def test_lengths_that_differ_are_told(self, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        other = tmp_path / "other.fa"
        other.write_text(world.fasta.read_text() + "ACGT\n")
        with caplog.at_level(logging.WARNING), world.dataset(reference_genome_path=other):
            assert "chr10 has 3004 bases in the reference genome and 3000 in the tracks" in caplog.text


class TestArguments:
    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("sequence_length", 0), ("batch_size", 1.5), ("window_size", 65), ("center_bin_to_predict", 97),
            ("super_batch_size", 5), ("n_threads", 0), ("dtype", "float64"), ("layout", "TBL"), ("sampling", "some"),
            ("unknown_base", 0.5), ("reverse_complement", 1.5), ("jitter", -1), ("seed", -1), ("stride", 0),
            ("maximum_unknown_bases_fraction", 2), ("default_value", "none"), ("sub_sample_tracks", 9),
            ("sequence_encoder", "twohot"), ("device", "tpu"), ("transforms", "square"),
        ],
    )  # fmt: skip
    def test_what_makes_no_sense_is_named(self, world: World, argument: str, value: Any) -> None:
        with pytest.raises(ConfigError, match=re.escape(str(value).strip("[()]")[:6])) as caught:
            world.dataset(**{argument: value})
        assert caught.value.argument in (argument, "encoder")

    def test_a_collection_keeps_its_device_and_stays_open(self, world: World) -> None:
        with BigWigCollection(world.tracks, device="cpu") as collection:
            with world.dataset(collection=collection) as dataset:
                next(iter(dataset))
            assert collection.get_batch(["chr1"], [0], [10]).shape == (1, 10, 4)
            with pytest.raises(ConfigError, match="collection is on 'cpu'"):
                world.dataset(collection=collection, device="cuda")

    def test_a_genome_stays_open_and_has_to_be_on_the_device_of_the_tracks(self, world: World) -> None:
        with ReferenceGenome(world.fasta, device="cpu") as genome:
            with world.dataset(reference_genome_path=genome) as dataset:
                assert dataset.genome is genome
            assert len(genome.strings(["chr1"], [0], [10])[0]) == 10
            genome.device = "cuda"
            with pytest.raises(ConfigError, match="genome is on 'cuda', and the tracks are on 'cpu'"):
                world.dataset(reference_genome_path=genome)

    def test_length_is_known_but_for_streams(self, world: World) -> None:
        with world.dataset() as dataset:
            assert len(dataset) == dataset.batches_per_epoch == 7
        with world.dataset(rank=0, world_size=4) as dataset:
            assert (len(dataset), dataset.batches_per_epoch) == (2, 7)
        with world.dataset(**SAMPLING["list"]) as dataset, pytest.raises(TypeError, match="custom_position_sampler"):
            len(dataset)


class TestMaskedTracks:
    def test_a_track_that_fails_is_told_by_the_mask(self, world: World, tmp_path: Path) -> None:
        damaged = tmp_path / "9_damaged.bw"
        image = bytearray(world.tracks[1].read_bytes())
        image[400:6_000] = b"\xff" * 5_600
        damaged.write_bytes(image)
        paths = [*world.tracks, damaged]
        with (
            BigWigCollection(paths, device="cpu", on_error="mask", sort=False) as collection,
            world.dataset(collection=collection) as dataset,
        ):
            batches = list(dataset)
        assert batches[-1].track_mask.tolist() == [True] * 4 + [False]
        with world.dataset(collection=paths) as dataset, pytest.raises(WorkerError):
            list(dataset)

    def test_without_failures_there_is_no_mask(self, world: World) -> None:
        with world.dataset() as dataset:
            assert next(iter(dataset)).track_mask is None


def test_stats_say_where_time_went(world: World) -> None:
    with world.dataset() as dataset:
        assert dataset.stats.n_batches == 0
        n_bytes = sum(batch.values.nbytes + batch.sequences.nbytes for batch in dataset)
        stats = dataset.stats
    assert (stats.n_batches, stats.n_samples, stats.n_bytes) == (7, 42, n_bytes)
    assert set(stats.stage_seconds) >= {"draw", "sequence", "plan", "fetch", "inflate", "reduce", "transform"}
    assert all(seconds > 0 for name, seconds in stats.stage_seconds.items() if name != "copy")
    assert 0 <= stats.wait_share <= 1
    assert "7 batches" in str(stats)


@pytest.mark.parametrize("tracks", ["plain", "sampled"])
def test_batches_can_be_sliced(world: World, tracks: str) -> None:
    with world.dataset(**SAMPLING["regions"], sub_sample_tracks=2 if tracks == "sampled" else None) as dataset:
        batch = next(iter(dataset))
    part = batch[1:3]
    assert isinstance(part, Batch)
    assert len(part) == 2
    np.testing.assert_array_equal(part.values, batch.values[1:3])
    assert part.other_batched["region"].tolist() == batch.other_batched["region"][1:3].tolist()
    assert (part.track_indices is None) == (tracks == "plain")


def test_real_yeast_tracks_with_names_of_two_styles(real_data: Path, tmp_path: Path, device: str) -> None:
    """sacCer3: `I` in the genome, `chrI` in the tracks."""
    packed = real_data / "genome" / "sacCer3.R64-1-1.toplevel.fa.gz"
    tracks = sorted((real_data / "bigwig").glob("*sacCer3_50.bw"))
    regions = pd.DataFrame({"chrom": ["I", "IV"], "start": [20_000, 100_000], "end": [200_000, 1_400_000]})
    arguments: dict[str, Any] = {
        "sequence_length": 512, "batch_size": 16, "batches_per_epoch": 3, "device": device, "reverse_complement": 0.5,
        "return_batch_objects": True,
    }  # fmt: skip
    with pytest.raises(ChromNotFoundError, match="chrom_aliases='chr'"):
        BigWigDataset(regions, tracks, packed, **arguments)
    # pyfaidx wants it unpacked, and the oracle one style of names.
    fasta = tmp_path / "genome.fa"
    fasta.write_text(gzip.decompress(packed.read_bytes()).decode().replace(">", ">chr"))
    with BigWigDataset(regions, tracks, packed, chrom_aliases="chr", **arguments) as dataset:
        recipe = replace(Recipe.of(dataset), strand_pairs=())
        for batch in dataset:
            named = replace(batch, chromosomes="chr" + batch.chromosomes)
            recipe.check(named, World(fasta, tracks))
