//! A model as a stream of pixels or samples over a regular grid.

use crate::{
    describe::{Order, Sampling},
    error::EvalError,
    format::MAX_INPUTS,
    model::Model,
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
        let mut all = [Axis { start: 0.0, step: 0.0, count: 1 }; MAX_INPUTS];
        let mut total = 1usize;
        for (to, from) in all.iter_mut().zip(axes) {
            *to = *from;
            total = total.checked_mul(from.count)?;
        }
        if total == 0 { None } else { Some(Self { model, axes: all, order, next: 0, total }) }
    }

    /// Over the grid the model was fitted on; `None` when its file tells of none.
    pub fn native(model: &'m Model<'a, USES>) -> Option<Self> {
        let grid = model.grid()?;
        let mut axes = [Axis { start: 0.0, step: 0.0, count: 1 }; MAX_INPUTS];
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

    /// The next samples into `y`, `[n, outputs]`, as many as fit; returns how many, 0 at the end.
    ///
    /// # Errors
    /// [`EvalError`] when the scratch is too short; the decoder then stays where it is.
    pub fn fill(&mut self, y: &mut [f32], scratch: &mut [f32]) -> Result<usize, EvalError> {
        const TILE: usize = 16;
        let (inputs, outputs) = (self.model.inputs(), self.model.outputs());
        let mut done = 0;
        let mut rest = y;
        while self.next < self.total {
            let room = rest.len().checked_div(outputs).unwrap_or(0);
            let n = TILE.min(self.total - self.next).min(room);
            if n == 0 {
                break;
            }
            let mut points = [0.0; TILE * MAX_INPUTS];
            for (k, point) in points.chunks_exact_mut(inputs.max(1)).take(n).enumerate() {
                self.coordinate(self.next + k, point);
            }
            let Some((now, later)) = core::mem::take(&mut rest).split_at_mut_checked(n * outputs) else { break };
            self.model.eval_batch(points.get(..n * inputs).unwrap_or(&[]), now, scratch)?;
            rest = later;
            self.next += n;
            done += n;
        }
        Ok(done)
    }

    /// Coordinates of sample `index` of the grid.
    fn coordinate(&self, index: usize, point: &mut [f32]) {
        let mut left = index;
        let mut set = |(x, axis): (&mut f32, &Axis)| {
            let count = axis.count.max(1);
            *x = axis.at(left % count);
            left /= count;
        };
        let inputs = self.model.inputs();
        let axes = self.axes.get(..inputs).unwrap_or(&[]);
        match self.order {
            Order::FirstFastest => point.iter_mut().zip(axes).for_each(&mut set),
            Order::LastFastest => point.iter_mut().zip(axes).rev().for_each(&mut set),
        }
    }
}
