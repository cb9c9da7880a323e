//! Sine and saturating activations in fixed point: tables made at compile time, interpolated linearly.

use super::kernel::{scale, shift_wrapping};

/// Intervals of every table.
const CELLS: usize = 256;
type Table = [i16; CELLS + 1];

/// Fraction bits of what enters [`tanh`] and its kin, a range of ±32.
pub(super) const ARGUMENT_BITS: i32 = 26;

const fn round(v: f64) -> i16 {
    let v = if v > 32767.0 { 32767.0 } else { v };
    (v + 0.5) as i16
}

/// exp(x) for x >= 0: halved into Taylor's reach, squared back. Compile-time floats have the same bits everywhere.
const fn exp(x: f64) -> f64 {
    let small = x / 1024.0;
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1);
    while n < 12 {
        term = term * small / n as f64;
        sum += term;
        n += 1;
    }
    let mut k = 0;
    while k < 10 {
        sum = sum * sum;
        k += 1;
    }
    sum
}

const fn tanh_f64(x: f64) -> f64 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

macro_rules! table {
    ($name:ident, $x:ident, $last:expr, $value:expr) => {
        static $name: Table = {
            let mut table = [0; CELLS + 1];
            let mut i = 0;
            while i <= CELLS {
                let $x = i as f64 / CELLS as f64 * $last;
                table[i] = round($value);
                i += 1;
            }
            table
        };
    };
}

table!(SINE, x, core::f64::consts::FRAC_PI_2, {
    let (mut sum, mut term, mut n) = (x, x, 1);
    while n < 12 {
        term = -term * x * x / ((2 * n) as f64 * (2 * n + 1) as f64);
        sum += term;
        n += 1;
    }
    sum * 32768.0
});
table!(TANH, x, 8.0, tanh_f64(x) * 32768.0);
// How far swish and gelu stay below max(x, 0), at |x|, with 16 fraction bits.
table!(SWISH, x, 16.0, x / (exp(x) + 1.0) * 65536.0);
table!(GELU, x, 8.0, 0.5 * x * (1.0 - tanh_f64(0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x))) * 65536.0);

/// `table` at `position`, 15 fraction bits below the cell's number.
#[cfg_attr(target_family = "wasm", inline(never))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn interpolate(table: &Table, position: u32) -> i32 {
    let (cell, fraction) = ((position >> 15) as usize, (position & 0x7fff) as i32);
    let from = i32::from(table.get(cell).copied().unwrap_or(0));
    let to = i32::from(table.get(cell + 1).copied().unwrap_or(0));
    from + (((to - from) * fraction + 0x4000) >> 15)
}

/// sin(2πt) with 15 fraction bits, t = phase/2^32: the wrap of the phase is the range reduction.
#[cfg_attr(target_family = "wasm", inline(never))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
pub(super) fn sine(phase: i32) -> i16 {
    let phase = phase as u32;
    let mirrored = if phase & 0x4000_0000 == 0 { phase } else { !phase };
    let y = interpolate(&SINE, (mirrored & 0x3fff_ffff) >> 7);
    if cfg!(all(target_arch = "arm", target_has_atomic = "ptr")) {
        // Two instructions from ARMv7-M on, where the shift is part of them.
        let sign = phase as i32 >> 31;
        return ((y ^ sign) - sign) as i16;
    }
    (if phase >> 31 == 0 { y } else { -y }) as i16
}

/// [`sine`] of phases.
#[inline(always)]
pub(super) fn sines(phases: &[i32], y: &mut [i16]) {
    #[cfg(all(target_arch = "arm", feature = "dsp"))]
    let (phases, y) = {
        let ((pairs, phases), (first, y)) = (phases.as_chunks(), y.as_chunks_mut());
        crate::arm::dsp::sines_of_phases(&SINE, pairs, first);
        (phases, y)
    };
    y.iter_mut().zip(phases).for_each(|(y, phase)| *y = sine(*phase));
}

/// [`sine`] of neurons' sums, by way of their multipliers and shifts.
#[inline(always)]
pub(super) fn sines_of_sums(sums: &[i32], multipliers: &[i32], shifts: &[i8], y: &mut [i16]) {
    #[cfg(all(target_arch = "arm", feature = "dsp"))]
    let (sums, multipliers, shifts, y) = {
        let ((pairs, sums), (first, y)) = (sums.as_chunks(), y.as_chunks_mut());
        crate::arm::dsp::sines(&SINE, pairs, multipliers, shifts, first);
        let done = 2 * pairs.len();
        (sums, multipliers.get(done..).unwrap_or(&[]), shifts.get(done..).unwrap_or(&[]), y)
    };
    for (y, (sum, (m, shift))) in y.iter_mut().zip(sums.iter().zip(multipliers.iter().zip(shifts))) {
        *y = sine(shift_wrapping(scale(*sum, *m), i32::from(*shift)));
    }
}

/// `table`, over [0, 2^`range`), at |z|; `beyond` behind its end.
#[cfg_attr(target_family = "wasm", inline(never))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn at_magnitude(table: &Table, z: i32, range: i32, beyond: i32) -> i32 {
    let position = z.unsigned_abs() >> (ARGUMENT_BITS + range - 23);
    if position < (CELLS as u32) << 15 { interpolate(table, position) } else { beyond }
}

/// tanh(z) with 15 fraction bits.
#[inline(always)]
pub(super) fn tanh(z: i32) -> i16 {
    let y = at_magnitude(&TANH, z, 3, 32767);
    (if z < 0 { -y } else { y }) as i16
}

/// 1/(1 + exp(-z)) with 15 fraction bits, as (1 + tanh(z/2))/2.
#[inline(always)]
pub(super) fn sigmoid(z: i32) -> i16 {
    ((32768 + i32::from(tanh(z >> 1))) >> 1) as i16
}

/// z·sigmoid(z), with the fraction bits of the argument.
#[inline(always)]
pub(super) fn swish(z: i32) -> i32 {
    z.max(0) - (at_magnitude(&SWISH, z, 4, 0) << (ARGUMENT_BITS - 16))
}

/// gelu(z), tanh form, with the fraction bits of the argument.
#[inline(always)]
pub(super) fn gelu(z: i32) -> i32 {
    z.max(0) - (at_magnitude(&GELU, z, 3, 0) << (ARGUMENT_BITS - 16))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    /// Largest error of `found` against `expected` over all of an argument's range.
    fn worst(found: impl Fn(i32) -> f64, expected: impl Fn(f64) -> f64) -> f64 {
        let each = (i64::from(i32::MIN)..=i64::from(i32::MAX)).step_by(10_007).map(|z| {
            let z = z as i32;
            (found(z) - expected(f64::from(z) / f64::from(1 << ARGUMENT_BITS))).abs()
        });
        each.fold(0.0, f64::max)
    }

    #[test]
    fn curves_are_within_some_steps_of_their_last_bit() {
        let unit = |v: i16| f64::from(v) / 32768.0;
        let wide = |v: i32| f64::from(v) / f64::from(1 << ARGUMENT_BITS);
        let turns = |t: f64| (t * f64::from(1 << ARGUMENT_BITS) / 4_294_967_296.0 * std::f64::consts::TAU).sin();
        let gelu_f64 = |x: f64| 0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x)).tanh());
        assert!(worst(|z| unit(sine(z)), turns) < 5e-5);
        assert!(worst(|z| unit(tanh(z)), f64::tanh) < 1.5e-4);
        assert!(worst(|z| unit(sigmoid(z)), |x| 1.0 / (1.0 + (-x).exp())) < 1.2e-4);
        assert!(worst(|z| wide(swish(z)), |x| x / (1.0 + (-x).exp())) < 2.7e-4);
        assert!(worst(|z| wide(gelu(z)), gelu_f64) < 1.3e-4);
    }
}
