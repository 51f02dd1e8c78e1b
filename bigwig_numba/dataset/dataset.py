"""The training dataset: regions, tracks and a reference genome in, batches of sequences and values out."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal, Self

import pandas as pd

from ..batch import Batch
from ..collection import BigWigCollection
from ..distributed import Shard
from ..encoders import SequenceEncoder, StringEncoder, get_encoder
from ..errors import ConfigError
from ..genome import ReferenceGenome
from ..kernels.statistics import Statistic, get_statistic
from ..loader import ConsumerStream, streams_for
from ..opening import PathLike
from ..prefetch import Prefetcher
from ..samplers import PositionSampler, TrackSampler
from ..samplers.limits import WindowLimits
from ..transforms import Augmentation, TrackTransforms
from .iterator import BatchIterator, Position, Progress
from .names import ChromAliases, ChromosomeNames
from .opening import open_collection, open_genome
from .reading import BatchReader, SequenceReader, ValueReader
from .sampling import Drawing, DrawnBatch, make_position_sampler, make_track_sampler
from .settings import DatasetSettings, Dtype, Layout, Sampling
from .shapes import BatchShapes
from .stats import DatasetStats, StatsKeeper, WorkClock

__all__ = ["BigWigDataset"]

STATE_VERSION = 1


class BigWigDataset:
    """Batches of sequences and values of tracks, made ahead in background threads.

    Going through it once is an epoch; the next time the next epoch comes. A batch depends on ``seed``, epoch, step,
    rank and ``world_size``, and on nothing else: not on threads, device, ``super_batch_size`` or timing.

    Parameters
    ----------
    regions_of_interest
        Frame with ``chrom``, ``start`` and ``end`` to take samples from; it is not changed. None takes whole
        chromosomes, those that tracks and genome both have.
    collection
        A :class:`~bigwig_numba.BigWigCollection`, or what one can be made of: a path, a folder, a glob, a list.
    reference_genome_path
        FASTA file, or a :class:`~bigwig_numba.genome.ReferenceGenome`. None: batches have no sequences.
    sequence_length
        L, bases of a sequence.
    center_bin_to_predict
        Bases in the middle of the sequence for which there are values; by default all.
    window_size
        Bases per bin: B is ``center_bin_to_predict // window_size``.
    moving_average_window_size
        Average each bin with its neighbours, over so many bins (:func:`~bigwig_numba.transforms.moving_average`).
    batch_size
        S, samples of a batch.
    super_batch_size
        Samples to read at a time, in whole batches; by default ``batch_size``. More makes better use of a GPU.
    batches_per_epoch
        Of all ranks together. By default so many that the sequences are as long as the regions: bases of the regions //
        ``sequence_length`` // ``batch_size``. Not for ``sampling="regions"`` and ``"tile"``, where the regions decide;
        a list as ``custom_position_sampler`` is an epoch.
    maximum_unknown_bases_fraction
        Positions around which a larger share of the sequence is not A, C, G or T are not taken.
    sequence_encoder
        ``"onehot"``: (S, L, 4) float32 in the order ACGT, N = ``unknown_base``, other IUPAC codes as fractions, in
        either case. Or a registered name, a :class:`~bigwig_numba.encoders.SequenceEncoder` of your own functions of
        bases and their neighbours, a function that takes the batch's sequences as strings, or None for these.
    file_extensions, crawl, scale, first_n_files
        As of the collection, if it is made here.
    default_value
        What bases without a value count as; NaN: they do not count.
    position_sampler_buffer_size
        How many positions ``repeat_same_positions`` repeats.
    repeat_same_positions
        Draw these positions once and repeat them, to see whether a model can learn them by heart.
    sub_sample_tracks
        Give each batch so many tracks, drawn anew; ``track_indices`` says which.
    n_threads
        How many reads of ``super_batch_size`` are under way at a time.
    custom_position_sampler
        An iterable of ``(chromosome, center)``, or of mappings that have more (they go to ``other_batched``), or a
        :class:`~bigwig_numba.samplers.PositionSampler`. The epoch ends where it ends.
    custom_track_sampler
        An iterable of lists of track numbers, one per batch.
    return_batch_objects
        Give :class:`~bigwig_numba.batch.Batch` instead of ``(sequences, values)``, which becomes ``(sequences, values,
        track_indices, track_names)`` where tracks are sampled.
    dtype
        Of the values: ``"float32"``, ``"bfloat16"`` (as its bits, uint16, which adapters of frameworks undo) or
        ``"float16"``.
    seed
        Of all that is drawn.
    sampling
        ``"random"``: any base of the regions is as likely to be a centre. ``"regions"``: a window around the middle of
        each region, once per epoch, shuffled. ``"tile"``: windows side by side over the regions, in order, for
        evaluation and prediction.
    stride
        Bases from one tile to the next; by default ``center_bin_to_predict``, so that tiles touch.
    reverse_complement
        Probability of reading a sample on the other strand, sequence and bins.
    jitter
        Move windows by up to so many bases to either side.
    strand_pairs
        Pairs of track numbers that are the two strands of one experiment; on the other strand they are swapped.
    transforms
        What to do with values: a transform or a list of them, or a mapping of track number or partial path to such
        (:mod:`bigwig_numba.transforms`).
    statistic
        Of a bin: ``"mean"``, ``"sum"``, ``"min"``, ``"max"``, ``"std"``, ``"coverage"``, or one's own.
    layout
        ``"BLT"``: values (S, B, T) and sequences (S, L, 4). ``"BTL"``: (S, T, B) and (S, 4, L).
    unknown_base
        What N is in each channel: 0.25 or 0.
    chrom_aliases
        ``"chr"`` takes ``chr1`` for ``1`` and ``1`` for ``chr1`` where regions, genome and tracks differ; a mapping
        names single ones. By default a name that one of them lacks is an error.
    rank, world_size
        Which of the processes that train together this is. By default what ``torch.distributed`` or the launcher says.
    device
        ``"cuda"``, ``"cpu"``, or ``"auto"``; of a collection that is given, its own.
    storage_options
        Passed to fsspec for tracks and genome.

    Attributes
    ----------
    settings
        The arguments that are numbers, names and choices.
    bigwig_collection, genome
        What batches are made of.
    progress
        Which epoch and step come next.

    Raises
    ------
    ConfigError
        An argument that makes no sense.
    ChromNotFoundError
        A region's chromosome that the genome or all tracks lack.
    FormatError, StorageError, FileNotFoundError
        A file that cannot be read. When reading a batch, as the cause of a :class:`~bigwig_numba.WorkerError`.

    Examples
    --------
    >>> from bigwig_numba.example_data import example_data
    >>> data = example_data(chromosome_length=50_000)
    >>> regions = pd.DataFrame({"chrom": ["chr1", "chr2"], "start": [10_000, 5_000], "end": [40_000, 30_000]})
    >>> dataset = BigWigDataset(
    ...     regions, data.bigwig_paths, data.reference_genome_path, sequence_length=1000, center_bin_to_predict=512,
    ...     window_size=32, batch_size=16, device="cpu")
    >>> for sequences, values in dataset:
    ...     print(sequences.shape, values.shape)
    (16, 1000, 4) (16, 16, 8)
    (16, 1000, 4) (16, 16, 8)
    (16, 1000, 4) (16, 16, 8)
    >>> dataset.close()
    """

    def __init__(
        self,
        regions_of_interest: pd.DataFrame | None,
        collection: BigWigCollection | PathLike | Iterable[PathLike],
        reference_genome_path: PathLike | ReferenceGenome | None,
        sequence_length: int = 1000,
        center_bin_to_predict: int | None = None,
        window_size: int = 1,
        moving_average_window_size: int = 1,
        batch_size: int = 256,
        super_batch_size: int | None = None,
        batches_per_epoch: int | None = None,
        maximum_unknown_bases_fraction: float = 0.1,
        sequence_encoder: Literal["onehot"] | str | SequenceEncoder | StringEncoder | None = "onehot",
        file_extensions: Sequence[str] = (".bigWig", ".bw", ".bigwig"),
        crawl: bool = True,
        scale: Mapping[PathLike, float] | None = None,
        default_value: float = 0.0,
        first_n_files: int | None = None,
        position_sampler_buffer_size: int = 100_000,
        repeat_same_positions: bool = False,
        sub_sample_tracks: int | None = None,
        n_threads: int = 4,
        custom_position_sampler: Iterable[Any] | PositionSampler | None = None,
        custom_track_sampler: Iterable[Any] | TrackSampler | None = None,
        return_batch_objects: bool = False,
        dtype: Dtype = "float32",
        *,
        seed: int = 0,
        sampling: Sampling = "random",
        stride: int | None = None,
        reverse_complement: float = 0.0,
        jitter: int = 0,
        strand_pairs: Sequence[tuple[int, int]] = (),
        transforms: Any | None = None,
        statistic: str | Statistic = "mean",
        layout: Layout = "BLT",
        unknown_base: float = 0.25,
        chrom_aliases: ChromAliases = None,
        rank: int | None = None,
        world_size: int | None = None,
        device: str = "auto",
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name != "self"}
        self._arguments = arguments
        self.settings = DatasetSettings(**{field.name: arguments[field.name] for field in fields(DatasetSettings)})
        self._owns_collection = not isinstance(collection, BigWigCollection)
        self.bigwig_collection = open_collection(arguments)
        self.genome = open_genome(arguments, self.bigwig_collection.device)
        self._augmentation = Augmentation(
            reverse_complement=reverse_complement, jitter=jitter, strand_pairs=tuple(strand_pairs)
        )
        self._clock = WorkClock()
        self._make_samplers()
        self._reader = self._make_reader(get_encoder(sequence_encoder, unknown_base=unknown_base))
        self.progress = Progress()
        collection_seconds, clock = self.bigwig_collection, self._clock  # not self: that would be a cycle
        self._stats = StatsKeeper(lambda: {**collection_seconds.stage_seconds, **clock.seconds})
        self._iterators: weakref.WeakSet[BatchIterator] = weakref.WeakSet()
        self._shard()  # an environment that makes no sense is told now

    def _make_samplers(self) -> None:
        arguments, settings, genome = self._arguments, self.settings, self.genome
        regions = arguments["regions_of_interest"]
        self._names = ChromosomeNames(
            self.bigwig_collection.chromosome_sizes, genome=genome, chrom_aliases=arguments["chrom_aliases"]
        )
        region_names = () if regions is None or "chrom" not in regions else regions["chrom"]
        self._limits = WindowLimits(
            self._names.sizes(region_names),
            None if genome is None else genome.unknown_counts,
            settings.maximum_unknown_bases_fraction,
        )
        self._positions = make_position_sampler(
            settings, regions, limits=self._limits, names=self._names, custom=arguments["custom_position_sampler"]
        )
        self._tracks = make_track_sampler(
            settings,
            n_tracks=len(self.bigwig_collection),
            strand_pairs=tuple(self._augmentation.strand_pairs),
            custom=arguments["custom_track_sampler"],
        )

    def _make_reader(self, encoder: SequenceEncoder | StringEncoder | None) -> BatchReader:
        transforms, paths = self._arguments["transforms"], self.bigwig_collection.bigwig_paths
        values = ValueReader(
            collection=self.bigwig_collection,
            settings=self.settings,
            statistic=get_statistic(self._arguments["statistic"]),
            name_of=self._names.of_tracks,
            transforms=None if transforms is None else TrackTransforms(transforms, paths),
            augmentation=self._augmentation,
        )
        sequences = None if self.genome is None else SequenceReader(self.genome, encoder, self.settings.layout)
        return BatchReader(values, sequences, paths, self._clock)

    def __iter__(self) -> Iterator[Any]:
        """Batches of the next epoch, or of the rest of one after :meth:`load_state_dict`."""
        return self.iterate(_as_given if self.settings.return_batch_objects else Batch.as_tuple)

    def batches(self) -> Iterator[Batch]:
        """As iterating, but :class:`~bigwig_numba.batch.Batch` in any case."""
        return self.iterate(_as_given)

    def iterate(
        self,
        convert: Callable[[Batch], Any],
        *,
        consumer_stream: ConsumerStream = None,
        part: int = 0,
        n_parts: int = 1,
    ) -> BatchIterator:
        """What adapters of frameworks build on: batches, made into something else as they are handed over.

        Parameters
        ----------
        convert
            Called with each batch, on the consumer's thread.
        consumer_stream
            Called at each hand-over for the CUDA stream on which the batch will be used; CuPy's current by default.
            ``"unknown"`` if nobody can say.
        part, n_parts
            Only each ``n_parts``-th of this rank's batches, from number ``part`` on: for processes that load together.
        """
        if not 0 <= part < n_parts:
            raise ConfigError(f"part is {part}, expected 0 to {n_parts - 1}", argument="part", value=part)

        def begin(position: Position) -> Prefetcher[Batch]:
            drawn = self._draw(position.epoch, first_step=position.step * n_parts + part, stride=n_parts)
            return Prefetcher(
                drawn,
                self._reader.read,
                n_threads=self.settings.n_threads,
                group_size=self.settings.batches_per_read,
                streams=streams_for(self.bigwig_collection.device, consumer_stream),
                first_item=position.step,
            )

        iterator = BatchIterator(begin, progress=self.progress, stats=self._stats, convert=convert)
        self._iterators.add(iterator)
        return iterator

    def _draw(self, epoch: int, *, first_step: int, stride: int) -> Iterator[DrawnBatch]:
        drawing = self._drawing()
        step = first_step
        while True:
            with self._clock.measure("draw"):
                drawn = drawing.batch(epoch=epoch, step=step)
            if drawn is None:
                return
            yield drawn
            step += stride

    def _drawing(self) -> Drawing:
        return Drawing(
            self._positions, self._tracks, self._augmentation, self.settings.seed, self._limits, self._shard()
        )

    def _shard(self) -> Shard:
        """Found anew each time: torch.distributed may be initialised after the dataset was made."""
        return Shard.find(self._arguments["rank"], self._arguments["world_size"])

    @property
    def shapes(self) -> BatchShapes:
        """What every batch has, as far as it is the same for all."""
        return BatchShapes.of(self._reader, self._tracks)

    @property
    def batches_per_epoch(self) -> int | None:
        """Of all ranks together, or None where only the stream of positions knows."""
        return self._positions.n_batches(self.progress.position.epoch)

    def __len__(self) -> int:
        """Batches of an epoch on this rank.

        Raises
        ------
        TypeError
            A stream of positions decides, and nobody knows before it ends.
        """
        n_steps = self._drawing().n_steps(self.progress.position.epoch)
        if n_steps is None:
            raise TypeError("an epoch is as long as custom_position_sampler, which is known when it has ended")
        return n_steps

    @property
    def stats(self) -> DatasetStats:
        """Where the time went in the epoch under way, or in the last one."""
        return self._stats.stats

    @property
    def epoch(self) -> int:
        """Number of the epoch under way, or of the next one."""
        return self.progress.position.epoch

    def set_epoch(self, epoch: int) -> None:
        """Begin the next iteration with this epoch, from its first batch."""
        self.progress.set(Position(_checked_count(epoch, "epoch"), 0))

    def state_dict(self) -> dict[str, Any]:
        """Where the iteration is: small, plain, made in no time.

        After :meth:`load_state_dict` another dataset with the same arguments goes on with exactly the batches that
        would have come. Batches made ahead do not count: only those handed over.
        """
        position = self.progress.position
        return {
            "version": STATE_VERSION,
            "epoch": position.epoch,
            "step": position.step,
            "world_size": self._shard().world_size,
            "settings": self.settings.fingerprint(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another dataset was: the next iteration gives the rest of that epoch.

        Parameters
        ----------
        state
            Of :meth:`state_dict`.

        Raises
        ------
        ConfigError
            It is of a dataset with other settings, or is no state at all.
        """
        try:
            position = Position(_checked_count(state["epoch"], "epoch"), _checked_count(state["step"], "step"))
            found = {"version": state["version"], "world_size": state["world_size"], **state["settings"]}
        except (KeyError, TypeError) as error:
            message = f"This is no state of a BigWigDataset ({type(error).__name__}: {error})"
            raise ConfigError(message, argument="state", value=state) from None
        here = self.state_dict()
        expected = {"version": STATE_VERSION, "world_size": here["world_size"], **here["settings"]}
        for name in {**expected, **found}:
            if found.get(name) != expected.get(name):
                message = (
                    f"The state is of a dataset with {name}={found.get(name)!r}, and this one has "
                    f"{expected.get(name)!r}: other batches would come"
                )
                raise ConfigError(message, argument=name, value=found.get(name))
        self.progress.set(position)

    def reset_gpu(self) -> None:
        """Forget everything on the GPU; the next batch is made on what is then the current one."""
        self.bigwig_collection.reset_gpu()

    def close(self) -> None:
        """End all iterations, and close what was opened here."""
        for iterator in list(self._iterators):
            iterator.close()
        if self._owns_collection:
            self.bigwig_collection.close()
        if self.genome is not None and self.genome is not self._arguments["reference_genome_path"]:
            self.genome.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        settings = self.settings
        return (
            f"BigWigDataset({len(self.bigwig_collection)} tracks, {settings.batch_size} samples of "
            f"{settings.sequence_length} bases and {settings.n_bins} bins a batch, sampling={settings.sampling!r}, "
            f"device={self.bigwig_collection.device!r})"
        )

    def __getstate__(self) -> dict[str, Any]:
        """What makes the same dataset again, at the same place: files and threads cannot travel to another process."""
        for name in ("custom_position_sampler", "custom_track_sampler"):
            if isinstance(self._arguments[name], Iterator):
                message = f"{name} is an iterator, which processes cannot share; give a list, or load in this one"
                raise ConfigError(message, argument=name, value=type(self._arguments[name]).__name__)
        shard = self._shard()
        arguments = {**self._arguments, "rank": shard.rank, "world_size": shard.world_size}
        return {"arguments": arguments, "position": self.progress.position}

    def check_can_be_shared(self) -> None:
        """Raise ``ConfigError`` if another process could not draw the same batches."""
        for name in ("custom_position_sampler", "custom_track_sampler"):
            if isinstance(self._arguments[name], Iterator):
                message = f"{name} is an iterator, which processes cannot share; give a list, or load in this one"
                raise ConfigError(message, argument=name, value=type(self._arguments[name]).__name__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["arguments"])  # type: ignore[misc]
        self.progress.set(state["position"])


def _as_given(batch: Batch) -> Batch:
    return batch


def _checked_count(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{name} is {value!r}, expected a whole number from 0", argument=name, value=value)
    return value
