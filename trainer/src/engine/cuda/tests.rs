use super::{emulator::Emulator, machine::Properties, nvrtc::Nvrtc, plan::Plan, *};
use crate::{
    config::{Optimizer, TrainingConfig},
    engine::{FusedEngine, Wanted, contract, fallback, jet::contract as jet_contract},
    network::{ActivationKind, ArchitectureKind, MappingConfig, NetworkConfig, Parameterization},
    rng::Rng,
    tolerance,
    train::{Batches, Evaluation, Measured, Objective, Progress, Schedule, Score, fit},
};
use std::sync::atomic::AtomicBool;

/// A GPU of 3 multiprocessors, so that a few hundred points are several rounds of tiles.
const MULTIPROCESSORS: usize = 3;
const SHARED: usize = 100 * 1024;

fn emulated(network: &Network, start: &[Parameter], shared: usize) -> Result<CudaEngine> {
    let machine = Emulator::new(MULTIPROCESSORS, shared).expect("asked for before");
    CudaEngine::on(Rc::new(machine), network, start, MatmulPrecision::F32)
}

fn make(network: &Network, start: &[Parameter]) -> Result<Box<dyn Engine>> {
    Ok(Box::new(emulated(network, start, SHARED)?))
}

/// Whether kernels can be emulated here; says so where not.
fn possible() -> bool {
    let found = Emulator::new(1, SHARED).is_some();
    if !found {
        eprintln!("skipped: no C++ compiler (CXX, g++, clang++) emulates the kernels");
    }
    found
}

#[test]
fn gradients_equal_differences_for_every_network() {
    if possible() {
        contract::gradients_of_every_network(make);
    }
}

#[test]
fn gradients_equal_differences_for_every_activation() {
    if possible() {
        contract::gradients_of_every_activation(make);
    }
}

#[test]
fn jets_and_their_gradients_equal_the_slow_twin() {
    if possible() {
        jet_contract::every_network(&[ArchitectureKind::Mlp, ArchitectureKind::Siren], 2, make);
        jet_contract::every_activation(2, make);
    }
}

#[test]
fn dense_layers_equal_the_f64_twin() {
    if possible() {
        contract::dense_layers(make);
    }
}

#[test]
fn observations() {
    if possible() {
        contract::observations(make);
    }
}

#[test]
fn groups_of_different_sizes() {
    if possible() {
        contract::uneven_groups(make);
    }
}

#[test]
fn cross_entropy() {
    if possible() {
        contract::cross_entropy(make);
    }
}

#[test]
fn batches_and_clipping() {
    if possible() {
        contract::batches_and_clipping(make);
    }
}

#[test]
fn parameters_that_do_not_fit_are_named() {
    if possible() {
        contract::parameters_that_do_not_fit(make);
    }
}

/// The emulated engine and the CPU's with the same samples.
fn pair(config: &NetworkConfig, points: usize, shared: usize) -> (CudaEngine, FusedEngine) {
    let (x, y) = contract::samples(points);
    let (network, start) = Network::new(config, 2, 2, &mut Rng::new(5)).unwrap();
    let mut cuda = emulated(&network, &start, shared).unwrap();
    let mut fused = FusedEngine::new(&network, &start).unwrap();
    cuda.load(&x, &y).unwrap();
    fused.load(&x, &y).unwrap();
    (cuda, fused)
}

/// Networks whose widths meet every way a product is shared out, and whose tiles are in shared memory or not.
fn wide() -> [(NetworkConfig, usize); 5] {
    let of = |architecture, hidden, depth, mapping| NetworkConfig {
        mapping,
        omega0: 5.0,
        omega0_first: 5.0,
        ..NetworkConfig::new(architecture, hidden, depth)
    };
    let relu = |config| NetworkConfig { activation: Some(ActivationKind::Relu), ..config };
    let gaussian = |frequencies| MappingConfig::Gaussian { frequencies, scale: 1.0 };
    [
        (of(ArchitectureKind::Siren, 24, 2, MappingConfig::None), SHARED),
        (of(ArchitectureKind::Siren, 64, 2, MappingConfig::None), 48 * 1024),
        (relu(of(ArchitectureKind::Mlp, 130, 2, gaussian(35))), SHARED),
        (of(ArchitectureKind::ModifiedMlp, 40, 3, contract::MAPPINGS[2]), SHARED),
        (of(ArchitectureKind::ModifiedMlp, 17, 1, contract::MAPPINGS[1]), 48 * 1024),
    ]
}

#[test]
fn gradients_and_values_equal_the_cpu_over_many_tiles() {
    if !possible() {
        return;
    }
    for (config, shared) in wide() {
        // Seven tiles of the largest size on up to six blocks, the last tile short; and batches of smaller tiles.
        let (mut cuda, mut fused) = pair(&config, 800, shared);
        let batch: Vec<u32> = (0..800).step_by(5).chain([1, 1, 2]).collect();
        for batch in [Batch::Full, Batch::Indices(&batch), Batch::Indices(&batch[..20])] {
            for loss in [Loss::MeanSquaredError, Loss::BinaryCrossEntropy] {
                let (a, found) = cuda.loss_and_gradients(batch, loss).unwrap();
                let (b, expected) = fused.loss_and_gradients(batch, loss).unwrap();
                assert!((a / b - 1.0).abs() < tolerance::FORWARD, "{config:?}: loss {a} {b}");
                for (found, expected) in found.iter().zip(&expected) {
                    let largest = expected.values.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
                    for (a, b) in found.values.iter().zip(&expected.values) {
                        let error = f64::from((a - b).abs() / largest);
                        assert!(error < tolerance::ENGINES, "{config:?} {}: {a} {b}, off by {error:e}", found.name);
                    }
                }
            }
        }
        let (x, _) = contract::samples(1300);
        for (a, b) in cuda.forward(&x).unwrap().iter().zip(fused.forward(&x).unwrap()) {
            assert!(f64::from((a - b).abs()) < tolerance::FORWARD * 4.0, "{config:?}: {a} {b}");
        }
    }
}

/// Widths that fill squares of tensor cores and that do not, tiles in shared memory and not, all architectures.
#[test]
fn products_on_tensor_cores_are_those_of_rounded_factors() {
    if !possible() {
        return;
    }
    for (config, shared) in wide() {
        let (x, y) = contract::samples(300);
        let (network, start) = Network::new(&config, 2, 2, &mut Rng::new(5)).unwrap();
        let mut fused = FusedEngine::new(&network, &start).unwrap();
        fused.load(&x, &y).unwrap();
        let (loss, expected) = fused.loss_and_gradients(Batch::Full, Loss::MeanSquaredError).unwrap();
        let mut before = 0.0;
        for (matmul, most) in [(MatmulPrecision::Tf32, tolerance::TF32), (MatmulPrecision::Bf16, tolerance::BF16)] {
            let machine = Emulator::new(MULTIPROCESSORS, shared).expect("asked for before");
            let mut cuda = CudaEngine::on(Rc::new(machine), &network, &start, matmul).unwrap();
            cuda.load(&x, &y).unwrap();
            let (rounded, found) = cuda.loss_and_gradients(Batch::Full, Loss::MeanSquaredError).unwrap();
            assert!((rounded / loss - 1.0).abs() < most, "{config:?} {matmul:?}: loss {rounded} {loss}");
            let mut off = 0.0f64;
            for (found, expected) in found.iter().zip(&expected) {
                let norm = |v: &mut dyn Iterator<Item = f32>| v.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
                let pairs = found.values.iter().zip(&expected.values);
                let difference = norm(&mut pairs.map(|(a, b)| a - b));
                let size = norm(&mut expected.values.iter().copied());
                assert!(difference <= most * size, "{config:?} {matmul:?} {}: {difference:e} of {size:e}", found.name);
                off += difference / size;
            }
            // Rounded they are, and the fewer bits the more.
            println!("{config:?} {matmul:?}: {off:e}");
            assert!(off > 2.0 * before + 1e-5, "{config:?} {matmul:?}: {off:e} after {before:e}");
            before = off;
        }
    }
}

/// Rows that fill a tile and that do not, tiles in shared memory and not, points over many tiles.
#[test]
fn jets_and_their_gradients_equal_the_cpu_over_many_tiles() {
    if !possible() {
        return;
    }
    let partial = |axes: &[usize]| Wanted::Partial(axes.to_vec());
    let burgers = vec![partial(&[]), partial(&[0]), partial(&[1]), partial(&[1, 1])];
    let plans = [burgers, vec![partial(&[0])], vec![Wanted::Laplacian(vec![0, 1])], jet_contract::everything(2)];
    let plain = wide().into_iter().filter(|(config, _)| config.architecture != ArchitectureKind::ModifiedMlp);
    for ((config, shared), wanted) in plain.zip(&plans).flat_map(|(of, wanted)| [(of.clone(), wanted), (of, &plans[3])])
    {
        let (mut cuda, mut fused) = pair(&config, 1, shared);
        let (plan, combinations) = jet::Plan::new(&[1.0, 2.0], wanted).unwrap();
        let mixture = jet_contract::Mixture { outputs: 2, combinations };
        let sizes = vec![1.0; wanted.len()];
        for points in [700, 33] {
            let (x, _) = contract::samples(points);
            let run = |engine: &mut dyn Engine| {
                let (mut extra, jets) = ([0.0], engine.jets(&[&plan]).unwrap());
                let mixed = jet_contract::Scaled(&mixture, &sizes);
                let sum = jets.observe_jets(&plan, &x, &mixed, 1.0, &mut extra).unwrap();
                assert_eq!(extra[0], points as f64);
                (sum, engine.take_gradients().unwrap())
            };
            let ((a, found), (b, expected)) = (run(&mut cuda), run(&mut fused));
            assert!((a / b - 1.0).abs() < tolerance::JET, "{config:?}: sum {a} {b}");
            for (found, expected) in found.iter().zip(&expected) {
                let largest = expected.values.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
                for (a, b) in found.values.iter().zip(&expected.values) {
                    let error = f64::from((a - b).abs() / largest);
                    assert!(error < tolerance::ENGINES, "{config:?} {}: {a} {b}, off by {error:e}", found.name);
                }
            }
        }
    }
}

/// Steps of L-BFGS on the residual of an equation: the GPU's go down as the CPU's do.
#[test]
fn a_descent_goes_the_way_of_the_cpu() {
    if !possible() {
        return;
    }
    let config = NetworkConfig::new(ArchitectureKind::Mlp, 12, 2);
    let (mut cuda, mut fused) = pair(&config, 1, SHARED);
    let wanted = [Wanted::Partial(vec![0]), Wanted::Laplacian(vec![0, 1])];
    let (plan, combinations) = jet::Plan::new(&[1.0, 1.0], &wanted).unwrap();
    let mixture = jet_contract::Mixture { outputs: 2, combinations };
    let (x, _) = contract::samples(50);
    let run = |engine: &mut dyn Engine| -> Vec<f64> {
        let engine = engine.jets(&[&plan]).unwrap();
        let mut gather = |engine: &mut dyn JetEngine, _: &[f32]| {
            let mixed = jet_contract::Scaled(&mixture, &[10.0, 10.0]);
            Ok((engine.observe_jets(&plan, &x, &mixed, 1.0, &mut [0.0])?, Vec::new()))
        };
        (0..5).map(|_| engine.descend(0, &mut [], &mut gather).unwrap().expect("a lower place").loss).collect()
    };
    let (found, expected) = (run(&mut cuda), run(&mut fused));
    assert!(found.is_sorted_by(|a, b| a > b), "{found:?}");
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() < tolerance::TRAINING * b.abs().max(1.0), "{found:?} {expected:?}");
    }
    let moments = cuda.moments().unwrap();
    assert!(moments.iter().any(|m| m.name == "lbfgs.s"));
    fused.set_moments(&moments).unwrap();
}

#[test]
fn a_hundred_steps_go_the_way_of_the_cpu_and_checkpoints_are_shared() {
    if !possible() {
        return;
    }
    for architecture in [ArchitectureKind::Mlp, ArchitectureKind::Siren, ArchitectureKind::ModifiedMlp] {
        let config = NetworkConfig { omega0: 5.0, omega0_first: 5.0, ..NetworkConfig::new(architecture, 24, 2) };
        let (mut cuda, mut fused) = pair(&config, 300, SHARED);
        // By recorded steps of 25, with batches of their own.
        let mut rng = Rng::new(9);
        for turn in 0..4 {
            let indices: Vec<Vec<u32>> = (0..25).map(|_| rng.permutation(300)[..200].to_vec()).collect();
            let batches: Vec<Batch<'_>> = indices.iter().map(|i| Batch::Indices(i)).collect();
            let adam: Vec<AdamStep> = (1..=25).map(|n| contract::step(25 * turn + n)).collect();
            let found = cuda.steps(&batches, Loss::MeanSquaredError, &adam).unwrap();
            let expected = fused.steps(&batches, Loss::MeanSquaredError, &adam).unwrap();
            for (n, (a, b)) in found.iter().zip(&expected).enumerate() {
                assert!(
                    (a.loss / b.loss - 1.0).abs() < tolerance::TRAINING,
                    "{architecture:?} {turn} {n}: {a:?} {b:?}"
                );
                let norm = (a.gradient_norm / b.gradient_norm - 1.0).abs();
                assert!(norm < 10.0 * tolerance::TRAINING, "{architecture:?} {turn} {n}: {a:?} {b:?}");
            }
        }
        assert_eq!(cuda.replayed.get(), 100);
        // Either goes on from the other's state.
        cuda.set_parameters(&fused.parameters().unwrap()).unwrap();
        cuda.set_moments(&fused.moments().unwrap()).unwrap();
        assert_eq!(cuda.parameters().unwrap(), fused.parameters().unwrap());
        assert_eq!(cuda.moments().unwrap(), fused.moments().unwrap());
        let a = cuda.step(Batch::Full, Loss::MeanSquaredError, &contract::step(101)).unwrap();
        let b = fused.step(Batch::Full, Loss::MeanSquaredError, &contract::step(101)).unwrap();
        assert!((a.loss / b.loss - 1.0).abs() < tolerance::FORWARD);
    }
}

#[test]
fn recorded_steps_are_those_taken_one_by_one_bit_for_bit() {
    if !possible() {
        return;
    }
    for parameterization in Parameterization::ALL {
        let config = NetworkConfig { parameterization, ..NetworkConfig::new(ArchitectureKind::Mlp, 9, 2) };
        let ((mut one, _), (mut many, _)) = (pair(&config, 150, SHARED), pair(&config, 150, SHARED));
        let adam: Vec<AdamStep> = (1..=6).map(contract::step).collect();
        let batches = [Batch::Full; 6];
        let each: Vec<StepReport> =
            adam.iter().map(|a| one.step(Batch::Full, Loss::MeanSquaredError, a).unwrap()).collect();
        assert_eq!(many.steps(&batches, Loss::MeanSquaredError, &adam).unwrap(), each);
        assert_eq!((one.replayed.get(), many.replayed.get()), (0, 6));
        assert_eq!(one.parameters().unwrap(), many.parameters().unwrap());
        assert_eq!(one.moments().unwrap(), many.moments().unwrap());
    }
}

#[test]
fn plans_give_every_multiprocessor_a_tile_and_fit_shared_memory() {
    let machine = Properties { multiprocessors: 132, shared_per_block: 232_448, shared_per_multiprocessor: 233_472 };
    let plan = |config: &NetworkConfig, inputs, outputs, points| {
        let (network, _) = Network::new(config, inputs, outputs, &mut Rng::new(0)).unwrap();
        Plan::new(Sizes::new(&network).unwrap().kept_rows(), &machine, points, 1)
    };
    let relu = |config| NetworkConfig { activation: Some(ActivationKind::Relu), ..config };
    let siren = |hidden| NetworkConfig::new(ArchitectureKind::Siren, hidden, 3);
    // The cases of `rwf bench`.
    let a = plan(&relu(NetworkConfig::new(ArchitectureKind::Mlp, 128, 3)), 1, 1, 256);
    assert!(a.shape.tile == 16 && a.blocks == 16 && a.shape.kept_shared, "{a:?}");
    let mapping = MappingConfig::Gaussian { frequencies: 256, scale: 10.0 };
    let b = NetworkConfig { mapping, ..relu(NetworkConfig::new(ArchitectureKind::Mlp, 256, 4)) };
    let b = plan(&b, 2, 3, 16_384);
    assert!(!b.shape.kept_shared && b.shape.resident == 2 && b.room > 0, "{b:?}");
    let c = plan(&siren(256), 2, 3, 65_536);
    assert!(c.shape.tile == 128 && !c.shape.kept_shared && c.blocks == 264, "{c:?}");
    let e = plan(&siren(64), 2, 3, 65_536);
    assert!(e.shape.tile == 64 && e.shape.kept_shared && e.room == 0, "{e:?}");
    for plan in [a, b, c, e] {
        assert!(plan.shared <= machine.shared_per_block, "{plan:?}");
        assert!(plan.shape.resident * (plan.shared + 1024) <= machine.shared_per_multiprocessor, "{plan:?}");
    }
}

#[test]
fn networks_whose_layers_differ_are_refused_with_what_to_do() {
    let config = NetworkConfig::new(ArchitectureKind::Mlp, 9, 2);
    let (mut network, _) = Network::new(&config, 2, 2, &mut Rng::new(0)).unwrap();
    network.architecture.layers[1].outputs = 8;
    let error = Sizes::new(&network).unwrap_err().to_string();
    assert!(error.contains("several widths") && error.contains("--device cpu"), "{error}");
}

#[test]
fn derivatives_that_kernels_do_not_carry_are_refused() {
    let sizes = |architecture| {
        let (network, _) = Network::new(&NetworkConfig::new(architecture, 9, 2), 2, 2, &mut Rng::new(0)).unwrap();
        Sizes::new(&network).unwrap()
    };
    let plan = |order: usize| jet::Plan::new(&[1.0; 2], &[Wanted::Partial(vec![0; order])]).unwrap().0;
    let (plain, gated) = (sizes(ArchitectureKind::Mlp), sizes(ArchitectureKind::ModifiedMlp));
    assert_eq!(jets::refusal(&plain, &[&plan(1), &plan(2)]), None);
    assert!(jets::refusal(&plain, &[&plan(2), &plan(3)]).unwrap().contains("order 3"));
    assert!(jets::refusal(&gated, &[&plan(1)]).unwrap().contains("gated"));
    // A descent alone takes no derivatives by inputs.
    assert_eq!(jets::refusal(&gated, &[]), None);
}

#[test]
fn what_fails_on_a_gpu_that_nobody_insists_on_goes_on_on_the_cpu() {
    if !possible() {
        return;
    }
    let config = NetworkConfig::new(ArchitectureKind::Mlp, 9, 2);
    let (network, start) = Network::new(&config, 2, 2, &mut Rng::new(5)).unwrap();
    let (x, y) = contract::samples(100);
    let small = || {
        let mut machine = Emulator::new(MULTIPROCESSORS, SHARED).expect("asked for before");
        machine.size = 1 << 20;
        CudaEngine::on(Rc::new(machine), &network, &start, MatmulPrecision::F32)
    };
    let make = || fallback::engine(&network, &start, MatmulPrecision::F32, small).unwrap();

    // A signal that does not fit its memory: the CPU goes on where the GPU stood.
    let mut engine = make();
    engine.load(&x, &y).unwrap();
    engine.step(Batch::Full, Loss::MeanSquaredError, &contract::step(1)).unwrap();
    assert_eq!(engine.name(), "cuda");
    let before = (engine.parameters().unwrap(), engine.moments().unwrap());
    let (large_x, large_y) = contract::samples(100_000);
    engine.load(&large_x, &large_y).unwrap();
    assert_eq!(engine.name(), "fused");
    assert_eq!((engine.parameters().unwrap(), engine.moments().unwrap()), before);
    assert!(engine.step(Batch::Full, Loss::MeanSquaredError, &contract::step(2)).unwrap().loss.is_finite());

    // Derivatives up to the second order are the GPU's too, others the CPU's alone.
    let mut engine = make();
    let plan = |order: usize| jet::Plan::new(&[1.0; 2], &[Wanted::Partial(vec![0; order])]).unwrap().0;
    assert!(engine.jets(&[&plan(2)]).is_ok() && engine.name() == "cuda");
    assert!(engine.jets(&[&plan(2), &plan(3)]).is_ok() && engine.name() == "fused");

    // No GPU, and one that computes something else.
    let none =
        fallback::engine(&network, &start, MatmulPrecision::F32, || Err::<CudaEngine, _>(Error::Device("none".into())));
    assert_eq!(none.unwrap().name(), "fused");
    let (_, other) = Network::new(&config, 2, 2, &mut Rng::new(6)).unwrap();
    let wrong = fallback::engine(&network, &start, MatmulPrecision::F32, || emulated(&network, &other, SHARED));
    assert_eq!(wrong.unwrap().name(), "fused");
}

/// Squared error of loaded samples, and the losses where it was measured.
struct Plain {
    batches: Batches,
    measured: Vec<(u64, f64)>,
}

impl Objective for Plain {
    fn gather(&mut self, engine: &mut dyn Engine, step: u64) -> Result<f64> {
        self.batches.gather(engine, step)
    }

    fn loaded(&mut self) -> Option<(&mut Batches, Loss)> {
        Some((&mut self.batches, Loss::MeanSquaredError))
    }

    fn evaluate(&mut self, _: &dyn Engine, at: Evaluation) -> Result<Measured> {
        self.measured.push((at.step, at.loss));
        Ok(Measured { score: Score::new("loss", -at.loss), target_reached: false })
    }
}

#[test]
fn the_loop_hands_over_many_steps_and_measures_where_it_would() {
    if !possible() {
        return;
    }
    let config = NetworkConfig::new(ArchitectureKind::Mlp, 9, 2);
    let (mut cuda, mut fused) = pair(&config, 150, SHARED);
    let plan = TrainingConfig {
        steps: 70,
        lbfgs: 0,
        batch: 40,
        optimizer: Optimizer::Adam,
        learning_rate: 1e-3,
        schedule: Schedule::Cosine { end: 0.1 },
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        clip: None,
        seed: 3,
        target_psnr: None,
        evaluate_every: 40,
    };
    let run = |engine: &mut dyn Engine| {
        let mut plain = Plain { batches: Batches::new(3, 150, 40), measured: Vec::new() };
        let never = AtomicBool::new(false);
        let outcome = fit(engine, &plan, 0, &mut plain, &never, &mut Progress::Quiet).unwrap();
        assert_eq!(outcome.step, 70);
        plain.measured
    };
    let (found, expected) = (run(&mut cuda), run(&mut fused));
    // The eight steps before a measurement are handed over as the others are.
    assert_eq!(cuda.replayed.get(), 70);
    assert_eq!(found.len(), 2);
    for (a, b) in found.iter().zip(&expected) {
        assert!(a.0 == b.0 && (a.1 / b.1 - 1.0).abs() < tolerance::TRAINING, "{a:?} {b:?}");
    }
}

/// The numbers ptxas prints for a kernel: registers, bytes spilled.
fn used(log: &str, kernel: &str) -> (usize, usize) {
    let mut of_tile = log.lines().skip_while(|l| !l.contains(&format!("entry function '{kernel}'"))).skip(1);
    let number = |line: &str, before: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.windows(before.split(' ').count() + 1).find(|w| w[1..].join(" ").starts_with(before));
        at.and_then(|w| w[0].parse::<usize>().ok())
    };
    let lines: Vec<&str> = of_tile.by_ref().take_while(|l| !l.contains("entry function")).collect();
    let find = |what: &str| lines.iter().find_map(|l| number(l, what)).unwrap_or_else(|| panic!("no {what} in {log}"));
    (find("registers,"), find("bytes spill stores,"))
}

#[test]
fn kernels_compile_for_gpus_of_2020_and_2022() {
    let nvrtc = match Nvrtc::open() {
        Ok(nvrtc) => nvrtc,
        Err(reason) if std::env::var_os("RWF_NVRTC").is_none() => return eprintln!("skipped: {reason}"),
        Err(reason) => panic!("{reason}"),
    };
    let hopper = Properties { multiprocessors: 132, shared_per_block: 232_448, shared_per_multiprocessor: 233_472 };
    let ampere = Properties { multiprocessors: 108, shared_per_block: 166_912, shared_per_multiprocessor: 167_936 };
    let relu = |config| NetworkConfig { activation: Some(ActivationKind::Relu), ..config };
    let siren = |hidden| NetworkConfig::new(ArchitectureKind::Siren, hidden, 3);
    let mapping = MappingConfig::Gaussian { frequencies: 256, scale: 10.0 };
    let mut cases = vec![
        (relu(NetworkConfig::new(ArchitectureKind::Mlp, 128, 3)), 256),
        (NetworkConfig { mapping, ..relu(NetworkConfig::new(ArchitectureKind::Mlp, 256, 4)) }, 16_384),
        (siren(256), 65_536),
        (siren(64), 65_536),
    ];
    // Every architecture, mapping, activation and parameterization is in one of these.
    use ActivationKind::{Gelu, Identity, Sigmoid, Sine, Swish, Tanh};
    let activations = [Identity, Sigmoid, Sine, Swish, Tanh, Gelu];
    for (n, (activation, parameterization)) in activations.into_iter().zip(Parameterization::ALL).enumerate() {
        let architecture = [ArchitectureKind::ModifiedMlp, ArchitectureKind::Mlp][n % 2];
        let config = NetworkConfig {
            parameterization,
            mapping: contract::MAPPINGS[n % 4],
            activation: Some(activation),
            output_activation: activation,
            ..NetworkConfig::new(architecture, 24, 2)
        };
        cases.push((config, 5_000));
    }
    for (version, machine) in [(80, ampere), (90, hopper)] {
        for (config, points) in &cases {
            let (network, _) = Network::new(config, 2, 2, &mut Rng::new(0)).unwrap();
            let sizes = Sizes::new(&network).unwrap();
            let plan = Plan::new(sizes.kept_rows(), &machine, *points, 1);
            for matmul in MatmulPrecision::ALL {
                let (code, log) = nvrtc.compile(&program::tile(&sizes, plan.shape, matmul), version).unwrap();
                let (registers, spilled) = used(&log, "tile");
                println!(
                    "sm_{version}, {points} points, {matmul:?}, {plan:?}: {registers} registers, {spilled} spilled"
                );
                assert!(
                    !code.is_empty() && registers * plan.shape.resident * plan::THREADS <= 65_536,
                    "{config:?}: {log}"
                );
                assert!(spilled <= SPILLED, "{config:?}: {log}");
            }
            if sizes.gate.is_none() {
                let partial = |axes: &[usize]| Wanted::Partial(axes.to_vec());
                let wanted = [partial(&[]), partial(&[0]), partial(&[1, 1]), Wanted::Laplacian(vec![0, 1])];
                let (carried, _) = jet::Plan::new(&[1.0; 2], &wanted).unwrap();
                let plan = Plan::new(sizes.kept_rows_of_jets(), &machine, *points, carried.rows());
                let (code, log) = nvrtc.compile(&program::jet(&sizes, plan.shape, &carried), version).unwrap();
                let (registers, spilled) = used(&log, "jet");
                println!("sm_{version}, jets, {plan:?}: {registers} registers, {spilled} spilled");
                assert!(!code.is_empty() && registers * plan.shape.resident * plan::THREADS <= 65_536, "{log}");
                assert!(spilled <= SPILLED, "{config:?}: {log}");
            }
            let parameters = program::parameters(&sizes, Layout::new(&network).len);
            assert!(!nvrtc.compile(&parameters, version).unwrap().0.is_empty());
        }
    }
}

/// Most bytes of sums and addresses a thread may keep outside registers, where two blocks of 128 registers a thread share
/// a multiprocessor.
const SPILLED: usize = 320;
