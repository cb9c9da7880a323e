//! A DeepONet on the fused engine: the trunk's pass sees what the branch gave for the functions of a step as numbers that
//! are trained beside it, and the gradient by them is what the branch's own pass takes back.
//!
//! ```text
//! u [functions, sensors] -> branch -> b --+
//!                                         +--> jets of G(u)(y) -> observation -> loss, cotangents
//! y [points, inputs] ---> trunk -> jets --+                 back to the trunk, and to b, then to the branch
//! ```
//!
//! Where all functions meet the same points, the trunk is evaluated once for all of them and values are a product of two
//! matrices.

use std::ops::Range;

use pulp::Arch;
use rwf_runtime::{
    activation,
    format::{Activation, MathBackend},
};

use super::{
    AdamStep, Batch, DenseGradient, Engine, FusedEngine, JetEngine, JetObservation, Loss, Observation, Plan,
    fused::adam,
};
use crate::{
    config::check,
    error::{Error, Result},
    network::{
        DeepOnet, DenseNetwork, Parameter,
        deeponet::{PARTS, part},
        find,
    },
};

/// Which functions are looked at where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// Every function at every point.
    All,
    /// The i-th function at the i-th of as many runs of equally many points.
    Own,
}

/// A function of the jets of an operator's values that is made small.
pub trait OperatorObservation: Sync {
    /// The sum of the function over the points `points` of all, and its derivatives.
    ///
    /// `jets` are `[outputs, rows, points, functions]`, rows as the [`Plan`] says; with [`Pairs::Own`] there is one
    /// function a point. `cotangents` has the same shape, is 0 and takes d sum / d jets.
    fn observe(&self, points: Range<usize>, jets: &[f32], cotangents: &mut [f32]) -> f64;
}

/// What is looked at in a step: where, at which derivatives, and what is made of them.
pub struct OperatorLook<'a> {
    /// Normalised points `[n, inputs]`.
    pub points: &'a [f32],
    /// Which functions there.
    pub pairs: Pairs,
    /// Which derivatives.
    pub plan: &'a Plan,
    /// What is made of them.
    pub observation: &'a dyn OperatorObservation,
    /// Factor on its gradient.
    pub weight: f64,
}

/// A DeepONet trained by hand-written passes on the CPU.
#[derive(Debug)]
pub struct DeepOnetEngine {
    deeponet: DeepOnet,
    branch: FusedEngine,
    trunk: FusedEngine,
    head: Head,
}

/// What stands behind the product.
#[derive(Debug)]
enum Head {
    /// A bias, its moments, and what is gathered.
    Bias { trained: Vec<f32>, first: Vec<f32>, second: Vec<f32>, gradient: Vec<f32> },
    /// A dense layer.
    Dense(Box<FusedEngine>),
}

impl DeepOnetEngine {
    /// `deeponet` with these trained numbers.
    ///
    /// # Errors
    /// A parameter that is missing or has another shape.
    pub fn new(deeponet: &DeepOnet, parameters: &[Parameter]) -> Result<Self> {
        deeponet.check(parameters)?;
        let head = match &deeponet.head {
            Some(head) => Head::Dense(Box::new(FusedEngine::new(head, &part(parameters, 2))?)),
            None => {
                let zeros = || vec![0.0; deeponet.outputs];
                Head::Bias { trained: zeros(), first: zeros(), second: zeros(), gradient: zeros() }
            }
        };
        let mut engine = Self {
            branch: FusedEngine::new(&deeponet.branch, &part(parameters, 0))?,
            trunk: FusedEngine::new(&deeponet.trunk, &part(parameters, 1))?,
            head,
            deeponet: deeponet.clone(),
        };
        engine.set_parameters(parameters)?;
        Ok(engine)
    }

    /// Gathers the gradients of all `looks` at the operator of normalised `functions` `[n, sensors]`; their sums, without
    /// their weights.
    ///
    /// # Errors
    /// [`Error::Config`] for derivatives of order above 0 behind a dense head, a plan made for another number of inputs,
    /// and points that are not as many for every function where they should be.
    pub fn observe_operator(&mut self, functions: &[f32], looks: &[OperatorLook<'_>]) -> Result<Vec<f64>> {
        let (count, width, outputs) =
            (functions.len() / self.deeponet.sensors(), self.deeponet.width(), self.deeponet.outputs);
        let b = self.branch.forward(functions)?;
        let merge = self.merge(&b, count)?;
        let mut gathered = vec![0.0f64; b.len() + merge.head_len()];
        let mut sums = Vec::with_capacity(looks.len());
        for look in looks {
            let points = look.points.len() / self.deeponet.trunk.architecture.inputs;
            if look.pairs == Pairs::Own && (count == 0 || !points.is_multiple_of(count)) {
                return Err(Error::Training(format!(
                    "found {points} points for {count} functions, expected as many for each"
                )));
            }
            let rows = look.plan.rows();
            check(
                rows == 1 || merge.dot,
                "signal.deeponet.merge",
                "dense with derivatives".into(),
                "dot: behind a dense layer values alone are looked at",
            )?;
            let own = (look.pairs == Pairs::Own).then(|| points / count);
            let looking = Looking { merge: &merge, own, rows, observation: look.observation };
            let mut extra = vec![0.0; gathered.len()];
            sums.push(self.trunk.observe_jets(look.plan, look.points, &looking, look.weight, &mut extra)?);
            gathered.iter_mut().zip(&extra).for_each(|(sum, g)| *sum += look.weight * g);
        }
        let single: Vec<f32> = gathered.iter().map(|&g| g as f32).collect();
        let (of_branch, of_head) = single.split_at(b.len());
        self.branch.observe(functions, &Given { gradient: of_branch, width }, 1.0)?;
        match &mut self.head {
            Head::Bias { gradient, .. } => gradient.iter_mut().zip(of_head).for_each(|(sum, g)| *sum += g),
            Head::Dense(head) => {
                let (kernel, bias) = of_head.split_at(width * outputs);
                head.observe_dense(&[DenseGradient { kernel: kernel.to_vec(), bias: bias.to_vec() }])?;
            }
        }
        Ok(sums)
    }

    /// Normalised values of the operator of `functions` `[n, sensors]` at all of `points` `[m, inputs]`,
    /// `[n, m, outputs]`, by the code that trains.
    ///
    /// # Errors
    /// Those of the parts.
    pub fn values(&self, functions: &[f32], points: &[f32]) -> Result<Vec<f32>> {
        let count = functions.len() / self.deeponet.sensors();
        let (width, outputs) = (self.deeponet.width(), self.deeponet.outputs);
        let b = self.branch.forward(functions)?;
        let merge = self.merge(&b, count)?;
        let t = self.trunk.forward(points)?;
        let n = t.len() / width;
        let mut out = vec![0.0; count * n * outputs];
        // Some points at a time, so that what lies in between stays small.
        for (from, t) in (0..n).step_by(256).zip(t.chunks(256 * width)) {
            let m = t.len() / width;
            let values = merge.values(t, m, m, from, None);
            for o in 0..outputs {
                for p in 0..m {
                    for f in 0..count {
                        out[(f * n + from + p) * outputs + o] = values[(o * m + p) * count + f];
                    }
                }
            }
        }
        Ok(out)
    }

    fn merge(&self, b: &[f32], count: usize) -> Result<Merging> {
        let (width, outputs) = (self.deeponet.width(), self.deeponet.outputs);
        let (kernel, bias) = match &self.head {
            Head::Bias { trained, .. } => (Vec::new(), trained.clone()),
            Head::Dense(head) => {
                let dense = head.dense()?.layers.remove(0);
                let single = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
                (single(&dense.kernel), single(&dense.bias))
            }
        };
        let transposed = (0..width).flat_map(|k| (0..count).map(move |f| b[f * width + k])).collect();
        Ok(Merging {
            b: b.to_vec(),
            transposed,
            count,
            width,
            outputs,
            dot: kernel.is_empty(),
            kernel,
            bias,
            activation: self.deeponet.activation,
        })
    }
}

/// Takes place, product, point and function of a pair.
type EachProduct<'a> = &'a mut dyn FnMut(usize, &[f32], usize, usize);

/// The branch's numbers for the functions of a step, and the head.
struct Merging {
    /// `[functions, width]`
    b: Vec<f32>,
    /// `[width, functions]`
    transposed: Vec<f32>,
    count: usize,
    width: usize,
    outputs: usize,
    dot: bool,
    /// `[width, outputs]`, empty for an inner product.
    kernel: Vec<f32>,
    bias: Vec<f32>,
    activation: Activation,
}

/// out `[n, width]` += a `[n, m]` · x `[m, width]`, rows of `x` being `stride` apart; `a(i, j)` gives an element.
/// Four products at a time, each rounded, in the order of m.
fn accumulate(out: &mut [f32], width: usize, m: usize, a: impl Fn(usize, usize) -> f32, x: &[f32], stride: usize) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (i, out) in out.chunks_exact_mut(width).enumerate() {
                let mut j = 0;
                while j + 4 <= m {
                    let [x0, x1, x2, x3] = [0, 1, 2, 3].map(|k| &x[(j + k) * stride..][..width]);
                    let [a0, a1, a2, a3] = [0, 1, 2, 3].map(|k| a(i, j + k));
                    for ((((out, x0), x1), x2), x3) in out.iter_mut().zip(x0).zip(x1).zip(x2).zip(x3) {
                        *out = *out + a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3;
                    }
                    j += 4;
                }
                for j in j..m {
                    let (a, x) = (a(i, j), &x[j * stride..][..width]);
                    out.iter_mut().zip(x).for_each(|(out, x)| *out += a * x);
                }
            }
        },
    );
}

impl Merging {
    fn latent(&self) -> usize {
        if self.dot { self.width / self.outputs } else { self.width }
    }

    fn head_len(&self) -> usize {
        self.kernel.len() + self.bias.len()
    }

    /// Function of a point, where each point has its own.
    fn own(&self, point: usize, each: usize) -> &[f32] {
        &self.b[point / each * self.width..][..self.width]
    }

    /// Jets `[outputs, rows, points, functions]` from those of the trunk `[rows·points, width]`.
    fn values(&self, t: &[f32], rows_points: usize, points: usize, first: usize, own: Option<usize>) -> Vec<f32> {
        let (p, count) = (self.latent(), if own.is_some() { 1 } else { self.count });
        let mut out = vec![0.0; self.outputs * rows_points * count];
        if !self.dot {
            self.each_product(t, points, first, own, &mut |at, z, _, _| {
                let mut z = z.to_vec();
                activation::apply(MathBackend::Polynomial, self.activation, &mut z);
                for o in 0..self.outputs {
                    let weights = self.kernel.iter().skip(o).step_by(self.outputs);
                    out[o * rows_points * count + at] =
                        self.bias[o] + z.iter().zip(weights).map(|(z, w)| z * w).sum::<f32>();
                }
            });
            return out;
        }
        for (o, out) in out.chunks_exact_mut(rows_points * count).enumerate() {
            out[..points * count].fill(self.bias[o]);
            let at = |i: usize, k: usize| t[i * self.width + o * p + k];
            match own {
                None => accumulate(out, count, p, at, &self.transposed[o * p * count..], count),
                Some(each) => {
                    for (i, out) in out.iter_mut().enumerate() {
                        let b = &self.own(first + i % points, each)[o * p..][..p];
                        *out += b.iter().enumerate().map(|(k, b)| b * at(i, k)).sum::<f32>();
                    }
                }
            }
        }
        out
    }

    /// Hands place in `[points, functions]`, product, and the two that made it to `each`; values alone.
    fn each_product(&self, t: &[f32], points: usize, first: usize, own: Option<usize>, each: EachProduct<'_>) {
        let count = if own.is_some() { 1 } else { self.count };
        let mut z = vec![0.0; self.width];
        for i in 0..points {
            for f in 0..count {
                let function = own.map_or(f, |each| (first + i) / each);
                let b = &self.b[function * self.width..][..self.width];
                for ((z, t), b) in z.iter_mut().zip(&t[i * self.width..]).zip(b) {
                    *z = t * b;
                }
                each(i * count + f, &z, i, function);
            }
        }
    }

    /// Takes the gradient `ds` by what [`Merging::values`] gave back to the trunk's jets and to `[functions, width]`,
    /// kernel and bias of the head, one after the other in `extra`.
    fn pull(
        &self,
        t: &[f32],
        (points, first, own): (usize, usize, Option<usize>),
        ds: &[f32],
        dt: &mut [f32],
        extra: &mut [f64],
    ) {
        let (p, width, count) = (self.latent(), self.width, if own.is_some() { 1 } else { self.count });
        let rows_points = t.len() / width;
        let (of_branch, of_head) = extra.split_at_mut(self.b.len());
        let (of_kernel, of_bias) = of_head.split_at_mut(self.kernel.len());
        for (bias, ds) in of_bias.iter_mut().zip(ds.chunks_exact(rows_points * count)) {
            *bias += ds[..points * count].iter().map(|&d| f64::from(d)).sum::<f64>();
        }
        if !self.dot {
            self.each_product(t, points, first, own, &mut |at, z, i, function| {
                let mut y = z.to_vec();
                activation::apply(MathBackend::Polynomial, self.activation, &mut y);
                for k in 0..width {
                    let mut dy = 0.0;
                    for o in 0..self.outputs {
                        let d = ds[o * rows_points * count + at];
                        dy += d * self.kernel[k * self.outputs + o];
                        of_kernel[k * self.outputs + o] += f64::from(d * y[k]);
                    }
                    let dz = dy * slope(self.activation, z[k], y[k]);
                    dt[i * width + k] += dz * self.b[function * width + k];
                    of_branch[function * width + k] += f64::from(dz * t[i * width + k]);
                }
            });
            return;
        }
        let mut db = vec![0.0f32; if own.is_none() { count * p } else { 0 }];
        for (o, ds) in ds.chunks_exact(rows_points * count).enumerate() {
            let Some(each) = own else {
                let mut part = vec![0.0; rows_points * p];
                accumulate(&mut part, p, count, |i, f| ds[i * count + f], &self.b[o * p..], width);
                for (dt, part) in dt.chunks_exact_mut(width).zip(part.chunks_exact(p)) {
                    dt[o * p..(o + 1) * p].copy_from_slice(part);
                }
                db.fill(0.0);
                accumulate(&mut db, p, rows_points, |f, i| ds[i * count + f], &t[o * p..], width);
                for (sum, db) in of_branch.chunks_exact_mut(width).zip(db.chunks_exact(p)) {
                    sum[o * p..(o + 1) * p].iter_mut().zip(db).for_each(|(sum, d)| *sum += f64::from(*d));
                }
                continue;
            };
            for (i, d) in ds.iter().enumerate() {
                let function = (first + i % points) / each;
                for k in o * p..(o + 1) * p {
                    dt[i * width + k] += d * self.b[function * width + k];
                    of_branch[function * width + k] += f64::from(d * t[i * width + k]);
                }
            }
        }
    }
}

/// act'(x) where act(x) = y.
fn slope(activation: Activation, x: f32, y: f32) -> f32 {
    match activation {
        Activation::Identity => 1.0,
        Activation::Relu => f32::from(u8::from(x > 0.0)),
        Activation::Tanh => 1.0 - y * y,
        Activation::Sine => std::f32::consts::TAU * libm::cosf(std::f32::consts::TAU * (x - x.round())),
        Activation::Sigmoid => y * (1.0 - y),
        Activation::Gelu => {
            let c = (2.0 / std::f32::consts::PI).sqrt();
            let inner = libm::tanhf(c * (x + 0.044_715 * x * x * x));
            0.5 * (1.0 + inner) + 0.5 * x * (1.0 - inner * inner) * c * (1.0 + 3.0 * 0.044_715 * x * x)
        }
        Activation::Swish => {
            let sigmoid = 1.0 / (1.0 + libm::expf(-x));
            sigmoid + y * (1.0 - sigmoid)
        }
    }
}

/// One look through the trunk's pass.
struct Looking<'a> {
    merge: &'a Merging,
    own: Option<usize>,
    rows: usize,
    observation: &'a dyn OperatorObservation,
}

impl JetObservation for Looking<'_> {
    fn observe(&self, points: Range<usize>, jets: &[f32], cotangents: &mut [f32], extra: &mut [f64]) -> f64 {
        let (n, first) = (points.len(), points.start);
        let values = self.merge.values(jets, self.rows * n, n, first, self.own);
        let mut ds = vec![0.0; values.len()];
        let sum = self.observation.observe(points, &values, &mut ds);
        self.merge.pull(jets, (n, first, self.own), &ds, cotangents, extra);
        sum
    }
}

/// A gradient that is known already, `[n, width]`.
struct Given<'a> {
    gradient: &'a [f32],
    width: usize,
}

impl Observation for Given<'_> {
    fn group(&self) -> usize {
        1
    }

    fn pull(&self, first: usize, _y: &[f32], dy: &mut [f32]) -> f64 {
        dy.copy_from_slice(&self.gradient[first * self.width..][..dy.len()]);
        0.0
    }
}

/// What an operator has no answer to.
fn refused<T>(what: &str) -> Result<T> {
    Err(Error::Training(format!("found an operator of two networks, expected a coordinate network for {what}")))
}

fn named(n: usize, parameters: Vec<Parameter>, before: &str) -> impl Iterator<Item = Parameter> {
    let rename = move |p: Parameter, before: &str| {
        let own = p.name.strip_prefix(before).unwrap_or(&p.name).to_owned();
        Parameter { name: format!("{before}{}{own}", PARTS[n]), ..p }
    };
    let before = before.to_owned();
    parameters.into_iter().map(move |p| rename(p, &before))
}

/// What stands before the names of moments.
const MOMENTS: &str = "adam.";

impl Engine for DeepOnetEngine {
    fn name(&self) -> &'static str {
        "fused"
    }

    fn operator(&mut self) -> Option<&mut DeepOnetEngine> {
        Some(self)
    }

    fn operator_values(&self, functions: &[f32], points: &[f32]) -> Result<Vec<f32>> {
        self.values(functions, points)
    }

    fn load(&mut self, _x: &[f32], _y: &[f32]) -> Result<()> {
        refused("loaded samples")
    }

    fn observe_batch(&mut self, _batch: Batch<'_>, _loss: Loss, _weight: f64) -> Result<f64> {
        refused("loaded samples")
    }

    fn observe(&mut self, _x: &[f32], _observation: &dyn Observation, _weight: f64) -> Result<f64> {
        refused("an observation of points alone")
    }

    fn observe_dense(&mut self, _gradients: &[DenseGradient]) -> Result<()> {
        refused("gradients by dense layers")
    }

    fn take_gradients(&mut self) -> Result<Vec<Parameter>> {
        let mut all: Vec<Parameter> = named(0, self.branch.take_gradients()?, "").collect();
        all.extend(named(1, self.trunk.take_gradients()?, ""));
        match &mut self.head {
            Head::Bias { gradient, .. } => {
                let values = std::mem::replace(gradient, vec![0.0; gradient.len()]);
                all.extend(named(2, vec![bias(values)], ""));
            }
            Head::Dense(head) => all.extend(named(2, head.take_gradients()?, "")),
        }
        Ok(all)
    }

    /// Clipping is of each part's own gradient.
    fn update(&mut self, step: &AdamStep) -> Result<f64> {
        let of_head = match &mut self.head {
            Head::Dense(head) => head.update(step)?,
            Head::Bias { trained, first, second, gradient } => {
                let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
                let shrink = step.clip.filter(|limit| norm > *limit).map_or(1.0, |limit| limit / norm);
                adam(trained, first, second, gradient, shrink as f32, step);
                gradient.fill(0.0);
                norm
            }
        };
        let norms = [self.branch.update(step)?, self.trunk.update(step)?, of_head];
        Ok(norms.iter().map(|n| n * n).sum::<f64>().sqrt())
    }

    fn forward(&self, _x: &[f32]) -> Result<Vec<f32>> {
        refused("values at points alone")
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        let mut all: Vec<Parameter> = named(0, self.branch.parameters()?, "").collect();
        all.extend(named(1, self.trunk.parameters()?, ""));
        let head = match &self.head {
            Head::Bias { trained, .. } => vec![bias(trained.clone())],
            Head::Dense(head) => head.parameters()?,
        };
        all.extend(named(2, head, ""));
        Ok(all)
    }

    fn set_parameters(&mut self, parameters: &[Parameter]) -> Result<()> {
        self.branch.set_parameters(&part(parameters, 0))?;
        self.trunk.set_parameters(&part(parameters, 1))?;
        match &mut self.head {
            Head::Bias { trained, .. } => {
                trained.copy_from_slice(find(parameters, "head.bias", &[self.deeponet.outputs])?);
                Ok(())
            }
            Head::Dense(head) => head.set_parameters(&part(parameters, 2)),
        }
    }

    fn moments(&self) -> Result<Vec<Parameter>> {
        let mut all: Vec<Parameter> = named(0, self.branch.moments()?, MOMENTS).collect();
        all.extend(named(1, self.trunk.moments()?, MOMENTS));
        let head = match &self.head {
            Head::Bias { first, second, .. } => vec![Parameter {
                name: format!("{MOMENTS}bias"),
                shape: vec![2, first.len()],
                values: [first.as_slice(), second].concat(),
            }],
            Head::Dense(head) => head.moments()?,
        };
        all.extend(named(2, head, MOMENTS));
        Ok(all)
    }

    fn set_moments(&mut self, moments: &[Parameter]) -> Result<()> {
        let of = |n: usize| -> Vec<Parameter> {
            let plain = |p: &Parameter| Some(Parameter { name: p.name.strip_prefix(MOMENTS)?.into(), ..p.clone() });
            let named = |p: Parameter| Parameter { name: format!("{MOMENTS}{}", p.name), ..p };
            part(&moments.iter().filter_map(plain).collect::<Vec<_>>(), n).into_iter().map(named).collect()
        };
        self.branch.set_moments(&of(0))?;
        self.trunk.set_moments(&of(1))?;
        match &mut self.head {
            Head::Bias { first, second, .. } => {
                let own = of(2);
                let values = find(&own, "adam.bias", &[2, first.len()])?;
                let (a, b) = values.split_at(first.len());
                first.copy_from_slice(a);
                second.copy_from_slice(b);
                Ok(())
            }
            Head::Dense(head) => head.set_moments(&of(2)),
        }
    }

    /// The layers of all parts, one after the other, in the trunk's architecture: for what looks at weights alone.
    fn dense(&self) -> Result<DenseNetwork> {
        let (branch, mut out) = (self.branch.dense()?, self.trunk.dense()?);
        out.encoders.extend(branch.encoders);
        out.layers.extend(branch.layers);
        if let Head::Dense(head) = &self.head {
            out.layers.extend(head.dense()?.layers);
        }
        Ok(out)
    }
}

fn bias(values: Vec<f32>) -> Parameter {
    Parameter { name: "bias".into(), shape: vec![values.len()], values }
}

#[cfg(test)]
mod tests;
