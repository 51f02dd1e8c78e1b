"""Draw the figures of the pages about the format, the plan and the kernels: ``python docs/figures/draw.py``.

Plain SVG, made of rectangles, lines and text; the same on every machine. They are written to ``docs/images/``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

IMAGES = Path(__file__).resolve().parent.parent / "images"

INK, GREY, LIGHT = "#1f2328", "#57606a", "#eef1f4"
BLUE, ORANGE, GREEN, SKY, PINK = "#0072B2", "#D55E00", "#007a58", "#56B4E9", "#CC79A7"
PALE = {BLUE: "#e3f0fa", ORANGE: "#fbe9dd", GREEN: "#e2f4ee", SKY: "#e8f5fc", PINK: "#f8ebf2", GREY: LIGHT}


@dataclass
class Drawing:
    """A picture on a white card."""

    width: float
    height: float
    title: str
    parts: list[str] = field(default_factory=list)

    def box(
        self, x: float, y: float, width: float, height: float, *, colour: str = GREY, text: str = "", size: float = 11,
        filled: bool = False, mono: bool = False,
    ) -> None:  # fmt: skip
        """A rectangle, pale or filled with its colour, with text in its middle."""
        fill, ink = (colour, "#ffffff") if filled else (PALE.get(colour, "#ffffff"), INK)
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
        self.parts.append(f'<rect {place} fill="{fill}" stroke="{colour}" stroke-width="1"/>')
        if text:
            self.text(
                x + width / 2, y + height / 2 + size * 0.36, text, size=size, colour=ink, anchor="middle", mono=mono
            )

    def text(
        self, x: float, y: float, text: str, *, size: float = 12, colour: str = INK, anchor: str = "start",
        bold: bool = False, mono: bool = False,
    ) -> None:  # fmt: skip
        """Text whose baseline is at y."""
        weight = ' font-weight="bold"' if bold else ""
        family = ' font-family="Menlo, Consolas, DejaVu Sans Mono, monospace"' if mono else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}" fill="{colour}"{weight}{family}>'
            f"{escape(text)}</text>"
        )

    def line(self, points: Sequence[tuple[float, float]], *, colour: str = GREY, width: float = 1.2, tip: bool = False,
             dashed: bool = False) -> None:  # fmt: skip
        """A line through points, with an arrow's tip at its end if wanted."""
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
        marker = ' marker-end="url(#tip)"' if tip else ""
        dashes = ' stroke-dasharray="3 3"' if dashed else ""
        self.parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashes}{marker}/>')

    def svg(self) -> str:
        """The file's content."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            'aria-labelledby="title" font-family="Helvetica, Arial, DejaVu Sans, sans-serif">\n'
            f'<title id="title">{escape(self.title)}</title>\n'
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0 0.8 7.2 4 0 7.2z" fill="{GREY}"/></marker></defs>\n'
            f'<rect width="{self.width:g}" height="{self.height:g}" rx="10" fill="#ffffff"/>\n'
        )
        return head + "\n".join(self.parts) + "\n</svg>\n"


def file_layout() -> Drawing:
    """The parts of a bigWig file, and what points to what."""
    drawing = Drawing(
        960, 250, "A bigWig file: header, zoom headers, summary, chromosome tree, blocks, R tree, zoom levels"
    )
    parts = [
        ("header", "64 bytes", 82, GREY), ("zoom headers", "24 bytes each", 104, GREY),
        ("summary", "40 bytes", 78, GREY), ("chromosome tree", "name, id, length", 132, BLUE),
        ("block", "zlib", 62, ORANGE), ("block", "zlib", 52, ORANGE),
        ("block", "zlib", 70, ORANGE), ("…", "", 30, ORANGE), ("R tree", "where blocks lie", 120, GREEN),
        ("zoom level", "blocks, R tree", 100, PINK), ("…", "", 30, PINK),
    ]  # fmt: skip
    x, top, height = 30.0, 110, 58
    places = []
    for name, note, width, colour in parts:
        drawing.box(x, top, width, height, colour=colour)
        drawing.text(x + width / 2, top + (26 if note else 34), name, size=12, bold=bool(note), anchor="middle")
        drawing.text(x + width / 2, top + 44, note, size=10, colour=GREY, anchor="middle")
        places.append((x, width))
        x += width
    drawing.text(30, 100, "byte 0", size=10, colour=GREY)

    def arrow(source: int, target: int, height: float, *, below: bool = False) -> None:
        edge = top + 58 if below else top
        start, end = (places[part][0] + places[part][1] / 2 for part in (source, target))
        turn = edge + height if below else edge - height
        drawing.line([(start, edge), (start, turn), (end, turn), (end, edge + (2 if below else -2))], tip=True)

    arrow(0, 3, 26)
    arrow(0, 8, 42)
    arrow(1, 9, 58)
    for block, depth in ((4, 20), (5, 32), (6, 44)):
        arrow(8, block, depth, below=True)
    drawing.text(480, 34, "the header knows where the trees are; the zoom headers, where the zoom levels are", size=12,
                 colour=GREY, anchor="middle")  # fmt: skip
    drawing.text(480, 236, "a leaf of the R tree: chromosome and bases that a block covers, its place and its size",
                 size=12, colour=GREY, anchor="middle")  # fmt: skip
    return drawing


def section_types() -> Drawing:
    """The same words read in three ways, and the bases they cover."""
    drawing = Drawing(960, 520, "The three section types: which words an item has, and which bases it covers")
    rows = (
        ("type 1, bedGraph", "three words an item", BLUE, ("start", "end", "value"),
         [(2, 7, 3), (7, 9, 5), (14, 20, 2)],
         [["102", "107", "3.0"], ["107", "109", "5.0"], ["114", "120", "2.0"]], ()),
        ("type 2, variableStep", "two: all items have the header's span", GREEN, ("start", "value"),
         [(2, 6, 3), (9, 13, 5), (14, 18, 2)], [["102", "3.0"], ["109", "5.0"], ["114", "2.0"]], (4,)),
        ("type 3, fixedStep", "one: item i starts at start + i * step", ORANGE, ("value",),
         [(2, 5, 3), (7, 10, 5), (12, 15, 2)], [["3.0"], ["5.0"], ["2.0"]], (1, 3, 4)),
    )  # fmt: skip
    names = ("chrom_id", "start", "end", "step", "span", "type|0|count")
    headers = (["0", "102", "120", "0", "0", "1|0|3"], ["0", "102", "118", "0", "4", "2|0|3"],
               ["0", "102", "115", "5", "3", "3|0|3"])  # fmt: skip
    for row, (name, note, colour, words, spans, items, used) in enumerate(rows):
        top = 34 + row * 160
        drawing.text(30, top, name, size=15, bold=True, colour=colour)
        drawing.text(220, top, note, size=12, colour=GREY)
        x = 30.0
        for word, (label, content) in enumerate(zip(names, headers[row], strict=True)):
            width = 84 if word == 5 else 56
            drawing.box(x, top + 26, width, 26, colour=colour if word in used else GREY, text=content, mono=True)
            drawing.text(x + width / 2, top + 21, label, size=9, colour=GREY, anchor="middle")
            x += width
        x += 10
        for number, item in enumerate(items):
            for label, content in zip(words, item, strict=True):
                drawing.box(x, top + 26, 48, 26, colour=colour, text=content, filled=label == "value", mono=True)
                drawing.text(x + 24, top + 21, label, size=9, colour=GREY, anchor="middle")
                x += 48
            drawing.text(x - 24 * len(item), top + 66, f"item {number}", size=10, colour=GREY, anchor="middle")
            x += 6
        left, base, unit = 60.0, top + 122, 38.0
        drawing.line([(left, base), (left + 22 * unit, base)], width=1)
        for position in range(0, 23, 2):
            drawing.line([(left + position * unit, base), (left + position * unit, base + 4)], width=1)
            drawing.text(left + position * unit, base + 14, str(100 + position), size=9, colour=GREY, anchor="middle")
        for number, (start, end, value) in enumerate(spans):
            drawing.box(left + start * unit, base - 8 * value, (end - start) * unit, 8 * value, colour=colour)
            drawing.text(left + (start + end) * unit / 2, base - 4, f"{number}", size=10, anchor="middle")
    return drawing


def walk() -> Drawing:
    """One thread walks over items and bins together."""
    drawing = Drawing(960, 370, "Items and bins are walked together from left to right")
    left, unit = 60.0, 21.0
    x = lambda position: left + position * unit  # noqa: E731 - a formula
    items = [(-2, 5, 2.0), (5, 8, 6.0), (11, 19, 3.0), (19, 21, 5.0), (27, 42, 1.0)]
    drawing.text(30, 20, "items of the run of blocks that the window needs, each with a value", size=12, colour=GREY)
    for start, end, value in items:
        first, last = max(start, -1.4), min(end, 41.0)
        drawing.box(x(first), 100 - 6 * value, (last - first) * unit, 6 * value, colour=BLUE)
        drawing.text(x((first + last) / 2), 97 - 6 * value, f"{value:g}", size=11, anchor="middle")
    drawing.line([(x(-1.4), 100), (x(41), 100)], width=1)
    bins = [(4, 12), (12, 20), (20, 28), (28, 36)]
    updates = [
        ["value 2, 1 base", "value 6, 3 bases", "value 3, 1 base"], ["value 3, 7 bases", "value 5, 1 base"],
        ["value 5, 1 base", "value 1, 1 base"], ["value 1, 8 bases"],
    ]  # fmt: skip
    results = ["23 / 8", "26 / 8", "6 / 8", "8 / 8"]
    for number, (start, end) in enumerate(bins):
        for edge in (start, end):
            drawing.line([(x(edge), 100), (x(edge), 132)], dashed=True)
        drawing.box(x(start), 132, (end - start) * unit, 26, colour=GREEN, text=f"bin {number}")
        drawing.text(x(start) + 8, 180, "init()", size=11, mono=True, colour=GREEN)
        for line, update in enumerate(updates[number]):
            drawing.text(x(start) + 8, 198 + 18 * line, f"update: {update}", size=11)
        drawing.text(x(start) + 8, 260, f"finish() = {results[number]}", size=11, mono=True, colour=GREEN)
        drawing.box(
            x(start), 280, (end - start) * unit, 26, colour=ORANGE, filled=True, text=results[number], mono=True
        )
    drawing.line([(x(4), 100), (x(4), 34)], colour=ORANGE, width=2)
    drawing.text(
        x(4) + 6, 42, "bisection finds the first item that ends after the window's start", size=11, colour=ORANGE
    )
    drawing.text(30, 298, "out", size=12, bold=True, colour=ORANGE)
    drawing.text(480, 342, "mean over 8 bases, default 0: covered bases count with their value, uncovered ones with 0. "
                 "An item that crosses an edge serves both bins.", size=12, colour=GREY, anchor="middle")  # fmt: skip
    return drawing


def plan() -> Drawing:
    """Windows by tracks to unique blocks and runs of them."""
    drawing = Drawing(960, 400, "A plan: windows of two tracks need runs of blocks; every block is read once")
    left, unit = 120.0, 8.0
    windows = [("window 0", 8, 36), ("window 1", 28, 56), ("window 2", 74, 96)]
    tracks = [("track 0", 96, BLUE, [(0, 18), (18, 40), (40, 70), (70, 100)]),
              ("track 1", 150, GREEN, [(2, 30), (34, 52), (60, 84), (84, 98)])]  # fmt: skip
    kept = {0: [0, 1, 2, 3], 1: [0, 1, 2, 3]}
    for row, (name, start, end) in enumerate(windows):
        top = 24 + 30 * (row % 2)
        for edge in (start, end):
            drawing.line([(left + edge * unit, top + 24), (left + edge * unit, 186)], dashed=True, colour=ORANGE)
        drawing.box(left + start * unit, top, (end - start) * unit, 24, colour=ORANGE, text=name)
    for name, top, colour, blocks in tracks:
        drawing.text(30, top + 20, name, size=12, bold=True, colour=colour)
        for number, (start, end) in enumerate(blocks):
            drawing.box(left + start * unit, top, (end - start) * unit, 30, colour=colour, text=f"leaf {number}")
    drawing.text(30, 52, "genome →", size=11, colour=GREY)
    drawing.text(30, 226, "The plan's blocks, each once, in the order of the files:", size=13, bold=True)
    x = 30.0
    for track, colour in ((0, BLUE), (1, GREEN)):
        for leaf in kept[track]:
            drawing.box(
                x,
                240,
                92,
                30,
                colour=colour,
                filled=True,
                text=f"{int((x - 30) // 100)}: track {track} leaf {leaf}",
                size=9,
            )
            x += 100
    drawing.text(30, 306, "Which run of them each (window, track) needs:", size=13, bold=True)
    runs = [["[0, 2)", "[4, 6)"], ["[1, 3)", "[4, 6)"], ["[3, 4)", "[6, 8)"]]
    drawing.text(150, 330, "track 0", size=11, colour=BLUE, anchor="middle")
    drawing.text(250, 330, "track 1", size=11, colour=GREEN, anchor="middle")
    for row, run in enumerate(runs):
        drawing.text(30, 350 + 18 * row, f"window {row}", size=11, colour=ORANGE)
        for column, text in enumerate(run):
            drawing.text(150 + 100 * column, 350 + 18 * row, text, size=11, anchor="middle", mono=True)
    drawing.text(380, 350, "Leaves are sorted, so what a window needs is a run: two bisections.", size=12, colour=GREY)
    drawing.text(380, 370, "Block 1 serves windows 0 and 1. It is fetched and inflated once.", size=12, colour=GREY)
    return drawing


FIGURES: dict[str, Callable[[], Drawing]] = {
    "file_layout": file_layout,
    "section_types": section_types,
    "walk": walk,
    "plan": plan,
}


def main() -> None:
    """Write all figures."""
    for name, figure in FIGURES.items():
        (IMAGES / f"{name}.svg").write_text(figure().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
