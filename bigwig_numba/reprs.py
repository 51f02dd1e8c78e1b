"""What notebooks show of files and collections: small HTML tables, made of what is known without reading anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

__all__ = ["facts_html", "table_html"]

MOST_ROWS = 12


def facts_html(title: str, facts: Mapping[str, str], chromosomes: Mapping[str, int]) -> str:
    """Names and values in a table, and the chromosomes in one that opens by a click.

    Parameters
    ----------
    title
        Above the table.
    facts
        Name to value.
    chromosomes
        Name to length in bases.

    Returns
    -------
    str
        HTML; everything is escaped.

    Examples
    --------
    >>> facts_html("a.bw", {"blocks": "12"}, {"chr1": 1_000})  # doctest: +ELLIPSIS
    '<div><b>a.bw</b><table>...<td>12</td>...1,000...'
    """
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(n)}</th><td>{escape(v)}</td></tr>' for n, v in facts.items()
    )
    names = table_html(("chromosome", "bases"), [(name, f"{length:,}") for name, length in chromosomes.items()])
    chromosomes_html = f"<details><summary>{len(chromosomes):,} chromosomes</summary>{names}</details>"
    return f"<div><b>{escape(title)}</b><table>{rows}</table>{chromosomes_html}</div>"


def table_html(header: Iterable[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text; of many rows the first 12.

    Parameters
    ----------
    header
        Names of the columns.
    rows
        Text of the cells.

    Returns
    -------
    str
        HTML; everything is escaped.

    Examples
    --------
    >>> table_html(["track"], [["<a>"]])
    '<table><tr><th>track</th></tr><tr><td>&lt;a&gt;</td></tr></table>'
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[:MOST_ROWS])
    more = len(rows) - MOST_ROWS
    rest = f"<tr><td>and {more:,} more</td></tr>" if more > 0 else ""
    return f"<table><tr>{head}</tr>{body}{rest}</table>"
