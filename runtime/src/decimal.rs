//! Decimal numbers, rounded correctly to f32, without a panic in it: core's reader has some, and costs four times the
//! flash.

/// Halves of words, the least first: room for twenty digits and every power of ten an f32 can need.
type Wide = [u16; LIMBS];
const LIMBS: usize = 18;
/// Limbs behind the binary point, so many that a division by 10^70 leaves more bits than an f32 has.
const POINT: usize = 13;
/// Beyond these powers of ten a number of twenty digits is 0 or infinite.
const LEAST: i32 = -70;
const MOST: i32 = 39;
/// Below this the mantissa takes one more digit.
const ROOM: u64 = (u64::MAX - 9) / 10;

/// value·10 + digit
fn up(value: &mut Wide) {
    let mut carry = 0;
    for limb in value {
        let product = u32::from(*limb) * 10 + carry;
        (*limb, carry) = (product as u16, product >> 16);
    }
}

/// value/10, and whether something is left.
fn down(value: &mut Wide) -> bool {
    let mut rest = 0;
    for limb in value.iter_mut().rev() {
        let dividend = rest << 16 | u32::from(*limb);
        (*limb, rest) = ((dividend / 10) as u16, dividend % 10);
    }
    rest != 0
}

/// The f32 nearest to a number like `-12.5e-3`, ties to even; `None` when it is not of that form.
pub(crate) fn float(text: &[u8]) -> Option<f32> {
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let (mut mantissa, mut power, mut left) = (0u64, 0i32, false);
    let (mut digits, mut point) = (0, false);
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match first {
            b'0'..=b'9' => {
                digits += 1;
                if mantissa <= ROOM {
                    mantissa = mantissa * 10 + u64::from(first - b'0');
                    power -= i32::from(point);
                } else {
                    left |= *first != b'0';
                    power += i32::from(!point);
                }
            }
            b'.' if !point => point = true,
            b'e' | b'E' => break,
            _ => return None,
        }
        rest = after;
    }
    if let Some((_, exponent)) = rest.split_first() {
        let (minus, exponent) = match exponent.split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, exponent),
        };
        let mut value = 0i32;
        for digit in exponent {
            let digit = Some(digit.wrapping_sub(b'0')).filter(|d| *d < 10)?;
            value = value.saturating_mul(10).saturating_add(i32::from(digit));
        }
        power = power.saturating_add(if minus { -value } else { value });
        digits = if exponent.is_empty() { 0 } else { digits };
    }
    if digits == 0 {
        return None;
    }
    let value = if mantissa == 0 || power < LEAST {
        0.0
    } else if power > MOST {
        f32::INFINITY
    } else {
        scaled(mantissa, power, left)
    };
    Some(if negative { -value } else { value })
}

/// mantissa·10^power, and a bit more when something was left of the mantissa.
fn scaled(mantissa: u64, power: i32, mut left: bool) -> f32 {
    let mut value: Wide = [0; LIMBS];
    // With a positive power everything is in front of the point, with a negative one it begins well in front of it.
    let point = if power < 0 { POINT } else { 0 };
    for (k, limb) in value.iter_mut().skip(point).take(4).enumerate() {
        *limb = (mantissa >> (16 * k as u32)) as u16;
    }
    for _ in 0..power {
        up(&mut value);
    }
    for _ in power..0 {
        left |= down(&mut value);
    }
    // The highest 64 bits that are not all zero, and what they count.
    let highest = value.iter().rposition(|limb| *limb != 0).unwrap_or(0);
    let lowest = highest.saturating_sub(3);
    let mut bits = 0u64;
    for (k, limb) in value.iter().enumerate().take(highest + 1) {
        if k >= lowest {
            bits |= u64::from(*limb) << (16 * (k - lowest) as u32);
        } else {
            left |= *limb != 0;
        }
    }
    let zeros = bits.leading_zeros();
    let bits = bits.checked_shl(zeros).unwrap_or(0);
    // The value is from 2^exponent on, less than twice that.
    let exponent = 16 * (lowest as i32 - point as i32) - zeros as i32 + 63;
    if exponent < -150 {
        return 0.0;
    }
    // A subnormal has fewer than 24.
    let kept = (exponent + 150).clamp(0, 24) as u32;
    let dropped = 64 - kept;
    let whole = bits.checked_shr(dropped).unwrap_or(0) as u32;
    let half = 1u64 << (dropped - 1);
    let rest = bits & (half | (half - 1));
    let up = rest > half || (rest == half && (left || whole & 1 == 1));
    let whole = whole + u32::from(up);
    // Below 2^24 with the exponent added: a carry out of the fraction goes on into the exponent by itself.
    let biased = exponent + 127;
    let field = if biased <= 0 { 0 } else { (biased as u32 - 1) << 23 };
    if biased > 254 { f32::INFINITY } else { f32::from_bits(field + whole) }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{format, string::String};

    use super::*;

    fn same(text: &str) {
        let found = float(text.as_bytes()).map(f32::to_bits);
        assert_eq!(found, text.parse::<f32>().ok().map(f32::to_bits), "{text}");
    }

    #[test]
    fn numbers_are_those_core_reads() {
        let mut state = 88_172_645_463_325_252u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..20_000 {
            let value = f32::from_bits(next() as u32);
            if value.is_finite() {
                same(&format!("{value}"));
                same(&format!("{value:e}"));
                // Half way to the next, as exactly as f64 can say it, and a little to either side.
                let next_up = f32::from_bits(value.to_bits() + 1);
                let half = (f64::from(value) + f64::from(next_up)) / 2.0;
                for v in [half, half * (1.0 + 1e-15), half * (1.0 - 1e-15)] {
                    same(&format!("{v:e}"));
                }
            }
            let digits = next();
            let power = (next() % 130) as i32 - 75;
            same(&format!("{digits}e{power}"));
            same(&format!("-{}.{}e{}", digits % 1000, digits, power));
        }
        for text in [
            "0",
            "-0",
            "00.50",
            ".5",
            "5.",
            "1e5",
            "1E+5",
            "1e-50",
            "1e39",
            "3.4028236e38",
            "16777217",
            "1e999999999999",
        ] {
            same(text);
        }
        same(&format!("1{}", String::from("0").repeat(38)));
        same(&format!("0.{}1", String::from("0").repeat(44)));
        same("16777217.00000000000000000000000000001");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "e5", "1e", "1e-", "1.2.3", "1 ", " 1", "x", "1x", "--1", "1e5.0", "0x10", "1,5"] {
            assert_eq!(float(text.as_bytes()), None, "{text}");
            assert!(text.parse::<f32>().is_err(), "{text}");
        }
        // Words core takes and a file does not have.
        assert_eq!(float(b"inf"), None);
        assert_eq!(float(b"NaN"), None);
    }
}
