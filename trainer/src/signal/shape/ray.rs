//! The first triangle a ray meets.

use super::{Mesh, Point, bvh::Bvh};

/// Distance along `direction` from `origin` and triangle of the first meeting (Möller and Trumbore 1997).
pub(super) fn first_hit(mesh: &Mesh, bvh: &Bvh, origin: Point, direction: Point) -> Option<(f64, usize)> {
    let inverse = direction.map(|d| 1.0 / d);
    let enters = |at: usize| {
        let node = &bvh.nodes[at];
        let (a, b) = ((node.lo - origin).component_mul(&inverse), (node.hi - origin).component_mul(&inverse));
        let (from, to) = (a.inf(&b).max().max(0.0), a.sup(&b).min());
        if from <= to { from } else { f64::INFINITY }
    };
    let mut best: Option<(f64, usize)> = None;
    let mut stack = [(0usize, 0.0f64); 64];
    stack[0] = (0, enters(0));
    let mut left = 1;
    while left > 0 {
        left -= 1;
        let (at, from) = stack[left];
        if from >= best.map_or(f64::INFINITY, |(t, _)| t) {
            continue;
        }
        let node = &bvh.nodes[at];
        if node.is_leaf() {
            for &t in &bvh.order[node.start..node.start + node.count] {
                let Some(distance) = meets(mesh.corners(t as usize), origin, direction) else { continue };
                if best.is_none_or(|(b, _)| distance < b) {
                    best = Some((distance, t as usize));
                }
            }
            continue;
        }
        let mut children = [at + 1, node.second].map(|n| (n, enters(n)));
        if children[0].1 < children[1].1 {
            children.swap(0, 1);
        }
        for child in children {
            stack[left] = child;
            left += 1;
        }
    }
    best
}

/// How far along the ray the triangle is met, if it is.
pub(super) fn meets([a, b, c]: [Point; 3], origin: Point, direction: Point) -> Option<f64> {
    let (e, f) = (b - a, c - a);
    let p = direction.cross(&f);
    let det = e.dot(&p);
    let s = origin - a;
    let u = s.dot(&p) / det;
    let r = s.cross(&e);
    let v = direction.dot(&r) / det;
    let t = f.dot(&r) / det;
    (u >= 0.0 && v >= 0.0 && u + v <= 1.0 && t > 0.0).then_some(t)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Solid, mesh::tests::torus},
        *,
    };
    use crate::rng::Rng;

    #[test]
    fn the_hierarchy_finds_the_first_of_all_meetings() {
        let solid = Solid::new(torus(20));
        let mut rng = Rng::new(9);
        let mut met = 0;
        for _ in 0..1000 {
            let origin = Point::from_fn(|_, _| rng.symmetric(2.0));
            let direction = Point::from_fn(|_, _| rng.normal());
            let each =
                (0..solid.mesh().triangles.len()).filter_map(|t| meets(solid.mesh().corners(t), origin, direction));
            let expected = each.fold(f64::INFINITY, f64::min);
            let found = solid.first_hit(origin, direction).map_or(f64::INFINITY, |(t, _)| t);
            assert_eq!(found, expected);
            met += usize::from(found.is_finite());
        }
        assert!((100..900).contains(&met), "{met}");
    }
}
