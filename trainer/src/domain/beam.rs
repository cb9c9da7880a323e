//! Rays of a scanner in the plane of a slice: which line each detector sees from each angle.
//!
//! Lengths are in halves of the picture's side: it spans [-1, 1]², x to the right and y down. Angles turn from x to y; at
//! angle 0 detectors lie along x and rays run along y.

use std::f64::consts::{PI, SQRT_2, TAU};

use serde::{Deserialize, Serialize};

/// Where rays come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beam {
    /// From infinity, all in one direction.
    Parallel,
    /// From a point at this distance of the axis, to a straight row of detectors; these are told by where their rays pass
    /// the axis (Kak and Slaney 1988, section 3.4.2).
    Fan(f64),
}

/// Where the object may be; rays are clipped to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// In the disc within the picture, which parallel rays of as many detectors as pixels see whole
    Disc,
    /// In all of the picture, corners too
    Square,
}

/// Part of a straight line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chord {
    /// Where distances are counted from.
    pub origin: [f64; 2],
    /// Of length 1.
    pub direction: [f64; 2],
    /// Where it enters.
    pub from: f64,
    /// Where it leaves.
    pub to: f64,
}

/// Every ray of a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Scanner {
    /// Where rays come from.
    pub beam: Beam,
    /// Where the object may be.
    pub extent: Extent,
    /// In radians.
    pub angles: Vec<f64>,
    /// Detectors in a row.
    pub detectors: usize,
}

impl Beam {
    /// Turn after which rays repeat, in radians: half of one sees every line of parallel beams, a whole one of fans.
    pub fn period(self) -> f64 {
        match self {
            Self::Parallel => PI,
            Self::Fan(_) => TAU,
        }
    }

    /// Angles spread evenly over `arc` radians, from 0, its end left out.
    pub fn evenly(count: usize, arc: f64) -> Vec<f64> {
        (0..count).map(|k| arc * k as f64 / count as f64).collect()
    }
}

impl Extent {
    /// Largest distance from the axis.
    pub fn radius(self) -> f64 {
        match self {
            Self::Disc => 1.0,
            Self::Square => SQRT_2,
        }
    }

    /// Whether a point is in it.
    pub fn holds(self, [x, y]: [f64; 2]) -> bool {
        match self {
            Self::Disc => x * x + y * y <= 1.0,
            Self::Square => x.abs() <= 1.0 && y.abs() <= 1.0,
        }
    }

    /// The part of a line in it; none where it passes by or only touches.
    fn clip(self, origin: [f64; 2], direction: [f64; 2]) -> Option<(f64, f64)> {
        match self {
            Self::Disc => {
                let along = origin[0] * direction[0] + origin[1] * direction[1];
                let across = origin[0] * direction[1] - origin[1] * direction[0];
                let half = (1.0 - across * across).max(0.0).sqrt();
                (half > 0.0).then_some((-along - half, -along + half))
            }
            Self::Square => {
                let (mut from, mut to) = (f64::NEG_INFINITY, f64::INFINITY);
                for (o, d) in origin.into_iter().zip(direction) {
                    if d.abs() < 1e-12 {
                        if o.abs() >= 1.0 {
                            return None;
                        }
                        continue;
                    }
                    let (a, b) = ((-1.0 - o) / d, (1.0 - o) / d);
                    (from, to) = (from.max(a.min(b)), to.min(a.max(b)));
                }
                (to - from > 1e-9).then_some((from, to))
            }
        }
    }
}

impl Chord {
    /// The point at a distance.
    pub fn at(&self, t: f64) -> [f64; 2] {
        [self.origin[0] + t * self.direction[0], self.origin[1] + t * self.direction[1]]
    }

    /// Its length.
    pub fn length(&self) -> f64 {
        self.to - self.from
    }
}

impl Scanner {
    /// Number of rays, angle by angle.
    pub fn rays(&self) -> usize {
        self.angles.len() * self.detectors
    }

    /// Half the width of the row of detectors where it passes the axis, just wide enough for the extent.
    pub fn half_width(beam: Beam, extent: Extent) -> f64 {
        let radius = extent.radius();
        match beam {
            Beam::Parallel => radius,
            Beam::Fan(source) => source * radius / (source * source - radius * radius).sqrt(),
        }
    }

    /// Detectors so close that a picture of `side` pixels has one a pixel at the axis.
    pub fn detectors_for(beam: Beam, extent: Extent, side: usize) -> usize {
        // A rounding error above a whole number is no further detector.
        (side as f64 * Self::half_width(beam, extent) - 1e-9).ceil() as usize
    }

    /// Distance of two detectors at the axis.
    pub fn pitch(&self) -> f64 {
        2.0 * Self::half_width(self.beam, self.extent) / self.detectors as f64
    }

    /// Where the ray of a detector passes the axis, from the middle.
    pub fn offset(&self, detector: usize) -> f64 {
        (detector as f64 - 0.5 * (self.detectors - 1) as f64) * self.pitch()
    }

    /// Directions of detectors and of the middle ray, seen from angle number `angle`.
    pub fn axes(&self, angle: usize) -> ([f64; 2], [f64; 2]) {
        let (sin, cos) = libm::sincos(self.angles[angle]);
        ([cos, sin], [-sin, cos])
    }

    /// The ray numbered `angle`·detectors + `detector`, clipped to the extent; none where it misses that.
    pub fn chord(&self, ray: usize) -> Option<Chord> {
        let (along, forth) = self.axes(ray / self.detectors);
        let s = self.offset(ray % self.detectors);
        let (origin, direction) = match self.beam {
            Beam::Parallel => ([s * along[0], s * along[1]], forth),
            Beam::Fan(source) => {
                let length = source.hypot(s);
                let toward = |k: usize| (source * forth[k] + s * along[k]) / length;
                ([-source * forth[0], -source * forth[1]], [toward(0), toward(1)])
            }
        };
        let (from, to) = self.extent.clip(origin, direction)?;
        Some(Chord { origin, direction, from, to })
    }

    /// The part of the turn that each angle stands for, in radians: half the gaps to its neighbours. A gap where nothing
    /// was measured counts as two of the usual ones.
    pub fn shares(&self) -> Vec<f64> {
        let (period, n) = (self.beam.period(), self.angles.len());
        let turned: Vec<f64> = self.angles.iter().map(|a| a.rem_euclid(period)).collect();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| turned[a].total_cmp(&turned[b]));
        let mut gaps: Vec<f64> = order.windows(2).map(|w| turned[w[1]] - turned[w[0]]).collect();
        gaps.push(period - (turned[order[n - 1]] - turned[order[0]]));
        let mut sorted = gaps.clone();
        sorted.sort_by(f64::total_cmp);
        let most = 2.0 * sorted[n / 2];
        let mut shares = vec![0.0; n];
        for (k, gap) in gaps.into_iter().enumerate() {
            let half = 0.5 * if most > 0.0 { gap.min(most) } else { gap };
            shares[order[k]] += half;
            shares[order[(k + 1) % n]] += half;
        }
        shares
    }

    /// Smallest distance of a source from the axis, for an extent: rays open by a right angle.
    pub fn nearest_source(extent: Extent) -> f64 {
        SQRT_2 * extent.radius()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner(beam: Beam, extent: Extent) -> Scanner {
        Scanner { beam, extent, angles: Beam::evenly(12, beam.period()), detectors: 33 }
    }

    #[test]
    fn chords_end_on_the_edge_of_the_extent_and_the_outermost_detectors_cover_it() {
        for beam in [Beam::Parallel, Beam::Fan(3.0)] {
            for extent in [Extent::Disc, Extent::Square] {
                let scanner = scanner(beam, extent);
                let mut met = 0;
                for chord in (0..scanner.rays()).filter_map(|ray| scanner.chord(ray)) {
                    met += 1;
                    let norm = chord.direction[0].hypot(chord.direction[1]);
                    assert!((norm - 1.0).abs() < 1e-12 && chord.length() > 0.0);
                    for t in [chord.from, chord.to] {
                        let [x, y] = chord.at(t);
                        let edge = if extent == Extent::Disc { x.hypot(y) } else { x.abs().max(y.abs()) };
                        assert!((edge - 1.0).abs() < 1e-9, "{beam:?} {extent:?} {x} {y}");
                    }
                }
                // All see a disc; those past the sides of the square at right angles see nothing.
                assert!(if extent == Extent::Disc { met == scanner.rays() } else { met < scanner.rays() && met > 300 });
            }
        }
    }

    #[test]
    fn a_fan_meets_in_its_source_and_its_middle_ray_passes_the_axis() {
        let scanner = scanner(Beam::Fan(3.0), Extent::Disc);
        for angle in 0..12 {
            let (along, forth) = scanner.axes(angle);
            for detector in 0..33 {
                let chord = scanner.chord(angle * 33 + detector).unwrap();
                assert_eq!(chord.origin, [-3.0 * forth[0], -3.0 * forth[1]]);
                // Where it passes the axis, it is at the detector's offset.
                let t = 3.0 / (chord.direction[0] * forth[0] + chord.direction[1] * forth[1]);
                let [x, y] = chord.at(t);
                assert!((x * along[0] + y * along[1] - scanner.offset(detector)).abs() < 1e-12);
                assert!((x * forth[0] + y * forth[1]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn shares_of_a_turn_add_up_and_a_gap_is_not_filled() {
        let even = scanner(Beam::Parallel, Extent::Disc);
        assert!(even.shares().iter().all(|s| (s - PI / 12.0).abs() < 1e-12));
        // A whole turn of parallel beams sees everything twice.
        let twice = Scanner { angles: Beam::evenly(24, TAU), ..even.clone() };
        assert!((twice.shares().iter().sum::<f64>() - PI).abs() < 1e-12);
        let uneven = Scanner { angles: vec![0.3, 0.0, 1.0, 2.0, 2.6], ..even.clone() };
        assert!((uneven.shares().iter().sum::<f64>() - PI).abs() < 1e-12);
        let limited = Scanner { angles: Beam::evenly(12, PI / 3.0), ..even.clone() };
        assert!(limited.shares().iter().all(|s| *s <= 1.5 * PI / 36.0 + 1e-12));
        let one = Scanner { angles: vec![0.5], ..even };
        assert!((one.shares()[0] - PI).abs() < 1e-12);
    }

    #[test]
    fn there_is_a_detector_a_pixel() {
        assert_eq!(Scanner::detectors_for(Beam::Parallel, Extent::Disc, 128), 128);
        assert_eq!(Scanner::detectors_for(Beam::Parallel, Extent::Square, 100), 142);
        assert!(Scanner::detectors_for(Beam::Fan(3.0), Extent::Disc, 128) > 128);
    }
}
