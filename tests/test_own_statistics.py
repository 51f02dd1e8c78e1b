"""Statistics of one's own: in Python, compiled on each device, and by NumPy; alone and several at a time."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from bigwig_numba import BigWigCollection, Statistic
from bigwig_numba.errors import ConfigError
from bigwig_numba.kernels.statistics import builtin_statistics, get_statistic, get_statistics
from tests.conftest import CorpusFile, on_host
from tests.own_statistics import OWN, RANGE, SEVERAL, add, expected_bins, nothing, per_base
from tests.painting import STATISTICS

NAN = math.nan
every_own = pytest.mark.parametrize("name", OWN)
FILES = ("mixed section kinds", "stored NaN", "big-endian")


def arguments(windows: list[tuple[str, int, int]]) -> tuple[Any, Any, Any]:
    names, starts, ends = zip(*windows, strict=True)
    return names, starts, ends


@every_own
@pytest.mark.parametrize("window_size", [1, 11, 128])
def test_batches_are_what_numpy_makes_of_the_painting(
    name: str, window_size: int, device: str, corpus_file: CorpusFile
) -> None:
    files = [corpus_file(file) for file in FILES]
    windows = [window for _, recipe in files for window in recipe.windows(700, count=8, seed=5)]
    with BigWigCollection([path for path, _ in files], sort=False, device=device) as collection:
        for default in (0.0, 2.5, NAN):
            options = {"window_size": window_size, "default_value": default, "statistic": OWN[name]}
            batch = on_host(collection.get_batch(*arguments(windows), **options))
            for track, (_, recipe) in enumerate(files):
                painted = [recipe.track.values(*window) * np.float32(recipe.track.scale) for window in windows]
                expected = [expected_bins(name, values, window_size, default) for values in painted]
                np.testing.assert_allclose(batch[:, :, track], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
@every_own
def test_both_devices_give_the_same_bits(name: str, corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    windows = arguments(recipe.windows(700, count=12, seed=6))
    options = {"window_size": 11, "default_value": 2.5, "statistic": OWN[name]}
    ours, theirs = (
        on_host(BigWigCollection(path, device=device).get_batch(*windows, **options)) for device in ("cpu", "cuda")
    )
    np.testing.assert_array_equal(ours, theirs)


def test_a_list_gives_a_last_axis(device: str, corpus_file: CorpusFile) -> None:
    files = [corpus_file(file) for file in FILES]
    windows = arguments([window for _, recipe in files for window in recipe.windows(700, count=5, seed=7)])
    with BigWigCollection([path for path, _ in files], sort=False, device=device) as collection:
        together = on_host(collection.get_batch(*windows, window_size=11, statistic=SEVERAL))
        assert together.shape == (len(windows[0]), 700 // 11, 3, 4)
        for i, statistic in enumerate(SEVERAL):
            alone = on_host(collection.get_batch(*windows, window_size=11, statistic=statistic))
            np.testing.assert_array_equal(together[..., i], alone)


def test_a_list_writes_into_an_array_that_is_given(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    windows = arguments(recipe.windows(700, count=4, seed=7))
    with BigWigCollection(path, device="cpu") as collection:
        out = np.empty((len(windows[0]), 10, 1, 4), np.float32)
        options = {"window_size": 70, "statistic": SEVERAL}
        assert collection.get_batch(*windows, out=out, **options) is out
        np.testing.assert_array_equal(out, collection.get_batch(*windows, **options))
        with pytest.raises(ConfigError, match=r"shape \(\d+, 10, 1, 4\)"):
            collection.get_batch(*windows, out=out[..., 0].copy(), **options)


@every_own
@given(
    items=st.lists(st.tuples(st.floats(-1e6, 1e6, width=32), st.integers(1, 300)), max_size=20),
    uncovered=st.integers(1, 50),
    default=st.sampled_from([0.0, 2.5, NAN]),
)
def test_one_bin_in_python_is_numpys(name: str, items: list[tuple[float, int]], uncovered: int, default: float) -> None:
    values, lengths = [value for value, _ in items], [length for _, length in items]
    painted = np.concatenate([np.repeat(np.array(values, np.float32), lengths), np.full(uncovered, NAN, np.float32)])
    expected = expected_bins(name, painted, painted.size, default)[0]
    ours = OWN[name].of_items(items, window_size=painted.size, default_value=default)
    assert ours.dtype == np.float32
    largest = max(map(abs, values), default=0.0)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * largest)


def test_what_was_decorated_already_is_taken_too(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    windows = arguments(recipe.windows(700, count=4, seed=7))
    decorated = Statistic("decorated", njit(nothing), njit(add), njit(per_base))
    with BigWigCollection(path, device="cpu") as collection:
        batches = [
            collection.get_batch(*windows, window_size=70, statistic=each) for each in (decorated, OWN["per_base"])
        ]
    np.testing.assert_allclose(batches[0], batches[1], rtol=1e-6)
    assert decorated.of_items([(1.0, 3)], window_size=6) == 0.5


def test_print_and_breakpoints_see_the_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    def add_aloud(state, value, n_bases):  # type: ignore[no-untyped-def]
        print(state, value, n_bases)
        return state + value * n_bases

    Statistic("aloud", nothing, add_aloud, per_base).of_items([(1.5, 2), (-1.0, 1)], window_size=4)
    assert capsys.readouterr().out == "0.0 1.5 2\n3.0 -1.0 1\n"


# --- objects


def test_statistics_travel_between_processes_and_are_keys() -> None:
    for statistic in (*OWN.values(), *builtin_statistics().values()):
        again = pickle.loads(pickle.dumps(statistic))
        assert again == statistic
        assert {statistic: 1}[again] == 1
        assert copy.copy(statistic) == statistic


def test_names_and_objects_become_statistics() -> None:
    assert sorted(builtin_statistics()) == sorted(STATISTICS)
    assert get_statistic(RANGE) is RANGE
    assert get_statistics("mean") == get_statistic("mean")
    assert get_statistics(["mean", RANGE]) == (get_statistic("mean"), RANGE)


@pytest.mark.parametrize("wrong", [[], (), 7, None, ["mean", "median"], {"mean"}])
def test_anything_else_is_an_error(wrong: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        get_statistics(wrong)
    assert caught.value.argument == "statistic"


@pytest.mark.parametrize(
    ("functions", "argument", "words"),
    [
        ((nothing, lambda state: state, per_base), "update", r"update\(state, value, n_bases\)"),
        ((nothing, 5, per_base), "update", r"update\(state, value, n_bases\)"),
        ((lambda state: 0.0, add, per_base), "init", r"init\(\)"),
        ((nothing, add, lambda: 0.0), "finish", r"finish\(state, window_size, default\)"),
        ((lambda: "a", add, per_base), "init", "expected a number"),
        ((lambda: (0.0, [1]), add, per_base), "init", "expected a number"),
        ((lambda: ((0.0, 1), 2), add, per_base), "init", "expected a number"),
    ],
)
def test_wrong_functions_are_told_at_once(functions: Any, argument: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Statistic("wrong", *functions)
    assert caught.value.argument == argument


def two_numbers(state, value, n_bases):  # type: ignore[no-untyped-def]
    return state, value


def test_a_state_that_changes_its_shape_is_told_before_anything_is_read(corpus_file: CorpusFile) -> None:
    path, recipe = corpus_file("mixed section kinds")
    wrong = Statistic("wrong", nothing, two_numbers, per_base)
    with (
        BigWigCollection(path, device="cpu") as collection,
        pytest.raises(ConfigError, match="update cannot be compiled: "),
    ):
        collection.get_batch(*arguments(recipe.windows(700, count=4, seed=7)), statistic=wrong)


def test_a_slot_keeps_its_type() -> None:
    def init():  # type: ignore[no-untyped-def]
        return 0.0, 0, np.uint32(5), False, np.float64(0)

    def update(state, value, n_bases):  # type: ignore[no-untyped-def]
        return state[0] + n_bases, state[1] + 1.9, state[2] - n_bases, value > 1, state[4] + value

    def finish(state, window_size, default):  # type: ignore[no-untyped-def]
        return state[0] + 10 * state[1] + 100 * state[2] + 10_000 * state[3] + state[4]

    from bigwig_numba.kernels.statistic import device_functions

    statistic = Statistic("types", init, update, finish)
    start, step, end = device_functions(statistic)
    state = step(step(start(), np.float32(0.5), 2), np.float32(2), 1)
    assert state == (3.0, 2, 2, True, 2.5)
    assert [str(signature.return_type) for signature in step.nopython_signatures] == [
        "Tuple(float32, int64, uint32, bool, float64)"
    ]
    assert end(state, 3, np.float32(0)) == statistic.of_items([(0.5, 2), (2.0, 1)], window_size=3) == 10_225.5
