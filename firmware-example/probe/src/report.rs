//! The lines every target prints, `MODEL QUANTITY VALUE`: whole numbers only, as printing one f32 through core::fmt
//! costs 27 KB of flash.

use core::hint::black_box;

use rwf_runtime::{
    Axis, EvalError, GridDecoder, IntegerModel, LoadError, Model, Quantity, SelfTestError,
    describe::{Order, Sampling},
    format::MAX_INPUTS,
};

use crate::{Hash, MODELS, hash, hash_integers};

/// Points evaluated under the counter.
const TIMED: usize = 16;
/// Most points a tile of the measurement has.
const TILE: usize = 4;

/// Samples of a row of the measurement.
const ROW: usize = 16;

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
        let mut loaded = None;
        let stack = self.platform.stack(&mut || loaded = Some(Model::new(bytes)));
        match loaded {
            Some(Ok(model)) => self.floats(&model, bytes, stack, scratch),
            Some(Err(LoadError::Integer)) => self.integers(bytes, bytemuck::cast_slice_mut(scratch)),
            // The words for every error cost flash; `rwf info` has them.
            _ => Err("does not load: see `rwf info`"),
        }
    }

    fn floats(
        &mut self,
        model: &Model<'_>,
        bytes: &[u8],
        stack: Option<usize>,
        scratch: &mut [f32],
    ) -> Result<(), &'static str> {
        let room = (4 * model.scratch_len(), 4 * scratch.len());
        self.sizes(bytes.len(), model.architecture().multiply_adds(), room)?;
        self.tested(model.self_test(scratch))?;
        self.hashed(hash(model, scratch))?;
        self.some("stack-load", stack.map(|n| n as u64));
        let stack = self.stack(model, scratch);
        self.some("stack-eval", stack.map(|n| n as u64));
        let one = self.instructions(model, 1, scratch);
        self.some("instructions-1", one);
        let four = self.instructions(model, TILE, scratch);
        self.some("instructions-4", four);
        let batch = TILE * model.scratch_len();
        let rows = [
            ("instructions-row-apart", Order::FirstFastest, batch),
            ("instructions-row-first", Order::FirstFastest, model.grid_scratch_len()),
            ("instructions-row-last", Order::LastFastest, model.grid_scratch_len()),
        ];
        for (what, order, scratch_len) in rows {
            let row = self.row(model, order, scratch.get_mut(..scratch_len).unwrap_or(&mut []));
            self.some(what, row);
        }
        Ok(())
    }

    fn integers(&mut self, bytes: &[u8], scratch: &mut [i16]) -> Result<(), &'static str> {
        let mut loaded = None;
        let load = self.platform.stack(&mut || loaded = IntegerModel::new(bytes).ok());
        let model = loaded.ok_or("does not load: see `rwf info`")?;
        let room = (2 * model.scratch_len(), 2 * scratch.len());
        self.sizes(bytes.len(), model.architecture().multiply_adds(), room)?;
        self.tested(model.self_test(scratch))?;
        self.hashed(hash_integers(&model, scratch))?;
        self.some("stack-load", load.map(|n| n as u64));
        let (mut x, mut y) = ([0i16; 16], [0i16; 64]);
        for (axis, (x, physical)) in x.iter_mut().zip(points::<1>(|i| model.input(i), model.inputs())).enumerate() {
            *x = model.to_integer(axis, physical);
        }
        let (Some(x), Some(y)) = (x.get(..model.inputs()), y.get_mut(..model.outputs())) else { return Ok(()) };
        let stack = self.platform.stack(&mut || {
            black_box(model.eval_integers(black_box(x), y, scratch).is_ok());
        });
        self.some("stack-eval", stack.map(|n| n as u64));
        let total = self.platform.instructions(&mut || {
            for _ in 0..TIMED {
                black_box(model.eval_integers(black_box(x), y, scratch).is_ok());
                black_box(&y);
            }
        });
        self.some("instructions-1", total.map(|total| total / TIMED as u64));
        Ok(())
    }

    /// What a model takes, and whether its scratch fits what there is.
    fn sizes(&mut self, bytes: usize, adds: usize, (scratch, room): (usize, usize)) -> Result<(), &'static str> {
        self.number("bytes", bytes);
        self.number("multiply-adds", adds);
        self.number("scratch-bytes", scratch);
        if scratch > room { Err("needs more scratch than this program has") } else { Ok(()) }
    }

    fn tested(&mut self, result: Result<(), SelfTestError>) -> Result<(), &'static str> {
        match result {
            Ok(()) => self.line("self-test", "passed"),
            Err(SelfTestError::Missing) => self.line("self-test", "none"),
            Err(_) => return Err("self-test: the bits differ"),
        }
        Ok(())
    }

    fn hashed(&mut self, hash: Option<Result<Hash, EvalError>>) -> Result<(), &'static str> {
        let Some(Ok(hash)) = hash else { return Err("the grid cannot be decoded") };
        self.number("samples", hash.samples);
        self.hex("output-hash", hash.hash);
        Ok(())
    }

    fn stack(&mut self, model: &Model<'_>, scratch: &mut [f32]) -> Option<usize> {
        let mut values = [0.0f32; 64];
        let y = values.get_mut(..model.outputs())?;
        let x = points::<1>(|i| model.input(i), model.inputs());
        let x = x.get(..model.inputs())?;
        self.platform.stack(&mut || {
            black_box(model.eval(black_box(x), y, scratch).is_ok());
        })
    }

    /// Instructions of one evaluation, tiles of `points`; `None` when the scratch is too short for them.
    fn instructions(&mut self, model: &Model<'_>, count: usize, scratch: &mut [f32]) -> Option<u64> {
        let mut values = [0.0f32; 64];
        let y = values.get_mut(..count * model.outputs())?;
        let x = points::<TILE>(|i| model.input(i), model.inputs());
        let x = x.get(..count * model.inputs())?;
        let scratch = scratch.get_mut(..count * model.scratch_len())?;
        let total = self.platform.instructions(&mut || {
            for _ in 0..TIMED / count {
                // What a program calls for one point, or for some.
                let done = if count == 1 {
                    model.eval(black_box(x), y, scratch)
                } else {
                    model.eval_batch(black_box(x), y, scratch)
                };
                black_box(done.is_ok());
                black_box(&y);
            }
        })?;
        Some(total / TIMED as u64)
    }

    /// Instructions of a point of a row of [`ROW`] samples, in which the first or the last input runs; the scratch says
    /// whether there is room for what they share.
    fn row(&mut self, model: &Model<'_>, order: Order, scratch: &mut [f32]) -> Option<u64> {
        let mut values = [0.0f32; 64];
        let y = values.get_mut(..ROW * model.outputs())?;
        let input = if order == Order::FirstFastest { 0 } else { model.inputs().checked_sub(1)? };
        let axis = |i: usize| {
            let (lo, hi) = model.input(i).map_or((0.0, 1.0), |domain| (domain.lo, domain.hi));
            Axis::over(lo, hi, if i == input { ROW } else { 1 }, Sampling::Cell)
        };
        // Not under the counter: the header's text is read for it.
        let mut axes = [axis(0); MAX_INPUTS];
        axes.iter_mut().enumerate().for_each(|(i, to)| *to = axis(i));
        let axis = |i: usize| axes.get(i).copied().unwrap_or(axes[0]);
        GridDecoder::with(model, axis, order)?.fill(y, scratch).ok()?;
        let total = self.platform.instructions(&mut || {
            for _ in 0..TIMED / ROW {
                let decoder = GridDecoder::with(black_box(model), axis, order);
                black_box(decoder.map(|mut decoder| decoder.fill(y, scratch).is_ok()));
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
fn points<'m, const N: usize>(input: impl Fn(usize) -> Option<Quantity<'m>>, inputs: usize) -> [f32; 64] {
    let mut points = [0.0; 64];
    for (k, point) in points.chunks_exact_mut(inputs.max(1)).take(N).enumerate() {
        for (i, x) in point.iter_mut().enumerate() {
            let (lo, hi) = input(i).map_or((0.0, 1.0), |domain| (domain.lo, domain.hi));
            *x = lo + (hi - lo) * (0.3 + 0.11 * k as f32 + 0.07 * i as f32);
        }
    }
    points
}
