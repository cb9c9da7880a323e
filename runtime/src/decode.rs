//! A model as a stream of pixels or samples over a regular grid.

use crate::{
    describe::{Order, Sampling},
    error::EvalError,
    format::MAX_INPUTS,
    model::{Model, NARROW, WIDE},
    network::{Points, RowPoints},
    row::Row,
    uses,
};

/// Regular samples along one input: the i-th lies at start + i·step, in physical units.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Axis {
    /// First sample.
    pub start: f32,
    /// Distance of two samples.
    pub step: f32,
    /// Number of samples.
    pub count: usize,
}

impl Axis {
    /// `count` samples over a domain.
    pub fn over(lo: f32, hi: f32, count: usize, sampling: Sampling) -> Self {
        match sampling {
            Sampling::Cell => {
                let step = (hi - lo) / count as f32;
                Self { start: lo + 0.5 * step, step, count }
            }
            Sampling::Node => {
                let step = if count > 1 { (hi - lo) / (count - 1) as f32 } else { 0.0 };
                Self { start: lo, step, count }
            }
        }
    }

    /// Coordinate of sample `i`.
    pub fn at(&self, i: usize) -> f32 {
        self.start + i as f32 * self.step
    }
}

/// No samples but one at 0.
const NO_AXIS: Axis = Axis { start: 0.0, step: 0.0, count: 1 };
/// Points from which on it pays to know beforehand what a row's points share.
const LEAST: usize = 4;

/// A part of a row, and how it is evaluated.
type Each<'f, 'a, const USES: u32> = dyn FnMut(Span<'_, 'a, USES>, &mut [f32], &mut [f32]) + 'f;

/// Samples `first..end` of a row through `point`.
#[derive(Clone, Copy)]
struct Span<'s, 'a, const USES: u32> {
    model: &'s Model<'a, USES>,
    point: &'s [f32],
    row: &'s Row<'s>,
    axis: Axis,
    first: usize,
    end: usize,
}

impl<'s, const USES: u32> Span<'s, '_, USES> {
    /// As many tiles of `L` points as there are; what is left comes back.
    fn tiles<'y, const L: usize>(mut self, mut y: &'y mut [f32], scratch: &mut [f32]) -> (Self, &'y mut [f32]) {
        while self.end - self.first >= L {
            let rest = core::mem::take(&mut y);
            let Some((now, later)) = rest.split_at_mut_checked(L * self.model.outputs()) else { break };
            self.tile::<L>(now, scratch);
            (self.first, y) = (self.first + L, later);
        }
        (self, y)
    }

    /// All of them by tiles of `L`, the last filled up.
    fn filled_tiles<const L: usize>(mut self, y: &mut [f32], scratch: &mut [f32]) {
        for y in y.chunks_mut((L * self.model.outputs()).max(1)) {
            self.tile::<L>(y, scratch);
            self.first += L;
        }
    }

    fn tile<const L: usize>(&self, y: &mut [f32], scratch: &mut [f32]) {
        let inputs = self.point.len();
        let mut points = [[0.0; MAX_INPUTS]; L];
        let points = points.as_flattened_mut();
        for (lane, to) in points.chunks_exact_mut(inputs.max(1)).take(L).enumerate() {
            for (i, (to, x)) in to.iter_mut().zip(self.point).enumerate() {
                *to = if i == self.row.input { self.axis.at(self.first + lane) } else { *x };
            }
        }
        let points = Points { x: points.get(..L * inputs).unwrap_or(&[]), inputs };
        self.model.store_tile::<_, L>(&RowPoints { points, row: Some(self.row) }, y, scratch);
    }
}

/// Samples of a model over a grid, in the order of its file: row by row for an image.
#[derive(Debug)]
pub struct GridDecoder<'m, 'a, const USES: u32 = { uses::ALL }> {
    model: &'m Model<'a, USES>,
    axes: [Axis; MAX_INPUTS],
    order: Order,
    next: usize,
    total: usize,
}

impl<'m, 'a, const USES: u32> GridDecoder<'m, 'a, USES> {
    /// Over these axes, one per input; `None` when they are not, or when the grid has no sample or too many to count.
    pub fn new(model: &'m Model<'a, USES>, axes: &[Axis], order: Order) -> Option<Self> {
        if axes.len() != model.inputs() {
            return None;
        }
        Self::with(model, |i| axes.get(i).copied().unwrap_or(NO_AXIS), order)
    }

    /// Over the axes that `axis` gives by the input's number; `None` when the grid has no sample or too many to count.
    pub fn with(model: &'m Model<'a, USES>, axis: impl Fn(usize) -> Axis, order: Order) -> Option<Self> {
        let mut axes = [NO_AXIS; MAX_INPUTS];
        let mut total = 1usize;
        for (i, to) in axes.iter_mut().enumerate().take(model.inputs()) {
            *to = axis(i);
            total = total.checked_mul(to.count)?;
        }
        if total == 0 { None } else { Some(Self { model, axes, order, next: 0, total }) }
    }

    /// Over the grid the model was fitted on; `None` when its file tells of none.
    pub fn native(model: &'m Model<'a, USES>) -> Option<Self> {
        let grid = model.grid()?;
        let mut axes = [NO_AXIS; MAX_INPUTS];
        for (i, (axis, &count)) in axes.iter_mut().zip(&grid.counts).enumerate() {
            let domain = model.input(i)?;
            *axis = Axis::over(domain.lo, domain.hi, count, grid.sampling);
        }
        Self::new(model, axes.get(..model.inputs())?, grid.order)
    }

    /// Samples still to come.
    pub fn remaining(&self) -> usize {
        self.total - self.next
    }

    /// The next samples into `y`, `[n, outputs]`, as many as fit; returns how many, 0 at the end. The bits are those of
    /// [`Model::eval`] at each.
    ///
    /// # Errors
    /// [`EvalError`] when the scratch is shorter than [`Model::scratch_len`]; the decoder then stays where it is.
    pub fn fill(&mut self, y: &mut [f32], scratch: &mut [f32]) -> Result<usize, EvalError> {
        let need = self.model.scratch_len();
        if scratch.len() < need {
            return Err(EvalError::ScratchLength);
        }
        let lanes = [WIDE, NARROW].into_iter().find(|lanes| scratch.len() >= lanes * need).unwrap_or(1);
        Ok(self.rows(y, scratch, lanes * need, &mut |span, y, scratch| {
            let (span, y) = if lanes >= WIDE { span.tiles::<WIDE>(y, scratch) } else { (span, y) };
            let (span, y) = if lanes >= NARROW { span.tiles::<NARROW>(y, scratch) } else { (span, y) };
            span.tiles::<1>(y, scratch);
        }))
    }

    /// [`GridDecoder::fill`] by tiles of `L` points alone; see [`Model::eval_tiled`].
    ///
    /// # Errors
    /// [`EvalError`] when the scratch is shorter than [`Model::tiled_scratch_len`]; the decoder then stays where it is.
    pub fn fill_tiled<const L: usize>(&mut self, y: &mut [f32], scratch: &mut [f32]) -> Result<usize, EvalError> {
        let need = self.model.tiled_scratch_len::<L>();
        if scratch.len() < need {
            return Err(EvalError::ScratchLength);
        }
        Ok(self.rows(y, scratch, need, &mut |span, y, scratch| span.filled_tiles::<L>(y, scratch)))
    }

    /// The input that runs fastest.
    fn input(&self) -> usize {
        match self.order {
            Order::FirstFastest => 0,
            Order::LastFastest => self.model.inputs().saturating_sub(1),
        }
    }

    /// The next samples row by row: `each` gets a part of one, its values and `need` numbers of scratch. Returns how many
    /// they were.
    #[inline(never)]
    fn rows(&mut self, y: &mut [f32], scratch: &mut [f32], need: usize, each: &mut Each<'_, 'a, USES>) -> usize {
        let (inputs, outputs, input) = (self.model.inputs(), self.model.outputs(), self.input());
        let axis = self.axes.get(input).copied().unwrap_or(NO_AXIS);
        let Some((scratch, room)) = scratch.split_at_mut_checked(need) else { return 0 };
        let (mut done, mut rest) = (0, y);
        while self.next < self.total {
            let first = self.next % axis.count.max(1);
            let n = (axis.count - first).min(rest.len().checked_div(outputs).unwrap_or(0));
            let Some((now, later)) = core::mem::take(&mut rest).split_at_mut_checked(n * outputs) else { break };
            if now.is_empty() {
                break;
            }
            let mut point = [0.0; MAX_INPUTS];
            let Some(point) = point.get_mut(..inputs) else { break };
            self.coordinate(self.next, point);
            // For a few points it would cost more than it saves.
            let room = if n < LEAST { &mut [][..] } else { &mut *room };
            let mut row = Row { input, ..Row::default() };
            self.model.share(&mut row, point, room);
            each(Span { model: self.model, point, row: &row, axis, first, end: first + n }, now, scratch);
            rest = later;
            self.next += n;
            done += n;
        }
        done
    }

    /// Coordinates of sample `index` of the grid.
    #[inline(never)]
    fn coordinate(&self, index: usize, point: &mut [f32]) {
        let (mut left, inputs) = (index, self.model.inputs());
        for k in 0..inputs {
            let input = match self.order {
                Order::FirstFastest => k,
                Order::LastFastest => inputs - 1 - k,
            };
            let (Some(x), Some(axis)) = (point.get_mut(input), self.axes.get(input)) else { continue };
            let count = axis.count.max(1);
            *x = axis.at(left % count);
            left /= count;
        }
    }
}
