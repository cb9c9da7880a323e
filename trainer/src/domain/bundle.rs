//! The samples of many rays, one after the other, as an engine takes them.

use rayon::prelude::*;

use super::{March, Occupancy, Ray, Sample};

/// Rays one thread takes at a time.
const CHUNK: usize = 64;

/// A ray, and the distances between which it may meet anything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The ray.
    pub ray: Ray,
    /// First distance.
    pub from: f32,
    /// Last one.
    pub to: f32,
}

impl Span {
    /// The part of `ray` between the first and the last occupied cell it passes, to a step; none if it passes none.
    pub fn new(ray: Ray, grid: &Occupancy, step: f32) -> Option<Self> {
        let (from, to) = grid.region().cross(&ray)?;
        let steps = ((to - from) / step).ceil() as usize;
        // Twice as fine as samples will lie, so that these miss no cell's corner by much.
        let met = |n: &usize| grid.is_occupied(grid.cell(ray.at(from + 0.5 * *n as f32 * step)));
        let first = (0..=2 * steps).find(met)?;
        let last = (0..=2 * steps).rev().find(met)?;
        let at = |n: f32| from + 0.5 * n * step;
        Some(Self { ray, from: at(first as f32 - 1.0).max(from), to: at(last as f32 + 1.0).min(to) })
    }
}

/// How points become what a network or a model takes: (point - centre) / half, the direction over its own half behind it
/// where it is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Middle of the box.
    pub centre: [f32; 3],
    /// Half of a side.
    pub half: f32,
    /// Half the range of a direction's coordinates; none: values look the same from everywhere.
    pub direction: Option<f32>,
}

impl Frame {
    /// World units.
    pub fn world(directions: bool) -> Self {
        Self { centre: [0.0; 3], half: 1.0, direction: directions.then_some(1.0) }
    }

    /// Numbers a point has.
    pub fn inputs(&self) -> usize {
        if self.direction.is_some() { 6 } else { 3 }
    }

    /// Adds a point seen along a direction.
    pub fn push(&self, point: [f32; 3], direction: [f32; 3], out: &mut Vec<f32>) {
        out.extend((0..3).map(|k| (point[k] - self.centre[k]) / self.half));
        if let Some(half) = self.direction {
            out.extend(direction.map(|d| d / half));
        }
    }
}

/// Samples of those rays that have any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bundle {
    /// Which of the rays these are.
    pub rays: Vec<u32>,
    /// Where the samples of each begin, and where the last end, `[rays + 1]`.
    pub offsets: Vec<u32>,
    /// Points, `[samples, inputs]`.
    pub points: Vec<f32>,
    /// Distances, `[samples]`.
    pub distances: Vec<f32>,
    /// Length of ray each stands for, `[samples]`.
    pub lengths: Vec<f32>,
}

impl Bundle {
    /// Samples along `count` rays, the n-th being `span(n)` with its jitter.
    pub fn collect(
        count: usize,
        span: impl Fn(usize) -> (Option<Span>, Option<f32>) + Sync,
        grid: &Occupancy,
        march: &March,
        frame: &Frame,
    ) -> Self {
        let pieces: Vec<Self> = (0..count.div_ceil(CHUNK))
            .into_par_iter()
            .map(|piece| {
                let mut bundle = Self::default();
                let mut samples: Vec<Sample> = Vec::new();
                for n in piece * CHUNK..count.min((piece + 1) * CHUNK) {
                    let (Some(span), jitter) = span(n) else { continue };
                    march.samples(&span.ray, grid, (span.from, span.to), jitter, &mut samples);
                    if samples.is_empty() {
                        continue;
                    }
                    bundle.rays.push(n as u32);
                    bundle.offsets.push(samples.len() as u32);
                    for sample in &samples {
                        frame.push(span.ray.at(sample.t), span.ray.direction, &mut bundle.points);
                        bundle.distances.push(sample.t);
                        bundle.lengths.push(sample.length);
                    }
                }
                bundle
            })
            .collect();
        let mut all = Self { offsets: vec![0], ..Self::default() };
        let mut end = 0;
        for piece in pieces {
            all.rays.extend(piece.rays);
            all.offsets.extend(piece.offsets.iter().map(|n| {
                end += n;
                end
            }));
            all.points.extend(piece.points);
            all.distances.extend(piece.distances);
            all.lengths.extend(piece.lengths);
        }
        all
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.lengths.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Region;

    #[test]
    fn rays_that_meet_nothing_are_left_out() {
        let mut grid = Occupancy::new(Region::cube(1.0), 8, 0.01);
        grid.carve(|p| p[0] < 0.0);
        let ray = |y: f32| Ray { origin: [-3.0, y, 0.1], direction: [1.0, 0.0, 0.0] };
        let march = March { step: 0.1, most: 0, depth: f32::MAX };
        let spans: Vec<Option<Span>> =
            [0.1, 5.0, 0.3].into_iter().map(|y| Span::new(ray(y), &grid, march.step)).collect();
        assert_eq!(spans[1], None);
        let span = spans[0].unwrap();
        assert!(span.from > 2.8 && span.from <= 3.0 && span.to == 4.0, "{span:?}");

        let frame = Frame { centre: [0.5, 0.0, 0.0], half: 0.5, direction: Some(4.0) };
        let bundle = Bundle::collect(200, |n| (spans[n % 3], None), &grid, &march, &frame);
        assert_eq!(bundle.rays.len(), 133);
        assert_eq!(bundle.rays[..3], [0, 2, 3]);
        assert_eq!(bundle.points.len(), 6 * bundle.samples());
        assert_eq!(*bundle.offsets.last().unwrap() as usize, bundle.samples());
        let second = bundle.offsets[1] as usize * 6;
        assert!((bundle.points[second + 1] - 0.6).abs() < 1e-6, "{:?}", &bundle.points[second..second + 6]);
        assert_eq!(bundle.points[second + 3..second + 6], [0.25, 0.0, 0.0]);
    }
}
