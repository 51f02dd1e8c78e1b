"""read_bed: every member of the family, wherever it lies, and what is refused."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pybigtools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigwig_numba.errors import ConfigError, FormatError
from bigwig_numba.regions import read_bed
from bigwig_numba.regions.frames import MAX_POSITION
from tests.local_servers import FileServer
from tests.region_frames import rows_of

BED12 = "chr1 100 200 gene 960 - 120 180 255,0,0 2 40,30, 0,70,"
NARROW_PEAK = ["chr1 100 200 p1 1000 . 18.5 3.2 -1 40", "chr1 300 350 p2 0 + 1 2 3 -1"]
BROAD_PEAK = ["chr1 100 200 p1 1000 . 18.5 3.2 -1"]

NARROW_PEAK_SCHEMA = """table narrowPeak
"peaks"
(
string chrom; "c"
uint chromStart; "s"
uint chromEnd; "e"
string name; "n"
uint score; "s"
char[1] strand; "s"
float signalValue; "s"
float pValue; "p"
float qValue; "q"
int peak; "p"
)
"""


def bed(lines: Sequence[str], *, separator: str = "\t") -> bytes:
    return "".join(line.replace(" ", separator) + "\n" for line in lines).encode()


def read_text(lines: Sequence[str], **options: object) -> pd.DataFrame:
    return read_bed(io.BytesIO(bed(lines)), **options)  # type: ignore[arg-type]


def blocked_gzip(data: bytes) -> bytes:
    """As bgzip writes: members of their own, each with its size in an extra field, and an empty one at the end."""
    members = []
    for part in (data[: len(data) // 2], data[len(data) // 2 :], b""):
        member = gzip.compress(part)
        header = member[:3] + b"\x04" + member[4:10] + struct.pack("<H2sHH", 6, b"BC", 2, len(member) + 7)
        members.append(header + member[10:])
    return b"".join(members)


def uncompressed_bigbed(records: Sequence[tuple[int, int, int, str]], *, order: str) -> bytes:
    """The smallest BigBed file: one chromosome, one block, one leaf."""
    block = b"".join(struct.pack(f"{order}3I", *record[:3]) + record[3].encode() + b"\0" for record in records)
    tree_offset = 64
    data_offset = tree_offset + 32 + 4 + 12
    index_offset = data_offset + 8 + len(block)
    header = struct.pack(
        f"{order}I2H3Q2H2QIQ", 0x8789F2EB, 4, 0, tree_offset, data_offset, index_offset, 6, 6, 0, 0, 0, 0
    )
    tree = struct.pack(f"{order}4I2Q", 0x78CA8C91, 1, 4, 8, 1, 0) + struct.pack(
        f"{order}2BH4s2I", 1, 0, 1, b"chr1", 0, 99
    )
    index = struct.pack(f"{order}2IQ4IQ2I", 0x2468ACE0, 1, 1, 0, 0, 0, 99, index_offset, 1, 0)
    leaf = struct.pack(f"{order}2BH4I2Q", 1, 0, 1, 0, 0, 0, 99, data_offset + 8, len(block))
    return header + tree + struct.pack(f"{order}Q", len(records)) + block + index + leaf


class TestColumns:
    def test_bed3(self) -> None:
        frame = read_text(["chr2 0 5", "chr1 7 7"])
        assert rows_of(frame) == [("chr2", 0, 5), ("chr1", 7, 7)]
        assert frame.dtypes.tolist() == [pd.Series(dtype="str").dtype, np.int64, np.int64]

    @pytest.mark.parametrize("n_columns", range(3, 13))
    def test_bed12_and_what_it_begins_with(self, n_columns: int) -> None:
        frame = read_text([" ".join(BED12.split()[:n_columns])])
        meant = {"chrom": "chr1", "start": 100, "end": 200, "name": "gene", "score": 960.0, "strand": "-"}
        assert frame.to_dict("records") == [dict(list(meant.items())[:n_columns])]

    def test_narrow_peak_has_summits_as_positions(self, tmp_path: Path) -> None:
        path = tmp_path / "a.narrowPeak"
        path.write_bytes(bed(NARROW_PEAK))
        frame = read_bed(path)
        assert frame["summit"].tolist() == [140, -1]
        assert frame[["signal", "p_value", "q_value"]].to_numpy().tolist() == [[18.5, 3.2, -1.0], [1.0, 2.0, 3.0]]
        assert frame.dtypes.astype(str).to_dict()["summit"] == "int64"

    def test_narrow_peak_is_seen_in_a_file_named_bed(self, tmp_path: Path) -> None:
        path = tmp_path / "ENCFF000ABC.bed.gz"
        path.write_bytes(gzip.compress(bed(NARROW_PEAK)))
        assert read_bed(path)["summit"].tolist() == [140, -1]

    @pytest.mark.parametrize("tenth", ["100", "-2", "1.5", "exon", "."])
    def test_ten_columns_whose_last_is_no_summit_are_bed(self, tenth: str) -> None:
        frame = read_text([NARROW_PEAK[0].rpartition(" ")[0] + f" {tenth}"])
        assert "summit" not in frame.columns

    @pytest.mark.parametrize("tenth", ["100", "-2", "1.5", "exon"])
    def test_a_summit_outside_its_peak_is_refused_where_narrow_peak_is_asked_for(self, tenth: str) -> None:
        with pytest.raises(FormatError, match=r"line 2: column 10"):
            read_text([NARROW_PEAK[1], NARROW_PEAK[0].rpartition(" ")[0] + f" {tenth}"], file_format="narrowPeak")

    @pytest.mark.parametrize("ending", [".broadPeak", ".broadpeak.gz"])
    def test_broad_peak(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"a{ending}"
        path.write_bytes(gzip.compress(bed(BROAD_PEAK)) if ending.endswith(".gz") else bed(BROAD_PEAK))
        frame = read_bed(path)
        assert frame.columns.tolist()[-3:] == ["signal", "p_value", "q_value"]
        assert frame["signal"].tolist() == [18.5]

    def test_scores_may_be_missing_or_fractions(self) -> None:
        scores = read_text(["1 0 1 a .", "1 0 1 a 2.5"])["score"]
        np.testing.assert_array_equal(scores, [np.nan, 2.5])

    def test_columns_of_other_meaning_can_be_left_out(self) -> None:
        lines = ["chr1 0 1 a high K562"]
        with pytest.raises(FormatError, match=r"line 1: column 5 \(score\) is no number; pass n_columns=4"):
            read_text(lines)
        assert read_text(lines, n_columns=4).columns.tolist() == ["chrom", "start", "end", "name"]
        with pytest.raises(FormatError, match="n_columns=3 if column 6 is no strand"):
            read_text(["chr1 0 1 a 5 K562"])


class TestLines:
    def test_browser_lines_comments_and_empty_lines_are_skipped(self) -> None:
        lines = [
            "browser position chr1:1-100",
            "track name=x",
            "# comment",
            "",
            "chr1 0 5",
            "#chr1 1 2",
            "  ",
            "chr2 1 2",
        ]
        assert rows_of(read_text(lines)) == [("chr1", 0, 5), ("chr2", 1, 2)]

    def test_a_name_may_begin_like_a_track_line(self) -> None:
        assert rows_of(read_text(["track1 0 5", "browser_contig 0 5"])) == [("track1", 0, 5), ("browser_contig", 0, 5)]

    def test_spaces_separate_where_there_are_no_tabs(self) -> None:
        assert rows_of(read_bed(io.BytesIO(b"chr1  0\t5\n chr2 1   2 \n"))) == [("chr1", 0, 5), ("chr2", 1, 2)]

    def test_names_keep_their_spaces_quotes_and_hashes_between_tabs(self) -> None:
        data = b'chr1\t0\t5\tHigh "Signal" Region #1\nchr1\t0\t5\tNA\nchr1\t0\t5\t\n'
        assert read_bed(io.BytesIO(data))["name"].tolist() == ['High "Signal" Region #1', "NA", ""]

    def test_windows_line_ends_and_a_missing_last_one(self) -> None:
        assert rows_of(read_bed(io.BytesIO(b"chr1\t0\t5\r\nchr2\t1\t2"))) == [("chr1", 0, 5), ("chr2", 1, 2)]

    @pytest.mark.parametrize(
        "data", [b"", b"track name=x\n", gzip.compress(b"", mtime=0)], ids=["empty", "track line", "gzip"]
    )
    def test_a_file_without_records_is_an_empty_frame(self, data: bytes) -> None:
        frame = read_bed(io.BytesIO(data))
        assert (len(frame), frame.columns.tolist()) == (0, ["chrom", "start", "end"])

    @given(
        st.lists(
            st.tuples(
                st.text("chrXY_.-19", min_size=1, max_size=6).filter(lambda name: name.strip()),
                st.integers(0, MAX_POSITION // 2),
                st.integers(0, 2**20),
                st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1),
            ),
            min_size=1,
        ),
        st.sampled_from(["\t", " ", "  "]),
    )
    def test_what_is_written_is_read(self, records: list[tuple[str, int, int, str]], separator: str) -> None:
        lines = [separator.join([chrom, str(start), str(start + size), name]) for chrom, start, size, name in records]
        frame = read_bed(io.BytesIO("\n".join(lines).encode()))
        assert rows_of(frame) == [(chrom, start, start + size) for chrom, start, size, _ in records]
        assert frame["name"].tolist() == [name for *_, name in records]

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("chr1 5 4", "line 4: the end is before the start"),
            ("chr1 -1 4", "line 4: the start is no position"),
            ("chr1 0 x", "line 4: the end is no position"),
            ("chr1 0 1.5", "line 4: the end is no position"),
            ("chr1 0 99999999999999999999", "line 4: the end is no position"),
            ("chr1 0", "line 4: 2 columns, expected 3"),
            ("chr1 0 5 a", "line 4: 4 columns, expected 3"),
        ],
    )
    def test_bad_lines_are_named(self, line: str, why: str) -> None:
        with pytest.raises(FormatError, match=why):
            read_text(["track name=x", "chr1 0 5", "", line, "chr1 0 5"])

    def test_counts_bad_lines_and_shows_the_first(self) -> None:
        with pytest.raises(FormatError, match=r"line 2: .* \(and in 2 more\), in 'chr1 9 3'"):
            read_text(["chr1 0 5", "chr1 9 3", "chr1 8 3", "chr1 7 3"])


class TestFiles:
    @pytest.mark.parametrize("compress", [bytes, gzip.compress, blocked_gzip])
    def test_compressed_or_not(self, tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
        path = tmp_path / "any_name"
        path.write_bytes(compress(bed(["chr1 0 5", "chr2 1 2"])))
        assert rows_of(read_bed(path)) == [("chr1", 0, 5), ("chr2", 1, 2)]

    def test_remote(self, range_server: FileServer) -> None:
        (range_server.folder / "a.narrowPeak.gz").write_bytes(gzip.compress(bed(NARROW_PEAK)))
        assert read_bed(range_server.url("a.narrowPeak.gz"))["summit"].tolist() == [140, -1]

    def test_any_file_system_of_fsspec(self) -> None:
        with fsspec.open("memory://regions/a.bed", "wb") as file:
            file.write(bed(["chr1 0 5"]))
        assert rows_of(read_bed("memory://regions/a.bed")) == [("chr1", 0, 5)]

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            read_bed(tmp_path / "none.bed")

    @pytest.mark.parametrize("cut", [1, 8, 20])
    def test_a_gzipped_file_cut_short(self, cut: int) -> None:
        data = gzip.compress(bed([f"chr1 {start} {start + 1}" for start in range(1000)]))
        with pytest.raises(FormatError, match="cut short"):
            read_bed(io.BytesIO(data[:-cut]))

    def test_a_damaged_gzipped_file(self) -> None:
        data = bytearray(gzip.compress(bed([f"chr1 {start} {start + 1}" for start in range(1000)])))
        data[len(data) // 2] ^= 0xFF
        with pytest.raises(FormatError, match="damaged"):
            read_bed(io.BytesIO(bytes(data)))

    @pytest.mark.parametrize(
        ("data", "why"),
        [(b"\x26\xfc\x8f\x88" + bytes(60), "BigWig"), (b"\x89PNG\r\n\x1a\n", "no text"), (b"chr1\n", "1 columns")],
    )
    def test_other_files(self, data: bytes, why: str) -> None:
        with pytest.raises(FormatError, match=why):
            read_bed(io.BytesIO(data))

    @pytest.mark.parametrize("options", [{"file_format": "gff"}, {"n_columns": 2}, {"n_columns": 11}])
    def test_options_that_make_no_sense(self, options: dict[str, object]) -> None:
        with pytest.raises(ConfigError, match=next(iter(options))):
            read_text(["chr1 0 5"], **options)

    def test_a_peak_file_with_too_few_columns(self) -> None:
        with pytest.raises(FormatError, match="6 columns, expected 10 of narrowPeak"):
            read_text(["chr1 0 5 a 0 ."], file_format="narrowPeak")


class TestBigBed:
    SIZES = {"chr1": 1000, "chr2": 500}  # noqa: RUF012

    def write(self, path: Path, records: list[tuple[str, int, int, str]], schema: str | None = None) -> Path:
        pybigtools.open(str(path), "w").write(self.SIZES, records, autosql=schema)
        return path

    def test_positions(self, tmp_path: Path) -> None:
        records = [("chr1", 1, 10, ""), ("chr1", 5, 7, ""), ("chr2", 0, 3, "")]
        assert rows_of(read_bed(self.write(tmp_path / "a.bb", records))) == [record[:3] for record in records]

    def test_narrow_peak(self, tmp_path: Path) -> None:
        records = [("chr1", 1, 10, "p1\t5\t+\t1.5\t-1\t2.0\t3"), ("chr2", 0, 3, "p2\t5\t.\t1.5\t-1\t2.0\t-1")]
        frame = read_bed(self.write(tmp_path / "a.bb", records, NARROW_PEAK_SCHEMA))
        assert frame["summit"].tolist() == [4, -1]
        assert frame["name"].tolist() == ["p1", "p2"]

    def test_texts_may_be_empty_or_have_spaces_in_them(self, tmp_path: Path) -> None:
        records = [("chr1", 1, 10, "peak one\t5\t+\t1.5\t-1\t2.0\t3"), ("chr1", 2, 9, "\t5\t+\t1.5\t-1\t2.0\t3")]
        assert read_bed(self.write(tmp_path / "a.bb", records, NARROW_PEAK_SCHEMA))["name"].tolist() == ["peak one", ""]

    def test_columns_that_are_not_beds_are_left_out(self, tmp_path: Path) -> None:
        # Without a schema pybigtools declares BED3.
        assert read_bed(self.write(tmp_path / "a.bb", [("chr1", 1, 10, "high\tK562")])).columns.tolist() == [
            "chrom",
            "start",
            "end",
        ]

    def test_the_other_byte_order_and_blocks_that_are_not_compressed(self, tmp_path: Path) -> None:
        path = tmp_path / "a.bb"
        path.write_bytes(uncompressed_bigbed([(0, 1, 10, "a\t5\t+"), (0, 5, 7, "b\t6\t-")], order=">"))
        assert read_bed(path).to_numpy().tolist() == [["chr1", 1, 10, "a", 5.0, "+"], ["chr1", 5, 7, "b", 6.0, "-"]]

    def test_records_that_are_missing_are_noticed(self) -> None:
        data = uncompressed_bigbed([(0, 1, 10, ""), (0, 5, 7, "")], order="<")
        declared = data.index(struct.pack("<Q", 2), 64)
        with pytest.raises(FormatError, match="expected 3 records, found 2"):
            read_bed(io.BytesIO(data[:declared] + struct.pack("<Q", 3) + data[declared + 8 :]))

    def test_cut_short_at_any_place(self, tmp_path: Path) -> None:
        records = [("chr1", start, start + 5, f"p{start}\t5\t+\t1.5\t-1\t2.0\t3") for start in range(900)]
        path = self.write(tmp_path / "a.bb", records, NARROW_PEAK_SCHEMA)
        whole, data = read_bed(path), path.read_bytes()
        for size in range(4, len(data), 97):
            try:
                frame = read_bed(io.BytesIO(data[:size]))
            except FormatError:
                continue
            pd.testing.assert_frame_equal(frame, whole)  # what was cut off were zoom levels

    def test_real_files(self, real_data: Path) -> None:
        folder = real_data / "bigwig"
        genes = read_bed(folder / "bbi-js__chr22_with_name_and_geneName_index.bb")
        assert len(genes) == 4394
        assert genes.iloc[0].tolist() == ["chr22", 10736170, 10736283, "ENST00000615943.1", 1000.0, "-"]
        peaks = read_bed(folder / "testTrack_bw__12467_REB1_chexmix_filtered.bb")
        assert (len(peaks), peaks.columns.tolist()) == (934, ["chrom", "start", "end", "name", "score"])
        # Its later columns have spaces in them.
        assert len(read_bed(folder / "igv__GCF_000009045.1_ASM904v1.ncbiGene.bb")) == 4537
        with pytest.raises(FormatError):
            read_bed(folder / "oxbow__malformed.bb")
