"""Measures how far HMOVE moves an object in ALE, and prints it as CSV: a row per CPU cycle of the line, a column per nibble.

    pip install ale-py==0.12.1 && python tools/measure_hmove.py > envs/atari/src/tia/hmove.csv

For each CPU cycle of a line in which HMOVE can be strobed, a program of our own positions player 0 sixteen times, each time with another
motion nibble, and the screen shows where it was before and after.
"""

import os
import tempfile

import ale_py

VSYNC, VBLANK, WSYNC, COLUP0, RESP0, GRP0, HMP0, HMOVE = 0x00, 0x01, 0x02, 0x06, 0x10, 0x1B, 0x20, 0x2A
LINES = 6  # per nibble
FIRST = 7  # line of the screen in which the first nibble's object is positioned


def sta(register):
    return bytes([0x85, register])


def lda(value):
    return bytes([0xA9, value])


def wait(cycles):
    """NOP takes two cycles, LDA $80 three."""
    assert cycles >= 2
    return bytes([0xA5, 0x80] * (cycles % 2) + [0xEA] * ((cycles - 3 * (cycles % 2)) // 2))


def program(cycle):
    code = bytes([0x78, 0xD8, 0xA2, 0xFF, 0x9A])
    frame = 0xF000 + len(code)
    code += lda(2) + sta(WSYNC) + sta(VSYNC) + sta(WSYNC) * 3
    code += lda(0) + sta(VSYNC) + sta(VBLANK) + lda(0x0E) + sta(COLUP0) + lda(0x80) + sta(GRP0)
    code += sta(WSYNC) * 40
    for nibble in range(16):
        code += sta(WSYNC) + lda(nibble << 4) + sta(HMP0) + wait(44 - 5) + sta(RESP0)
        code += sta(WSYNC)  # the line that shows the position before
        code += wait(76 + cycle - 3) + sta(HMOVE)  # in the line after
        code += sta(WSYNC) * (3 if cycle < 74 else 2)  # from cycle 74 on, the first one ends in the next line
    code += sta(WSYNC) * (262 - 44 - 16 * LINES + 10)
    code += bytes([0x4C, frame & 0xFF, frame >> 8])
    assert len(code) < 4092, len(code)
    image = bytearray(code.ljust(4096, b"\xea"))
    image[0xFFC:0x1000] = [0x00, 0xF0, 0x00, 0xF0]
    return bytes(image)


def screen(image):
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "montezuma_revenge.bin")  # a game without modes to select
        with open(path, "wb") as file:
            file.write(image)
        ale.loadROM(path)
    for _ in range(4):
        ale.act(0)
    return ale.getScreen()


def shifts(cycle):
    """The motion in pixels, to the right, for each nibble."""
    picture = screen(program(cycle))

    def position(line):
        (x,) = [x for x in range(160) if picture[line, x] == 0x0E]
        return x

    moved = [position(FIRST + LINES * nibble + 4) - position(FIRST + LINES * nibble + 1) for nibble in range(16)]
    return [(by + 80) % 160 - 80 for by in moved]


for cycle in range(76):
    print(*shifts(cycle), sep=",")
