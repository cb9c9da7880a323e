//! Samples along a ray: stratified in steps, none in empty cells, few behind what hides them, and where there are too
//! many, drawn again by importance.

use super::{Occupancy, Ray};

/// Fraction of the golden ratio: its multiples spread evenly over a unit interval, so one random number a ray is enough.
const GOLDEN: f32 = 0.618_034;
/// Share of samples drawn by importance that goes evenly to all steps, whatever the grid thinks of them.
const EVENLY: f32 = 0.1;

/// A sample: where, and the length of ray it stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Distance from the ray's origin.
    pub t: f32,
    /// Length in world units.
    pub length: f32,
}

/// How samples are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct March {
    /// Length of a step in world units.
    pub step: f32,
    /// Most samples of a ray; 0: as many as there are steps.
    pub most: usize,
    /// Optical depth, by the grid's mean densities, at which a ray ends.
    pub depth: f32,
}

impl March {
    /// Samples of `ray` between the distances `span`, in order, into `out`. `jitter` in [0, 1) moves them within their
    /// steps: a stratified sample if it is random, the middles if it is none.
    pub fn samples(
        &self,
        ray: &Ray,
        grid: &Occupancy,
        (from, to): (f32, f32),
        jitter: Option<f32>,
        out: &mut Vec<Sample>,
    ) {
        out.clear();
        let steps = ((to - from) / self.step).ceil() as usize;
        let mut depth = 0.0;
        for n in 0..steps {
            let t = from + (n as f32 + spread(jitter, n)) * self.step;
            let cell = grid.cell(ray.at(t));
            if !grid.is_occupied(cell) {
                continue;
            }
            out.push(Sample { t, length: self.step });
            depth += self.step * grid.density(cell);
            if depth > self.depth {
                break;
            }
        }
        if self.most > 0 && out.len() > self.most {
            self.resample(ray, grid, from, jitter, out);
        }
    }

    /// Draws `most` samples out of the steps in `out` by their weights in the grid: stratified in the inverse of their
    /// cumulative distribution (Mildenhall et al. 2020, section 5.2). The steps are laid end to end, so no sample stands
    /// for empty space between them, and the lengths of all samples sum up to that of the steps.
    fn resample(&self, ray: &Ray, grid: &Occupancy, from: f32, jitter: Option<f32>, out: &mut Vec<Sample>) {
        let (mut before, mut weights) = (1.0f32, Vec::with_capacity(out.len()));
        for sample in out.iter() {
            let pass = libm::expf(-self.step * grid.density(grid.cell(ray.at(sample.t))));
            weights.push(before * (1.0 - pass));
            before *= pass;
        }
        let total: f32 = weights.iter().sum();
        let even = 1.0 / weights.len() as f32;
        let share = if total > 0.0 { (1.0 - EVENLY) / total } else { 0.0 };
        let rest = 1.0 - share * total;
        weights.iter_mut().for_each(|w| *w = *w * share + rest * even);

        let steps = std::mem::take(out);
        let inverse = Inverse::new(&weights);
        let mut at = 0;
        let mut edge = 0.0;
        for n in 0..self.most {
            let next = if n + 1 == self.most {
                steps.len() as f32
            } else {
                inverse.place((n + 1) as f32 / self.most as f32, &mut at.clone())
            };
            let place = inverse.place((n as f32 + spread(jitter, n)) / self.most as f32, &mut at);
            let (step, within) = split(place, steps.len());
            // Where the step begins, whatever its own sample's place in it.
            let begin = from + ((steps[step].t - from) / self.step).floor() * self.step;
            out.push(Sample { t: begin + within * self.step, length: (next - edge) * self.step });
            edge = next;
        }
    }
}

/// Place of the n-th sample in its step.
fn spread(jitter: Option<f32>, n: usize) -> f32 {
    jitter.map_or(0.5, |jitter| (jitter + n as f32 * GOLDEN).fract())
}

fn split(place: f32, steps: usize) -> (usize, f32) {
    let step = (place as usize).min(steps - 1);
    (step, place - step as f32)
}

/// The inverse of the cumulative distribution of weights that sum up to 1, over steps laid end to end.
struct Inverse<'a> {
    weights: &'a [f32],
    /// Sum of the weights before each step.
    below: Vec<f32>,
}

impl<'a> Inverse<'a> {
    fn new(weights: &'a [f32]) -> Self {
        let mut sum = 0.0;
        let below = weights
            .iter()
            .map(|w| {
                let before = sum;
                sum += w;
                before
            })
            .collect();
        Self { weights, below }
    }

    /// The place, in steps, that the share `u` lies below. `at` is a step not behind it, and moves on.
    fn place(&self, u: f32, at: &mut usize) -> f32 {
        while *at + 1 < self.below.len() && self.below[*at + 1] <= u {
            *at += 1;
        }
        let within = ((u - self.below[*at]) / self.weights[*at]).clamp(0.0, 1.0);
        *at as f32 + within
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Region, rng::Rng};

    const RAY: Ray = Ray { origin: [-2.0, 0.1, 0.1], direction: [1.0, 0.0, 0.0] };

    fn march(most: usize, depth: f32) -> March {
        March { step: 0.05, most, depth }
    }

    fn samples(march: March, grid: &Occupancy, jitter: Option<f32>) -> Vec<Sample> {
        let mut out = Vec::new();
        march.samples(&RAY, grid, grid.region().cross(&RAY).unwrap(), jitter, &mut out);
        out
    }

    /// Density 0 but for 4 where x is in [0, 0.25].
    fn wall() -> Occupancy {
        let mut grid = Occupancy::new(Region::cube(1.0), 8, 0.01);
        for _ in 0..300 {
            let (cells, points) = grid.look(usize::MAX, &mut Rng::new(0));
            let density: Vec<f32> =
                points.chunks(3).map(|p| if (0.0..0.25).contains(&p[0]) { 4.0 } else { 0.0 }).collect();
            grid.update(&cells, &density);
        }
        grid
    }

    #[test]
    fn every_step_has_one_sample_and_empty_cells_none() {
        let full = Occupancy::new(Region::cube(1.0), 8, 0.01);
        for jitter in [Some(0.0), Some(0.37), Some(0.999), None] {
            let all = samples(march(0, f32::MAX), &full, jitter);
            assert_eq!(all.len(), 40);
            for (n, sample) in all.iter().enumerate() {
                let at = (sample.t - 1.0) / 0.05 - n as f32;
                assert!((-1e-3..1.001).contains(&at), "{n}: {at}");
            }
            let some = samples(march(0, f32::MAX), &wall(), jitter);
            assert!(some.iter().all(|s| (1.99..2.26).contains(&s.t)), "{some:?}");
            assert!((4..=6).contains(&some.len()), "{}", some.len());
        }
    }

    #[test]
    fn a_ray_ends_where_it_is_hidden() {
        let mut grid = Occupancy::new(Region::cube(1.0), 8, 0.01);
        let (cells, points) = grid.look(usize::MAX, &mut Rng::new(0));
        let density: Vec<f32> = points.chunks(3).map(|p| if p[0] < 0.5 { 0.1 } else { 100.0 }).collect();
        grid.update(&cells, &density);
        // 30 from the mean after one look; 0.05 times that a step.
        let some = samples(march(0, 4.0), &grid, None);
        assert_eq!(some.len(), 33);
    }

    #[test]
    fn importance_draws_where_the_weight_is_and_keeps_the_length() {
        let mut grid = Occupancy::new(Region::cube(1.0), 8, 0.01);
        let (cells, points) = grid.look(usize::MAX, &mut Rng::new(0));
        let density: Vec<f32> =
            points.chunks(3).map(|p| if (0.0..0.25).contains(&p[0]) { 40.0 } else { 0.1 }).collect();
        grid.update(&cells, &density);
        for jitter in [Some(0.2), None] {
            let some = samples(march(10, f32::MAX), &grid, jitter);
            assert_eq!(some.len(), 10);
            assert!(some.windows(2).all(|pair| pair[0].t < pair[1].t));
            let length: f32 = some.iter().map(|s| s.length).sum();
            assert!((length - 2.0).abs() < 1e-4, "{length}");
            let there = some.iter().filter(|s| (1.95..2.3).contains(&s.t)).count();
            assert!(there >= 7, "{there} of 10 samples at the wall");
        }
        // Nothing known: evenly, so that each sample stands for as much.
        let even = samples(march(10, f32::MAX), &Occupancy::new(Region::cube(1.0), 8, 0.01), None);
        assert!(even.iter().all(|s| (s.length - 0.2).abs() < 1e-4), "{even:?}");
    }

    #[test]
    fn the_inverse_is_that_of_the_distribution() {
        let weights = [0.25, 0.0, 0.5, 0.25];
        let inverse = Inverse::new(&weights);
        for (u, expected) in [(0.0, 0.0), (0.125, 0.5), (0.25, 2.0), (0.5, 2.5), (0.75, 3.0), (1.0, 4.0)] {
            assert_eq!(inverse.place(u, &mut 0), expected, "{u}");
        }
    }
}
