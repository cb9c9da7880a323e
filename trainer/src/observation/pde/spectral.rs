//! A pseudo-spectral solver of periodic equations in one space dimension, for references: exponential integration of
//! the stiff linear part, fourth order in time (Lawson 1967; the form of Kassam and Trefethen 2005, section 2).

use std::sync::Arc;

use rustfft::{Fft, FftPlanner, num_complex::Complex};

use super::{Field, nodes};

type Number = Complex<f64>;

/// u_t = L u + ∂^p N(u)/∂x^p on a periodic interval.
pub struct Evolution<'a> {
    /// Ends of the interval, one period.
    pub ends: (f64, f64),
    /// u at t = 0.
    pub start: &'a dyn Fn(f64) -> f64,
    /// L in Fourier space, by the wave number in radians a unit.
    pub linear: &'a dyn Fn(f64) -> Number,
    /// N, a function of u alone.
    pub nonlinear: &'a dyn Fn(f64) -> f64,
    /// p, 0 or 1.
    pub derivative: u32,
}

impl Evolution<'_> {
    /// u `[times, nodes]` at `times` evenly spaced times from 0 to `end`, with `steps` steps between two, at nodes
    /// evenly spaced from one end on, the other left out. Waves above two thirds of the highest are cut off, so that
    /// products are not folded back (Orszag 1971).
    pub fn run(&self, nodes: usize, end: f64, times: usize, steps: usize) -> Vec<f64> {
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(nodes), planner.plan_fft_inverse(nodes));
        let length = self.ends.1 - self.ends.0;
        let wave = |i: usize| {
            let signed = if i <= nodes / 2 { i as f64 } else { i as f64 - nodes as f64 };
            std::f64::consts::TAU * signed / length
        };
        let highest = std::f64::consts::TAU * (nodes / 3) as f64 / length;
        let dt = end / ((times - 1) * steps) as f64;
        let half: Vec<Number> = (0..nodes).map(|i| ((self.linear)(wave(i)) * (0.5 * dt)).exp()).collect();
        let factor: Vec<Number> = (0..nodes)
            .map(|i| match self.derivative {
                _ if wave(i).abs() > highest => Number::default(),
                0 => Number::new(1.0, 0.0),
                _ => Number::new(0.0, wave(i)),
            })
            .collect();
        let x = |i: usize| self.ends.0 + length * i as f64 / nodes as f64;
        let mut state: Vec<Number> = (0..nodes).map(|i| Number::new((self.start)(x(i)), 0.0)).collect();
        forward.process(&mut state);
        let mut work = Work { forward, inverse: Arc::clone(&inverse), factor, values: Vec::new() };
        let mut out = Vec::with_capacity(times * nodes);
        for time in 0..times {
            if time > 0 {
                (0..steps).for_each(|_| lawson(&mut state, &half, dt, &mut |u| self.slope(u, &mut work)));
            }
            let mut values = state.clone();
            inverse.process(&mut values);
            out.extend(values.iter().map(|v| v.re / nodes as f64));
        }
        out
    }

    /// The nonlinear part in Fourier space.
    fn slope(&self, u: &[Number], work: &mut Work) -> Vec<Number> {
        let share = 1.0 / u.len() as f64;
        work.values.clear();
        work.values.extend_from_slice(u);
        work.inverse.process(&mut work.values);
        let mut out: Vec<Number> =
            work.values.iter().map(|v| Number::new((self.nonlinear)(v.re * share), 0.0)).collect();
        work.forward.process(&mut out);
        out.iter_mut().zip(&work.factor).for_each(|(v, f)| *v *= f);
        out
    }
}

/// One step of Lawson's method for u_t = L u + `slope`(u), `half` being exp(L·dt/2).
pub(super) fn lawson(u: &mut [Number], half: &[Number], dt: f64, slope: &mut dyn FnMut(&[Number]) -> Vec<Number>) {
    let h = 0.5 * dt;
    let k1 = slope(u);
    let a: Vec<Number> = (0..u.len()).map(|i| half[i] * (u[i] + h * k1[i])).collect();
    let k2 = slope(&a);
    let b: Vec<Number> = (0..u.len()).map(|i| half[i] * u[i] + h * k2[i]).collect();
    let k3 = slope(&b);
    let c: Vec<Number> = (0..u.len()).map(|i| half[i] * (half[i] * u[i] + dt * k3[i])).collect();
    let k4 = slope(&c);
    for i in 0..u.len() {
        let e = half[i];
        u[i] = e * e * (u[i] + dt / 6.0 * k1[i]) + dt / 3.0 * e * (k2[i] + k3[i]) + dt / 6.0 * k4[i];
    }
}

struct Work {
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
    factor: Vec<Number>,
    values: Vec<Number>,
}

/// Every so many-th of `count` nodes, `places` in all, and the far end, which is the near one again: over t from 0 to 1
/// and x from -1 to 1.
pub(super) fn thin(u: &[f64], count: usize, places: usize) -> Field {
    let (times, step) = (u.len() / count, count / places);
    let row = |n: usize| (0..=places).map(move |i| u[n * count + i * step % count]);
    let (times, places) = (nodes((0.0, 1.0), times), nodes((-1.0, 1.0), places + 1));
    Field::grid(&[&times, &places], (0..times.len()).flat_map(row).collect())
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{PI, TAU};

    use super::*;
    use crate::tolerance;

    #[test]
    fn linear_waves_travel_and_decay_exactly() {
        let evolution = Evolution {
            ends: (0.0, TAU),
            start: &|x| (3.0 * x).sin(),
            linear: &|k| Number::new(-0.1 * k * k, -2.0 * k),
            nonlinear: &|_| 0.0,
            derivative: 0,
        };
        let found = evolution.run(32, 1.0, 3, 1);
        for (i, u) in found[64..].iter().enumerate() {
            let x = TAU * i as f64 / 32.0;
            assert!((u - (-0.9f64).exp() * (3.0 * (x - 2.0)).sin()).abs() < tolerance::SPECTRAL, "{u}");
        }
    }

    /// Burgers' equation by the Cole-Hopf transform, a quotient of two integrals (Basdevant et al. 1986).
    #[test]
    fn a_shock_is_that_of_the_closed_form() {
        let nu = 0.05 / PI;
        let evolution = Evolution {
            ends: (-1.0, 1.0),
            start: &|x| -(PI * x).sin(),
            linear: &|k| Number::new(-nu * k * k, 0.0),
            nonlinear: &|u| -0.5 * u * u,
            derivative: 1,
        };
        let found = evolution.run(256, 0.5, 2, 400);
        let exact = |x: f64, t: f64| {
            let n = 4000;
            let (mut above, mut below) = (0.0, 0.0);
            for i in 0..=n {
                let z = -8.0 + 16.0 * f64::from(i) / f64::from(n);
                let y = x - (4.0 * nu * t).sqrt() * z;
                let weight = (-(PI * y).cos() / (TAU * nu) - z * z).exp();
                above -= (PI * y).sin() * weight;
                below += weight;
            }
            above / below
        };
        for i in (0..256).step_by(16) {
            let x = -1.0 + 2.0 * i as f64 / 256.0;
            assert!((found[256 + i] - exact(x, 0.5)).abs() < tolerance::SPECTRAL, "{x}: {}", found[256 + i]);
        }
    }
}
