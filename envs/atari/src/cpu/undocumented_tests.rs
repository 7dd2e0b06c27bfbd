//! The opcodes that are not in the data sheet, as ALE's processor executes them.
//!
//! Most do what the document "Extra Instructions of the 65XX Series CPU" says of the chip. Where ALE differs the table has what ALE does:
//! LAX of the zero page takes 4 cycles instead of 3, ANE and LXA mix in `$EE` where the chip has noise, decimal sums take N, V and Z from
//! the decimal result.

use std::collections::BTreeSet;

use super::tests::bus;
use super::*;

/// Printed by `tools/measure_opcodes.py`, which runs programs of our own on ale-py 0.12.1. All numbers but the cycles are hexadecimal.
const MEASURED: &str = include_str!("undocumented.csv");

/// Where the operand lies, a mirror of `$90`, and where the address of it does, for indirect addressing.
const PLACE: u16 = 0x0590;
const POINTER: usize = 0xA0;

const JAMS: [u8; 12] = [0x02, 0x12, 0x22, 0x32, 0x42, 0x52, 0x62, 0x72, 0x92, 0xB2, 0xD2, 0xF2];

fn hex(field: &str) -> u8 {
    u8::from_str_radix(field, 16).unwrap()
}

#[test]
fn opcodes_outside_the_data_sheet_do_what_ale_does_in_as_many_cycles() {
    let mut opcodes = BTreeSet::new();
    for line in MEASURED.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let program: Vec<u8> = fields[1].split(' ').map(hex).collect();
        let [a, x, y, p, m, a_after, x_after, y_after, sp_after, p_after, m_after] =
            std::array::from_fn(|i| hex(fields[i + 2]));
        let cycles: u32 = fields[13].parse().unwrap();
        let mut bus = bus(&program);
        let mut cpu = Cpu::reset(&mut bus);
        (cpu.a, cpu.x, cpu.y, cpu.sp) = (a, x, y, 0xFB);
        cpu.set_status(p);
        let is_indirect_y = program[0] & 0x1F == 0x13;
        let pointer = if is_indirect_y { PLACE - u16::from(y) } else { PLACE };
        bus.riot.ram[POINTER & 0x7F..][..2].copy_from_slice(&pointer.to_le_bytes());
        bus.riot.ram[usize::from(PLACE & 0x7F)] = m;
        cpu.run(&mut bus, 1);
        assert_eq!(
            (cpu.a, cpu.x, cpu.y, cpu.sp, cpu.status(), cpu.cycles),
            (a_after, x_after, y_after, sp_after, p_after, cycles),
            "{line}"
        );
        assert_eq!(bus.riot.ram[usize::from(PLACE & 0x7F)], m_after, "{line}");
        assert_eq!(cpu.pc, 0xF000 + program.len() as u16, "{line}");
        opcodes.insert(program[0]);
    }
    // 151 opcodes are in the data sheet, and 12 stop the processor.
    assert_eq!(opcodes.len(), 256 - 151 - JAMS.len());
}

#[test]
fn twelve_opcodes_stop_the_processor_for_good() {
    for jam in JAMS {
        let mut bus = bus(&[jam, 0xE8]); // INX
        let mut cpu = Cpu::reset(&mut bus);
        cpu.run(&mut bus, 10);
        let stopped = cpu;
        cpu.run(&mut bus, 10);
        assert_eq!((cpu.x, cpu), (0, stopped), "${jam:02X}");
    }
}
