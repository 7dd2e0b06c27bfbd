//! Addition and subtraction in decimal mode, as ALE does them.
//!
//! This is not what the chip does: there, Z, N and V come out of intermediate results. Here both operands are turned into
//! binary, added, and turned back, and all flags describe the result. Bytes that are no decimal number go through the same
//! formulas, halves above 9 counting 10 to 15.

/// The value of two decimal digits.
fn to_binary(bcd: u8) -> i32 {
    i32::from(bcd >> 4) * 10 + i32::from(bcd & 15)
}

/// The two last decimal digits of a number.
fn to_bcd(number: u8) -> u8 {
    let number = number % 100;
    number / 10 << 4 | number % 10
}

/// `a + b + carry`: the result, and the carry out of it.
#[cold]
pub(super) fn add(a: u8, b: u8, carry: u8) -> (u8, bool) {
    let sum = to_binary(a) + to_binary(b) + i32::from(carry);
    (to_bcd(sum as u8), sum > 99)
}

/// `a - b - (1 - carry)`: the result, and the carry (set where nothing was borrowed).
#[cold]
pub(super) fn subtract(a: u8, b: u8, carry: u8) -> (u8, bool) {
    let borrow = 1 - i32::from(carry);
    let difference = to_binary(a) - to_binary(b) - borrow;
    let difference = if difference < 0 { difference + 100 } else { difference };
    (to_bcd(difference as u8), i32::from(a) >= i32::from(b) + borrow)
}
