//! L-BFGS (Nocedal 1980): steps along a curvature learned from the last ones, for the end of a run on a loss that stays
//! the same. Numbers are f32, sums over them f64.

use std::collections::VecDeque;

use crate::error::Result;

/// Steps whose curvature is remembered.
const MEMORY: usize = 30;
/// Wolfe's conditions: the loss falls by this share of what the slope promises,
const DECREASE: f64 = 1e-4;
/// and the slope to this share of what it was.
const FLATTEN: f64 = 0.9;
/// Most looks along one direction.
const LOOKS: usize = 20;

/// A place, with the loss there and its gradient.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub(super) x: Vec<f32>,
    pub(super) loss: f64,
    pub(super) gradient: Vec<f32>,
}

/// Gives the loss at a place and its gradient.
pub(super) type Look<'a> = dyn FnMut(&[f32]) -> Result<(f64, Vec<f32>)> + 'a;

type Pair = (Vec<f32>, Vec<f32>);

/// What is remembered from one step to the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Lbfgs {
    /// Changes of place, and of the gradient with them; the latest last.
    pairs: VecDeque<Pair>,
}

impl Lbfgs {
    /// A lower place than `from`, which is the last that `look` was asked for; none where there is none that f32 can
    /// tell.
    ///
    /// # Errors
    /// Those of `look`.
    pub(super) fn step(&mut self, from: &Place, look: &mut Look<'_>) -> Result<Option<Place>> {
        if self.pairs.front().is_some_and(|(s, _)| s.len() != from.x.len()) {
            self.pairs.clear();
        }
        loop {
            let direction = self.direction(&from.gradient);
            let first = if self.pairs.is_empty() {
                // Nothing is known of the curvature: all numbers together move by 1 at most.
                (1.0 / from.gradient.iter().map(|g| f64::from(g.abs())).sum::<f64>()).min(1.0)
            } else {
                1.0
            };
            if let Some(to) = search(from, &direction, first, look)? {
                self.remember(from, &to);
                return Ok(Some(to));
            }
            if self.pairs.is_empty() {
                return Ok(None);
            }
            self.pairs.clear();
        }
    }

    /// Minus the gradient times the inverse curvature (the two loops of Nocedal 1980).
    fn direction(&self, gradient: &[f32]) -> Vec<f64> {
        let mut d: Vec<f64> = gradient.iter().map(|g| -f64::from(*g)).collect();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for (s, y) in self.pairs.iter().rev() {
            let share = along(s, &d) / dot(s, y);
            add(&mut d, -share, y);
            shares.push(share);
        }
        if let Some((s, y)) = self.pairs.back() {
            let scale = dot(s, y) / dot(y, y);
            d.iter_mut().for_each(|d| *d *= scale);
        }
        for ((s, y), share) in self.pairs.iter().zip(shares.into_iter().rev()) {
            let other = along(y, &d) / dot(s, y);
            add(&mut d, share - other, s);
        }
        d
    }

    fn remember(&mut self, from: &Place, to: &Place) {
        let minus = |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        let (s, y) = (minus(&to.x, &from.x), minus(&to.gradient, &from.gradient));
        // A curvature that is not positive, or not told from rounding, would turn the next step uphill.
        if dot(&s, &y) > 1e-10 * dot(&y, &y) {
            if self.pairs.len() == MEMORY {
                self.pairs.pop_front();
            }
            self.pairs.push_back((s, y));
        }
    }

    /// All changes of place and of gradients, `[pairs, n]` each.
    pub(super) fn memory(&self) -> [Vec<f32>; 2] {
        let all = |of: fn(&Pair) -> &Vec<f32>| self.pairs.iter().flat_map(of).copied().collect();
        [all(|p| &p.0), all(|p| &p.1)]
    }

    /// Takes up what [`Lbfgs::memory`] gave, `n` numbers a pair.
    pub(super) fn set_memory(&mut self, s: &[f32], y: &[f32], n: usize) {
        self.pairs = s.chunks_exact(n).zip(y.chunks_exact(n)).map(|(s, y)| (s.to_vec(), y.to_vec())).collect();
    }

    /// Pairs that are remembered.
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }
}

/// How far along the direction, the loss and its slope there.
#[derive(Debug, Clone, Copy)]
struct Sample {
    t: f64,
    loss: f64,
    slope: f64,
}

/// A place along `direction` that satisfies Wolfe's strong conditions, by bracketing and cubic interpolation (Nocedal
/// and Wright 2006, algorithms 3.5 and 3.6); after [`LOOKS`] looks the lowest one found, if any.
fn search(from: &Place, direction: &[f64], first: f64, look: &mut Look<'_>) -> Result<Option<Place>> {
    let start = Sample { t: 0.0, loss: from.loss, slope: along(&from.gradient, direction) };
    if start.slope >= 0.0 || !start.slope.is_finite() {
        return Ok(None);
    }
    let mut at = |t: f64| -> Result<Place> {
        let x: Vec<f32> = from.x.iter().zip(direction).map(|(x, d)| (f64::from(*x) + t * d) as f32).collect();
        let (loss, gradient) = look(&x)?;
        Ok(Place { x, loss, gradient })
    };
    let (mut low, mut high, mut t) = (start, None::<Sample>, first);
    for _ in 0..LOOKS {
        let place = at(t)?;
        let here = Sample { t, loss: place.loss, slope: along(&place.gradient, direction) };
        let falls = here.loss <= start.loss + DECREASE * t * start.slope && here.loss < low.loss;
        if falls && here.slope.abs() <= -FLATTEN * start.slope {
            return Ok(Some(place));
        }
        if !falls {
            // This holds for a loss that is no number as well.
            high = Some(here);
        } else {
            // Behind the valley's floor the bracket turns around.
            if here.slope * high.map_or(1.0, |h| h.t - low.t) >= 0.0 {
                high = Some(low);
            }
            low = here;
        }
        t = high.map_or(4.0 * t, |high| between(low, high));
    }
    if low.t == 0.0 {
        return Ok(None);
    }
    at(low.t).map(Some)
}

/// The minimum of the cubic through both, kept away from either.
fn between(a: Sample, b: Sample) -> f64 {
    let d1 = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.t - b.t);
    let d2 = (d1 * d1 - a.slope * b.slope).sqrt() * (b.t - a.t).signum();
    let share = 1.0 - (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
    let share = if share.is_finite() { share.clamp(0.1, 0.9) } else { 0.5 };
    a.t + share * (b.t - a.t)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn along(a: &[f32], d: &[f64]) -> f64 {
    a.iter().zip(d).map(|(a, d)| f64::from(*a) * d).sum()
}

fn add(d: &mut [f64], factor: f64, v: &[f32]) {
    d.iter_mut().zip(v).for_each(|(d, v)| *d += factor * f64::from(*v));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tolerance;

    type Function = fn(&[f64]) -> (f64, Vec<f64>);

    /// The place after at most `steps` steps, and looks that took.
    fn descend(f: Function, start: &[f32], steps: usize) -> (Place, usize) {
        let mut looks = 0;
        let mut look = |x: &[f32]| {
            looks += 1;
            let (loss, gradient) = f(&x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
            Ok((loss, gradient.into_iter().map(|g| g as f32).collect()))
        };
        let (loss, gradient) = look(start).unwrap();
        let (mut lbfgs, mut at) = (Lbfgs::default(), Place { x: start.to_vec(), loss, gradient });
        for _ in 0..steps {
            let Some(to) = lbfgs.step(&at, &mut look).unwrap() else { break };
            assert!(to.loss < at.loss, "{} {}", to.loss, at.loss);
            at = to;
        }
        (at, looks)
    }

    fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        (a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
    }

    #[test]
    fn rosenbrocks_valley_is_followed_to_its_end() {
        let (end, looks) = descend(rosenbrock, &[-1.2, 1.0], 60);
        assert!(end.x.iter().all(|x| (x - 1.0).abs() < tolerance::DESCENT as f32), "{:?}", end.x);
        assert!(looks < 80, "{looks}");
    }

    /// A hundred axes with curvatures of 1 to 1,000, where the gradient alone would take some 3,000 steps.
    #[test]
    fn a_narrow_quadratic_takes_few_steps() {
        fn quadratic(x: &[f64]) -> (f64, Vec<f64>) {
            let each = |i: usize| 10f64.powf(3.0 * i as f64 / 99.0);
            let sum = x.iter().enumerate().map(|(i, x)| 0.5 * each(i) * (x - 1.0).powi(2)).sum();
            (sum, x.iter().enumerate().map(|(i, x)| each(i) * (x - 1.0)).collect())
        }
        let (end, looks) = descend(quadratic, &[0.0; 100], 400);
        assert!(end.x.iter().all(|x| (x - 1.0).abs() < tolerance::DESCENT as f32), "{:e}", end.loss);
        assert!(looks < 600, "{looks}");
    }

    /// Both conditions hold of what a search gives, whatever its first try: far too short or far too long.
    #[test]
    fn a_search_ends_where_wolfe_says() {
        for first in [1e-4, 1e-2, 1.0, 30.0] {
            let start = [-1.2f32, 1.0];
            let mut look = |x: &[f32]| {
                let (loss, g) = rosenbrock(&[f64::from(x[0]), f64::from(x[1])]);
                Ok((loss, g.into_iter().map(|g| g as f32).collect()))
            };
            let (loss, gradient) = look(&start).unwrap();
            let from = Place { x: start.to_vec(), loss, gradient };
            let direction: Vec<f64> = from.gradient.iter().map(|g| -f64::from(*g) / 200.0).collect();
            let to = search(&from, &direction, first, &mut look).unwrap().unwrap();
            let slope = along(&from.gradient, &direction);
            let t = (f64::from(to.x[0]) - f64::from(start[0])) / direction[0];
            assert!(to.loss <= loss + DECREASE * t * slope, "{first}: {t}");
            assert!(along(&to.gradient, &direction).abs() <= -FLATTEN * slope, "{first}: {t}");
        }
    }

    #[test]
    fn what_is_remembered_survives_and_what_cannot_fall_is_told() {
        let (end, _) = descend(rosenbrock, &[-1.2, 1.0], 1000);
        let mut look = |x: &[f32]| {
            let (loss, g) = rosenbrock(&[f64::from(x[0]), f64::from(x[1])]);
            Ok((loss, g.into_iter().map(|g| g as f32).collect()))
        };
        let mut lbfgs = Lbfgs::default();
        let (loss, gradient) = look(&[0.5, 0.5]).unwrap();
        let mut at = Place { x: vec![0.5, 0.5], loss, gradient };
        for _ in 0..4 {
            at = lbfgs.step(&at, &mut look).unwrap().unwrap();
        }
        let [s, y] = lbfgs.memory();
        let mut other = Lbfgs::default();
        other.set_memory(&s, &y, 2);
        assert_eq!((other.len(), &other), (4, &lbfgs));
        assert_eq!(other.step(&at, &mut look).unwrap(), lbfgs.step(&at, &mut look).unwrap());
        let bottom = Place { x: vec![1.0, 1.0], loss: 0.0, gradient: vec![0.0, 0.0] };
        assert_eq!(Lbfgs::default().step(&bottom, &mut look).unwrap(), None);
        assert!(end.loss < 1e-10, "{:e}", end.loss);
    }
}
