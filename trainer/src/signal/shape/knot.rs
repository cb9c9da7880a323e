//! A solid of our own making.

use super::{Mesh, Point};

/// A trefoil knot: a tube of radius 0.3 around (sin t + 2 sin 2t, cos t - 2 cos 2t, -sin 3t), `along` times `round`
/// squares, closed.
///
/// # Panics
/// When either number is below 3.
pub fn trefoil(along: u32, round: u32) -> Mesh {
    assert!(along >= 3 && round >= 3, "a tube has at least three sides");
    let turn = |i: u32, n: u32| f64::from(i % n) / f64::from(n) * std::f64::consts::TAU;
    let (sin, cos) = (libm::sin, libm::cos);
    let line = |t: f64| Point::new(sin(t) + 2.0 * sin(2.0 * t), cos(t) - 2.0 * cos(2.0 * t), -sin(3.0 * t));
    let (mut vertices, mut faces) = (Vec::new(), Vec::new());
    for i in 0..along {
        let t = turn(i, along);
        let ahead = (line(t + 1e-4) - line(t - 1e-4)).normalize();
        // The knot never runs along z, so this frame comes round to where it began.
        let side = ahead.cross(&Point::z()).normalize();
        let up = side.cross(&ahead);
        for j in 0..round {
            let u = turn(j, round);
            let p = line(t) + 0.3 * (cos(u) * side + sin(u) * up);
            vertices.push([p.x, p.y, p.z]);
            let at = |i: u32, j: u32| (i % along) * round + j % round;
            faces.push(vec![at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)]);
        }
    }
    Mesh::new("trefoil".into(), vertices, &faces).expect("a tube is a mesh")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tube_is_closed_and_has_the_volume_of_its_length() {
        let mesh = trefoil(400, 40);
        assert_eq!(mesh.condition.to_string().split(';').next(), Some("closed"));
        // Length of the knot by its own formula, times the disc (Pappus); the tube nowhere meets itself.
        let speed = |t: f64| {
            let d = [t.cos() + 4.0 * (2.0 * t).cos(), -t.sin() + 4.0 * (2.0 * t).sin(), -3.0 * (3.0 * t).cos()];
            d.iter().map(|v| v * v).sum::<f64>().sqrt()
        };
        let n = 4000;
        let step = std::f64::consts::TAU / f64::from(n);
        let length: f64 = (0..n).map(|i| speed(f64::from(i) * step) * step).sum();
        assert!((mesh.volume() / (length * std::f64::consts::PI * 0.09) - 1.0).abs() < 0.01);
    }
}
