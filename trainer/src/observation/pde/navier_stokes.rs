//! Two vortices that stir each other on a torus: the Navier-Stokes equations in velocity and vorticity.

use std::{f64::consts::TAU, sync::Arc};

use rustfft::{Fft, FftPlanner, num_complex::Complex};

use super::{Axis, Coefficient, Equation, Field, Place, Term, nodes, spectral::lawson};

type Number = Complex<f64>;

/// w_t + (u, v)·∇w = ν·Δw with w = v_x - u_y, periodic (the form of arXiv 2308.08468, section 7; the start is our own).
///
/// These alone leave open whether everything drifts: with any uniform U(t), u + U and w(x - ∫U) satisfy them too. That the
/// total pressure p is periodic settles it, by the momentum equation in its rotational form,
/// (u, v)_t + w·(-v, u) = -∇p - ν·(w_y, -w_x), which takes first derivatives only.
#[derive(Debug)]
pub(super) struct NavierStokes;

/// Where time ends.
const END: f64 = 2.0;

/// u, v and w at the start, of the stream function 0.6·sin x·sin y + 0.3·cos(2x + y).
fn start(x: f64, y: f64) -> [f64; 3] {
    let (wave, crest) = (2.0 * x + y).sin_cos();
    [0.6 * x.sin() * y.cos() - 0.3 * wave, -0.6 * x.cos() * y.sin() + 0.6 * wave, 1.2 * x.sin() * y.sin() + 1.5 * crest]
}

impl Equation for NavierStokes {
    fn name(&self) -> &'static str {
        "navier-stokes"
    }

    fn formula(&self) -> &'static str {
        "w_t + u·w_x + v·w_y = nu·Δw, u_x + v_y = 0, w = v_x - u_y, total pressure p, periodic in x and y, from two vortices"
    }

    fn axes(&self) -> Vec<Axis> {
        vec![Axis::new("t", 0.0, END), Axis::new("x", 0.0, TAU), Axis::new("y", 0.0, TAU)]
    }

    fn outputs(&self) -> Vec<(&'static str, f64)> {
        vec![("u", 1.0), ("v", 1.0), ("w", 2.5), ("p", 1.0)]
    }

    fn coefficients(&self) -> Vec<Coefficient> {
        vec![Coefficient::new("nu", 0.01)]
    }

    fn terms(&self) -> Vec<Term> {
        vec![
            Term::new(
                "equation",
                Place::Inside,
                ["u", "v", "w", "u_t", "u_x", "u_y", "v_t", "v_x", "v_y", "w_t", "w_x", "w_y", "Δw", "p_x", "p_y"],
                |p, [u, v, w, u_t, u_x, u_y, v_t, v_x, v_y, w_t, w_x, w_y, lw, p_x, p_y]| {
                    let nu = p.c[0];
                    [
                        w_t + u * w_x + v * w_y - nu * lw,
                        u_x + v_y,
                        w - v_x + u_y,
                        u_t - v * w + p_x + nu * w_y,
                        v_t + u * w + p_y - nu * w_x,
                    ]
                },
            ),
            Term::new("initial", Place::Low(0), ["u", "v", "w"], |p, [u, v, w]| {
                let [u0, v0, w0] = start(p.x[1], p.x[2]);
                [u - u0, v - v0, w - w0]
            }),
        ]
    }

    fn periodic(&self) -> bool {
        true
    }

    fn reference(&self, c: &[f64]) -> Field {
        let (places, times) = (32, 11);
        let all = Torus::new(2 * places).run(c[0], END, times, 20);
        // Every other node, and the far ends, which are the near ones again.
        let node = |n: usize, i: usize, j: usize| {
            let of = |k: usize| 2 * (k % places);
            all[(n * 2 * places + of(i)) * 2 * places + of(j)]
        };
        let closed = 0..=places;
        let values = (0..times)
            .flat_map(|n| closed.clone().map(move |i| (n, i)))
            .flat_map(|(n, i)| closed.clone().map(move |j| (n, i, j)))
            .flat_map(|(n, i, j)| {
                let [u, v, w] = node(n, i, j);
                [u, v, w, f64::NAN]
            })
            .collect();
        let around = nodes((0.0, TAU), places + 1);
        Field::grid(&[&nodes((0.0, END), times), &around, &around], values)
    }

    fn defaults(&self, _: &[f64]) -> &'static str {
        "
        [signal]
        points = 1024
        [signal.weights]
        initial = 5.0
        [network.mapping]
        kind = 'periodic'
        harmonics = 3
        waves = 48
        scale = 0.1
        [training]
        steps = 4000
        lbfgs = 2400
        "
    }
}

/// A pseudo-spectral solver of the vorticity equation on a square of 2π with as many nodes along either side.
pub(super) struct Torus {
    nodes: usize,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

impl Torus {
    pub(super) fn new(nodes: usize) -> Self {
        let mut planner = FftPlanner::new();
        Self { nodes, forward: planner.plan_fft_forward(nodes), inverse: planner.plan_fft_inverse(nodes) }
    }

    /// u, v and w `[times, nodes, nodes]` at `times` evenly spaced times from 0 to `end`, with `steps` steps between two.
    pub(super) fn run(&self, nu: f64, end: f64, times: usize, steps: usize) -> Vec<[f64; 3]> {
        let n = self.nodes;
        let at = |i: usize| TAU * i as f64 / n as f64;
        let dt = end / ((times - 1) * steps) as f64;
        let half: Vec<Number> =
            self.waves().map(|(kx, ky)| (-0.5 * dt * nu * (kx * kx + ky * ky)).exp().into()).collect();
        let mut w: Vec<Number> = (0..n * n).map(|i| start(at(i / n), at(i % n))[2].into()).collect();
        self.transform(&self.forward, &mut w);
        let mut out = Vec::with_capacity(times * n * n);
        for time in 0..times {
            if time > 0 {
                (0..steps).for_each(|_| lawson(&mut w, &half, dt, &mut |w| self.slope(w)));
            }
            let (u, v) = self.velocity(&w);
            let [u, v, w] = [&u, &v, &w].map(|f| self.values(f));
            out.extend((0..n * n).map(|i| [u[i], v[i], w[i]]));
        }
        out
    }

    /// Wave numbers along x and y, in the order of the coefficients.
    fn waves(&self) -> impl Iterator<Item = (f64, f64)> {
        let n = self.nodes;
        let signed = move |i: usize| if i <= n / 2 { i as f64 } else { i as f64 - n as f64 };
        (0..n * n).map(move |i| (signed(i / n), signed(i % n)))
    }

    /// Coefficients of the velocity with this vorticity.
    fn velocity(&self, w: &[Number]) -> (Vec<Number>, Vec<Number>) {
        let stream = |w: &Number, kx: f64, ky: f64| w / (kx * kx + ky * ky).max(1.0);
        let each = self.waves().zip(w);
        each.map(|((kx, ky), w)| (Number::i() * ky * stream(w, kx, ky), -Number::i() * kx * stream(w, kx, ky))).unzip()
    }

    /// Minus the vorticity that is carried along, waves above two thirds of the highest cut off (Orszag 1971).
    fn slope(&self, w: &[Number]) -> Vec<Number> {
        let (u, v) = self.velocity(w);
        let (w_x, w_y): (Vec<Number>, Vec<Number>) =
            self.waves().zip(w).map(|((kx, ky), w)| (Number::i() * kx * w, Number::i() * ky * w)).unzip();
        let [u, v, w_x, w_y] = [&u, &v, &w_x, &w_y].map(|f| self.values(f));
        let mut out: Vec<Number> = (0..w.len()).map(|i| (-u[i] * w_x[i] - v[i] * w_y[i]).into()).collect();
        self.transform(&self.forward, &mut out);
        let highest = (self.nodes / 3) as f64;
        for ((kx, ky), out) in self.waves().zip(&mut out) {
            if kx.abs().max(ky.abs()) > highest {
                *out = Number::default();
            }
        }
        out
    }

    fn values(&self, coefficients: &[Number]) -> Vec<f64> {
        let mut values = coefficients.to_vec();
        self.transform(&self.inverse, &mut values);
        values.iter().map(|v| v.re / values.len() as f64).collect()
    }

    /// Along y, then along x.
    fn transform(&self, fft: &Arc<dyn Fft<f64>>, values: &mut [Number]) {
        let n = self.nodes;
        for _ in 0..2 {
            fft.process(values);
            for i in 0..n {
                for j in 0..i {
                    values.swap(i * n + j, j * n + i);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{At, Dual},
        *,
    };

    /// The equation's own formula leaves nothing of the solver's solution, its derivatives by differences.
    #[test]
    fn the_solver_satisfies_the_equation() {
        let (n, h, nu) = (64, 0.02, 0.05);
        let all = Torus::new(n).run(nu, 2.0 * h, 3, 4);
        let value = |time: usize, i: usize, j: usize, k: usize| all[(time * n + i % n) * n + j % n][k];
        let dx = TAU / n as f64;
        // Differences of order 4 along x and y, of order 2 in time.
        let slope = |value: &dyn Fn(usize, usize) -> f64, i: usize, j: usize, axis: usize| {
            let at = |m: usize| if axis == 0 { value(i + n + m - 2, j) } else { value(i, j + n + m - 2) };
            (8.0 * (at(3) - at(1)) - (at(4) - at(0))) / (12.0 * dx)
        };
        let by = |i: usize, j: usize, axis: usize, k: usize| slope(&|i, j| value(1, i, j, k), i, j, axis);
        let twice = |i: usize, j: usize, axis: usize, k: usize| {
            let at = |m: usize| if axis == 0 { value(1, i + n + m - 2, j, k) } else { value(1, i, j + n + m - 2, k) };
            (16.0 * (at(3) + at(1)) - 30.0 * at(2) - at(4) - at(0)) / (12.0 * dx * dx)
        };
        let (term, c) = (&NavierStokes.terms()[0], [Dual::constant(nu)]);
        let nodes = || (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        let mut left = [Vec::new(), Vec::new()];
        for (i, j) in nodes() {
            let [u_t, v_t, w_t] = [0, 1, 2].map(|k| (value(2, i, j, k) - value(0, i, j, k)) / (2.0 * h));
            let [u, v, w] = [0, 1, 2].map(|k| value(1, i, j, k));
            let [[u_x, u_y], [v_x, v_y], [w_x, w_y]] = [0, 1, 2].map(|k| [by(i, j, 0, k), by(i, j, 1, k)]);
            let laplacian = twice(i, j, 0, 2) + twice(i, j, 1, 2);
            let derivatives = [u, v, w, u_t, u_x, u_y, v_t, v_x, v_y, w_t, w_x, w_y, laplacian, 0.0, 0.0];
            let at = At { x: &[0.0; 3], c: &c, data: &[] };
            let residual = term.residual(&at, &derivatives.map(Dual::constant));
            for r in &residual[..3] {
                assert!(r.value().abs() < 5e-3, "{i} {j}: {:e}", r.value());
            }
            left.iter_mut().zip(&residual[3..]).for_each(|(left, r)| left.push(f64::from(r.value())));
        }
        // Without a pressure, what is left of the momentum must be the gradient of something periodic: it has no mean, so
        // that nothing drifts, and no curl.
        for left in &left {
            assert!(left.iter().sum::<f64>().abs() < 1e-5 * left.len() as f64);
            assert!(left.iter().any(|r| r.abs() > 0.1));
        }
        let left = &left;
        let at = |k: usize| move |i: usize, j: usize| left[k][i % n * n + j % n];
        for (i, j) in nodes() {
            let curl = slope(&at(1), i, j, 0) - slope(&at(0), i, j, 1);
            assert!(curl.abs() < 2e-2, "{i} {j}: {curl:e}");
        }
    }

    /// A single vortex stays as it is and decays (Taylor and Green 1937); the start's two do not.
    #[test]
    fn the_start_is_divergence_free_and_two_vortices_stir_each_other() {
        let n = 32;
        let all = Torus::new(n).run(0.0, 1.0, 2, 20);
        let energy = |t: usize| all[t * n * n..(t + 1) * n * n].iter().map(|[u, v, _]| u * u + v * v).sum::<f64>();
        let enstrophy = |t: usize| all[t * n * n..(t + 1) * n * n].iter().map(|v| v[2] * v[2]).sum::<f64>();
        assert!((energy(1) / energy(0) - 1.0).abs() < 1e-4, "{}", energy(1) / energy(0));
        assert!((enstrophy(1) / enstrophy(0) - 1.0).abs() < 1e-4, "{}", enstrophy(1) / enstrophy(0));
        let moved = (0..n * n).map(|i| (all[n * n + i][2] - all[i][2]).abs()).fold(0.0, f64::max);
        assert!(moved > 0.3, "{moved}");
        for (i, found) in all[..n * n].iter().enumerate() {
            let expected = start(TAU * (i / n) as f64 / n as f64, TAU * (i % n) as f64 / n as f64);
            assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-9), "{found:?} {expected:?}");
        }
    }
}
