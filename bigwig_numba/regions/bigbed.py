"""The records of a BigBed file as text fields.

BigBed is laid out as BigWig is, down to the index: only the magic number and what the blocks hold differ (Kent et al.
2010). So the index is read as that of a BigWig file, and here is what the blocks hold: per record the chromosome's id,
start and end (uint32 each), then the other columns, separated by tabs, and a zero byte.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import pandas as pd

from ..bbi import BIGBED_MAGIC, BIGWIG_MAGIC
from ..errors import FormatError
from ..index import FileIndex, read_file_index
from ..storage import FileObject

__all__ = ["is_bigbed", "read_bigbed_fields"]

Record = tuple[int, int, int, str]

N_BED_COLUMNS = 6  # those that mean something here
PEAK_COLUMN_COUNTS = (9, 10)  # broadPeak and narrowPeak, whose later columns matter too


def is_bigbed(data: bytes) -> bool:
    """Whether a file's bytes begin as those of a BigBed file do, in either byte order."""
    return _byte_order(data) is not None


def read_bigbed_fields(data: bytes, *, url: str) -> pd.DataFrame:
    """Read all records, in the file's order.

    Parameters
    ----------
    data
        The whole file.
    url
        Display name of the file.

    Returns
    -------
    pandas.DataFrame
        (N, number of columns) str, columns numbered from 0. Those that are BED's own, up to the sixth; or all, where
        there are nine or ten.

    Raises
    ------
    FormatError
        The file is damaged or cut short.
    """
    order = _byte_order(data)
    magic = struct.pack(f"{order}I", BIGWIG_MAGIC)
    file = io.BytesIO(magic + data[4:])
    file.name = url  # for messages
    index = read_file_index(FileObject(file))
    n_records = _count_records(data, index, f"{order}Q")
    records = [record for block in _blocks(data, index) for record in _records(block, f"{order}3I", url)]
    if len(records) != n_records:
        message = f"{url}: expected {n_records} records, found {len(records)}; the file is damaged"
        raise FormatError(message, url=url, offset=index.header.data_offset)
    return _as_fields(records, index)


def _count_records(data: bytes, index: FileIndex, layout: str) -> int:
    """How many records there are; the number stands before the first block."""
    offset = index.header.data_offset
    if offset + 8 > len(data):
        message = f"{index.url}: expected the number of records at byte {offset}, found the end of the file"
        raise FormatError(message, url=index.url, offset=offset)
    return int(struct.unpack_from(layout, data, offset)[0])


def _blocks(data: bytes, index: FileIndex) -> Iterator[bytes]:
    """The blocks, inflated."""
    blocks = index.blocks
    if int(blocks.sizes.sum()) > len(data):
        message = f"{index.url}: expected blocks that fit into the file, found more; the index is damaged"
        raise FormatError(message, url=index.url, offset=index.header.index_offset)
    for offset, size in zip(blocks.offsets.tolist(), blocks.sizes.tolist(), strict=True):
        block = data[offset : offset + size]
        if index.header.compressed:
            try:
                block = zlib.decompress(block)
            except zlib.error as error:
                message = f"{index.url}: the block at byte {offset} is damaged: {error}"
                raise FormatError(message, url=index.url, offset=offset) from error
        yield block


def _records(block: bytes, layout: str, url: str) -> Iterator[Record]:
    head = struct.Struct(layout)
    position = 0
    while position < len(block):
        end = block.find(b"\0", position + head.size)
        if end < 0:
            raise FormatError(f"{url}: a record is cut short; the file is damaged", url=url)
        chrom_id, start, stop = head.unpack_from(block, position)
        try:
            text = block[position + head.size : end].decode()
        except UnicodeDecodeError as error:
            raise FormatError(f"{url}: a record at {start} is no text: {error}", url=url) from None
        yield chrom_id, start, stop, text
        position = end + 1


def _as_fields(records: list[Record], index: FileIndex) -> pd.DataFrame:
    names = dict(zip(index.chromosomes.ids.tolist(), index.chromosomes.names, strict=True))
    texts = [text.split("\t") if text else [] for *_, text in records]
    n_fields = 3 + (len(texts[0]) if texts else 0)
    for number, (record, fields) in enumerate(zip(records, texts, strict=True), start=1):
        if record[0] not in names:
            message = f"{index.url}, record {number}: chromosome id {record[0]} has no name; the file is damaged"
            raise FormatError(message, url=index.url)
        if len(fields) != n_fields - 3:
            message = f"{index.url}, record {number}: {3 + len(fields)} columns, expected {n_fields} as in record 1"
            raise FormatError(message, url=index.url)
    own = index.header.defined_field_count or n_fields
    n_wanted = n_fields if n_fields in PEAK_COLUMN_COUNTS else max(min(own, n_fields, N_BED_COLUMNS), 3)
    columns = [
        [names[record[0]] for record in records],
        [str(record[1]) for record in records],
        [str(record[2]) for record in records],
        *([fields[number] for fields in texts] for number in range(n_wanted - 3)),
    ]
    return pd.DataFrame({number: pd.Series(values, dtype="str") for number, values in enumerate(columns)})


def _byte_order(data: bytes) -> str | None:
    return next((order for order in "<>" if data[:4] == struct.pack(f"{order}I", BIGBED_MAGIC)), None)
