//! A known solution: its values at points, mostly those of a grid.

/// Values of a solution at points, in f64, physical units.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Points `[n, inputs]`.
    pub points: Vec<f64>,
    /// Values `[n, outputs]`; NaN where one is not known.
    pub values: Vec<f64>,
    /// Values at a point.
    pub outputs: usize,
    /// Numbers of points along every input where they are a grid, the last fastest; empty where they are none.
    pub shape: Vec<usize>,
}

impl Field {
    /// `values` `[.., outputs]` at every combination of coordinates from `axes`, the last fastest.
    ///
    /// # Panics
    /// When there are too few values.
    pub fn grid(axes: &[&[f64]], values: Vec<f64>) -> Self {
        let shape: Vec<usize> = axes.iter().map(|a| a.len()).collect();
        let count: usize = shape.iter().product();
        assert!(values.len().is_multiple_of(count), "values for every point");
        let mut points = vec![Vec::new()];
        for axis in axes {
            points = points.iter().flat_map(|p| axis.iter().map(move |&x| [p.as_slice(), &[x]].concat())).collect();
        }
        Self { points: points.concat(), outputs: values.len() / count, values, shape }
    }

    /// The function `f` of two inputs with these ends on a grid of `shape` nodes.
    pub fn of(ends: [(f64, f64); 2], shape: [usize; 2], f: impl Fn(f64, f64) -> f64) -> Self {
        let [a, b] = [0, 1].map(|k| nodes(ends[k], shape[k]));
        let values = a.iter().flat_map(|&a| b.iter().map(move |&b| (a, b))).map(|(a, b)| f(a, b)).collect();
        Self::grid(&[&a, &b], values)
    }

    /// Points of it.
    pub fn len(&self) -> usize {
        self.values.len() / self.outputs
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Relative L2 error of `found` `[n, outputs]` against it, over all that is known.
    pub fn relative_l2(&self, found: &[f32]) -> f64 {
        let known = self.values.iter().zip(found).filter(|(v, _)| !v.is_nan());
        let (error, size) =
            known.fold((0.0, 0.0), |(error, size), (v, f)| (error + (f64::from(*f) - v).powi(2), size + v * v));
        (error / size).sqrt()
    }

    /// Every `step`-th point of it, for a quick look.
    pub fn thinned(&self, step: usize) -> Self {
        let (outputs, inputs) = (self.outputs, self.points.len() / self.len());
        let take = |values: &[f64], width: usize| -> Vec<f64> {
            values.chunks_exact(width).step_by(step).flatten().copied().collect()
        };
        Self { points: take(&self.points, inputs), values: take(&self.values, outputs), outputs, shape: Vec::new() }
    }
}

/// `count` coordinates from one end to the other, both among them.
pub fn nodes((lo, hi): (f64, f64), count: usize) -> Vec<f64> {
    (0..count).map(|i| lo + (hi - lo) * i as f64 / (count - 1) as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative_to_what_is_known() {
        let mut field = Field::of([(0.0, 1.0), (0.0, 2.0)], [2, 3], |a, b| 10.0 * a + b);
        assert_eq!(field.points[6..8], [1.0, 0.0]);
        assert_eq!(field.values, [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
        let found = field.values.iter().map(|v| (1.1 * v) as f32).collect::<Vec<_>>();
        assert!((field.relative_l2(&found) - 0.1).abs() < 1e-6);
        field.values[5] = f64::NAN;
        let mut wrong = found.clone();
        wrong[5] = 1e9;
        assert!((field.relative_l2(&wrong) - 0.1).abs() < 1e-6);
        assert_eq!(field.thinned(2).values, [0.0, 2.0, 11.0]);
        let box_of = Field::grid(&[&[0.0, 1.0], &[2.0], &[3.0, 4.0]], vec![0.0; 8]);
        assert_eq!((box_of.outputs, box_of.len()), (2, 4));
        assert_eq!(box_of.points, [0.0, 2.0, 3.0, 0.0, 2.0, 4.0, 1.0, 2.0, 3.0, 1.0, 2.0, 4.0]);
    }
}
