//! Integers on cores with the DSP extension (Cortex-M4, M7): products, of which `smlad` does two of 16 bits at once, and
//! sines, two at a time.

use core::arch::asm;

/// The next four activations times the weights of two neurons.
macro_rules! four_products {
    () => {
        concat!(
            "ldr {even}, [{x}], #4\n",
            "ldr {odd}, [{x}], #4\n",
            "ldr {t}, [{w}, {stride}]\n",
            "sxtb16 {u}, {t}\n",
            "sxtb16 {t}, {t}, ror #8\n",
            "smlad {b}, {u}, {even}, {b}\n",
            "smlad {b}, {t}, {odd}, {b}\n",
            "ldr {t}, [{w}], #4\n",
            "sxtb16 {u}, {t}\n",
            "sxtb16 {t}, {t}, ror #8\n",
            "smlad {a}, {u}, {even}, {a}\n",
            "smlad {a}, {t}, {odd}, {a}",
        )
    };
}

/// Four weights of one neuron times the activations at hand.
macro_rules! products {
    ($sum:literal, $weights:literal) => {
        concat!(
            "sxtb16 r7, ",
            $weights,
            "\n",
            "smlad ",
            $sum,
            ", r7, {even}, ",
            $sum,
            "\n",
            "sxtb16 ",
            $weights,
            ", ",
            $weights,
            ", ror #8\n",
            "smlad ",
            $sum,
            ", ",
            $weights,
            ", {odd}, ",
            $sum,
            "\n",
        )
    };
}

/// Four activations times the weights of two neurons, all words at multiples of 4.
macro_rules! aligned_four {
    () => {
        concat!(
            "ldrd {even}, {odd}, [{x}], #8\n",
            "ldr {t}, [{w}], #4\n",
            products!("{a}", "{t}"),
            "ldr {t}, [{v}], #4\n",
            products!("{b}", "{t}"),
        )
    };
}

/// The same of eight.
macro_rules! aligned_eight {
    () => {
        concat!(
            "ldrd {even}, {odd}, [{x}], #8\n",
            "ldrd {t}, {next}, [{w}], #8\n",
            products!("{a}", "{t}"),
            "ldrd {t}, {after}, [{v}], #8\n",
            products!("{b}", "{t}"),
            "ldrd {even}, {odd}, [{x}], #8\n",
            products!("{a}", "{next}"),
            products!("{b}", "{after}"),
        )
    };
}

/// Whether [`pairs_of_rows`] may run.
#[inline]
pub(crate) fn is_aligned(w: &[u8], row: usize, x: &[i16]) -> bool {
    (w.as_ptr().addr() | x.as_ptr().addr() | row) & 3 == 0 && row == x.len() && row > 0
}

/// As [`two_rows`], for rows that follow each other, two for each element of `sums`; nothing where not
/// [`is_aligned`] or where `w` is too short.
#[inline]
pub(crate) fn pairs_of_rows(w: &[u8], x: &[i16], sums: &mut [[i32; 2]]) {
    let row = x.len();
    let fits = row.checked_mul(2 * sums.len()).is_some_and(|end| end <= w.len());
    if sums.is_empty() || !fits || !is_aligned(w, row, x) {
        return;
    }
    // SAFETY: 2·sums.len() rows of `row` bytes are in `w`, and `row` activations in `x`; both begin at multiples of 4 and
    // `row` is one, as `ldrd` asks. r7, which cannot be an operand, is put back.
    unsafe {
        asm!(
            "str r7, [sp, #-8]!",
            "str {count}, [sp, #-8]!",
            "2:",
            "ldrd {a}, {b}, [{sums}]",
            "ldr {count}, [sp]",
            "add {v}, {w}, {count}",
            "tst {count}, #4",
            "beq 3f",
            aligned_four!(),
            "3:",
            "ldr {count}, [sp]",
            "lsrs {count}, {count}, #4",
            "bcc 4f",
            aligned_eight!(),
            // No instruction in between has changed what the shift found: none left.
            "4:",
            "beq 6f",
            "5:",
            aligned_eight!(),
            aligned_eight!(),
            "subs {count}, {count}, #1",
            "bne 5b",
            "6:",
            "strd {a}, {b}, [{sums}], #8",
            "mov {w}, {v}",
            "ldr {count}, [sp]",
            "sub {x}, {x}, {count}, lsl #1",
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            "add sp, #8",
            "ldr r7, [sp], #8",
            x = inout(reg) x.as_ptr() => _,
            w = inout(reg) w.as_ptr() => _,
            count = inout(reg) row => _,
            sums = inout(reg) sums.as_mut_ptr() => _,
            pairs = inout(reg) sums.len() => _,
            v = out(reg) _,
            a = out(reg) _,
            b = out(reg) _,
            even = out(reg) _,
            odd = out(reg) _,
            t = out(reg) _,
            next = out(reg) _,
            after = out(reg) _,
        );
    }
}

/// Two neurons' sums of products of 8-bit weights, a row of them every `stride` bytes, with 16-bit activations. Of four
/// activations the middle two have changed places, as `sxtb16` takes every other byte.
#[inline]
pub(crate) fn two_rows(w: &[u8], stride: usize, x: &[[i16; 4]], sums: [i32; 2]) -> [i32; 2] {
    let fits = (4 * x.len()).checked_add(stride).is_some_and(|end| end <= w.len());
    let [mut a, mut b] = sums;
    if x.is_empty() || !fits {
        return sums;
    }
    // SAFETY: 4·x.len() bytes are in `w` from its begin and from `stride` on, and are read at any address, as is `x`.
    unsafe {
        asm!(
            "lsrs {pairs}, {n}, #1",
            "beq 3f",
            "2:",
            four_products!(),
            four_products!(),
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            "3:",
            "lsls {n}, {n}, #31",
            "beq 4f",
            four_products!(),
            "4:",
            x = inout(reg) x.as_ptr() => _,
            w = inout(reg) w.as_ptr() => _,
            n = inout(reg) x.len() => _,
            stride = in(reg) stride,
            a = inout(reg) a,
            b = inout(reg) b,
            pairs = out(reg) _,
            even = out(reg) _,
            odd = out(reg) _,
            t = out(reg) _,
            u = out(reg) _,
            options(nostack, readonly),
        );
    }
    [a, b]
}

/// The sum of a neuron at `$sum` becomes (sum·multiplier) >> 16; the multiplier's register is used up.
macro_rules! scaled {
    ($sum:literal, $multiplier:literal) => {
        concat!(
            "smull ",
            $multiplier,
            ", ",
            $sum,
            ", ",
            $sum,
            ", ",
            $multiplier,
            "\n",
            "lsr ",
            $multiplier,
            ", ",
            $multiplier,
            ", #16\n",
            "orr ",
            $sum,
            ", ",
            $multiplier,
            ", ",
            $sum,
            ", lsl #16\n",
        )
    };
}

/// `$value`·2^shift for a shift of either sign, the lowest byte of `{shifts}`.
macro_rules! shifted {
    ($value:literal) => {
        concat!(
            "sxtb {t}, {shifts}\n",
            "rsbs {t}, {t}, #0\n",
            "ite gt\n",
            "asrgt ",
            $value,
            ", ",
            $value,
            ", {t}\n",
            "lslle ",
            $value,
            ", ",
            $value,
            ", {shifts}\n",
        )
    };
}

/// The sine of the phase `$z`, by the table as [`crate::integer`] reads it, goes to `{y}`.
macro_rules! sine {
    ($z:literal) => {
        concat!(
            "lsl {t}, ",
            $z,
            ", #1\n",
            "eor {t}, ",
            $z,
            ", {t}, asr #31\n",
            "ubfx {u}, {t}, #22, #8\n",
            // Both ends of the cell at once.
            "ldr {u}, [{table}, {u}, lsl #1]\n",
            "ubfx {t}, {t}, #7, #15\n",
            "uxth {shifts}, {u}\n",
            "rsb {u}, {shifts}, {u}, lsr #16\n",
            "mla {t}, {u}, {t}, {half}\n",
            "add {t}, {shifts}, {t}, asr #15\n",
            "eor {t}, {t}, ",
            $z,
            ", asr #31\n",
            "sub {t}, {t}, ",
            $z,
            ", asr #31\n",
            "strh {t}, [{y}], #2\n",
        )
    };
}

/// Entries of a table of a quarter of the sine: `from` and `to` of 256 cells.
pub(crate) type Table = [i16; 257];

/// Sines of neurons' sums, `[n, 2] -> [n, 2]`, by way of multipliers of 16 bits and shifts within ±31. `table` has no
/// entry below 0.
#[inline]
pub(crate) fn sines(table: &Table, sums: &[[i32; 2]], multipliers: &[i32], shifts: &[i8], y: &mut [[i16; 2]]) {
    let pairs = sums.len();
    if pairs == 0 || y.len() != pairs || multipliers.len() / 2 < pairs || shifts.len() / 2 < pairs {
        return;
    }
    // SAFETY: `pairs` pairs are in all slices; words lie at multiples of 4, as `ldrd` asks, the rest is read at any
    // address. A cell is below 256, so that both its ends are in the table, whatever the sums are.
    unsafe {
        asm!(
            "2:",
            "ldrd {a}, {b}, [{sums}], #8",
            "ldrd {t}, {u}, [{multipliers}], #8",
            "ldrh {shifts}, [{shift}], #2",
            scaled!("{a}", "{t}"),
            scaled!("{b}", "{u}"),
            "tst {shifts}, #0x80808080",
            "bne 4f",
            "lsl {a}, {a}, {shifts}",
            "lsr {shifts}, {shifts}, #8",
            "lsl {b}, {b}, {shifts}",
            "3:",
            sine!("{a}"),
            sine!("{b}"),
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            "b 5f",
            "4:",
            shifted!("{a}"),
            "lsr {shifts}, {shifts}, #8",
            shifted!("{b}"),
            "b 3b",
            "5:",
            table = in(reg) table.as_ptr(),
            half = in(reg) 0x4000,
            sums = inout(reg) sums.as_ptr() => _,
            multipliers = inout(reg) multipliers.as_ptr() => _,
            shift = inout(reg) shifts.as_ptr() => _,
            y = inout(reg) y.as_mut_ptr() => _,
            pairs = inout(reg) pairs => _,
            a = out(reg) _,
            b = out(reg) _,
            t = out(reg) _,
            u = out(reg) _,
            shifts = out(reg) _,
            options(nostack),
        );
    }
}

/// Sines of phases, `[n, 2] -> [n, 2]`. `table` as of [`sines`].
#[inline]
pub(crate) fn sines_of_phases(table: &Table, phases: &[[i32; 2]], y: &mut [[i16; 2]]) {
    if phases.is_empty() || y.len() != phases.len() {
        return;
    }
    // SAFETY: as in `sines`.
    unsafe {
        asm!(
            "2:",
            "ldrd {a}, {b}, [{phases}], #8",
            sine!("{a}"),
            sine!("{b}"),
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            table = in(reg) table.as_ptr(),
            half = in(reg) 0x4000,
            phases = inout(reg) phases.as_ptr() => _,
            y = inout(reg) y.as_mut_ptr() => _,
            pairs = inout(reg) phases.len() => _,
            a = out(reg) _,
            b = out(reg) _,
            t = out(reg) _,
            u = out(reg) _,
            shifts = out(reg) _,
            options(nostack),
        );
    }
}
