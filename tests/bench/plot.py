# SPDX-License-Identifier: Apache-2.0
"""Bars in an SVG file, for any browser; no other program is needed."""

import html

WIDTH, LABEL, VALUE = 760, 190, 130
BAR, GAP, HEAD, TITLE = 18, 7, 34, 40
# Told apart in grey and by those who see no red or green, too.
COLOURS = {"direct": "#999999", "ipip": "#0072b2", "gre": "#56b4e9", "vxlan": "#e69f00"}
OTHER = "#009e73"


def text(x, y, words, size=12, more=""):
    """One line of text."""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" {more}>{html.escape(words)}</text>'


def panel(top, title, digits, bars):
    """The lines of one panel and where the next begins. bars: (name, median, lowest, highest)."""
    scale = (WIDTH - LABEL - VALUE) / (max(high for _, _, _, high in bars) or 1)
    lines = [text(10, top + 20, title, 13, 'font-weight="bold"')]
    y = top + HEAD
    for name, median, low, high in bars:
        middle = y + BAR / 2
        left, right = LABEL + low * scale, LABEL + high * scale
        lines += [
            text(LABEL - 8, y + 14, name, 12, 'text-anchor="end"'),
            f'<rect x="{LABEL}" y="{y}" width="{median * scale:.1f}" height="{BAR}"'
            f' fill="{COLOURS.get(name, OTHER)}"/>',
            f'<path d="M{left:.1f} {middle}H{right:.1f}M{left:.1f} {middle - 4}v8'
            f'M{right:.1f} {middle - 4}v8" stroke="#000"/>',
            text(max(right, LABEL + median * scale) + 8, y + 14, f"{median:,.{digits}f}"),
        ]
        y += BAR + GAP
    return lines, y


def write(path, title, panels):
    """A file. panels: (title, digits after the point, bars)."""
    lines = [text(10, 26, title, 16)]
    top = TITLE
    for each in panels:
        more, top = panel(top, *each)
        lines += more
    lines.append(text(10, top + 24, "bars: medians; lines: lowest to highest", 11))
    with open(path, "w", encoding="utf-8") as out:
        out.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top + 36}"'
            ' font-family="sans-serif">\n<rect width="100%" height="100%" fill="#fff"/>\n'
        )
        out.write("\n".join(lines) + "\n</svg>\n")
