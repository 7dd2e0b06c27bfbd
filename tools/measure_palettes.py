"""Measures ALE's palettes and prints them as the Rust tables of envs/atari/src/palette.rs.

    pip install ale-py==0.12.1 && python tools/measure_palettes.py

A small program of our own, in the place of a cartridge, paints every line in another colour. The screen's palette indices are then
compared with the same screen in red, green and blue and in shades of gray. A picture of an odd number of lines shows the odd colours of
PAL ("colour loss"); NTSC has none.
"""

import os
import tempfile

import ale_py
import numpy as np

VSYNC, VBLANK, WSYNC, COLUBK = 0x00, 0x01, 0x02, 0x09


def program(blocks, lines_per_block, extra_lines):
    """A cartridge of 4 KiB that paints `blocks * lines_per_block` lines and waits for `extra_lines` more."""
    code = bytes([0x78, 0xD8, 0xA2, 0xFF, 0x9A])  # SEI, CLD, LDX #$FF, TXS
    frame = 0xF000 + len(code)
    code += bytes([0xA9, 2, 0x85, WSYNC, 0x85, VSYNC] + [0x85, WSYNC] * 3)  # three lines of vertical sync
    code += bytes([0xA9, 0, 0x85, VSYNC, 0x85, VBLANK])
    for _ in range(blocks):
        # LDX #lines; loop: STA WSYNC; TXA; ASL; STA COLUBK; DEX; BNE loop
        code += bytes([0xA2, lines_per_block, 0x85, WSYNC, 0x8A, 0x0A, 0x85, COLUBK, 0xCA, 0xD0, 0xF7])
    code += bytes([0x85, WSYNC] * extra_lines)
    code += bytes([0x4C, frame & 0xFF, frame >> 8])  # JMP frame
    image = bytearray(code.ljust(4096, b"\xea"))
    image[0xFFC:0x1000] = [0x00, 0xF0, 0x00, 0xF0]
    return bytes(image)


def measure(image):
    """The colours that the program shows: {index: (red, green, blue, gray)}."""
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    with tempfile.TemporaryDirectory() as folder:
        # ALE wants the name of a game, and only warns that the bytes differ. This one has no modes to select.
        path = os.path.join(folder, "montezuma_revenge.bin")
        with open(path, "wb") as file:
            file.write(image)
        ale.loadROM(path)
    colors = {}
    for _ in range(4):
        ale.act(0)
        rgb, gray = ale.getScreenRGB(), ale.getScreenGrayscale()
        for y, row in enumerate(ale.getScreen()):
            assert len(np.unique(row)) == 1, f"line {y} has several colours"
            colors.setdefault(int(row[0]), (*map(int, rgb[y, 0]), int(gray[y, 0])))
    return colors, ale.getScreen().shape[0]


def print_table(name, doc, rows):
    print(f"\n/// {doc}\n#[rustfmt::skip]\nstatic {name}: [u32; {len(rows)}] = [")
    for start in range(0, len(rows), 8):
        print("    " + " ".join(f"0x{red:02x}{green:02x}{blue:02x}," for red, green, blue in rows[start : start + 8]))
    print("];")


def print_grays(name, doc, rows):
    print(f"\n/// {doc}\n#[rustfmt::skip]\nstatic {name}: [u8; {len(rows)}] = [")
    for start in range(0, len(rows), 16):
        print("    " + " ".join(f"{gray:3}," for gray in rows[start : start + 16]))
    print("];")


ntsc, height = measure(program(1, 255, 4))
assert height == 210 and sorted(ntsc) == list(range(0, 256, 2)), (height, sorted(ntsc))
even, height = measure(program(2, 150, 9))  # 312 lines
odd, _ = measure(program(2, 150, 10))
assert height == 250, height
pal = even | odd
assert sorted(pal) == list(range(256)), sorted(pal)

print_table("NTSC", "Even colours of NTSC, 0xRRGGBB.", [ntsc[index][:3] for index in range(0, 256, 2)])
print_grays("NTSC_GRAY", "Gray of the even colours of NTSC.", [ntsc[index][3] for index in range(0, 256, 2)])
print_table("PAL", "All colours of PAL, 0xRRGGBB.", [pal[index][:3] for index in range(256)])
print_grays("PAL_GRAY", "Gray of all colours of PAL.", [pal[index][3] for index in range(256)])
