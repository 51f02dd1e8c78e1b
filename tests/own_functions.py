"""Encoders and transforms as users write them: from the documentation, in a few lines, without a thought of types."""

from __future__ import annotations

import math

from bigwig_numba import SequenceEncoder

A, C, G, T = 1, 2, 4, 8


def is_cpg(codes, channel):  # type: ignore[no-untyped-def]
    base, following = codes
    return 1.0 if base == C and following == G else 0.0


def all_codes(codes, channel):  # type: ignore[no-untyped-def]
    """Another number for other neighbours or another channel, all exact in float32."""
    number = channel
    for code in codes:
        number = number * 16 + code
    return number


def one_of_codes(codes, channel):  # type: ignore[no-untyped-def]
    return codes[channel]


def share_of_strong(codes, channel):  # type: ignore[no-untyped-def]
    n_strong = 0
    for code in codes:
        n_strong += 1 if code in (C, G) else 0
    return n_strong / 7 + channel / 2


def one_hot(codes, channel):  # type: ignore[no-untyped-def]
    code = codes[0]
    if code == 15:
        return 0.25
    n_letters = (code & 1) + (code >> 1 & 1) + (code >> 2 & 1) + (code >> 3)
    return (code >> channel & 1) / n_letters


def to_text(codes, channel):  # type: ignore[no-untyped-def]
    return codes[0] + "x"


CPG = SequenceEncoder("CpG", 1, is_cpg, context=(0, 1))
ALL_CODES = SequenceEncoder("all codes", 3, all_codes, context=(1, 3))
STRONG = SequenceEncoder("strong", 2, share_of_strong, context=(3, 3))
ONE_HOT = SequenceEncoder("own one-hot", 4, one_hot, context=(0, 0))
TEXT = SequenceEncoder("text", 1, to_text, context=(0, 0))
BY_CODE = SequenceEncoder("by code", 2, lambda code, channel: code * channel / 3)


def squash(value, track):  # type: ignore[no-untyped-def]
    if value > 0:
        return math.sqrt(value) if track == 1 else value * 0.5
    return value * 0.25 - 1.0


def root(value):  # type: ignore[no-untyped-def]
    return math.sqrt(value)
