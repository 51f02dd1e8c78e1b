"""Ranks share an epoch: all of it, each batch once, equally many each; and find out who they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.distributed import Shard
from bigwig_numba.errors import ConfigError
from bigwig_numba.samplers import (
    PositionSampler,
    RandomWindows,
    RegionWindows,
    StreamTracks,
    StreamWindows,
    TiledWindows,
    Windows,
)
from tests.sampling import SIZES, epoch_of, frame, triples

Triple = tuple[str, int, int]

VARIABLES = [
    *("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS"),
    *("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
]


def make_sampler(mode: str, n_windows: int, batch_size: int) -> PositionSampler:
    """A sampler of about so many windows an epoch."""
    arguments: dict[str, Any] = {"sequence_length": 4, "batch_size": batch_size, "chromosome_sizes": SIZES}
    regions = frame(*(("chr1", start, start + 4) for start in range(10, 10 + 4 * n_windows, 4)))
    if mode == "random":
        return RandomWindows(regions, seed=3, batches_per_epoch=-(-n_windows // batch_size), **arguments)
    if mode == "regions":
        return RegionWindows(regions, seed=3, **arguments)
    if mode == "tile":
        return TiledWindows(regions, **arguments)
    return StreamWindows([("chr1", start + 2) for start in regions["start"]], **arguments)


def rank_batches(sampler: PositionSampler, shard: Shard, *, epoch: int = 0, first_step: int = 0) -> Iterator[Windows]:
    """What a rank's training loop sees."""
    step = first_step
    while (windows := shard.windows(sampler, epoch=epoch, step=step)) is not None:
        yield windows
        step += 1


samplers = st.builds(
    make_sampler,
    mode=st.sampled_from(["random", "regions", "tile", "stream"]),
    n_windows=st.integers(1, 40),
    batch_size=st.integers(1, 7),
)


@given(samplers, st.integers(1, 9), st.integers(0, 2))
def test_the_union_over_ranks_is_what_one_process_has(sampler: PositionSampler, world_size: int, epoch: int) -> None:
    alone = [triples(windows) for windows in epoch_of(sampler, epoch)]
    ranks = [
        [triples(windows) for windows in rank_batches(sampler, Shard(rank, world_size), epoch=epoch)]
        for rank in range(world_size)
    ]
    together = [batch for step in zip(*ranks, strict=True) for batch in step]
    assert together[: len(alone)] == alone
    # What is beyond the end fills the last step up, and no more.
    assert len(together) == -(-len(alone) // world_size) * world_size


@given(st.integers(1, 40), st.integers(1, 9))
def test_no_position_is_drawn_by_two_ranks_where_the_batches_divide(n_steps: int, world_size: int) -> None:
    numbers = [Shard(rank, world_size).number(step) for rank in range(world_size) for step in range(n_steps)]
    assert sorted(numbers) == list(range(n_steps * world_size))
    assert all(Shard(rank, world_size).n_steps(n_steps * world_size) == n_steps for rank in range(world_size))


def test_random_positions_go_on_beyond_the_end_and_others_begin_again() -> None:
    for mode, repeats in [("random", False), ("regions", True), ("tile", True), ("stream", True)]:
        sampler = make_sampler(mode, n_windows=9, batch_size=3)
        alone = [triples(windows) for windows in epoch_of(sampler)]
        (_, extra) = [triples(windows) for windows in rank_batches(sampler, Shard(1, 2))]
        assert (extra in alone) is repeats


@given(samplers, st.integers(1, 4), st.integers(0, 8), st.data())
def test_resuming_is_never_having_stopped(
    sampler: PositionSampler, world_size: int, stop: int, data: st.DataObject
) -> None:
    shard = Shard(data.draw(st.integers(0, world_size - 1)), world_size)
    whole = [triples(windows) for windows in rank_batches(sampler, shard, epoch=1)]
    resumed = [triples(windows) for windows in rank_batches(sampler, shard, epoch=1, first_step=stop)]
    assert resumed == whole[stop:]


@pytest.mark.parametrize("n_positions", range(13))
def test_a_generator_gives_all_ranks_equally_many(n_positions: int) -> None:
    """Each rank reads a generator of its own, as each process does."""
    ranks = []
    for rank in range(3):
        positions = iter([("chr1", 50 + number) for number in range(n_positions)])
        sampler = StreamWindows(positions, sequence_length=4, batch_size=2, chromosome_sizes=SIZES)
        ranks.append([triples(windows) for windows in rank_batches(sampler, Shard(rank, 3))])
    together = [row for step in zip(*ranks, strict=True) for batch in step for row in batch]
    assert together[:n_positions] == [("chr1", 48 + number, 52 + number) for number in range(n_positions)]


@pytest.mark.parametrize("n_sets", range(7))
def test_a_generator_of_tracks_ends_all_ranks_at_the_same_step(n_sets: int) -> None:
    sampler = make_sampler("random", n_windows=40, batch_size=1)
    steps = []
    for rank in range(3):
        tracks = StreamTracks(iter([[number] for number in range(n_sets)]))
        numbers = [Shard(rank, 3).number_of(sampler, epoch=0, step=step, tracks=tracks) for step in range(4)]
        steps.append([number is not None for number in numbers])
    assert steps == [[step < -(-n_sets // 3) for step in range(4)]] * 3


@pytest.mark.parametrize(("rank", "world_size"), [(2, 2), (-1, 2), (0, 0), (0.5, 2), (True, 2)])
def test_ranks_that_cannot_be(rank: Any, world_size: Any) -> None:
    with pytest.raises(ConfigError, match=r"rank is|world_size is"):
        Shard(rank, world_size)


class TestFind:
    """Arguments, then torch.distributed, then the launcher's environment, then alone."""

    @pytest.fixture(autouse=True)
    def alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())

    def set(self, monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    def initialise_torch(self, monkeypatch: pytest.MonkeyPatch, *, initialised: bool) -> None:
        distributed = SimpleNamespace(
            is_available=lambda: True,
            is_initialized=lambda: initialised,
            get_rank=lambda: 5,
            get_world_size=lambda: 8,
        )
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(distributed=distributed))

    def test_a_process_alone(self) -> None:
        assert Shard.find() == Shard(0, 1)

    def test_arguments_come_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set(monkeypatch, RANK="1", WORLD_SIZE="2")
        assert Shard.find(3, 4) == Shard(3, 4)

    def test_torch_comes_before_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set(monkeypatch, RANK="1", WORLD_SIZE="2")
        self.initialise_torch(monkeypatch, initialised=True)
        assert Shard.find() == Shard(5, 8)

    def test_torch_says_nothing_before_it_is_initialised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.initialise_torch(monkeypatch, initialised=False)
        assert Shard.find() == Shard(0, 1)

    @pytest.mark.parametrize(
        ("rank", "world_size"),
        [
            ("RANK", "WORLD_SIZE"),
            ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        ],
    )
    def test_launchers(self, monkeypatch: pytest.MonkeyPatch, rank: str, world_size: str) -> None:
        self.set(monkeypatch, **{rank: "2", world_size: "6"})
        assert Shard.find() == Shard(2, 6)

    def test_a_process_of_a_slurm_job_that_srun_did_not_start_is_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set(monkeypatch, SLURM_PROCID="0", SLURM_NTASKS="4")
        assert Shard.find() == Shard(0, 1)

    @pytest.mark.parametrize("given", [{"rank": 0}, {"world_size": 2}])
    def test_one_argument_without_the_other(self, given: dict[str, int]) -> None:
        with pytest.raises(ConfigError, match=f"{next(iter(given))} is given without the other"):
            Shard.find(**given)

    def test_an_environment_that_makes_no_sense(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set(monkeypatch, RANK="first", WORLD_SIZE="2")
        with pytest.raises(ConfigError, match="RANK='first', expected a whole number"):
            Shard.find()
