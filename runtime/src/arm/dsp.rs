//! Products of integers for cores with the DSP extension (Cortex-M4, M7): `smlad` does two of 16 bits at once.

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
