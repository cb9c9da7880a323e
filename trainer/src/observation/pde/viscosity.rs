//! Burgers' equation backwards: its viscosity from scattered, noisy measurements of the solution.

use super::{Axis, Coefficient, Equation, Field, Place, Term, burgers};

/// The viscosity of Burgers' equation is sought (Raissi, Perdikaris, Karniadakis 2019, part II); neither the start nor
/// the walls are known.
#[derive(Debug)]
pub(super) struct Viscosity;

impl Equation for Viscosity {
    fn name(&self) -> &'static str {
        "burgers-viscosity"
    }

    fn formula(&self) -> &'static str {
        "u_t + u·u_x = nu·u_xx with nu sought from noisy measurements of u"
    }

    fn axes(&self) -> Vec<Axis> {
        burgers::Burgers.axes()
    }

    fn coefficients(&self) -> Vec<Coefficient> {
        vec![Coefficient { sought: Some(0.02), ..Coefficient::new("nu", burgers::NU) }]
    }

    fn terms(&self) -> Vec<Term> {
        vec![
            Term::new("equation", Place::Inside, ["u", "u_t", "u_x", "u_xx"], |p, [u, u_t, u_x, u_xx]| {
                [u_t + u * u_x - p.c[0] * u_xx]
            }),
            Term::new("data", Place::Data, ["u"], |p, [u]| [u - p.data[0]]),
        ]
    }

    fn reference(&self, c: &[f64]) -> Field {
        burgers::solve(c[0], 256)
    }

    fn defaults(&self, _: &[f64]) -> &'static str {
        "
        [signal]
        points = 1024
        refine = 0.3
        sought_rate = 5.0
        [signal.weights]
        data = 10.0
        [training]
        steps = 12000
        lbfgs = 1500
        "
    }
}
