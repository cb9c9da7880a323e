//! Where a scene may hold anything: cells of a grid over its box, kept up to date by densities seen in them
//! (Müller, Evans, Schied, Keller 2022, section E.2), so that samples are not spent on empty space.

use rayon::prelude::*;

use super::Region;
use crate::rng::Rng;

/// What a maximum keeps from one look to the next.
const DECAY: f32 = 0.9;
/// Where a maximum starts, in units of the threshold: a few looks at nothing, and a cell is empty.
const START: f32 = 1.5;
/// Share of a new look in the mean.
const SHARE: f32 = 0.3;

/// Cells of a box, and what is known of their density.
#[derive(Debug, Clone, PartialEq)]
pub struct Occupancy {
    region: Region,
    side: usize,
    /// Cells an axis over the length of that axis.
    scale: [f32; 3],
    /// Density from which a cell counts as occupied.
    threshold: f32,
    /// Cells that may ever hold anything.
    possible: Vec<bool>,
    /// Largest densities seen, which fade.
    peak: Vec<f32>,
    /// Moving means of densities seen.
    mean: Vec<f32>,
    /// A bit a cell.
    occupied: Vec<u64>,
}

impl Occupancy {
    /// `side`³ cells, all occupied until looked at many times; a density below `threshold`, in 1/world unit, counts
    /// as empty.
    pub fn new(region: Region, side: usize, threshold: f32) -> Self {
        let cells = side * side * side;
        let mut grid = Self {
            region,
            side,
            scale: region.size().map(|s| side as f32 / s),
            threshold,
            possible: vec![true; cells],
            peak: vec![START * threshold; cells],
            mean: vec![0.0; cells],
            occupied: vec![0; cells.div_ceil(64)],
        };
        grid.mark();
        grid
    }

    /// The box.
    pub fn region(&self) -> Region {
        self.region
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.possible.len()
    }

    /// Cells that are occupied.
    pub fn count(&self) -> usize {
        self.occupied.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Radius of the sphere around a cell.
    pub fn radius(&self) -> f32 {
        0.5 * self.scale.iter().map(|s| 1.0 / (s * s)).sum::<f32>().sqrt()
    }

    /// The cell a point of the box lies in; points beside it count to the nearest.
    pub fn cell(&self, point: [f32; 3]) -> usize {
        let last = self.side as f32 - 1.0;
        let at = |k: usize| ((point[k] - self.region.lo[k]) * self.scale[k]).clamp(0.0, last) as usize;
        (at(2) * self.side + at(1)) * self.side + at(0)
    }

    /// Whether there may be anything in a cell.
    pub fn is_occupied(&self, cell: usize) -> bool {
        self.occupied[cell / 64] >> (cell % 64) & 1 == 1
    }

    /// Mean density seen in a cell.
    pub fn density(&self, cell: usize) -> f32 {
        self.mean[cell]
    }

    /// The point of a cell at these shares of its sides.
    fn inside(&self, cell: usize, share: [f32; 3]) -> [f32; 3] {
        let at = [cell % self.side, cell / self.side % self.side, cell / self.side / self.side];
        std::array::from_fn(|k| self.region.lo[k] + (at[k] as f32 + share[k]) / self.scale[k])
    }

    /// Middle of a cell.
    pub fn centre(&self, cell: usize) -> [f32; 3] {
        self.inside(cell, [0.5; 3])
    }

    /// Takes away for ever the cells around whose middles there is nothing, as `empty` knows.
    pub fn carve(&mut self, empty: impl Fn([f32; 3]) -> bool + Sync) {
        let keep: Vec<bool> =
            (0..self.cells()).into_par_iter().map(|c| self.possible[c] && !empty(self.centre(c))).collect();
        self.possible = keep;
        self.mark();
    }

    /// The smallest box around the occupied cells; none if there are none.
    pub fn bounds(&self) -> Option<Region> {
        let half = self.scale.map(|s| 0.5 / s);
        (0..self.cells()).filter(|&c| self.is_occupied(c)).fold(None, |bounds: Option<Region>, c| {
            let centre = self.centre(c);
            let (lo, hi) = (
                std::array::from_fn::<_, 3, _>(|k| centre[k] - half[k]),
                std::array::from_fn::<_, 3, _>(|k| centre[k] + half[k]),
            );
            Some(bounds.map_or(Region { lo, hi }, |b| Region {
                lo: std::array::from_fn(|k| b.lo[k].min(lo[k])),
                hi: std::array::from_fn(|k| b.hi[k].max(hi[k])),
            }))
        })
    }

    /// Up to `most` cells of those that may hold anything, and a random point in each: `[n]`, `[n, 3]`.
    pub fn look(&self, most: usize, rng: &mut Rng) -> (Vec<u32>, Vec<f32>) {
        let mut cells: Vec<u32> = (0..self.cells() as u32).filter(|&c| self.possible[c as usize]).collect();
        if cells.len() > most {
            // The first draws of a shuffle.
            for i in 0..most {
                let j = i + rng.below(cells.len() - i);
                cells.swap(i, j);
            }
            cells.truncate(most);
        }
        let points = cells
            .iter()
            .flat_map(|&c| self.inside(c as usize, std::array::from_fn(|_| rng.uniform() as f32)))
            .collect();
        (cells, points)
    }

    /// Random points of the box in cells that are not occupied, `[n, 3]`; n is at most `tries`.
    pub fn empty_points(&self, tries: usize, rng: &mut Rng) -> Vec<f32> {
        let size = self.region.size();
        let mut points = Vec::with_capacity(3 * tries);
        for _ in 0..tries {
            let point: [f32; 3] = std::array::from_fn(|k| self.region.lo[k] + size[k] * rng.uniform() as f32);
            if !self.is_occupied(self.cell(point)) {
                points.extend(point);
            }
        }
        points
    }

    /// Takes up the densities seen in these cells.
    pub fn update(&mut self, cells: &[u32], density: &[f32]) {
        for (&cell, &density) in cells.iter().zip(density) {
            let cell = cell as usize;
            self.peak[cell] = (DECAY * self.peak[cell]).max(density);
            self.mean[cell] += SHARE * (density - self.mean[cell]);
        }
        self.mark();
    }

    /// What [`Occupancy::update`] has gathered, `[2, cells]`.
    pub fn state(&self) -> Vec<f32> {
        [&self.peak[..], &self.mean].concat()
    }

    /// Goes back to a state.
    ///
    /// # Errors
    /// Found and expected, when it is one of another grid.
    pub fn restore(&mut self, state: &[f32]) -> Result<(), String> {
        if state.len() != 2 * self.cells() {
            return Err(format!("found {} numbers of an occupancy grid, expected {}", state.len(), 2 * self.cells()));
        }
        let (peak, mean) = state.split_at(self.cells());
        self.peak.copy_from_slice(peak);
        self.mean.copy_from_slice(mean);
        self.mark();
        Ok(())
    }

    fn mark(&mut self) {
        let cells = self.possible.chunks(64).zip(self.peak.chunks(64));
        for (bits, (possible, peak)) in self.occupied.iter_mut().zip(cells) {
            let each = possible.iter().zip(peak).enumerate();
            *bits =
                each.fold(0, |bits, (n, (&possible, &peak))| bits | u64::from(possible && peak >= self.threshold) << n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Occupancy {
        Occupancy::new(Region { lo: [-1.0, -2.0, 0.0], hi: [1.0, 2.0, 4.0] }, 5, 0.5)
    }

    #[test]
    fn cells_know_their_place() {
        let grid = grid();
        for cell in [0, 7, 124] {
            assert_eq!(grid.cell(grid.centre(cell)), cell);
        }
        assert_eq!(grid.cell([-5.0, 9.0, 9.0]), (4 * 5 + 4) * 5);
        let radius = 0.5 * (0.4f32 * 0.4 + 0.8 * 0.8 + 0.8 * 0.8).sqrt();
        assert!((grid.radius() - radius).abs() < 1e-6);
    }

    #[test]
    fn what_is_empty_fades_and_what_is_full_stays() {
        let mut grid = grid();
        let full = grid.cell([0.9, 1.9, 3.9]);
        for round in 0..60 {
            let (cells, points) = grid.look(usize::MAX, &mut Rng::new(round));
            assert_eq!((cells.len(), points.len()), (125, 375));
            assert!(cells.iter().zip(points.chunks(3)).all(|(&c, p)| grid.cell([p[0], p[1], p[2]]) == c as usize));
            let density: Vec<f32> = cells.iter().map(|&c| if c as usize == full { 30.0 } else { 0.01 }).collect();
            grid.update(&cells, &density);
        }
        assert_eq!(grid.count(), 1);
        assert!(grid.is_occupied(full) && (grid.density(full) - 30.0).abs() < 1e-3);
        assert!(grid.empty_points(50, &mut Rng::new(1)).chunks(3).all(|p| grid.cell([p[0], p[1], p[2]]) != full));
        let bounds = grid.bounds().unwrap();
        assert!((bounds.lo[1] - 1.2).abs() < 1e-5 && (bounds.hi[2] - 4.0).abs() < 1e-5);

        let mut other = self::grid();
        other.restore(&grid.state()).unwrap();
        assert_eq!(other, grid);
        assert!(other.restore(&[0.0]).unwrap_err().contains("expected 250"));
    }

    #[test]
    fn what_is_carved_away_never_comes_back() {
        let mut grid = grid();
        grid.carve(|p| p[0] > 0.0);
        assert_eq!(grid.count(), 75);
        let gone = grid.cell([0.9, 0.0, 1.0]);
        grid.update(&[gone as u32], &[1e3]);
        assert!(!grid.is_occupied(gone));
        let (cells, _) = grid.look(10, &mut Rng::new(0));
        assert!(cells.len() == 10 && cells.iter().all(|&c| grid.is_occupied(c as usize)));
    }
}
