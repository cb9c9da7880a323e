//! How a batch is shared out over blocks.

use super::machine::Properties;

/// Threads of a block.
pub(super) const THREADS: usize = 256;
/// Floats of shared memory that chunks of a product take.
pub(super) const STAGE: usize = 2 * 16 * 2 * (128 + 4);
/// Points of the largest tile, where what it keeps lies in shared memory or not.
const LARGEST: usize = 128;
const SMALLEST: usize = 16;
/// Most columns of a tile that one point may have.
pub(super) const COLUMNS: usize = 32;
/// Smallest tile for whose sake memory outside is left alone: below it, products have too few points.
const LEAST_SHARED: usize = 32;

/// What a tile is, for which kernels are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Columns: points, or the rows of their jets.
    pub(super) tile: usize,
    /// Whether what it keeps lies in shared memory.
    pub(super) kept_shared: bool,
    /// Blocks that share a multiprocessor, so that one computes while another waits.
    pub(super) resident: usize,
}

/// A shape and the blocks that take tiles in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) shape: Shape,
    pub(super) blocks: usize,
    /// Bytes of shared memory of a block.
    pub(super) shared: usize,
    /// Floats a block keeps outside it.
    pub(super) room: usize,
}

impl Plan {
    /// For a batch of `points`, of which each has so many `columns` of a tile that keeps `rows`.
    ///
    /// A tile is as large as it can be while every multiprocessor has one. What it keeps lies in shared memory where
    /// that holds a tile of 32 points or more, or where the batch is small anyway.
    pub(super) fn new(rows: usize, machine: &Properties, points: usize, columns: usize) -> Self {
        let tiles = |tile: usize| points.div_ceil(tile / columns);
        let smallest = SMALLEST.max(columns.next_power_of_two());
        let mut tile = LARGEST;
        while tile > smallest && tiles(tile) < machine.multiprocessors {
            tile /= 2;
        }
        let bytes = |tile: usize| 4 * (STAGE + rows * tile);
        let fits = |tile: usize| bytes(tile) <= machine.shared_per_block;
        let inside = std::iter::successors(Some(tile), |t| Some(t / 2))
            .take_while(|&t| t >= LEAST_SHARED.min(tile))
            .find(|&t| fits(t));
        let kept_shared = inside.is_some();
        let tile = inside.unwrap_or(tile);
        let shared = if kept_shared { bytes(tile) } else { 4 * STAGE };
        // A block's own share of the system is 1 KiB.
        let resident = (machine.shared_per_multiprocessor / (shared + 1024)).clamp(1, 2);
        let blocks = tiles(tile).clamp(1, machine.multiprocessors * resident);
        let room = if kept_shared { 0 } else { rows * tile };
        Self { shape: Shape { tile, kept_shared, resident }, blocks, shared, room }
    }
}
