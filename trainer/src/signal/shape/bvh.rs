//! A hierarchy of boxes around triangles.

use super::{Mesh, Point};

/// Most triangles of a leaf.
const LEAF: usize = 4;

/// A box and what is in it.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) lo: Point,
    pub(super) hi: Point,
    /// First of its triangles in [`Bvh::order`].
    pub(super) start: usize,
    /// Their number.
    pub(super) count: usize,
    /// The second child; the first one follows its parent. 0 in a leaf.
    pub(super) second: usize,
}

/// Boxes in the order of a walk, the root first.
#[derive(Debug)]
pub(super) struct Bvh {
    pub(super) nodes: Vec<Node>,
    /// Triangles, those of a node one after the other.
    pub(super) order: Vec<u32>,
}

impl Node {
    pub(super) fn is_leaf(&self) -> bool {
        self.second == 0
    }

    /// Squared distance of `q` to the box, 0 inside.
    pub(super) fn distance_squared(&self, q: Point) -> f64 {
        (self.lo - q).sup(&(q - self.hi)).sup(&Point::zeros()).norm_squared()
    }
}

impl Bvh {
    /// Halves the triangles along the longest side of their middles, again and again.
    pub(super) fn new(mesh: &Mesh) -> Self {
        let middles: Vec<Point> =
            (0..mesh.triangles.len()).map(|n| mesh.corners(n).iter().sum::<Point>() / 3.0).collect();
        let mut bvh = Self { nodes: Vec::new(), order: (0..mesh.triangles.len() as u32).collect() };
        bvh.split(mesh, &middles, 0, mesh.triangles.len());
        bvh
    }

    fn split(&mut self, mesh: &Mesh, middles: &[Point], start: usize, count: usize) {
        let empty = (Point::repeat(f64::INFINITY), Point::repeat(f64::NEG_INFINITY));
        let own = &mut self.order[start..start + count];
        let around = |(lo, hi): (Point, Point), p: Point| (lo.inf(&p), hi.sup(&p));
        let (lo, hi) = own.iter().flat_map(|&t| mesh.corners(t as usize)).fold(empty, around);
        let at = self.nodes.len();
        self.nodes.push(Node { lo, hi, start, count, second: 0 });
        if count <= LEAF {
            return;
        }
        let (low, high) = own.iter().map(|&t| middles[t as usize]).fold(empty, around);
        let axis = (high - low).imax();
        let half = count / 2;
        own.select_nth_unstable_by(half, |&a, &b| {
            // Triangles in one place keep an order of their own, so that the hierarchy is the same on every machine.
            middles[a as usize][axis].total_cmp(&middles[b as usize][axis]).then(a.cmp(&b))
        });
        self.split(mesh, middles, start, half);
        self.nodes[at].second = self.nodes.len();
        self.split(mesh, middles, start + half, count - half);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::mesh::tests::torus, *};

    #[test]
    fn every_triangle_is_in_one_leaf_and_inside_all_boxes_above() {
        let mesh = torus(12);
        let bvh = Bvh::new(&mesh);
        let mut seen = bvh.order.clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..mesh.triangles.len() as u32).collect::<Vec<_>>());
        let leaves: usize = bvh.nodes.iter().filter(|n| n.is_leaf()).map(|n| n.count).sum();
        assert_eq!(leaves, mesh.triangles.len());
        for node in &bvh.nodes {
            for &t in &bvh.order[node.start..node.start + node.count] {
                assert!(mesh.corners(t as usize).iter().all(|&p| node.distance_squared(p) == 0.0));
            }
        }
    }
}
