"""Measures what ALE's processor does with the opcodes that are not in the data sheet, and prints it as CSV.

    pip install ale-py==0.12.1 && python tools/measure_opcodes.py > envs/atari/src/cpu/undocumented.csv

Every opcode is executed by programs of our own, once for each of a few sets of registers, flags and operands. A program writes what it
finds afterwards into the console's memory; a second and a third one measure the cycles with the timer, with and without the opcode. The
operand lies at $0590, a mirror of $90, so that indices cross a page for some of the sets. The twelve opcodes that stop the processor are
left out: nothing could report of them.
"""

import os
import tempfile

import ale_py

NAMES = {
    "slo": "07 17 0f 1f 1b 03 13", "rla": "27 37 2f 3f 3b 23 33", "sre": "47 57 4f 5f 5b 43 53", "rra": "67 77 6f 7f 7b 63 73",
    "dcp": "c7 d7 cf df db c3 d3", "isb": "e7 f7 ef ff fb e3 f3", "lax": "a7 b7 af bf a3 b3", "sax": "87 97 8f 83",
    "anc": "0b 2b", "asr": "4b", "arr": "6b", "ane": "8b", "lxa": "ab", "sbx": "cb", "sbc": "eb", "las": "bb",
    "sha": "9f 93", "shx": "9e", "shy": "9c", "shs": "9b",
    "nop": "1a 3a 5a 7a da fa 80 82 89 c2 e2 04 44 64 14 34 54 74 d4 f4 0c 1c 3c 5c 7c dc fc",
}
# A, X, Y, flags, operand. Bit 3 of the flags is decimal mode, bit 0 the carry.
SETS = [
    (0x5A, 0x13, 0x24, 0x30, 0x81),
    (0xC3, 0xA5, 0x9C, 0x31, 0x7E),
    (0x29, 0xF0, 0xE1, 0x39, 0x46),
    (0x80, 0x01, 0x02, 0x78, 0x80),
]
# For those that move the stack pointer to where the program needs it to be in memory.
STACK_SETS = [
    (0xF5, 0xEC, 0x24, 0x30, 0xE6),
    (0xD9, 0xFB, 0x9C, 0x31, 0xD9),
]
SP, PLACE, POINTER = 0xFB, 0x0590, 0xA0


def mode(opcode):
    """The addressing mode, from the opcode's place in the table of all."""
    column = opcode & 0x1F
    y = opcode in (0x97, 0xB7, 0xBF, 0x9E, 0x9F)
    if opcode in (0x80, 0x82, 0x89, 0xC2, 0xE2) or column == 0x0B:
        return "immediate"
    return {0x1A: "implied", 0x03: "ind_x", 0x13: "ind_y", 0x0C: "abs", 0x0F: "abs", 0x04: "zp", 0x07: "zp", 0x1B: "abs_y"}.get(
        column) or {0x14: "zp", 0x17: "zp", 0x1C: "abs", 0x1F: "abs", 0x1E: "abs"}[column] + ("_y" if y else "_x")


def instruction(opcode, x, y, m):
    word = lambda base: [base & 0xFF, base >> 8 & 0xFF]
    operand = {
        "implied": [], "immediate": [m], "zp": [PLACE & 0xFF], "zp_x": [PLACE - x & 0xFF], "zp_y": [PLACE - y & 0xFF],
        "abs": word(PLACE), "abs_x": word(PLACE - x), "abs_y": word(PLACE - y), "ind_x": [POINTER - x & 0xFF], "ind_y": [POINTER],
    }[mode(opcode)]
    return bytes([opcode, *operand])


def store(value, address):
    return bytes([0xA9, value, 0x85, address])


def ram(code):
    """The memory after the program has run."""
    code += bytes([0x4C, 0xF000 + len(code) & 0xFF, 0xF000 + len(code) >> 8])
    image = bytearray(code.ljust(4096, b"\xea"))
    image[0xFFC:0x1000] = [0x00, 0xF0, 0x00, 0xF0]
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "montezuma_revenge.bin")  # a game without modes to select
        with open(path, "wb") as file:
            file.write(image)
        ale.loadROM(path)
    ale.act(0)
    return ale.getRAM()


def measure(opcode, a, x, y, p, m):
    tested = instruction(opcode, x, y, m)
    base = PLACE if mode(opcode) != "ind_y" else PLACE - y
    begin = bytes([0x78, 0xD8]) + store(m, PLACE & 0xFF) + store(base & 0xFF, POINTER) + store(base >> 8, POINTER + 1)
    registers = bytes([0xA2, SP, 0x9A, 0xA0, y, 0xA2, x, 0xA9, p, 0x48, 0xA9, a, 0x28])
    # STA $80, STX $81, STY $82, PHP, PLA, STA $83, TSX, STX $84
    report = bytes([0x85, 0x80, 0x86, 0x81, 0x84, 0x82, 0x08, 0x68, 0x85, 0x83, 0xBA, 0x86, 0x84])
    after = ram(begin + registers + tested + report)
    # LDA #255, STA TIM1T … LDA INTIM, STA $80
    timer = lambda code: int(ram(begin + bytes([0xA9, 0xFF, 0x8D, 0x94, 0x02]) + registers + code + bytes([0xAD, 0x84, 0x02, 0x85, 0x80]))[0])
    cycles = timer(b"") - timer(tested)
    return tested, [int(after[i]) for i in (0, 1, 2, 4, 3, PLACE & 0x7F)], cycles


print("name,instruction,a,x,y,p,m,a_after,x_after,y_after,sp_after,p_after,m_after,cycles")
for name, opcodes in NAMES.items():
    for opcode in bytes.fromhex(opcodes):
        for values in STACK_SETS if name in ("las", "shs") else SETS:
            tested, after, cycles = measure(opcode, *values)
            fields = [f"{value:02x}" for value in (*values, *after)]
            print(name, tested.hex(" "), *fields, cycles, sep=",")
