"""What is done to values: steps per track, moving average, mirroring; on both devices, in each type, against NumPy."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from bigwig_numba.errors import ConfigError
from bigwig_numba.kernels.transforms import float16_value
from bigwig_numba.transforms import (
    Augmentation,
    Chain,
    Clip,
    Function,
    Log1p,
    Power,
    Scale,
    SoftClip,
    TrackTransforms,
    Transform,
    moving_average,
)
from tests.conftest import on_host

Array = npt.NDArray[Any]

DTYPES = ["float32", "float16", "bfloat16"]
RELATIVE_STEP = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Distance of neighbouring numbers, relative to them at most."""


def stored(values: Array, dtype: str) -> Array:
    """Numbers as batches hold them: bfloat16 as its bits, rounded to nearest even; NaN kept."""
    single = np.asarray(values, np.float32)
    if dtype != "bfloat16":
        with np.errstate(over="ignore"):
            return single.astype(dtype)
    bits = single.view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(single), np.uint16(0x7FC0), rounded)


def numbers(array: Array) -> npt.NDArray[np.float64]:
    """What a stored array means."""
    single = (array.astype(np.uint32) << 16).view(np.float32) if array.dtype == np.uint16 else array
    with np.errstate(invalid="ignore"):  # signalling NaN
        return single.astype(np.float64)


def on(device: str, array: Array) -> Any:
    """The array on a device."""
    if device == "cpu":
        return array
    import cupy

    return cupy.asarray(array)


def signal(shape: tuple[int, ...], seed: int = 1) -> npt.NDArray[np.float32]:
    """Values like those of tracks: many zeros, a few large ones."""
    random = np.random.default_rng(seed)
    return (random.gamma(0.3, 30, shape) * (random.random(shape) < 0.7)).astype(np.float32)


def assert_close(found: Any, expected: Array, dtype: str, *, steps: float = 1.0) -> None:
    """Equal to the number stored but for some steps between neighbouring numbers of the type."""
    found, expected = numbers(on_host(found)), numbers(stored(expected, dtype))
    assert_array_equal(np.isnan(found), np.isnan(expected))
    finite = ~np.isnan(expected)
    np.testing.assert_allclose(found[finite], expected[finite], rtol=steps * RELATIVE_STEP[dtype], atol=1e-7)


dtypes = pytest.mark.parametrize("dtype", DTYPES)


class TestTypes:
    """16-bit floats are read as they are."""

    def test_every_float16_is_read_exactly(self) -> None:
        bits = np.arange(2**16).astype(np.uint16)
        found = np.array([float16_value(word) for word in bits], np.float32)
        expected = bits.view(np.float16).astype(np.float32)
        nan = np.isnan(expected)
        assert_array_equal(np.isnan(found), nan)
        assert_array_equal(found[~nan].view(np.uint32), expected[~nan].view(np.uint32))

    @dtypes
    def test_what_is_not_changed_keeps_its_bits(self, device: str, dtype: str) -> None:
        every = np.arange(2**16, dtype=np.uint32).astype(np.uint16)
        values = stored((every.astype(np.uint32) << 16).view(np.float32), dtype)
        values = values[~np.isnan(numbers(values))][None, :, None]
        found = TrackTransforms(Clip(), ["a.bw"]).apply(on(device, values.copy()))
        assert_array_equal(on_host(found), values)


def soft_clip(values: Array, threshold: float) -> Array:
    return np.where(values > threshold, threshold + np.sqrt(np.maximum(values - threshold, 0)), values)


def double_above_three(value, track):  # type: ignore[no-untyped-def]  # compiled by Numba
    if value > 3:
        return value * 2
    return value + track


def square(value):  # type: ignore[no-untyped-def]
    return value * value


Case = tuple[Any, Callable[[Array], Array]]

CASES: dict[str, Case] = {
    "scale": (Scale(-2.5), lambda values: values * -2.5),
    "clip": (Clip(1, 20), lambda values: np.clip(values, 1, 20)),
    "clip below": (Clip(lowest=2), lambda values: np.maximum(values, 2)),
    "clip above": (Clip(highest=2), lambda values: np.minimum(values, 2)),
    "soft clip": (SoftClip(10), lambda values: soft_clip(values, 10)),
    "log1p": (Log1p(), np.log1p),
    "power": (Power(0.75), lambda values: values**0.75),
    "whole power": (Power(2), np.square),
    "chain": (Chain(Power(0.75), SoftClip(8), Scale(3)), lambda values: 3 * soft_clip(values**0.75, 8)),
    "list": ([Scale(3), [Log1p(), Clip(highest=2)]], lambda values: np.minimum(np.log1p(3 * values), 2)),
    "function": (square, np.square),
    "compiled function": (numba.njit(square), np.square),
    "function of the track": (
        double_above_three,
        lambda values: np.where(values > 3, values * 2, values + np.arange(values.shape[2])),
    ),
    "functions and steps": (
        [square, Scale(0.5), double_above_three, square],
        lambda values: np.square(np.where(values**2 / 2 > 3, values**2, values**2 / 2 + np.arange(values.shape[2]))),
    ),
}


@functools.cache
def of_four_tracks(name: str) -> TrackTransforms:
    """A case's steps, compiled once for all types."""
    return TrackTransforms(CASES[name][0], ["a.bw"] * 4)


def test_a_power_of_minus_infinity_is_that_of_compiled_code() -> None:
    """`numpy.power` makes NaN of it on some processors."""
    assert Power(0.5).of_value(-np.inf) == np.inf


class TestTrackTransforms:
    """Steps per track, in place."""

    @dtypes
    @pytest.mark.parametrize("name", CASES)
    def test_each_step_is_numpys(self, device: str, dtype: str, name: str) -> None:
        values = stored(signal((3, 50, 4)), dtype)
        expected = CASES[name][1](numbers(values))
        given_array = on(device, values)
        found = of_four_tracks(name).apply(given_array)
        assert found is given_array
        assert_close(found, expected, dtype, steps=4 if dtype == "float32" else 1)

    @pytest.mark.parametrize("transform", [Scale(2), Clip(0, 1), SoftClip(1), Log1p(), Power(0.5), [Scale(2), Log1p()]])
    def test_nan_stays(self, device: str, transform: Any) -> None:
        values = on(device, np.full((1, 2, 1), np.nan, np.float32))
        assert np.isnan(on_host(TrackTransforms(transform, ["a.bw"]).apply(values))).all()

    def test_what_has_no_logarithm_or_root_is_nan(self, device: str) -> None:
        values = np.full((1, 1, 2), -2, np.float32)
        found = TrackTransforms({0: Log1p(), 1: Power(0.5)}, ["a.bw", "b.bw"]).apply(on(device, values))
        assert np.isnan(on_host(found)).all()

    def test_each_track_has_its_own(self, device: str) -> None:
        paths = ["liver/a.bw", "liver/b.bw", "brain/a.bw", "brain/c.bigWig", "other/d.bw"]
        mapping = {"liver": Scale(2), "brain/a": [Scale(2), square], 3: Clip(highest=1), "c.bigWig": Scale(0)}
        values = on(device, np.full((2, 3, 5), 3, np.float32))
        found = on_host(TrackTransforms(mapping, paths).apply(values))
        assert found[0, 0].tolist() == [6, 6, 36, 1, 3]
        assert (found == found[0, 0]).all()

    def test_of_some_tracks_each_keeps_its_own(self, device: str) -> None:
        transforms = TrackTransforms({0: Scale(10), 2: Scale(30)}, ["a", "b", "c"])
        values = on(device, np.ones((1, 1, 3), np.float32))
        assert on_host(transforms.apply(values, track_indices=[2, 1, 2])).ravel().tolist() == [30, 1, 30]

    def test_several_statistics_share_their_tracks_steps(self, device: str) -> None:
        values = on(device, np.ones((2, 3, 2, 4), np.float32))
        found = on_host(TrackTransforms({1: Scale(5)}, ["a", "b"]).apply(values))
        assert (found[:, :, 0] == 1).all()
        assert (found[:, :, 1] == 5).all()

    def test_an_array_in_another_order_is_copied(self) -> None:
        values = np.ones((2, 3, 4), np.float32).transpose(0, 2, 1)
        found = TrackTransforms(Scale(2), ["a"] * 3).apply(values)
        assert (found == 2).all()
        assert (values == 1).all()

    @pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (3, 2, 0)])
    def test_nothing_is_nothing(self, device: str, shape: tuple[int, ...]) -> None:
        values = on(device, np.ones(shape, np.float32))
        assert TrackTransforms(Scale(2), ["a"] * shape[2]).apply(values).shape == shape

    def test_a_copy_in_another_process_does_the_same(self) -> None:
        transforms = pickle.loads(pickle.dumps(TrackTransforms([Scale(2), square], ["a"])))
        assert transforms.apply(np.full((1, 1, 1), 3, np.float32)).item() == 36

    def test_users_functions_are_plain_python(self) -> None:
        assert double_above_three(4, 0) == 8
        assert Function(double_above_three).function(1, 5) == 6


class TestTransformsThatMakeNoSense:
    """Errors that say what to do."""

    @pytest.mark.parametrize("transform", [3, "log", Log1p, {0: None}, [None]])
    def test_what_is_no_transform(self, transform: Any) -> None:
        with pytest.raises(ConfigError, match="is no transform; expected Scale, Clip"):
            TrackTransforms(transform, ["a.bw"])

    @pytest.mark.parametrize("key", [1, -1, "b.bw", "liver"])
    def test_a_key_that_names_no_track(self, key: Any) -> None:
        with pytest.raises(ConfigError, match=f"has '?{key}'?, which names none of the 1 tracks, like 'a.bw'"):
            TrackTransforms({key: Log1p()}, ["a.bw"])

    @pytest.mark.parametrize(
        ("make", "argument"),
        [
            (lambda: Scale(float("nan")), "factor"),
            (lambda: Scale("twice"), "factor"),  # type: ignore[arg-type]
            (lambda: Clip(3, 2), "lowest"),
            (lambda: Clip(float("nan"), 2), "lowest"),
            (lambda: SoftClip(float("inf")), "threshold"),
            (lambda: Power(float("inf")), "exponent"),
        ],
    )
    def test_numbers(self, make: Callable[[], Transform], argument: str) -> None:
        with pytest.raises(ConfigError, match=f"{argument} is"):
            make()

    def test_a_function_that_numba_cannot_compile(self) -> None:
        def hopeless(value):  # type: ignore[no-untyped-def]
            return open(value)

        with pytest.raises(ConfigError, match="the transform hopeless cannot be compiled"):
            Function(hopeless)

    def test_a_function_that_returns_no_number(self) -> None:
        with pytest.raises(ConfigError, match=r"the result is .*, expected float32"):
            Function(lambda value: (value, value))

    @pytest.mark.parametrize("function", [lambda: 1, lambda a, b, c: a])
    def test_a_function_of_other_arguments(self, function: Any) -> None:
        with pytest.raises(ConfigError, match=r"expected \(value\) or \(value, track\)"):
            Function(function)

    @pytest.mark.parametrize("values", [np.ones((2, 2), np.float32), np.ones((1, 2, 2)), [[[1.0]]]])
    def test_values_of_another_kind(self, values: Any) -> None:
        with pytest.raises(ConfigError, match=r"expected an array \(samples, bins, tracks\) of float32"):
            TrackTransforms(Log1p(), ["a", "b"]).apply(values)

    @pytest.mark.parametrize("indices", [[0], [0, 2], [-1, 0], None])
    def test_tracks_that_do_not_fit(self, indices: Any) -> None:
        n_tracks = 3 if indices is None else 2
        with pytest.raises(ConfigError, match="expected one per track, from 0 to 1"):
            TrackTransforms(Log1p(), ["a", "b"]).apply(np.ones((1, 1, n_tracks), np.float32), track_indices=indices)


def plain_average(values: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Along bins, as NumPy convolves."""
    kernel = np.full(width, 1 / width)
    return np.apply_along_axis(lambda line: np.convolve(line, kernel, mode="same"), 1, values)


class TestMovingAverage:
    """Along bins, with NumPy's edges."""

    @dtypes
    @pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 8, 31, 40])
    @pytest.mark.parametrize("shape", [(2, 40, 3), (1, 41, 1), (2, 40, 2, 2)])
    def test_it_is_numpys_convolution(self, device: str, dtype: str, width: int, shape: tuple[int, ...]) -> None:
        values = stored(signal(shape), dtype)
        found = moving_average(on(device, values), width)
        assert found.dtype == values.dtype
        assert_close(found, plain_average(numbers(values), width), dtype, steps=2 if dtype == "float32" else 1)

    @given(
        hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 30), st.integers(1, 3)),
                   elements=st.floats(-1000, 1000, width=32)),
        st.data(),
    )  # fmt: skip
    def test_any_values_of_any_width(self, values: npt.NDArray[np.float32], data: st.DataObject) -> None:
        width = data.draw(st.integers(1, values.shape[1]))
        scale = plain_average(np.abs(values.astype(np.float64)), width)
        error = np.abs(moving_average(values, width) - plain_average(values.astype(np.float64), width))
        assert (error <= 2e-7 * scale + 1e-30).all()

    def test_each_bin_keeps_its_place_among_tracks(self, device: str) -> None:
        """The peer's runs across tracks: neighbours there must not count."""
        values = np.zeros((1, 5, 3), np.float32)
        values[0, 2, 1] = 3
        found = on_host(moving_average(on(device, values), 3))
        assert found[0].T.tolist() == [[0] * 5, [0, 1, 1, 1, 0], [0] * 5]

    def test_a_wide_one_of_many_bins_is_as_exact_as_float32(self, device: str) -> None:
        values = signal((1, 20_000, 1)) + np.float32(0.1)
        found = moving_average(on(device, values), 5_000)
        assert_close(found, plain_average(values.astype(np.float64), 5_000), "float32", steps=2)

    @pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf, 1e30])
    @pytest.mark.parametrize("width", [2, 3, 10])
    def test_what_is_strange_is_felt_in_its_own_windows_only(self, device: str, strange: float, width: int) -> None:
        values = signal((1, 60, 1)) + np.float32(1)
        calm = on_host(moving_average(on(device, values), width)).ravel()
        values[0, 30] = strange
        found = on_host(moving_average(on(device, values), width)).ravel()
        touched = np.arange(60)[(np.arange(60) - width // 2 <= 30) & (np.arange(60) + (width - 1) // 2 >= 30)]
        assert_array_equal(np.delete(found, touched), np.delete(calm, touched))
        np.testing.assert_allclose(found[touched], strange / width, rtol=1e-6)

    def test_the_values_are_not_changed(self, device: str) -> None:
        values = signal((2, 20, 2))
        array = on(device, values.copy())
        found = moving_average(array, 5)
        assert found is not array
        assert_array_equal(on_host(array), values)

    def test_a_width_of_1_is_the_same_array(self) -> None:
        values = signal((2, 20, 2))
        assert moving_average(values, 1) is values

    def test_memory_is_aligned_for_tensorflow(self) -> None:
        assert moving_average(signal((3, 7, 3)), 2).ctypes.data % 64 == 0

    @pytest.mark.parametrize("width", [0, -1, 21, 2.5])
    def test_widths_that_make_no_sense(self, width: Any) -> None:
        with pytest.raises(ConfigError, match="moving_average_window_size is"):
            moving_average(signal((2, 20, 2)), width)

    @pytest.mark.parametrize("shape", [(0, 3, 2), (3, 2, 0)])
    def test_nothing_is_nothing(self, device: str, shape: tuple[int, ...]) -> None:
        assert moving_average(on(device, np.ones(shape, np.float32)), 2).shape == shape


class TestMirroring:
    """`Augmentation.values`: the reverse complement of tracks."""

    PAIRS = ((0, 3), (4, 1))

    def plain(self, values: Array, turned: Array, partners: list[int]) -> Array:
        mirrored = values.copy()
        for sample in np.flatnonzero(turned):
            mirrored[sample] = values[sample, ::-1][:, partners]
        return mirrored

    @dtypes
    @pytest.mark.parametrize("shape", [(5, 8, 6), (5, 7, 6), (5, 1, 6), (5, 3, 6, 2)])
    def test_bins_are_reversed_and_pairs_swapped(self, device: str, dtype: str, shape: tuple[int, ...]) -> None:
        values = stored(signal(shape), dtype)
        turned = np.array([True, False, True, True, False])
        array = on(device, values.copy())
        found = Augmentation(strand_pairs=self.PAIRS).values(array, turned)
        assert found is array
        assert_array_equal(on_host(found), self.plain(values, turned, [3, 4, 2, 0, 1, 5]))

    @given(st.permutations(range(6)), st.integers(1, 6), st.integers(1, 9))
    def test_some_tracks_in_any_order(self, order: list[int], n_tracks: int, n_bins: int) -> None:
        tracks = order[:n_tracks]
        partner = {0: 3, 3: 0, 1: 4, 4: 1, 2: 2, 5: 5}
        values, turned = signal((3, n_bins, n_tracks)), np.array([True, False, True])
        augmentation = Augmentation(strand_pairs=self.PAIRS)
        if any(partner[track] not in tracks for track in tracks):
            with pytest.raises(ConfigError, match="Read both tracks of a pair, or neither"):
                augmentation.values(values.copy(), turned, track_indices=tracks)
            return
        places = [tracks.index(partner[track]) for track in tracks]
        found = augmentation.values(values.copy(), turned, track_indices=tracks)
        assert_array_equal(found, self.plain(values, turned, places))

    def test_twice_is_never(self, device: str) -> None:
        values, turned = signal((4, 9, 6)), np.array([True, False, True, True])
        augmentation = Augmentation(strand_pairs=self.PAIRS)
        array = on(device, values.copy())
        assert_array_equal(on_host(augmentation.values(augmentation.values(array, turned), turned)), values)

    def test_none_turned_touches_nothing(self) -> None:
        values = signal((4, 9, 6))
        values.flags.writeable = False
        assert Augmentation().values(values, np.zeros(4, np.bool_)) is values

    def test_another_number_of_samples(self) -> None:
        with pytest.raises(ConfigError, match="reverse_complement has 3 samples, and values have 4"):
            Augmentation().values(signal((4, 9, 6)), np.ones(3, np.bool_))
