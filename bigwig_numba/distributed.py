"""Which batches of an epoch are a process's own, where several train together."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from .arguments import integer
from .errors import ConfigError
from .samplers.tracks import TrackSampler
from .samplers.windows import PositionSampler, Windows

__all__ = ["Shard"]

LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun, and what follows its example
    # srun's. SLURM_NTASKS is there outside of srun, too, where the one process would take itself for one of many.
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI's mpirun
)


@dataclass(frozen=True, slots=True)
class Shard:
    """One process of those that share an epoch's batches.

    Step s of rank r is batch ``s * world_size + r`` of the epoch: ranks have different batches, all of them together
    those of one process alone, and each equally many. Where the last step has too few, ranks take batches beyond the
    end, which are new ones of random positions, and the first ones again of anything else.

    Parameters
    ----------
    rank
        Of this process, from 0.
    world_size
        Number of processes.

    Raises
    ------
    ConfigError
        A rank that is not below ``world_size``.

    Examples
    --------
    >>> shard = Shard(rank=1, world_size=4)
    >>> [shard.number(step) for step in range(3)], shard.n_steps(10)
    ([1, 5, 9], 3)
    """

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if integer(self.world_size, "world_size") < 1:
            message = f"world_size is {self.world_size}, expected 1 or more"
            raise ConfigError(message, argument="world_size", value=self.world_size)
        if not 0 <= integer(self.rank, "rank") < self.world_size:
            message = f"rank is {self.rank}, expected 0 to {self.world_size - 1}, as world_size is {self.world_size}"
            raise ConfigError(message, argument="rank", value=self.rank)

    @classmethod
    def find(cls, rank: int | None = None, world_size: int | None = None) -> Shard:
        """Find out which process this is.

        Parameters
        ----------
        rank, world_size
            If given, that's it. Otherwise ``torch.distributed`` is asked if it has been initialised, then the
            environment that torchrun (``RANK``, ``WORLD_SIZE``), Slurm's srun (``SLURM_PROCID``,
            ``SLURM_STEP_NUM_TASKS``) and Open MPI (``OMPI_COMM_WORLD_RANK``, ``OMPI_COMM_WORLD_SIZE``) make. Without
            any this is process 0 of 1.

        Raises
        ------
        ConfigError
            Only one of the two is given, or the environment has something that is no number.
        """
        if (rank is None) != (world_size is None):
            given = "rank" if world_size is None else "world_size"
            message = f"{given} is given without the other one, expected rank and world_size together or none of them"
            raise ConfigError(message, argument=given, value=world_size if rank is None else rank)
        if rank is not None and world_size is not None:
            return cls(rank, world_size)
        return _from_torch() or _from_environment(os.environ) or cls()

    def number(self, step: int) -> int:
        """Number in the epoch, across ranks, of this rank's batch of a step."""
        return step * self.world_size + self.rank

    def n_steps(self, n_batches: int | None) -> int | None:
        """Batches of each rank in an epoch of ``n_batches``; None where that is unknown."""
        return None if n_batches is None else -(-n_batches // self.world_size)

    def windows(self, sampler: PositionSampler, *, epoch: int, step: int) -> Windows | None:
        """Windows of this rank in a step, or None if the epoch is over: after equally many steps on each rank.

        Parameters
        ----------
        sampler
            Of the whole epoch, the same on each rank.
        epoch, step
            From 0.
        """
        number = self.number_of(sampler, epoch=epoch, step=step)
        return None if number is None else sampler.batch(epoch=epoch, number=number)

    def number_of(
        self, sampler: PositionSampler, *, epoch: int, step: int, tracks: TrackSampler | None = None
    ) -> int | None:
        """The number to ask samplers for in a step, or None if the epoch is over.

        It is :meth:`number`, but where a stream ends among the ranks of a step: those beyond the end get the step's
        first batch once more.

        Parameters
        ----------
        sampler, tracks
            Of the whole epoch, the same on each rank. A stream of tracks can end an epoch, too.
        epoch, step
            From 0.
        """
        n_steps = self.n_steps(sampler.n_batches(epoch))
        if n_steps is not None and step >= n_steps:
            return None

        def is_there(number: int) -> bool:
            if n_steps is None and sampler.batch(epoch=epoch, number=number) is None:
                return False
            return tracks is None or tracks.tracks(epoch=epoch, number=number) is not None

        # Rank 0's batch says for all ranks whether there is this step. It comes first: streams are read forwards.
        first, own = step * self.world_size, self.number(step)
        if not is_there(first):
            return None
        return own if is_there(own) else first


def _from_torch() -> Shard | None:
    """As torch.distributed has it; torch is not imported for that."""
    torch = sys.modules.get("torch")
    distributed = getattr(torch, "distributed", None)
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return Shard(distributed.get_rank(), distributed.get_world_size())


def _from_environment(environment: Mapping[str, str]) -> Shard | None:
    """As the first launcher has it that left something."""
    for names in LAUNCHERS:
        if all(name in environment for name in names):
            rank, world_size = (_number(environment, name) for name in names)
            return Shard(rank, world_size)
    return None


def _number(environment: Mapping[str, str], name: str) -> int:
    try:
        return int(environment[name])
    except ValueError:
        message = f"the environment has {name}={environment[name]!r}, expected a whole number"
        raise ConfigError(message, argument=name, value=environment[name]) from None
