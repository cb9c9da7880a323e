//! The lines every target prints, `MODEL QUANTITY VALUE`: whole numbers only, as printing one f32 through core::fmt
//! costs 27 KB of flash.

use core::hint::black_box;

use rwf_runtime::{Model, SelfTestError};

use crate::{MODELS, hash};

/// Points evaluated under the counter.
const TIMED: usize = 16;
/// Most points a tile of the measurement has.
const TILE: usize = 4;

/// What a target has to offer.
pub trait Platform {
    /// Prints.
    fn text(&mut self, text: &str);

    /// Instructions `work` took; `None` where they cannot be counted.
    fn instructions(&mut self, work: &mut dyn FnMut()) -> Option<u64> {
        work();
        None
    }

    /// Bytes of stack `work` took; `None` where that cannot be measured.
    fn stack(&mut self, work: &mut dyn FnMut()) -> Option<usize> {
        work();
        None
    }
}

/// Prints what there is to know of every model in [`MODELS`]; whether all of it is as it should be.
pub fn report(platform: &mut impl Platform, scratch: &mut [f32]) -> bool {
    let mut fine = !MODELS.is_empty();
    for (name, bytes) in MODELS {
        let mut printer = Printer { platform, name };
        if let Err(why) = printer.model(bytes, scratch) {
            printer.line("FAILED", why);
            fine = false;
        }
    }
    fine
}

struct Printer<'p, P> {
    platform: &'p mut P,
    name: &'static str,
}

impl<P: Platform> Printer<'_, P> {
    fn model(&mut self, bytes: &[u8], scratch: &mut [f32]) -> Result<(), &'static str> {
        // The words for every error cost flash; `rwf info` has them.
        let load = "does not load: see `rwf info`";
        let mut loaded = None;
        let stack = self.platform.stack(&mut || loaded = Model::new(bytes).ok());
        let model = loaded.ok_or(load)?;
        self.number("bytes", bytes.len());
        self.number("multiply-adds", model.architecture().multiply_adds());
        self.number("scratch-bytes", 4 * model.scratch_len());
        if model.scratch_len() > scratch.len() {
            return Err("needs more scratch than this program has");
        }
        match model.self_test(scratch) {
            Ok(()) => self.line("self-test", "passed"),
            Err(SelfTestError::Missing) => self.line("self-test", "none"),
            Err(_) => return Err("self-test: the bits differ"),
        }
        match hash(&model, scratch) {
            Some(Ok(hash)) => {
                self.number("samples", hash.samples);
                self.hex("output-hash", hash.hash);
            }
            _ => return Err("the grid cannot be decoded"),
        }
        self.some("stack-load", stack.map(|n| n as u64));
        let stack = self.stack(&model, scratch);
        self.some("stack-eval", stack.map(|n| n as u64));
        let one = self.instructions(&model, 1, scratch);
        self.some("instructions-1", one);
        let four = self.instructions(&model, TILE, scratch);
        self.some("instructions-4", four);
        Ok(())
    }

    fn stack(&mut self, model: &Model<'_>, scratch: &mut [f32]) -> Option<usize> {
        let mut values = [0.0f32; 64];
        let y = values.get_mut(..model.outputs())?;
        let x = points::<1>(model);
        let x = x.get(..model.inputs())?;
        self.platform.stack(&mut || {
            black_box(model.eval(black_box(x), y, scratch).is_ok());
        })
    }

    /// Instructions of one evaluation, tiles of `points`; `None` when the scratch is too short for them.
    fn instructions(&mut self, model: &Model<'_>, count: usize, scratch: &mut [f32]) -> Option<u64> {
        let mut values = [0.0f32; 64];
        let y = values.get_mut(..count * model.outputs())?;
        let x = points::<TILE>(model);
        let x = x.get(..count * model.inputs())?;
        let scratch = scratch.get_mut(..count * model.scratch_len())?;
        let total = self.platform.instructions(&mut || {
            for _ in 0..TIMED / count {
                black_box(model.eval_batch(black_box(x), y, scratch).is_ok());
                black_box(&y);
            }
        })?;
        Some(total / TIMED as u64)
    }

    fn text(&mut self, text: &str) {
        self.platform.text(text);
    }

    fn line(&mut self, quantity: &str, value: &str) {
        for text in [self.name, " ", quantity, " ", value, "\n"] {
            self.text(text);
        }
    }

    fn some(&mut self, quantity: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.digits::<20>(quantity, value, 10);
        }
    }

    fn number(&mut self, quantity: &str, value: usize) {
        self.digits::<20>(quantity, value as u64, 10);
    }

    fn hex(&mut self, quantity: &str, value: u64) {
        self.digits::<16>(quantity, value, 16);
    }

    /// `value` in `N` digits, decimal ones without leading zeros.
    fn digits<const N: usize>(&mut self, quantity: &str, mut value: u64, base: u64) {
        let mut digits = [b'0'; N];
        let mut used = 0;
        for slot in digits.iter_mut().rev() {
            *slot = b"0123456789abcdef".get((value % base) as usize).copied().unwrap_or(b'?');
            value /= base;
            used += 1;
            if value == 0 && base == 10 {
                break;
            }
        }
        let shown = digits.get(N - used..).unwrap_or(&[]);
        self.line(quantity, core::str::from_utf8(shown).unwrap_or("?"));
    }
}

/// `N` points spread over the model's domain, `[N, inputs]`.
fn points<const N: usize>(model: &Model<'_>) -> [f32; 64] {
    let mut points = [0.0; 64];
    let inputs = model.inputs().max(1);
    for (k, point) in points.chunks_exact_mut(inputs).take(N).enumerate() {
        for (i, x) in point.iter_mut().enumerate() {
            let (lo, hi) = model.input(i).map_or((0.0, 1.0), |domain| (domain.lo, domain.hi));
            *x = lo + (hi - lo) * (0.3 + 0.11 * k as f32 + 0.07 * i as f32);
        }
    }
    points
}
