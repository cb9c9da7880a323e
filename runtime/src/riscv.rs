//! Products of integers for RISC-V in assembly: the compiler reads all of a row's weights before it multiplies, has no
//! registers for them, and spends a tenth of its instructions on putting them away. The scalar twin is in
//! [`crate::integer`]; the emulated boards are held to the bits of the host, which has only that.
#![allow(unsafe_code, reason = "assembly; what it reads and writes is checked before")]

use core::arch::asm;

/// The activation at `$x` times the weights of four neurons at `$w` of their rows.
macro_rules! four_products {
    ($x:literal, $w:literal) => {
        concat!(
            "lh {t}, ",
            $x,
            "({x})\n",
            "lb {u}, ",
            $w,
            "({w})\n",
            "mul {u}, {u}, {t}\n",
            "add {a}, {a}, {u}\n",
            "lb {u}, ",
            $w,
            "({w1})\n",
            "mul {u}, {u}, {t}\n",
            "add {b}, {b}, {u}\n",
            "lb {u}, ",
            $w,
            "({w2})\n",
            "mul {u}, {u}, {t}\n",
            "add {c}, {c}, {u}\n",
            "lb {u}, ",
            $w,
            "({w3})\n",
            "mul {u}, {u}, {t}\n",
            "add {d}, {d}, {u}\n",
        )
    };
}

/// Goes on by so many activations.
macro_rules! next {
    ($x:literal, $w:literal) => {
        concat!(
            "addi {x}, {x}, ",
            $x,
            "\n",
            "addi {w}, {w}, ",
            $w,
            "\n",
            "addi {w1}, {w1}, ",
            $w,
            "\n",
            "addi {w2}, {w2}, ",
            $w,
            "\n",
            "addi {w3}, {w3}, ",
            $w,
            "\n",
        )
    };
}

/// Adds the products of rows of 8-bit weights with 16-bit activations: four rows, each as long as `x`, for each element of
/// `sums`. Nothing where `w` is too short.
#[inline]
pub(crate) fn fours_of_rows(w: &[u8], x: &[i16], sums: &mut [[i32; 4]]) {
    let row = x.len();
    let fits = row.checked_mul(4 * sums.len()).is_some_and(|end| end <= w.len());
    if sums.is_empty() || x.is_empty() || !fits {
        return;
    }
    // SAFETY: 4·sums.len() rows of `row` bytes are in `w`, and `row` activations in `x`.
    unsafe {
        asm!(
            "2:",
            "add {w1}, {w}, {row}",
            "add {w2}, {w1}, {row}",
            "add {w3}, {w2}, {row}",
            "lw {a}, 0({sums})",
            "lw {b}, 4({sums})",
            "lw {c}, 8({sums})",
            "lw {d}, 12({sums})",
            // `w` goes on to where `w1` began.
            "andi {end}, {row}, -8",
            "add {end}, {end}, {w}",
            "beq {end}, {w}, 4f",
            "3:",
            four_products!("0", "0"),
            four_products!("2", "1"),
            four_products!("4", "2"),
            four_products!("6", "3"),
            four_products!("8", "4"),
            four_products!("10", "5"),
            four_products!("12", "6"),
            four_products!("14", "7"),
            next!("16", "8"),
            "bne {w}, {end}, 3b",
            "4:",
            "andi {end}, {row}, 7",
            "add {end}, {end}, {w}",
            "beq {end}, {w}, 6f",
            "5:",
            four_products!("0", "0"),
            next!("2", "1"),
            "bne {w}, {end}, 5b",
            "6:",
            "sw {a}, 0({sums})",
            "sw {b}, 4({sums})",
            "sw {c}, 8({sums})",
            "sw {d}, 12({sums})",
            "addi {sums}, {sums}, 16",
            "mv {w}, {w3}",
            "sub {x}, {x}, {row}",
            "sub {x}, {x}, {row}",
            "bne {sums}, {last}, 2b",
            w = inout(reg) w.as_ptr() => _,
            x = inout(reg) x.as_ptr() => _,
            sums = inout(reg) sums.as_mut_ptr() => _,
            last = in(reg) sums.as_ptr_range().end,
            row = in(reg) row,
            w1 = out(reg) _,
            w2 = out(reg) _,
            w3 = out(reg) _,
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            end = out(reg) _,
            t = out(reg) _,
            u = out(reg) _,
            options(nostack),
        );
    }
}
