//! The WebAssembly modules in a sandbox: the bits of the host, and refusal of what is not in order.
//!
//! The modules in `firmware-example/wasm` are committed, so that this needs no other target than the host's; CI builds
//! them anew and runs this with `RWF_WASM` naming the folder.

use std::path::PathBuf;

use rwf_runtime::{Axis, GridDecoder, IntegerModel, LoadError, Model, describe::Order, describe::Sampling};
use wasmi::{Config, Engine, Instance, Linker, Memory, Module, Store};

const MODULES: [&str; 2] = ["rwf.wasm", "rwf-simd.wasm"];
/// The one for models in integers.
const INTEGERS: &str = "rwf-integers.wasm";
/// Bytes of a module.
const MOST_BYTES: usize = 16_384;

fn module(name: &str) -> Vec<u8> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../firmware-example/wasm");
    let path = std::env::var_os("RWF_WASM").map_or(here, PathBuf::from).join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}: run firmware-example/wasm/build", path.display()))
}

/// One instance of a module.
struct Sandbox {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
}

impl Sandbox {
    fn new(name: &str) -> Self {
        let mut config = Config::default();
        config.consume_fuel(true);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, module(name)).expect("a valid module");
        let mut store = Store::new(&engine, ());
        store.set_fuel(u64::MAX / 2).expect("fuel is counted");
        // No imports: the module can do nothing but compute.
        let linker = Linker::new(&engine);
        let instance = linker.instantiate_and_start(&mut store, &module).expect("a module without imports");
        let memory = instance.get_memory(&store, "memory").expect("memory");
        Self { store, instance, memory }
    }

    fn with_model(name: &str, file: &[u8]) -> Self {
        let mut sandbox = Self::new(name);
        let at = sandbox.put(file);
        assert_eq!(sandbox.call("rwf_load", &[at, file.len() as i32]), 0, "{name}");
        sandbox
    }

    fn call(&mut self, function: &str, arguments: &[i32]) -> i32 {
        let function = self.instance.get_func(&self.store, function).unwrap_or_else(|| panic!("no {function}"));
        let arguments: Vec<_> = arguments.iter().map(|&a| wasmi::Val::I32(a)).collect();
        let mut result = [wasmi::Val::I32(0)];
        function.call(&mut self.store, &arguments, &mut result).expect("no trap");
        result[0].i32().expect("an i32")
    }

    fn take(&mut self, bytes: usize) -> i32 {
        let at = self.call("rwf_alloc", &[bytes as i32]);
        assert_ne!(at, 0);
        at
    }

    fn put(&mut self, bytes: &[u8]) -> i32 {
        let at = self.take(bytes.len());
        self.memory.write(&mut self.store, at as usize, bytes).expect("in memory");
        at
    }

    fn floats(&self, at: i32, count: usize) -> Vec<f32> {
        let mut bytes = vec![0; 4 * count];
        self.memory.read(&self.store, at as usize, &mut bytes).expect("in memory");
        bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn eval(&mut self, x: &[f32], points: usize, outputs: usize) -> Vec<f32> {
        let from = self.put(&x.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>());
        let to = self.take(4 * points * outputs);
        assert_eq!(self.call("rwf_eval", &[from, points as i32, to]), 0);
        self.floats(to, points * outputs)
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn axes(model: &Model<'_>, count: usize) -> Vec<Axis> {
    let axis = |i| model.input(i).map(|d| Axis::over(d.lo, d.hi, count, Sampling::Node)).expect("a described input");
    (0..model.inputs()).map(axis).collect()
}

#[test]
fn every_point_and_every_grid_has_the_bits_of_the_host() {
    // Outputs that vanish on walls are in the module without vectors alone.
    let walls = ("walls", include_bytes!("../golden/heat_walls.safetensors").as_slice());
    for name in MODULES {
        let all = rwf_probe::floats().chain((name == MODULES[0]).then_some(walls));
        for (model_name, file) in all {
            let model = Model::new(file).unwrap();
            let mut sandbox = Sandbox::with_model(name, file);
            let numbers = ["rwf_inputs", "rwf_outputs", "rwf_multiply_adds", "rwf_self_test"];
            let numbers = numbers.map(|f| sandbox.call(f, &[]));
            let adds = model.architecture().multiply_adds();
            assert_eq!(numbers, [model.inputs(), model.outputs(), adds, 0].map(|n| n as i32), "{name} {model_name}");

            let axes = axes(&model, 9);
            let samples = 9usize.pow(model.inputs() as u32);
            let mut expected = vec![0.0; samples * model.outputs()];
            let mut scratch = vec![0.0; model.batch_scratch_len()];
            let mut decoder = GridDecoder::new(&model, &axes, Order::FirstFastest).unwrap();
            assert_eq!(decoder.fill(&mut expected, &mut scratch), Ok(samples));
            let words: Vec<u8> =
                axes.iter().flat_map(|a| [a.start, a.step, a.count as f32]).flat_map(f32::to_le_bytes).collect();
            let from = sandbox.put(&words);
            let to = sandbox.take(4 * expected.len());
            assert_eq!(sandbox.call("rwf_grid", &[from, 0, to, expected.len() as i32]), 0);
            assert_eq!(bits(&sandbox.floats(to, expected.len())), bits(&expected), "{name} {model_name}");

            let x: Vec<f32> = (0..7).flat_map(|k| axes.iter().map(move |a| a.at(k) + 0.3 * a.step)).collect();
            let mut expected = vec![0.0; 7 * model.outputs()];
            model.eval_batch(&x, &mut expected, &mut scratch).unwrap();
            assert_eq!(bits(&sandbox.eval(&x, 7, model.outputs())), bits(&expected), "{name} {model_name}");
        }
    }
}

#[test]
fn what_is_not_in_order_is_refused_by_a_code() {
    for name in MODULES {
        let file = rwf_probe::floats().next().expect("a model").1;
        let mut sandbox = Sandbox::new(name);
        for function in ["rwf_inputs", "rwf_outputs", "rwf_multiply_adds", "rwf_self_test"] {
            assert_eq!(sandbox.call(function, &[]), -1, "{function}");
        }
        assert_eq!(sandbox.call("rwf_eval", &[0, 0, 0]), -1);
        assert_eq!(sandbox.call("rwf_alloc", &[-64]), 0, "more memory than there is");
        let at = sandbox.put(file);
        assert_eq!(sandbox.call("rwf_load", &[at, file.len() as i32 - 1]), -2);
        for (address, length) in [(0, 16), (at, i32::MAX), (-16, 16), (at, -1)] {
            assert_eq!(sandbox.call("rwf_load", &[address, length]), -3, "{address} {length}");
        }
        assert_eq!(sandbox.call("rwf_load", &[at, file.len() as i32]), 0);
        let (x, y) = (sandbox.take(8), sandbox.take(4));
        assert_eq!(sandbox.call("rwf_eval", &[x, 1, y]), 0);
        for (x, n, y) in [(x + 1, 1, y), (x, 1, y + 2), (x, 1, x), (x, 1, 64), (x, i32::MAX, y), (x, -1, y)] {
            assert!(matches!(sandbox.call("rwf_eval", &[x, n, y]), -4 | -3), "{x} {n} {y}");
        }
        let axes = sandbox.put(&[0; 24]);
        assert_eq!(sandbox.call("rwf_grid", &[axes, 0, y, 1]), -4, "an empty grid");
    }
}

/// A panic would be an import, see the module's panic handler.
#[test]
fn modules_are_small_import_nothing_and_cannot_panic() {
    for name in MODULES.into_iter().chain([INTEGERS]) {
        let bytes = module(name);
        assert!(bytes.len() <= MOST_BYTES, "{name}: {} bytes", bytes.len());
        let module = Module::new(&Engine::default(), &bytes[..]).unwrap();
        let imports: Vec<_> = module.imports().map(|i| i.name().to_owned()).collect();
        assert!(imports.is_empty(), "{name} imports {imports:?}");
    }
}

/// Prints the lines of `firmware-example/table`.
#[test]
fn fuel_of_one_evaluation_is_counted() {
    for (name, file) in rwf_probe::floats() {
        let model = Model::new(file).unwrap();
        let mut scratch = vec![0.0; model.batch_scratch_len()];
        let hash = rwf_probe::hash(&model, &mut scratch).unwrap().unwrap();
        let mut sandbox = Sandbox::with_model("rwf.wasm", file);
        println!("{name} multiply-adds {}", model.architecture().multiply_adds());
        // The grid of the hash, by the module.
        let axes: Vec<u8> = axes(&model, rwf_probe::SAMPLES)
            .iter()
            .flat_map(|a| [a.start, a.step, a.count as f32])
            .flat_map(f32::to_le_bytes)
            .collect();
        let values = hash.samples * model.outputs();
        let (from, to) = (sandbox.put(&axes), sandbox.take(4 * values));
        assert_eq!(sandbox.call("rwf_grid", &[from, 1, to, values as i32]), 0);
        let found = rwf_probe::hash_values(rwf_probe::HASH_START, &sandbox.floats(to, values));
        assert_eq!(found, hash.hash, "{name}");
        println!("{name} output-hash {found:016x}");
        for points in [1, 4] {
            let x = vec![60.0f32; points * model.inputs()];
            let from = sandbox.put(&x.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>());
            let to = sandbox.take(4 * points * model.outputs());
            let before = sandbox.store.get_fuel().unwrap();
            assert_eq!(sandbox.call("rwf_eval", &[from, points as i32, to]), 0);
            let fuel = before - sandbox.store.get_fuel().unwrap();
            assert!(fuel > 0);
            println!("{name} instructions-{points} {}", fuel / points as u64);
        }
    }
}

#[test]
fn the_module_for_integers_has_the_bits_of_the_host() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        if Model::new(&file).err() != Some(LoadError::Integer) {
            continue;
        }
        let model = IntegerModel::new(&file).unwrap();
        let mut sandbox = Sandbox::with_model(INTEGERS, &file);
        let numbers = ["rwf_inputs", "rwf_outputs", "rwf_self_test"].map(|f| sandbox.call(f, &[]));
        assert_eq!(numbers, [model.inputs(), model.outputs(), 0].map(|n| n as i32));
        let domain: Vec<_> = (0..model.inputs()).map(|i| model.input(i).unwrap()).collect();
        let x: Vec<f32> =
            (0..40).flat_map(|k| domain.iter().map(move |q| q.lo + (q.hi - q.lo) * (k as f32 * 0.031 - 0.1))).collect();
        let mut expected = vec![0.0; 40 * model.outputs()];
        model.eval(&x, &mut expected, &mut vec![0; model.scratch_len()]).unwrap();
        assert_eq!(bits(&sandbox.eval(&x, 40, model.outputs())), bits(&expected));
        files += 1;
    }
    assert!(files >= 4);
    let mut sandbox = Sandbox::new(INTEGERS);
    let file = rwf_probe::floats().next().expect("a model").1;
    let at = sandbox.put(file);
    assert_eq!(sandbox.call("rwf_load", &[at, file.len() as i32]), -2, "a model in floats");
}
