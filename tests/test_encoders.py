"""Encoders: names and objects, tables that hold what functions give, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit

from bigwig_numba import encoders
from bigwig_numba.encoders import SequenceEncoder, encoding_table, get_encoder, one_hot_encoder, register_encoder
from bigwig_numba.errors import ConfigError
from bigwig_numba.kernels.sequence import LETTERS, complement
from tests.genomes import IUPAC, one_hot_of


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names registered by one test are unknown to the next."""
    monkeypatch.setattr(encoders, "_registered", {})


def by_code(code: int, channel: int) -> float:
    return code * 100 + channel


# --- one-hot


@pytest.mark.parametrize("unknown_base", [0.25, 0.0, 1.0])
def test_one_hot_is_a_share_for_each_base_that_a_letter_stands_for(unknown_base: float) -> None:
    values = one_hot_encoder(unknown_base).values()
    for letter in IUPAC:
        code = LETTERS.index("T" if letter == "U" else letter)
        np.testing.assert_array_equal(values[code], np.array(one_hot_of(letter, unknown_base), np.float32))


def test_shares_of_a_base_add_up_to_one() -> None:
    np.testing.assert_allclose(one_hot_encoder().values()[1:].sum(axis=1), 1, rtol=1e-7)


# --- tables


def test_a_table_holds_each_code_and_then_its_complement() -> None:
    table = encoding_table(SequenceEncoder("by code", 3, by_code), "float32")
    assert table.dtype == np.float32
    for code in range(1, 16):
        assert table[code].tolist() == [code * 100.0 + channel for channel in range(3)]
        assert table[16 + code].tolist() == [complement(code) * 100.0 + channel for channel in range(3)]


def test_tables_are_rounded_to_nearest_even() -> None:
    values = [1.0, 1 / 3, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 65_519.0, -1e-7]
    table = {
        dtype: encoding_table(SequenceEncoder(dtype, 6, lambda code, channel: values[channel]), dtype)[1]
        for dtype in ("float32", "float16", "bfloat16")
    }
    np.testing.assert_array_equal(table["float16"], np.array(values, np.float16), strict=True)
    assert table["bfloat16"].dtype == np.uint16
    as_float = (table["bfloat16"].astype(np.uint32) << 16).view(np.float32)
    assert as_float[[0, 2, 3]].tolist() == [1.0, 1.0, 1 + 4 * 2.0**-8]  # ties go to the even neighbour
    np.testing.assert_allclose(as_float, np.array(values, np.float32), rtol=2.0**-8)


def test_compiled_functions_and_plain_ones_give_the_same() -> None:
    compiled = encoding_table(SequenceEncoder("compiled", 4, njit(by_code)), "float32")
    np.testing.assert_array_equal(compiled, encoding_table(SequenceEncoder("plain", 4, by_code), "float32"))


def test_a_table_is_made_once_and_cannot_be_changed() -> None:
    calls = []

    def encode(code: int, channel: int) -> float:
        calls.append((code, channel))
        return 0.0

    encoder = SequenceEncoder("counted", 2, encode)
    assert encoding_table(encoder, "float32") is encoding_table(encoder, "float32")
    assert sorted(calls) == [(code, channel) for code in range(1, 16) for channel in range(2)]
    with pytest.raises(ValueError, match="read-only"):
        encoding_table(encoder, "float32")[0, 0] = 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none", 0, by_code), "n_channels is 0, expected 1 or more"),
        (("half", 1.5, by_code), "n_channels is 1.5"),
        (("text", 1, "by_code"), "encode is 'by_code', expected a function"),
    ],
)
def test_an_encoder_that_makes_no_sense_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SequenceEncoder(*arguments)


def test_a_function_that_gives_no_number_is_named_with_its_arguments() -> None:
    encoder = SequenceEncoder("text", 2, lambda code, channel: "A" if (code, channel) == (5, 1) else 0.0)
    with pytest.raises(ConfigError, match=r"encode\(5, 1\) is 'A', expected a number"):
        encoding_table(encoder, "float32")


# --- names


def test_names_and_objects_are_found() -> None:
    def lengths(sequences: list[str]) -> list[int]:
        return [len(sequence) for sequence in sequences]

    own = SequenceEncoder("own", 1, by_code)
    register_encoder("lengths", lengths)
    register_encoder("own", own)
    assert get_encoder("lengths") is lengths
    assert get_encoder("own") is own
    assert get_encoder(lengths) is lengths
    assert get_encoder(own) is own
    assert get_encoder(None) is None
    one_hot = get_encoder("onehot", unknown_base=0)
    assert isinstance(one_hot, SequenceEncoder)
    assert one_hot.values()[15].tolist() == [0, 0, 0, 0]


def test_a_name_can_be_given_anew() -> None:
    register_encoder("mine", len)
    register_encoder("mine", max)
    assert get_encoder("mine") is max


@pytest.mark.parametrize("name", ["onehot", "", None, 5])
def test_names_that_are_taken_or_none_are_refused(name: Any) -> None:
    with pytest.raises(ConfigError, match="expected a name of your own"):
        register_encoder(name, len)


@pytest.mark.parametrize("encoder", [5, ["onehot"], {}])
def test_what_is_no_encoder_is_refused(encoder: Any) -> None:
    for use in (lambda: register_encoder("mine", encoder), lambda: get_encoder(encoder)):
        with pytest.raises(ConfigError, match="expected a SequenceEncoder or a function"):
            use()


def test_an_unknown_name_is_an_error_with_the_known_ones() -> None:
    register_encoder("mine", len)
    with pytest.raises(ConfigError, match="encoder is 'theirs', expected one of 'onehot', 'mine'"):
        get_encoder("theirs")
