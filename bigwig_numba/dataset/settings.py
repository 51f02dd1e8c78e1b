"""What a dataset is asked for, checked: all that is a number, a name or a choice, and neither a file nor a thread."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..arguments import integer, number
from ..errors import ConfigError

__all__ = ["DatasetSettings", "Dtype", "Layout", "Sampling"]

Dtype = Literal["float32", "bfloat16", "float16"]
Layout = Literal["BLT", "BTL"]
Sampling = Literal["random", "regions", "tile"]

CHOICES = {
    "dtype": ("float32", "bfloat16", "float16"),
    "layout": ("BLT", "BTL"),
    "sampling": ("random", "regions", "tile"),
}
NOT_PART_OF_A_BATCH = ("super_batch_size", "n_threads", "return_batch_objects")
"""What changes how batches are made or handed over, but not what is in them."""


@dataclass(frozen=True, kw_only=True)
class DatasetSettings:
    """Arguments of :class:`~bigwig_numba.dataset.BigWigDataset` of the same names, which explains them.

    Raises
    ------
    ConfigError
        One makes no sense; the message says what is expected.

    Examples
    --------
    >>> settings = DatasetSettings(sequence_length=1000, center_bin_to_predict=500, window_size=4)
    >>> settings.n_bins, settings.first_target_base
    (125, 250)
    """

    sequence_length: int = 1000
    center_bin_to_predict: int | None = None
    window_size: int = 1
    moving_average_window_size: int = 1
    batch_size: int = 256
    super_batch_size: int | None = None
    batches_per_epoch: int | None = None
    maximum_unknown_bases_fraction: float = 0.1
    default_value: float = 0.0
    position_sampler_buffer_size: int = 100_000
    repeat_same_positions: bool = False
    sub_sample_tracks: int | None = None
    n_threads: int = 4
    return_batch_objects: bool = False
    dtype: Dtype = "float32"
    seed: int = 0
    sampling: Sampling = "random"
    stride: int | None = None
    reverse_complement: float = 0.0
    jitter: int = 0
    layout: Layout = "BLT"
    unknown_base: float = 0.25

    def __post_init__(self) -> None:
        for name in (
            "sequence_length", "window_size", "moving_average_window_size", "batch_size",
            "position_sampler_buffer_size", "n_threads",
        ):  # fmt: skip
            self._check_at_least_one(name)
        for name in ("center_bin_to_predict", "super_batch_size", "batches_per_epoch", "sub_sample_tracks", "stride"):
            if getattr(self, name) is not None:
                self._check_at_least_one(name)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                self._refuse(name, f"one of {', '.join(map(repr, choices))}")
        number(self.default_value, "default_value")
        if not 0 <= number(self.reverse_complement, "reverse_complement") <= 1:
            self._refuse("reverse_complement", "a probability from 0 to 1")
        if integer(self.jitter, "jitter") < 0:
            self._refuse("jitter", "0 or more bases")
        if self.unknown_base not in (0, 0.25):
            self._refuse("unknown_base", "0.25 or 0")
        self._check_lengths()

    def _check_lengths(self) -> None:
        if self.target_length > self.sequence_length:
            self._refuse("center_bin_to_predict", f"at most sequence_length, {self.sequence_length}")
        if self.window_size > self.target_length:
            self._refuse("window_size", f"at most the {self.target_length} bases to predict, or no bin is left")
        if self.super_batch_size is not None and self.super_batch_size < self.batch_size:
            self._refuse("super_batch_size", f"at least batch_size, {self.batch_size}, or None")

    @property
    def target_length(self) -> int:
        """Bases in the middle of a window that are to be predicted."""
        return self.center_bin_to_predict or self.sequence_length

    @property
    def n_bins(self) -> int:
        """Of a sample."""
        return self.target_length // self.window_size

    @property
    def first_target_base(self) -> int:
        """Bases of the sequence before the first bin, on whichever strand the sample is read."""
        return self.sequence_length // 2 - self.target_length // 2

    @property
    def batches_per_read(self) -> int:
        """Batches that are read together."""
        return (self.super_batch_size or self.batch_size) // self.batch_size

    def fingerprint(self) -> dict[str, Any]:
        """What decides which batches come, as plain values that can be compared."""
        plain = {name: value for name, value in asdict(self).items() if name not in NOT_PART_OF_A_BATCH}
        plain["default_value"] = "nan" if math.isnan(self.default_value) else float(self.default_value)
        return plain

    def _check_at_least_one(self, name: str) -> None:
        if integer(getattr(self, name), name) < 1:
            self._refuse(name, "1 or more")

    def _refuse(self, name: str, expected: str) -> None:
        value = getattr(self, name)
        raise ConfigError(f"{name} is {value!r}, expected {expected}", argument=name, value=value)
