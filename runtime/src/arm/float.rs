//! Products of f32 for cores with a single-precision unit (Cortex-M4F, M7, M33): `vldm` brings many weights at once.
//!
//! A product and a sum are one instruction each, `vmul` and `vadd` of one cycle on a Cortex-M4, rather than `vmla`, whose
//! bits are the same (it rounds the product too) but which takes three; with four points three in eight are `vmla`, for
//! code that is half an instruction shorter.

use core::arch::asm;

/// Outputs of [`one_point`].
pub(crate) const ONE: usize = 16;
/// Outputs and points of [`four_points`].
pub(crate) const FOUR: usize = 4;

/// Whether `rows` rows of `columns` numbers, `stride` apart, lie inside `length` of them.
#[inline(always)]
fn inside(rows: usize, columns: usize, stride: usize, length: usize) -> bool {
    let Some(before) = rows.checked_sub(1).and_then(|n| n.checked_mul(stride)) else { return false };
    before.checked_add(columns).is_some_and(|end| end <= length) && columns <= stride
}

/// Eight sums of one point: the weights that are next, times the input in `$x`, to `$y..`.
macro_rules! eight_sums {
    ($x:literal, $y0:literal $y1:literal $y2:literal $y3:literal $y4:literal $y5:literal $y6:literal $y7:literal) => {
        concat!(
            "vldmia {w}!, {{s0-s7}}\n",
            "vmul.f32 s0, s0, ",
            $x,
            "\n",
            "vmul.f32 s1, s1, ",
            $x,
            "\n",
            "vmul.f32 s2, s2, ",
            $x,
            "\n",
            "vmul.f32 s3, s3, ",
            $x,
            "\n",
            "vmul.f32 s4, s4, ",
            $x,
            "\n",
            "vmul.f32 s5, s5, ",
            $x,
            "\n",
            "vmul.f32 s6, s6, ",
            $x,
            "\n",
            "vmul.f32 s7, s7, ",
            $x,
            "\n",
            "vadd.f32 ",
            $y0,
            ", ",
            $y0,
            ", s0\n",
            "vadd.f32 ",
            $y1,
            ", ",
            $y1,
            ", s1\n",
            "vadd.f32 ",
            $y2,
            ", ",
            $y2,
            ", s2\n",
            "vadd.f32 ",
            $y3,
            ", ",
            $y3,
            ", s3\n",
            "vadd.f32 ",
            $y4,
            ", ",
            $y4,
            ", s4\n",
            "vadd.f32 ",
            $y5,
            ", ",
            $y5,
            ", s5\n",
            "vadd.f32 ",
            $y6,
            ", ",
            $y6,
            ", s6\n",
            "vadd.f32 ",
            $y7,
            ", ",
            $y7,
            ", s7",
        )
    };
}

/// `y[o] += x[i]·w[i·stride + o]` for i in order.
#[inline]
pub(crate) fn one_point(w: &[f32], stride: usize, x: &[f32], y: &mut [f32; ONE]) {
    if !inside(x.len(), ONE, stride, w.len()) {
        return;
    }
    // SAFETY: `inside` has seen to it that x.len() > 0 rows of 16 weights are in `w`; `x` is read x.len() times, `y` 16.
    unsafe {
        asm!(
            "vldmia {y}, {{s16-s31}}",
            "lsrs {pairs}, {n}, #1",
            "beq 3f",
            "2:",
            "vldmia {x}!, {{s8-s9}}",
            eight_sums!("s8", "s16" "s17" "s18" "s19" "s20" "s21" "s22" "s23"),
            eight_sums!("s8", "s24" "s25" "s26" "s27" "s28" "s29" "s30" "s31"),
            "add {w}, {w}, {step}",
            eight_sums!("s9", "s16" "s17" "s18" "s19" "s20" "s21" "s22" "s23"),
            eight_sums!("s9", "s24" "s25" "s26" "s27" "s28" "s29" "s30" "s31"),
            "add {w}, {w}, {step}",
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            "3:",
            "lsls {n}, {n}, #31",
            "beq 4f",
            "vldmia {x}, {{s8}}",
            eight_sums!("s8", "s16" "s17" "s18" "s19" "s20" "s21" "s22" "s23"),
            eight_sums!("s8", "s24" "s25" "s26" "s27" "s28" "s29" "s30" "s31"),
            "4:",
            "vstmia {y}, {{s16-s31}}",
            x = inout(reg) x.as_ptr() => _,
            w = inout(reg) w.as_ptr() => _,
            n = inout(reg) x.len() => _,
            pairs = out(reg) _,
            y = in(reg) y.as_mut_ptr(),
            step = in(reg) 4 * (stride - ONE),
            out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _, out("s7") _,
            out("s8") _, out("s9") _,
            out("s16") _, out("s17") _, out("s18") _, out("s19") _, out("s20") _, out("s21") _, out("s22") _,
            out("s23") _, out("s24") _, out("s25") _, out("s26") _, out("s27") _, out("s28") _, out("s29") _,
            out("s30") _, out("s31") _,
            options(nostack),
        );
    }
}

/// Four points' sums of four outputs, one weight of an output (`$w`) times one input of every point (`$x`).
macro_rules! four_sums {
    (vmul $w:literal, $x0:literal $x1:literal $x2:literal $x3:literal, $y0:literal $y1:literal $y2:literal $y3:literal) => {
        concat!(
            "vmul.f32 s12, ",
            $w,
            ", ",
            $x0,
            "\n",
            "vmul.f32 s13, ",
            $w,
            ", ",
            $x1,
            "\n",
            "vmul.f32 s14, ",
            $w,
            ", ",
            $x2,
            "\n",
            "vmul.f32 s15, ",
            $w,
            ", ",
            $x3,
            "\n",
            "vadd.f32 ",
            $y0,
            ", ",
            $y0,
            ", s12\n",
            "vadd.f32 ",
            $y1,
            ", ",
            $y1,
            ", s13\n",
            "vadd.f32 ",
            $y2,
            ", ",
            $y2,
            ", s14\n",
            "vadd.f32 ",
            $y3,
            ", ",
            $y3,
            ", s15",
        )
    };
    (vmla $w:literal, $x0:literal $x1:literal $x2:literal $x3:literal, $y0:literal $y1:literal $y2:literal $y3:literal) => {
        concat!(
            "vmla.f32 ",
            $y0,
            ", ",
            $w,
            ", ",
            $x0,
            "\n",
            "vmla.f32 ",
            $y1,
            ", ",
            $w,
            ", ",
            $x1,
            "\n",
            "vmla.f32 ",
            $y2,
            ", ",
            $w,
            ", ",
            $x2,
            "\n",
            "vmla.f32 ",
            $y3,
            ", ",
            $w,
            ", ",
            $x3,
        )
    };
}

/// `y[o][p] += x[i][p]·w[i·stride + o]` for i in order, `y` `[4 outputs, 4 points]`, `x` `[inputs, 4 points]`.
#[inline]
pub(crate) fn four_points(w: &[f32], stride: usize, x: &[[f32; FOUR]], y: &mut [[f32; FOUR]; FOUR]) {
    if !inside(x.len(), FOUR, stride, w.len()) {
        return;
    }
    // SAFETY: `inside` has seen to it that x.len() > 0 rows of 4 weights are in `w`; `x` is read x.len() times.
    unsafe {
        asm!(
            "vldmia {y}, {{s16-s31}}",
            "lsrs {pairs}, {n}, #1",
            "beq 3f",
            "2:",
            "vldmia {x}!, {{s0-s7}}",
            "vldmia {w}, {{s8-s11}}",
            "add {w}, {w}, {step}",
            four_sums!(vmul "s8", "s0" "s1" "s2" "s3", "s16" "s17" "s18" "s19"),
            four_sums!(vmul "s9", "s0" "s1" "s2" "s3", "s20" "s21" "s22" "s23"),
            four_sums!(vmul "s10", "s0" "s1" "s2" "s3", "s24" "s25" "s26" "s27"),
            four_sums!(vmla "s11", "s0" "s1" "s2" "s3", "s28" "s29" "s30" "s31"),
            "vldmia {w}, {{s8-s11}}",
            "add {w}, {w}, {step}",
            four_sums!(vmul "s8", "s4" "s5" "s6" "s7", "s16" "s17" "s18" "s19"),
            four_sums!(vmul "s9", "s4" "s5" "s6" "s7", "s20" "s21" "s22" "s23"),
            four_sums!(vmla "s10", "s4" "s5" "s6" "s7", "s24" "s25" "s26" "s27"),
            four_sums!(vmla "s11", "s4" "s5" "s6" "s7", "s28" "s29" "s30" "s31"),
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            "3:",
            "lsls {n}, {n}, #31",
            "beq 4f",
            "vldmia {x}, {{s0-s3}}",
            "vldmia {w}, {{s8-s11}}",
            four_sums!(vmul "s8", "s0" "s1" "s2" "s3", "s16" "s17" "s18" "s19"),
            four_sums!(vmul "s9", "s0" "s1" "s2" "s3", "s20" "s21" "s22" "s23"),
            four_sums!(vmul "s10", "s0" "s1" "s2" "s3", "s24" "s25" "s26" "s27"),
            four_sums!(vmla "s11", "s0" "s1" "s2" "s3", "s28" "s29" "s30" "s31"),
            "4:",
            "vstmia {y}, {{s16-s31}}",
            x = inout(reg) x.as_ptr() => _,
            w = inout(reg) w.as_ptr() => _,
            n = inout(reg) x.len() => _,
            pairs = out(reg) _,
            y = in(reg) y.as_mut_ptr(),
            step = in(reg) 4 * stride,
            out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _, out("s7") _,
            out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _, out("s14") _,
            out("s15") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _, out("s20") _, out("s21") _,
            out("s22") _, out("s23") _, out("s24") _, out("s25") _, out("s26") _, out("s27") _, out("s28") _,
            out("s29") _, out("s30") _, out("s31") _,
            options(nostack),
        );
    }
}

/// One output of one point: `y += x[i]·w[i·stride]` for i in order.
#[inline]
pub(crate) fn one_point_one_output(w: &[f32], stride: usize, x: &[f32], y: &mut f32) {
    if !inside(x.len(), 1, stride, w.len()) {
        return;
    }
    // SAFETY: `inside` has seen to it that x.len() > 0 rows of a weight are in `w`; `x` is read x.len() times.
    unsafe {
        asm!(
            "vldr s2, [{y}]",
            "2:",
            "vldmia {x}!, {{s0}}",
            "vldr s1, [{w}]",
            "add {w}, {w}, {step}",
            "vmul.f32 s0, s0, s1",
            "subs {n}, {n}, #1",
            "vadd.f32 s2, s2, s0",
            "bne 2b",
            "vstr s2, [{y}]",
            x = inout(reg) x.as_ptr() => _,
            w = inout(reg) w.as_ptr() => _,
            n = inout(reg) x.len() => _,
            step = in(reg) 4 * stride,
            y = in(reg) core::ptr::from_mut(y),
            out("s0") _, out("s1") _, out("s2") _,
            options(nostack),
        );
    }
}

/// One output of four points: `y[p] += x[i][p]·w[i·stride]` for i in order.
#[inline]
pub(crate) fn four_points_one_output(w: &[f32], stride: usize, x: &[[f32; FOUR]], y: &mut [f32; FOUR]) {
    if !inside(x.len(), 1, stride, w.len()) {
        return;
    }
    // SAFETY: `inside` has seen to it that x.len() > 0 rows of a weight are in `w`; `x` is read x.len() times.
    unsafe {
        asm!(
            "vldmia {y}, {{s8-s11}}",
            "2:",
            "vldmia {x}!, {{s0-s3}}",
            "vldr s4, [{w}]",
            "add {w}, {w}, {step}",
            four_sums!(vmul "s4", "s0" "s1" "s2" "s3", "s8" "s9" "s10" "s11"),
            "subs {n}, {n}, #1",
            "bne 2b",
            "vstmia {y}, {{s8-s11}}",
            x = inout(reg) x.as_ptr() => _,
            w = inout(reg) w.as_ptr() => _,
            n = inout(reg) x.len() => _,
            y = in(reg) y.as_mut_ptr(),
            step = in(reg) 4 * stride,
            out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _,
            out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _, out("s14") _,
            out("s15") _,
            options(nostack),
        );
    }
}

/// Halves as f32, exactly; they are finite.
#[inline]
pub(crate) fn widen(from: &[[u8; 2]; 16], to: &mut [f32; 16]) {
    // SAFETY: reads 32 bytes at `from`, at any address, and writes 16 numbers at `to`.
    unsafe {
        asm!(
            "ldr {a}, [{from}]",
            "ldr {b}, [{from}, #4]",
            "ldr {c}, [{from}, #8]",
            "ldr {d}, [{from}, #12]",
            "vmov s8, {a}",
            "vmov s9, {b}",
            "vmov s10, {c}",
            "vmov s11, {d}",
            "ldr {a}, [{from}, #16]",
            "ldr {b}, [{from}, #20]",
            "ldr {c}, [{from}, #24]",
            "ldr {d}, [{from}, #28]",
            "vcvtb.f32.f16 s0, s8",
            "vcvtt.f32.f16 s1, s8",
            "vcvtb.f32.f16 s2, s9",
            "vcvtt.f32.f16 s3, s9",
            "vcvtb.f32.f16 s4, s10",
            "vcvtt.f32.f16 s5, s10",
            "vcvtb.f32.f16 s6, s11",
            "vcvtt.f32.f16 s7, s11",
            "vmov s8, {a}",
            "vmov s10, {b}",
            "vmov s12, {c}",
            "vmov s14, {d}",
            "vcvtt.f32.f16 s9, s8",
            "vcvtb.f32.f16 s8, s8",
            "vcvtt.f32.f16 s11, s10",
            "vcvtb.f32.f16 s10, s10",
            "vcvtt.f32.f16 s13, s12",
            "vcvtb.f32.f16 s12, s12",
            "vcvtt.f32.f16 s15, s14",
            "vcvtb.f32.f16 s14, s14",
            "vstmia {to}, {{s0-s15}}",
            from = in(reg) from.as_ptr(),
            to = in(reg) to.as_mut_ptr(),
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _, out("s7") _,
            out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _, out("s14") _,
            out("s15") _,
            options(nostack, preserves_flags),
        );
    }
}
