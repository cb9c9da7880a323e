use super::*;
use crate::{
    engine::Wanted,
    network::{
        ActivationKind, ArchitectureKind, DeepOnetConfig, MappingConfig, Merge, NetworkConfig, Parameterization,
    },
    rng::Rng,
    tolerance,
};

const FUNCTIONS: usize = 3;
const SENSORS: usize = 20;
const OUTPUTS: usize = 2;

/// Mean over pairs of the square of what rows 0 and 1 sum up to, against a target.
struct Squares<'a> {
    target: &'a [f32],
    rows: usize,
    functions: usize,
    total: usize,
}

impl OperatorObservation for Squares<'_> {
    fn observe(&self, points: Range<usize>, jets: &[f32], cotangents: &mut [f32]) -> f64 {
        let (n, f) = (points.len(), self.functions);
        let mut sum = 0.0;
        for o in 0..OUTPUTS {
            for i in 0..n * f {
                let at = |row: usize| (o * self.rows + row) * n * f + i;
                let made: f32 = (0..self.rows).map(|row| jets[at(row)]).sum();
                let pair = (points.start * f + i) * OUTPUTS + o;
                let error = made - self.target[pair];
                sum += f64::from(error * error) / self.total as f64;
                (0..self.rows).for_each(|row| cotangents[at(row)] = 2.0 * error / self.total as f32);
            }
        }
        sum
    }
}

fn numbers(count: usize, stream: &str) -> Vec<f32> {
    let mut rng = Rng::new(11).stream(stream);
    (0..count).map(|_| rng.symmetric(1.0) as f32).collect()
}

struct Case {
    deeponet: DeepOnet,
    start: Vec<Parameter>,
    functions: Vec<f32>,
    points: Vec<f32>,
}

fn case(architecture: ArchitectureKind, merge: Merge, parameterization: Parameterization, points: usize) -> Case {
    let config = DeepOnetConfig {
        sensors: SENSORS,
        latent: 7,
        merge,
        branch: None,
        branch_hidden: Some(6),
        branch_depth: Some(1),
    };
    let mapping = if architecture == ArchitectureKind::Mlp {
        MappingConfig::None
    } else {
        MappingConfig::Gaussian { frequencies: 3, scale: 0.3 }
    };
    let network = NetworkConfig {
        mapping,
        parameterization,
        omega0: 2.0,
        omega0_first: 2.0,
        ..NetworkConfig::new(architecture, 5, 2)
    };
    let (deeponet, mut start) = DeepOnet::new(&config, &network, 2, OUTPUTS, &Rng::new(4)).unwrap();
    start.iter_mut().filter(|p| p.name == "head.bias").for_each(|p| p.values = vec![0.25, -0.5]);
    Case { deeponet, start, functions: numbers(FUNCTIONS * SENSORS, "u"), points: numbers(points * 2, "y") }
}

/// The same loss by the oracle, the derivative along the first input by central differences.
fn oracle(case: &Case, parameters: &[Parameter], pairs: Pairs, rows: usize, target: &[f32]) -> f64 {
    let dense = case.deeponet.dense_f64(parameters);
    let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let count = case.points.len() / 2;
    let each = count / FUNCTIONS;
    let mut sum = 0.0;
    for p in 0..count {
        let y = wide(&case.points[2 * p..2 * p + 2]);
        let functions = if pairs == Pairs::Own { p / each..p / each + 1 } else { 0..FUNCTIONS };
        let many = functions.len();
        for (f, function) in functions.enumerate() {
            let u = wide(&case.functions[function * SENSORS..][..SENSORS]);
            let mut made = dense.forward_f64(&u, &y);
            if rows == 2 {
                let h = 1e-5;
                let (up, down) = (dense.forward_f64(&u, &[y[0] + h, y[1]]), dense.forward_f64(&u, &[y[0] - h, y[1]]));
                made.iter_mut().zip(up.iter().zip(&down)).for_each(|(m, (a, b))| *m += (a - b) / (2.0 * h));
            }
            for (o, m) in made.iter().enumerate() {
                sum += (m - f64::from(target[(p * many + f) * OUTPUTS + o])).powi(2);
            }
        }
    }
    sum / target.len() as f64
}

fn check_case(case: &Case, pairs: Pairs, rows: usize, what: &str) {
    let count = case.points.len() / 2;
    let many = if pairs == Pairs::Own { 1 } else { FUNCTIONS };
    let target = numbers(count * many * OUTPUTS, "s");
    let wanted = [vec![], vec![0]];
    let wanted: Vec<Wanted> = wanted[..rows].iter().map(|w| Wanted::Partial(w.clone())).collect();
    let (plan, _) = Plan::new(&[1.0, 1.0], &wanted).unwrap();
    let mut engine = DeepOnetEngine::new(&case.deeponet, &case.start).unwrap();
    let observation = Squares { target: &target, rows, functions: many, total: target.len() };
    let look = |weight| OperatorLook { points: &case.points, pairs, plan: &plan, observation: &observation, weight };
    // Two looks, so that weights and sums over looks count.
    let sums = engine.observe_operator(&case.functions, &[look(0.75), look(0.25)]).unwrap();
    let expected = oracle(case, &case.start, pairs, rows, &target);
    for sum in sums {
        assert!((sum - expected).abs() < 1e-4 * expected, "{what}: loss {sum} {expected}");
    }
    let gradients = engine.take_gradients().unwrap();
    for (n, gradient) in gradients.iter().enumerate() {
        assert_eq!(gradient.name, case.start[n].name);
        // A few numbers of every tensor; each costs two oracles.
        let each = (gradient.values.len() / 5).max(1);
        let mut found = Vec::new();
        for i in (0..gradient.values.len()).step_by(each) {
            let moved = |by: f32| {
                let mut p = case.start.clone();
                p[n].values[i] += by;
                (f64::from(p[n].values[i]), oracle(case, &p, pairs, rows, &target))
            };
            let ((a, up), (b, down)) = (moved(1e-3), moved(-1e-3));
            found.push((f64::from(gradient.values[i]), (up - down) / (a - b)));
        }
        let largest = gradient.values.iter().fold(1e-3f64, |m, v| m.max(f64::from(v.abs())));
        for (found, expected) in found {
            let error = (found - expected).abs() / largest;
            assert!(error < tolerance::JET_GRADIENT, "{what} {}: {found} {expected}", gradient.name);
        }
    }
}

#[test]
fn gradients_equal_differences_for_every_form() {
    use Parameterization as P;
    for architecture in [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp] {
        for pairs in [Pairs::All, Pairs::Own] {
            for (merge, rows) in [(Merge::Dot, 1), (Merge::Dot, 2), (Merge::Dense, 1)] {
                let case = case(architecture, merge, P::default(), 6);
                check_case(&case, pairs, rows, &format!("{architecture:?} {merge:?} {pairs:?} {rows}"));
            }
        }
    }
    for parameterization in P::ALL {
        let case = case(ArchitectureKind::Mlp, Merge::Dense, parameterization, 6);
        check_case(&case, Pairs::All, 1, &format!("{parameterization:?}"));
    }
}

#[test]
fn values_are_those_of_the_oracle_and_of_more_than_a_tile() {
    for merge in [Merge::Dot, Merge::Dense] {
        let case = case(ArchitectureKind::Mlp, merge, Parameterization::default(), 700);
        let engine = DeepOnetEngine::new(&case.deeponet, &case.start).unwrap();
        let found = engine.values(&case.functions, &case.points).unwrap();
        let dense = case.deeponet.dense_f64(&case.start);
        let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        for (f, p) in [(0, 0), (2, 255), (1, 256), (2, 699)] {
            let expected = dense
                .forward_f64(&wide(&case.functions[f * SENSORS..][..SENSORS]), &wide(&case.points[2 * p..2 * p + 2]));
            for (o, expected) in expected.iter().enumerate() {
                let found = f64::from(found[(f * 700 + p) * OUTPUTS + o]);
                assert!((found - expected).abs() < tolerance::FORWARD, "{merge:?}: {found} {expected}");
            }
        }
    }
}

#[test]
fn slopes_of_activations_are_those_of_differences() {
    for kind in [
        ActivationKind::Tanh,
        ActivationKind::Sine,
        ActivationKind::Sigmoid,
        ActivationKind::Gelu,
        ActivationKind::Swish,
    ] {
        let activation = kind.format();
        for x in [-1.3f32, -0.2, 0.4, 2.1] {
            let y = crate::fold::activate(activation, f64::from(x));
            let difference = |h: f64| crate::fold::activate(activation, f64::from(x) + h);
            let expected = (difference(1e-6) - difference(-1e-6)) / 2e-6;
            assert!((f64::from(slope(activation, x, y as f32)) - expected).abs() < 1e-5, "{kind:?} {x}");
        }
    }
}

/// Stopped and taken up from its numbers, a training goes on to the same bits; and what is asked of one network alone is
/// refused.
#[test]
fn a_training_taken_up_goes_on_to_the_same_bits() {
    for merge in [Merge::Dot, Merge::Dense] {
        let case = case(ArchitectureKind::ModifiedMlp, merge, Parameterization::default(), 300);
        let target = numbers(300 * FUNCTIONS * OUTPUTS, "s");
        let (plan, _) = Plan::new(&[1.0, 1.0], &[Wanted::Partial(vec![])]).unwrap();
        let observation = Squares { target: &target, rows: 1, functions: FUNCTIONS, total: target.len() };
        let mut losses = Vec::new();
        let mut step = |engine: &mut DeepOnetEngine, step: u64| {
            let look = OperatorLook {
                points: &case.points,
                pairs: Pairs::All,
                plan: &plan,
                observation: &observation,
                weight: 1.0,
            };
            losses.push(engine.observe_operator(&case.functions, &[look]).unwrap()[0]);
            let adam = AdamStep {
                learning_rate: 1e-2,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.0,
                clip: Some(1.0),
                step,
            };
            engine.update(&adam).unwrap();
        };
        let mut straight = DeepOnetEngine::new(&case.deeponet, &case.start).unwrap();
        (1..=5).for_each(|n| step(&mut straight, n));
        let mut taken = DeepOnetEngine::new(&case.deeponet, &straight.parameters().unwrap()).unwrap();
        taken.set_moments(&straight.moments().unwrap()).unwrap();
        (6..=10).for_each(|n| step(&mut straight, n));
        (6..=10).for_each(|n| step(&mut taken, n));
        assert_eq!(straight.parameters().unwrap(), taken.parameters().unwrap());
        assert!(losses[9] < 0.9 * losses[0], "{losses:?}");
        assert!(straight.forward(&case.points).is_err() && straight.load(&[], &[]).is_err());
    }
}
