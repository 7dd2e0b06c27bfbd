"""Runs a program in a terminal and draws what it shows, as an SVG.

    pip install pyte==0.8.2
    python tools/picture_of_terminal.py watch.svg 100x30 8 target/release/coinop watch breakout-ppo-1

The size is in columns and rows; the picture is taken after so many seconds, and then `q` is typed.
"""

import fcntl
import html
import os
import pty
import select
import struct
import sys
import termios
import time

import pyte

WIDTH, HEIGHT = 8.4, 17.0  # of a character
NAMED = {
    "default": "#d8d8d8", "black": "#1c1c1c", "red": "#e06c75", "green": "#98c379", "brown": "#e5c07b", "blue": "#61afef",
    "magenta": "#c678dd", "cyan": "#56b6c2", "white": "#d8d8d8",
}
BACKGROUND = "#1c1c1c"
BLOCKS = "▁▂▃▄▅▆▇█"


def color(name, default):
    if name == "default":
        return default
    return NAMED.get(name, f"#{name}")


def show(columns, rows, seconds, command):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    screen = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    end = time.time() + seconds
    while time.time() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            data = os.read(terminal, 65536)
            if b"\x1b[c" in data:
                os.write(terminal, b"\x1b[?62c")
            stream.feed(data)
    lines = [[screen.buffer[y][x] for x in range(columns)] for y in range(rows)]
    os.write(terminal, b"q")
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass
    os.waitpid(pid, 0)
    return lines


def cell(x, y, character):
    """The shapes of a character: what fonts draw differently is drawn here."""
    left, top = x * WIDTH, y * HEIGHT
    fg, bg = color(character.fg, NAMED["default"]), color(character.bg, BACKGROUND)
    text = character.data
    shapes = []

    def box(x, y, width, height, fill):
        shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.2f}" height="{height:.2f}" fill="{fill}"/>')

    if bg != BACKGROUND:
        box(left, top, WIDTH + 0.4, HEIGHT + 0.4, bg)
    if text == "▀":
        box(left, top, WIDTH + 0.4, HEIGHT / 2, fg)
    elif text in BLOCKS:
        part = (BLOCKS.index(text) + 1) / 8 * HEIGHT
        box(left, top + HEIGHT - part, WIDTH - 0.6, part, fg)
    elif 0x2800 <= ord(text[:1] or " ") <= 0x28FF:
        dots = ord(text) - 0x2800
        for bit, (column, row) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]):
            if dots >> bit & 1:
                shapes.append(
                    f'<circle cx="{left + (column + 0.5) * WIDTH / 2:.1f}" cy="{top + (row + 0.5) * HEIGHT / 4:.1f}" r="1.3" fill="{fg}"/>'
                )
    return shapes


def draw(lines):
    width, height = len(lines[0]) * WIDTH, len(lines) * HEIGHT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 16:.0f}" height="{height + 16:.0f}" '
        f'viewBox="-8 -8 {width + 16:.0f} {height + 16:.0f}" font-family="monospace" font-size="14">',
        f'<rect x="-8" y="-8" width="100%" height="100%" rx="6" fill="{BACKGROUND}"/>',
    ]
    for y, line in enumerate(lines):
        run, start, fg = "", 0, None
        for x, character in enumerate(line + [None]):
            shapes = cell(x, y, character) if character else []
            drawn = character is None or character.data in "▀" + BLOCKS or 0x2800 <= ord(character.data[:1] or " ") <= 0x28FF
            text = None if drawn else character.data
            this = None if drawn else color(character.fg, NAMED["default"])
            if run and (text is None or this != fg):
                if run.strip():
                    out.append(
                        f'<text x="{start * WIDTH:.1f}" y="{(y + 0.76) * HEIGHT:.1f}" fill="{fg}" xml:space="preserve" '
                        f'textLength="{len(run) * WIDTH:.1f}" lengthAdjust="spacingAndGlyphs">{html.escape(run)}</text>'
                    )
                run = ""
            out.extend(shapes)
            if text is not None:
                if not run:
                    start, fg = x, this
                run += text
    return "\n".join(out) + "\n</svg>\n"


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    columns, rows = map(int, sys.argv[2].split("x"))
    lines = show(columns, rows, float(sys.argv[3]), sys.argv[4:])
    with open(sys.argv[1], "w") as file:
        file.write(draw(lines))
