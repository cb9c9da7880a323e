//! Phantoms made of ellipses, whose line integrals are known exactly: the head of Shepp and Logan (1974).

use crate::{domain::Chord, rng::Rng};

/// Points along a side of a pixel that its mean is taken over.
const FINE: usize = 4;

/// Adds its value within an ellipse. Lengths in halves of the picture's side, y down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ellipse {
    /// What it adds.
    pub value: f64,
    /// Its middle.
    pub centre: [f64; 2],
    /// Its half axes.
    pub axes: [f64; 2],
    /// Turn of the first axis from x to y, in radians.
    pub turn: f64,
}

impl Ellipse {
    /// A point, or a direction, seen from the ellipse as a circle of radius 1.
    fn seen(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (sin, cos) = libm::sincos(self.turn);
        [(cos * x + sin * y) / self.axes[0], (cos * y - sin * x) / self.axes[1]]
    }

    /// Its value at a point.
    pub fn at(&self, [x, y]: [f64; 2]) -> f64 {
        let [u, v] = self.seen([x - self.centre[0], y - self.centre[1]]);
        if u * u + v * v <= 1.0 { self.value } else { 0.0 }
    }

    /// Its integral along a line: its value times the length within it.
    pub fn along(&self, chord: &Chord) -> f64 {
        let p = self.seen([chord.origin[0] - self.centre[0], chord.origin[1] - self.centre[1]]);
        let d = self.seen(chord.direction);
        let (a, b, c) = (d[0] * d[0] + d[1] * d[1], p[0] * d[0] + p[1] * d[1], p[0] * p[0] + p[1] * p[1] - 1.0);
        let root = b * b - a * c;
        if root <= 0.0 {
            return 0.0;
        }
        let (enter, leave) = ((-b - root.sqrt()) / a, (-b + root.sqrt()) / a);
        self.value * (leave.min(chord.to) - enter.max(chord.from)).max(0.0)
    }
}

/// The head of Shepp and Logan with the contrasts of Toft (1996): values in [0, 1].
pub fn shepp_logan() -> Vec<Ellipse> {
    const TABLE: [[f64; 6]; 10] = [
        [1.0, 0.69, 0.92, 0.0, 0.0, 0.0],
        [-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0],
        [-0.2, 0.11, 0.31, 0.22, 0.0, -18.0],
        [-0.2, 0.16, 0.41, -0.22, 0.0, 18.0],
        [0.1, 0.21, 0.25, 0.0, 0.35, 0.0],
        [0.1, 0.046, 0.046, 0.0, 0.1, 0.0],
        [0.1, 0.046, 0.046, 0.0, -0.1, 0.0],
        [0.1, 0.046, 0.023, -0.08, -0.605, 0.0],
        [0.1, 0.023, 0.023, 0.0, -0.606, 0.0],
        [0.1, 0.023, 0.046, 0.06, -0.605, 0.0],
    ];
    TABLE
        .iter()
        .map(|&[value, a, b, x, y, degrees]| Ellipse {
            value,
            centre: [x, -y],
            axes: [a, b],
            turn: -degrees.to_radians(),
        })
        .collect()
}

/// Another head for another seed: every part but the skull is moved by up to 0.02, scaled by up to 10 %, turned by up to
/// 10 degrees and fainter by up to a third. Values stay in [0, 1].
pub fn randomised(seed: u64) -> Vec<Ellipse> {
    let mut rng = Rng::new(seed).stream("shepp-logan");
    let mut parts = shepp_logan();
    for part in &mut parts[2..] {
        part.centre.iter_mut().for_each(|c| *c += rng.symmetric(0.02));
        part.axes.iter_mut().for_each(|a| *a *= 1.0 + rng.symmetric(0.1));
        part.turn += rng.symmetric(10f64.to_radians());
        part.value *= 1.0 - rng.uniform() / 3.0;
    }
    parts
}

/// The parts as a picture of `side` x `side` pixels: the mean over each, row by row from the top.
pub fn picture(parts: &[Ellipse], side: usize) -> Vec<f32> {
    let step = 2.0 / (side * FINE) as f64;
    let place = |pixel: usize, fine: usize| -1.0 + (pixel * FINE + fine) as f64 * step + 0.5 * step;
    let mean = |i: usize| {
        let (column, row) = (i % side, i / side);
        let points = (0..FINE * FINE).map(|k| [place(column, k % FINE), place(row, k / FINE)]);
        let sum: f64 = points.map(|p| parts.iter().map(|e| e.at(p)).sum::<f64>()).sum();
        (sum / (FINE * FINE) as f64) as f32
    };
    (0..side * side).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Beam, Extent, Scanner};

    #[test]
    fn a_disc_has_the_closed_form() {
        let disc = Ellipse { value: 1.5, centre: [0.2, -0.1], axes: [0.4; 2], turn: 0.7 };
        for beam in [Beam::Parallel, Beam::Fan(3.0)] {
            let scanner =
                Scanner { beam, extent: Extent::Square, angles: Beam::evenly(7, beam.period()), detectors: 41 };
            for ray in 0..scanner.rays() {
                let Some(chord) = scanner.chord(ray) else { continue };
                let [dx, dy] = chord.direction;
                let apart = (disc.centre[0] - chord.origin[0]) * dy - (disc.centre[1] - chord.origin[1]) * dx;
                let expected = 1.5 * 2.0 * (0.16 - apart * apart).max(0.0).sqrt();
                assert!((disc.along(&chord) - expected).abs() < 1e-6, "{beam:?} {ray}");
            }
        }
    }

    #[test]
    fn an_ellipse_integrates_as_its_values_sum_up() {
        let part = Ellipse { value: 0.8, centre: [-0.1, 0.3], axes: [0.5, 0.2], turn: 0.6 };
        let scanner = Scanner { beam: Beam::Parallel, extent: Extent::Disc, angles: vec![0.4, 2.0], detectors: 25 };
        let n = 20_000;
        for chord in (0..scanner.rays()).filter_map(|ray| scanner.chord(ray)) {
            let step = chord.length() / f64::from(n);
            let sum: f64 = (0..n).map(|k| part.at(chord.at(chord.from + (f64::from(k) + 0.5) * step))).sum();
            assert!((part.along(&chord) - sum * step).abs() < 1e-3);
        }
    }

    #[test]
    fn heads_stay_between_nothing_and_bone() {
        let standard = picture(&shepp_logan(), 64);
        // Above the middle of the brain lies the grey ellipse; left and right of it the dark ventricles.
        let at = |x: f64, y: f64| shepp_logan().iter().map(|e| e.at([x, y])).sum::<f64>();
        assert!((at(0.0, -0.35) - 0.3).abs() < 1e-12 && at(0.22, 0.0).abs() < 1e-12 && at(0.0, 0.91) == 1.0);
        let mut heads = vec![standard.clone()];
        heads.extend((0..20).map(|seed| picture(&randomised(seed), 64)));
        for head in &heads {
            assert!(head.iter().all(|v| (-1e-6..=1.0).contains(v)));
        }
        assert!(heads[1] != heads[2] && heads[1] != standard);
        assert_eq!(heads[3], picture(&randomised(2), 64));
    }
}
