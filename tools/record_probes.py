"""Records what ale-py's television chip shows of small programs, for the tests of coinop-atari.

    pip install ale-py==0.12.1
    python tools/record_probes.py     # rewrites envs/atari/tests/probes.csv

A probe is a cartridge of ours. It sets every register of the chip, and then, in each of 200 lines, writes the number of the line (200 down to 1)
into one register at one CPU cycle of the line, perhaps after an HMOVE at the line's beginning; below the picture it copies the collisions into
memory. There is a probe for each register, with and without HMOVE, and each cycle from 5 to 65, and a sum over its third frame: CRC-32 of the
screen and of the memory. A row of the file: the register, 1 with HMOVE or 0, the CRC-32 of all images one after the other, and the sums.

`envs/atari/tests/probes.rs` has the same assembler.
"""

import os
import tempfile
import zlib
from multiprocessing import Pool
from pathlib import Path

import ale_py

OUT = Path(__file__).parent.parent / "envs/atari/tests/probes.csv"
VSYNC, VBLANK, WSYNC, HMOVE, CXCLR = 0x00, 0x01, 0x02, 0x2A, 0x2C
# Those that are seen: all but VSYNC, WSYNC, RSYNC and sound.
REGISTERS = [VBLANK, *range(0x04, 0x15), *range(0x1B, 0x2D)]
CYCLES = range(5, 66)
LINES = 200
# Register and value, in the order in which they are written at the top of every frame.
PICTURE = [
    (0x04, 0x15), (0x05, 0x22), (0x06, 0x1E), (0x07, 0x4A), (0x08, 0x88), (0x09, 0x02), (0x0A, 0x11), (0x0B, 0x00), (0x0C, 0x08),
    (0x0D, 0xA0), (0x0E, 0x5A), (0x0F, 0x81), (0x25, 0x00), (0x26, 0x01), (0x27, 0x00), (0x28, 0x00), (0x29, 0x00),
    (0x1B, 0xD3), (0x1C, 0x65), (0x1D, 0x02), (0x1E, 0x02), (0x1F, 0x02), (0x20, 0x70), (0x21, 0x90), (0x22, 0x10), (0x23, 0xF0),
    (0x24, 0x80),
]
# Where the objects are positioned: the register, and NOPs before it.
PLACES = [(0x10, 14), (0x11, 18), (0x12, 20), (0x13, 24), (0x14, 28)]


def sta(register):
    return bytes([0x85, register])


def lda(value):
    return bytes([0xA9, value])


def lines(count):
    """Waits for so many lines."""
    return bytes([0xA2, count]) + sta(WSYNC) + bytes([0xCA, 0xD0, 0xFB])


def wait(cycles):
    """NOP takes two cycles, LDY $F0 three."""
    return bytes([0xA4, 0xF0] * (cycles % 2) + [0xEA] * ((cycles - 3 * (cycles % 2)) // 2))


def program(register, hmove, cycle):
    code = bytes([0x78, 0xD8, 0xA2, 0xFF, 0x9A])
    frame = 0xF000 + len(code)
    code += lda(2) + sta(VBLANK) + sta(WSYNC) + sta(VSYNC) + sta(WSYNC) * 3 + lda(0) + sta(VSYNC)
    for place, nops in PLACES:
        code += sta(WSYNC) + bytes([0xEA] * nops) + sta(place)
    for name, value in PICTURE:
        code += lda(value) + sta(name)
    code += lines(25) + lda(0) + sta(WSYNC) + sta(VBLANK) + sta(CXCLR)
    code += bytes([0xA2, LINES])
    start = len(code)
    code += sta(WSYNC) + (sta(HMOVE) if hmove else b"") + wait(cycle - 3 * hmove) + bytes([0x86, register]) + bytes([0xCA])
    code += bytes([0xD0, (start - len(code) - 2) & 0xFF])
    code += lda(2) + sta(WSYNC) + sta(VBLANK)
    for latch in range(8):
        code += bytes([0xA5, 0x30 + latch]) + sta(0x80 + latch)
    code += lines(20) + bytes([0x4C, frame & 0xFF, frame >> 8])
    image = bytearray(code.ljust(4096, b"\xea"))
    image[0xFFC:0x1000] = [0x00, 0xF0, 0x00, 0xF0]
    return bytes(image)


def play(image, folder):
    # A joystick game with a plain cartridge of 4 KiB; its rules do not matter.
    path = os.path.join(folder, "seaquest.bin")
    with open(path, "wb") as file:
        file.write(image)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(path)
    ale.reset_game()
    for _ in range(3):
        ale.act(0)
    return zlib.crc32(ale.getRAM().tobytes(), zlib.crc32(ale.getScreen().tobytes()))


def row(case):
    register, hmove = case
    images, sums = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for cycle in CYCLES:
            image = program(register, hmove, cycle)
            images = zlib.crc32(image, images)
            sums.append(play(image, folder))
    return f"{register},{hmove},{images:08x},{' '.join(f'{sum:08x}' for sum in sums)}\n"


if __name__ == "__main__":
    with Pool() as pool:
        OUT.write_text("".join(pool.map(row, [(register, hmove) for hmove in (0, 1) for register in REGISTERS], chunksize=1)))
