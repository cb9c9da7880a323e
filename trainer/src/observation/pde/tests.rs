use std::sync::Mutex;

use super::*;
use crate::{
    engine::{FusedEngine, JetEngine, JetObservation},
    fold::{Mask, Normalization},
    network::{ArchitectureKind, Network, NetworkConfig},
    rng::Rng,
    tolerance,
};

fn names(equation: &dyn Equation) -> (Vec<&'static str>, Vec<&'static str>) {
    (equation.axes().iter().map(|a| a.name).collect(), equation.outputs().iter().map(|o| o.0).collect())
}

type Exact = Box<dyn Fn(&[f64]) -> f64>;

/// A smooth solution by central differences of order 4, for the closed forms.
fn derivative(f: &dyn Fn(&[f64]) -> f64, axes: &[usize], x: &[f64]) -> f64 {
    let Some((&axis, rest)) = axes.split_first() else { return f(x) };
    let h = 4e-3;
    let at = |k: f64| {
        let mut moved = x.to_vec();
        moved[axis] += k * h;
        derivative(f, rest, &moved)
    };
    (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * h)
}

/// What a closed form leaves of every term, over the largest of its parts.
fn left_over(equation: &dyn Equation, exact: &dyn Fn(&[f64]) -> f64) -> f64 {
    let (inputs, outputs) = names(equation);
    let axes = equation.axes();
    let c: Vec<Dual> = equation.coefficients().iter().map(|c| Dual::constant(c.value)).collect();
    let mut rng = Rng::new(1);
    let mut worst = 0.0f64;
    for term in equation.terms() {
        for n in 0..40 {
            let mut x: Vec<f64> = axes.iter().map(|a| a.lo + (a.hi - a.lo) * rng.uniform()).collect();
            match term.place {
                Place::Low(k) => x[k] = axes[k].lo,
                Place::High(k) => x[k] = axes[k].hi,
                Place::Ends(k) => x[k] = if n % 2 == 0 { axes[k].lo } else { axes[k].hi },
                Place::Inside | Place::Data => {}
            }
            let value = |wanted: &crate::engine::Wanted| match wanted {
                crate::engine::Wanted::Partial(by) => derivative(exact, by, &x),
                crate::engine::Wanted::Laplacian(by) => by.iter().map(|&k| derivative(exact, &[k, k], &x)).sum(),
            };
            let derivatives: Vec<f64> =
                term.derivatives(&inputs, &outputs).unwrap().iter().map(|(_, wanted)| value(wanted)).collect();
            let duals: Vec<Dual> =
                derivatives.iter().enumerate().map(|(lane, d)| Dual::variable(*d as f32, lane)).collect();
            for r in term.residual(&At { x: &x, c: &c, data: &[0.0] }, &duals) {
                let parts = duals.iter().zip(r.slope()).map(|(d, s)| (d.value() * s).abs());
                worst = worst.max(f64::from(r.value().abs() / parts.fold(1.0, f32::max)));
            }
        }
    }
    worst
}

#[test]
fn closed_forms_leave_nothing_of_any_term() {
    for equation in EQUATIONS {
        let c: Vec<f64> = equation.coefficients().iter().map(|c| c.value).collect();
        let exact: Exact = match equation.name() {
            "advection" => Box::new(move |x| (x[1] - c[0] * x[0]).sin()),
            "fisher" => Box::new(|x| fisher::exact(x[0], x[1])),
            "heat" => Box::new(move |x| heat::exact(c[0], x[0], x[1])),
            "wave" => Box::new(move |x| wave::exact(c[0], x[0], x[1])),
            "poisson" => Box::new(|x| poisson::exact(x[0], x[1])),
            "helmholtz" => Box::new(|x| helmholtz::exact(x[0], x[1])),
            _ => continue,
        };
        let left = left_over(*equation, &exact);
        assert!(left < tolerance::MANUFACTURED, "{}: {left:e}", equation.name());
        // A solution that is a little wrong is seen.
        let wrong = left_over(*equation, &|x| exact(x) + 0.05 * (x[0] + 2.0 * x[1]).sin());
        assert!(wrong > 10.0 * tolerance::MANUFACTURED, "{}: {wrong:e}", equation.name());
    }
}

/// The spectral references satisfy their equations where central differences of them can tell.
#[test]
fn references_start_where_the_initial_condition_says() {
    for equation in EQUATIONS {
        let c: Vec<f64> = equation.coefficients().iter().map(|c| c.value).collect();
        let field = equation.reference(&c);
        if field.shape.is_empty() {
            continue;
        }
        // An output is known everywhere or, where it only stands beside the solution, nowhere.
        for k in 0..field.outputs {
            let known = field.values.iter().skip(k).step_by(field.outputs).filter(|v| v.is_finite()).count();
            assert!(known == field.len() || (known == 0 && k > 0), "{} {k}: {known}", equation.name());
        }
        let axes = equation.axes();
        let ends = |k: usize| (field.points[k], field.points[field.points.len() - axes.len() + k]);
        for (k, axis) in axes.iter().enumerate() {
            assert_eq!(ends(k), (axis.lo, axis.hi), "{}", equation.name());
        }
        let duals: Vec<Dual> = c.iter().map(|c| Dual::constant(*c)).collect();
        for term in equation.terms().iter().filter(|t| t.name == "initial") {
            let each = field.points.chunks(axes.len()).zip(field.values.chunks(field.outputs));
            for (x, values) in each.take(field.shape[1..].iter().product()) {
                let values: Vec<Dual> = values.iter().map(|v| Dual::constant(*v)).collect();
                for r in term.residual(&At { x, c: &duals, data: &[] }, &values) {
                    assert!(r.value().abs() < 1e-5, "{} at {x:?}: {:e}", equation.name(), r.value());
                }
            }
        }
    }
}

/// d(mean square)/d(jets) by the residual's slopes against differences, through a whole network.
#[test]
fn cotangents_are_the_slopes_of_the_sum() {
    for equation in EQUATIONS {
        let (inputs, outputs) = names(*equation);
        let axes = equation.axes();
        let normalization = Normalization {
            input_centre: axes.iter().map(|a| 0.5 * (a.lo + a.hi)).collect(),
            input_half: axes.iter().map(|a| 0.5 * (a.hi - a.lo)).collect(),
            output_centre: vec![0.3; outputs.len()],
            output_half: vec![1.7; outputs.len()],
            mask: None,
        };
        let sought = equation.coefficients().iter().filter(|c| c.sought.is_some()).count();
        let known = equation.coefficients();
        let c: Vec<Dual> = known
            .iter()
            .map(|c| if c.sought.is_some() { Dual::variable(0.5, LANES - 1) } else { Dual::constant(c.value) })
            .collect();
        let mut rng = Rng::new(5);
        let walls = vec![vec![[true, true]; axes.len()]; outputs.len()];
        let ranges: Vec<(f64, f64)> = axes.iter().map(|a| (a.lo, a.hi)).collect();
        let masked = Normalization { mask: Some(Mask::vanishing(&ranges, &walls)), ..normalization.clone() };
        let cases = equation.terms().into_iter().map(|t| (t, &normalization));
        for (term, normalization) in cases.chain(equation.terms().into_iter().map(|t| (t, &masked))) {
            let prepared = term.prepare(&inputs, &outputs, normalization, sought).unwrap();
            let n = 8;
            let x: Vec<f64> = (0..n)
                .flat_map(|_| axes.iter().map(|a| a.lo + (a.hi - a.lo) * rng.uniform()).collect::<Vec<_>>())
                .collect();
            let data: Vec<f64> =
                if term.place == Place::Data { (0..n).map(|_| rng.normal()).collect() } else { vec![] };
            let size = prepared.plan.rows() * n * outputs.len();
            let jets: Vec<f32> = (0..size).map(|_| rng.normal() as f32).collect();
            let fault = Mutex::new(None);
            let sum = |jets: &[f32], c: &[Dual], slopes: &mut [f32], extra: &mut [f64]| {
                let purpose = Purpose::Squares;
                let look = Look { term: &term, prepared: &prepared, x: &x, data: &data, c, purpose, fault: &fault };
                look.observe(0..n, jets, slopes, extra)
            };
            let (mut slopes, mut extra) = (vec![0.0f32; size], vec![0.0; sought]);
            sum(&jets, &c, &mut slopes, &mut extra);
            let largest = slopes.iter().fold(0.0f32, |m, s| m.max(s.abs()));
            assert!(largest > 0.0, "{} {}", equation.name(), term.name);
            for i in (0..size).step_by(3) {
                let moved = |by: f32| {
                    let mut jets = jets.clone();
                    jets[i] += by;
                    sum(&jets, &c, &mut vec![0.0; size], &mut vec![0.0; sought])
                };
                let slope = (moved(0.02) - moved(-0.02)) / 0.04;
                let error = (slope - f64::from(slopes[i])).abs() / f64::from(largest);
                assert!(error < tolerance::RESIDUAL, "{} {} {i}: {error:e}", equation.name(), term.name);
            }
            if sought > 0 && term.place == Place::Inside {
                let at = |v: f32| sum(&jets, &[Dual::variable(v, LANES - 1)], &mut vec![0.0; size], &mut [0.0]);
                let slope = (at(0.52) - at(0.48)) / 0.04;
                assert!((slope / extra[0] - 1.0).abs() < tolerance::RESIDUAL, "{slope} {}", extra[0]);
            }
        }
    }
}

/// The mean square that the engine gives is that of derivatives of its own network, times a mask where there is one.
#[test]
fn the_engine_sees_the_equation_in_physical_units() {
    let ranges = [(0.0, 1.0), (-1.0, 1.0)];
    for walls in [None, Some([[false, false], [true, true]]), Some([[true, false], [true, true]])] {
        sees(walls.map(|walls| Mask::vanishing(&ranges, &[walls.to_vec()])));
    }
}

fn sees(mask: Option<Mask>) {
    let equation = equation("burgers").unwrap();
    let term = &equation.terms()[0];
    let normalization = Normalization {
        input_centre: vec![0.5, 0.0],
        input_half: vec![0.5, 1.0],
        output_centre: vec![0.0],
        output_half: vec![2.0],
        mask,
    };
    let prepared = term.prepare(&["t", "x"], &["u"], &normalization, 0).unwrap();
    let config = NetworkConfig::new(ArchitectureKind::Mlp, 12, 2);
    let (network, start) = Network::new(&config, 2, 1, &mut Rng::new(0)).unwrap();
    let dense = crate::fold::fold(&network.dense_f64(&start), &normalization);
    let u = |x: &[f64]| crate::fold::forward_f64(&dense, x)[0];
    let x = [0.2, 0.3, 0.7, -0.4];
    let network_x: Vec<f32> = x.chunks(2).flat_map(|p| [(2.0 * p[0] - 1.0) as f32, p[1] as f32]).collect();
    let fault = Mutex::new(None);
    let c = [Dual::constant(0.01)];
    let purpose = Purpose::Squares;
    let look = Look { term, prepared: &prepared, x: &x, data: &[], c: &c, purpose, fault: &fault };
    let mut engine = FusedEngine::new(&network, &start).unwrap();
    let found = engine.observe_jets(&prepared.plan, &network_x, &look, 1.0, &mut []).unwrap();
    let square = |p: &[f64]| {
        let d = |axes: &[usize]| derivative(&u, axes, p);
        (d(&[0]) + u(p) * d(&[1]) - 0.01 * d(&[1, 1])).powi(2)
    };
    let expected = x.chunks(2).map(square).sum::<f64>() / 2.0;
    assert!((found / expected - 1.0).abs() < tolerance::RESIDUAL, "{found} {expected}");
    // The Laplacian and third derivatives, by the product rule.
    let term = Term::new("other", Place::Inside, ["Δu", "u_txx", "u_xxx"], |_, [l, m, k]| [l + 0.1 * m - 0.1 * k]);
    let prepared = term.prepare(&["t", "x"], &["u"], &normalization, 0).unwrap();
    let look = Look { term: &term, prepared: &prepared, x: &x, data: &[], c: &c, purpose, fault: &fault };
    let found = engine.observe_jets(&prepared.plan, &network_x, &look, 1.0, &mut []).unwrap();
    let square = |p: &[f64]| {
        let d = |axes: &[usize]| derivative(&u, axes, p);
        (d(&[1, 1]) + 0.1 * d(&[0, 1, 1]) - 0.1 * d(&[1, 1, 1])).powi(2)
    };
    let expected = x.chunks(2).map(square).sum::<f64>() / 2.0;
    assert!((found / expected - 1.0).abs() < tolerance::RESIDUAL, "{found} {expected}");
}

#[test]
fn a_residual_that_is_no_number_is_told_with_its_place() {
    let term = Term::new("equation", Place::Inside, ["u_x"], |p, [u_x]| [u_x / (p.x[1] - p.x[1])]);
    let prepared = term.prepare(&["t", "x"], &["u"], &Normalization::identity(2, 1), 0).unwrap();
    let fault = Mutex::new(None);
    let (x, purpose) = ([0.25, 0.75], Purpose::Squares);
    let look = Look { term: &term, prepared: &prepared, x: &x, data: &[], c: &[], purpose, fault: &fault };
    look.observe(0..1, &[1.0; 2], &mut [0.0; 2], &mut []);
    assert_eq!(fault.into_inner().unwrap(), Some(vec![0.25, 0.75]));
}

#[test]
fn names_that_mean_nothing_and_orders_beyond_the_limit_are_refused() {
    let refuse = |name: &'static str| {
        let term = Term::new("equation", Place::Inside, [name], |_, [u]| [u]);
        term.prepare(&["t", "x"], &["u"], &Normalization::identity(2, 1), 0).unwrap_err().to_string()
    };
    assert!(refuse("v").contains("`v`") && refuse("u_y").contains("`u_y`"));
    assert!(refuse("u_xxxxx").contains("order 5"));
    let error = equation("burger").map(|e| e.name()).unwrap_err().to_string();
    assert!(error.contains("`burger`") && error.contains("nearest: burgers"), "{error}");
    assert!(equation("alen-kahn").map(|e| e.name()).unwrap_err().to_string().contains("allen-cahn"));
}

/// Our solvers against published solutions, where their files are at hand.
#[test]
fn references_agree_with_published_ones() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/pde");
    for (name, file) in [("burgers", "burgers_shock.mat"), ("allen-cahn", "AC.mat"), ("kdv", "KdV.mat")] {
        let path = folder.join(file);
        if !path.exists() {
            eprintln!("{file} is not there: left out");
            continue;
        }
        let mut published = read(&path).unwrap();
        // Ours are at a hundred times; published ones may be at others between them.
        for (p, value) in published.points.chunks(2).zip(&mut published.values) {
            if (100.0 * p[0] - (100.0 * p[0]).round()).abs() > 1e-3 {
                *value = f64::NAN;
            }
        }
        let known = equation(name).unwrap();
        let c: Vec<f64> = known.coefficients().iter().map(|c| c.value).collect();
        // Between the nodes of the coarser grid no cubic follows a shock.
        let ours = if name == "burgers" { burgers::solve(c[0], 1024) } else { known.reference(&c) };
        let at = |p: &[f64]| interpolate(&ours, p) as f32;
        let found: Vec<f32> = published.points.chunks(2).map(at).collect();
        let error = published.relative_l2(&found);
        assert!(error < tolerance::PUBLISHED, "{name}: {error:e}");
    }
}

/// Cubic along x at the nearest time.
fn interpolate(field: &Field, p: &[f64]) -> f64 {
    let [times, places] = field.shape[..] else { panic!() };
    let (t0, t1) = (field.points[0], field.points[field.points.len() - 2]);
    let (x0, x1) = (field.points[1], field.points[field.points.len() - 1]);
    let time = (p[0] - t0) / (t1 - t0) * (times - 1) as f64;
    let at = (p[1] - x0) / (x1 - x0) * (places - 1) as f64;
    let first = (at.floor() as usize).clamp(1, places - 3) - 1;
    let row = &field.values[time.round() as usize * places..];
    (0..4)
        .map(|i| {
            let others = (0..4).filter(|&j| j != i);
            row[first + i] * others.map(|j| (at - (first + j) as f64) / (i as f64 - j as f64)).product::<f64>()
        })
        .sum()
}

/// What the docs show whole is what is compiled, and short.
#[test]
fn the_docs_show_an_equation_in_under_sixty_lines() {
    let (docs, fisher) = (include_str!("../../../docs/physics.md"), include_str!("fisher.rs"));
    assert!(docs.contains(fisher.trim_end()), "docs/physics.md and fisher.rs differ");
    assert!(fisher.lines().count() < 60);
}

/// The tables lie on smooth curves that fulfil the walls' conditions; a digit that is wrong would show.
#[test]
fn the_cavitys_tables_are_smooth() {
    let cavity = equation("cavity").unwrap();
    for re in [100.0, 400.0] {
        let field = cavity.reference(&[re]);
        for (along, output) in [(1, 0), (0, 1)] {
            let line: Vec<(f64, f64)> = (0..field.len())
                .filter(|i| field.values[i * 3 + output].is_finite())
                .map(|i| (field.points[i * 2 + along], field.values[i * 3 + output]))
                .collect();
            assert!(line.len() >= 16 && line.is_sorted_by(|a, b| a.0 > b.0), "{re} {output}");
            assert_eq!(line[0].1, if output == 0 { 1.0 } else { 0.0 });
            assert_eq!(line[line.len() - 1].1, 0.0);
            // A point against the cubic through the two on either side, where these lie near.
            for five in line.windows(5).filter(|w| w[0].0 - w[4].0 < 0.1) {
                let others = [0, 1, 3, 4];
                let at = five[2].0;
                let cubic: f64 = others
                    .iter()
                    .map(|&i| {
                        let rest = others.iter().filter(|&&j| j != i);
                        five[i].1 * rest.map(|&j| (at - five[j].0) / (five[i].0 - five[j].0)).product::<f64>()
                    })
                    .sum();
                assert!((five[2].1 - cubic).abs() < 4e-3, "{re} {output} {at}: {} {cubic}", five[2].1);
            }
        }
    }
    assert!(cavity.problem(&[250.0]).is_some() && cavity.problem(&[400.0]).is_none());
}

/// Which conditions say that a solution vanishes on a wall, and which say something else.
#[test]
fn conditions_that_vanish_on_walls_are_found() {
    let found = |name: &str| -> Result<(Vec<Vec<bool>>, Vec<&str>)> {
        let equation = equation(name)?;
        let c: Vec<Dual> = equation.coefficients().iter().map(|c| Dual::constant(c.value)).collect();
        let (axes, terms) = (equation.axes(), equation.terms());
        let outputs: Vec<&str> = equation.outputs().iter().map(|o| o.0).collect();
        let (mask, left) = hard(&axes, &outputs, &terms, &c)?;
        let held = |o: usize| (0..axes.len()).map(|i| mask.holds(o, i)).collect();
        let left = terms.iter().zip(left).filter(|(_, left)| *left).map(|(t, _)| t.name).collect();
        Ok(((0..outputs.len()).map(held).collect(), left))
    };
    assert_eq!(found("heat").unwrap(), (vec![vec![false, true]], vec!["equation", "initial"]));
    assert_eq!(found("burgers").unwrap(), (vec![vec![false, true]], vec!["equation", "initial"]));
    // The pressure is free, and the lid moves.
    let cavity = (vec![vec![true, true], vec![true, true], vec![false, false]], vec!["equation", "lid"]);
    assert_eq!(found("cavity").unwrap(), cavity);
    assert!(found("fisher").unwrap_err().to_string().contains("signal.hard"));
    assert!(found("advection").is_err());
}
