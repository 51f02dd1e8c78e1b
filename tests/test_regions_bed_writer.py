"""What write_bed writes, read_bed reads again."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.errors import WindowError
from bigwig_numba.regions import read_bed, write_bed
from bigwig_numba.regions.bed import PEAK_COLUMNS
from tests.region_frames import left_alone, region_frame

names = st.text("abcXYZ 0129_.-|", min_size=1, max_size=8).filter(lambda name: name.strip() == name)
numbers = st.floats(-1e300, 1e300) | st.integers(-(10**9), 10**9).map(float)


@st.composite
def peak_frames(draw: st.DrawFn) -> pd.DataFrame:
    """Frames as read_bed gives them, with as many of narrowPeak's columns as are drawn."""
    n = draw(st.integers(1, 8))
    starts = np.array(draw(st.lists(st.integers(0, 10**9), min_size=n, max_size=n)))
    lengths = np.array(draw(st.lists(st.integers(1, 1000), min_size=n, max_size=n)))
    frame = pd.DataFrame(
        {"chrom": pd.Series(draw(st.lists(st.sampled_from(["chr1", "2", "NA"]), min_size=n, max_size=n)))}
    )
    frame = frame.astype({"chrom": "str"}).assign(start=starts, end=starts + lengths)
    for name in PEAK_COLUMNS[3 : draw(st.sampled_from([3, 4, 5, 6, 10]))]:
        if name in ("name", "strand"):
            values = draw(st.lists(names if name == "name" else st.sampled_from("+-."), min_size=n, max_size=n))
            frame[name] = pd.Series(values).astype("str")
        elif name == "summit":
            frame[name] = np.where(np.arange(n) % 3 == 0, -1, starts + lengths // 2)
        else:
            frame[name] = draw(st.lists(numbers, min_size=n, max_size=n))
    return frame


@given(peak_frames())
def test_reading_gives_the_same_frame(frame: pd.DataFrame) -> None:
    text = io.StringIO()
    with left_alone(frame):
        write_bed(frame, text)
    file_format = "narrowPeak" if "summit" in frame else "bed"
    read = read_bed(io.BytesIO(text.getvalue().encode()), file_format=file_format)
    pd.testing.assert_frame_equal(read, frame)


def test_intervals_are_written_as_bedgraph(tmp_path: Path) -> None:
    frame = region_frame([("chr1", 0, 5), ("chr2", 7, 9)]).assign(value=np.array([0.1, 3], np.float32), peak=[1, 2])
    write_bed(frame, tmp_path / "intervals.bedGraph")
    assert (tmp_path / "intervals.bedGraph").read_text() == "chr1\t0\t5\t0.1\nchr2\t7\t9\t3\n"


def test_columns_end_where_one_is_missing() -> None:
    text = io.StringIO()
    write_bed(region_frame([("chr1", 0, 5)]).assign(name="a", strand="+", gc=0.5), text)
    assert text.getvalue() == "chr1\t0\t5\ta\n"


def test_refuses_what_would_not_read_back() -> None:
    with pytest.raises(WindowError, match=r"begin before their chromosome.*row 1"):
        write_bed(region_frame([("chr1", 0, 5), ("chr1", -3, 5)]), io.StringIO())
    with pytest.raises(WindowError, match="tab or a line end"):
        write_bed(region_frame([("chr1", 0, 5)]).assign(name="a\tb"), io.StringIO())
