//! A GPU on the host: the kernels' own source compiled by the C++ compiler behind `emulator.h`, for tests. Memory starts
//! as NaN and ends in a fence.

use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::{c_int, c_void},
    hash::{DefaultHasher, Hash, Hasher},
    process::Command,
    sync::{Arc, LazyLock, Mutex},
};

use libloading::Library;

use super::{
    machine::{Graph, Kernel, Launch, Machine, Module, Pointer, Properties},
    plan::THREADS,
};
use crate::error::{Error, Result};

/// Behind every piece of memory.
const FENCE: [u8; 16] = [0xa5; 16];

/// What a compiled kernel is called through: arguments, blocks, threads, bytes of shared memory.
type Entry = unsafe extern "C" fn(*mut *mut c_void, c_int, c_int, c_int) -> c_int;

/// Libraries by their source; each has one block at a time in static memory, hence the lock.
type Libraries = Mutex<HashMap<u64, Arc<Mutex<Library>>>>;
static LIBRARIES: LazyLock<Libraries> = LazyLock::new(Libraries::default);

/// A small GPU.
pub(super) struct Emulator {
    properties: Properties,
    modules: RefCell<Vec<Arc<Mutex<Library>>>>,
    memory: RefCell<HashMap<Pointer, Box<[u128]>>>,
    graphs: RefCell<Vec<Vec<Launch>>>,
    /// Bytes it has.
    pub(super) size: usize,
}

/// The C++ compiler, if there is one.
fn compiler() -> Option<String> {
    let given = std::env::var("CXX").ok();
    let names = given.into_iter().chain(["g++", "clang++", "c++"].map(str::to_owned));
    names.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success()))
}

impl Emulator {
    /// With multiprocessors and bytes of shared memory; nothing where there is no C++ compiler.
    pub(super) fn new(multiprocessors: usize, shared: usize) -> Option<Self> {
        compiler()?;
        Some(Self {
            properties: Properties {
                multiprocessors,
                shared_per_block: shared,
                shared_per_multiprocessor: 2 * (shared + 1024),
            },
            modules: RefCell::default(),
            memory: RefCell::default(),
            graphs: RefCell::default(),
            size: usize::MAX,
        })
    }

    fn check(&self, pointer: Pointer, bytes: usize) {
        let memory = self.memory.borrow();
        let held = memory.get(&pointer).expect("memory that is there");
        let held: &[u8] = bytemuck::cast_slice(held);
        assert!(bytes + FENCE.len() <= held.len(), "beyond the end of memory");
        assert_eq!(held[held.len() - FENCE.len()..], FENCE, "a kernel wrote beyond the end of memory");
    }
}

fn build(source: &str, kernels: &[Kernel]) -> Result<Library> {
    let failed = |what: String| Error::Device(format!("emulator: {what}"));
    let mut text = format!("{}\n{source}\n", include_str!("emulator.h"));
    for kernel in kernels {
        let name = kernel.name();
        text += &format!(
            "extern \"C\" int run_{name}(void** arguments, int grid, int block, int shared)\n\
             {{ return emulator::call({name}, arguments, grid, block, shared); }}\n"
        );
    }
    let folder = tempfile::tempdir().map_err(|e| failed(e.to_string()))?;
    let (file, library) = (folder.path().join("kernels.cpp"), folder.path().join("kernels.so"));
    std::fs::write(&file, text).map_err(|e| failed(e.to_string()))?;
    let compiler = compiler().ok_or_else(|| failed("no C++ compiler".into()))?;
    let mut command = Command::new(compiler);
    command.args(["-std=c++17", "-O1", "-ffp-contract=off", "-fPIC", "-shared", "-w"]);
    // Without it each fused multiply-add is a call.
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") {
        command.arg("-mfma");
    }
    let output = command.arg(&file).arg("-o").arg(&library).output().map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    // SAFETY: our own code, which does nothing when it is opened.
    unsafe { Library::new(&library) }.map_err(|e| failed(e.to_string()))
}

impl Machine for Emulator {
    fn properties(&self) -> Properties {
        self.properties
    }

    fn load(&self, source: &str, kernels: &[Kernel]) -> Result<Module> {
        let mut hasher = DefaultHasher::new();
        source.hash(&mut hasher);
        let key = hasher.finish();
        let known = LIBRARIES.lock().expect("no test panics here").get(&key).cloned();
        let library = match known {
            Some(library) => library,
            None => {
                let library = Arc::new(Mutex::new(build(source, kernels)?));
                LIBRARIES.lock().expect("no test panics here").insert(key, library.clone());
                library
            }
        };
        let mut modules = self.modules.borrow_mut();
        modules.push(library);
        Ok(Module(modules.len() - 1))
    }

    fn allocate(&self, bytes: usize) -> Result<Pointer> {
        let held: usize = self.memory.borrow().values().map(|m| 16 * m.len()).sum();
        if held + bytes > self.size {
            return Err(Error::Device("emulator: its memory is full".into()));
        }
        let room = bytes.div_ceil(16) * 16;
        let mut memory = vec![u128::MAX; room / 16 + 1].into_boxed_slice();
        bytemuck::cast_slice_mut::<_, u8>(&mut memory)[room..].copy_from_slice(&FENCE);
        let pointer = memory.as_ptr() as Pointer;
        self.memory.borrow_mut().insert(pointer, memory);
        Ok(pointer)
    }

    fn free(&self, pointer: Pointer) {
        if !std::thread::panicking() {
            self.check(pointer, 0);
        }
        self.memory.borrow_mut().remove(&pointer);
    }

    fn clear(&self, to: Pointer, bytes: usize) -> Result<()> {
        self.upload(to, &vec![0; bytes])
    }

    fn upload(&self, to: Pointer, bytes: &[u8]) -> Result<()> {
        self.check(to, bytes.len());
        let mut memory = self.memory.borrow_mut();
        let held = memory.get_mut(&to).expect("memory that is there");
        bytemuck::cast_slice_mut(held)[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn download(&self, from: Pointer, bytes: &mut [u8]) -> Result<()> {
        self.check(from, bytes.len());
        let memory = self.memory.borrow();
        bytes.copy_from_slice(&bytemuck::cast_slice(&memory[&from])[..bytes.len()]);
        Ok(())
    }

    fn launch(&self, launch: &Launch) -> Result<()> {
        let failed = |what: String| Error::Device(format!("{}: {what}", launch.kernel.name()));
        assert!(launch.shared <= self.properties.shared_per_block, "{launch:?}");
        let modules = self.modules.borrow();
        let library = modules[launch.module.0].lock().expect("no test panics here");
        let mut arguments: Vec<*mut c_void> =
            launch.arguments.iter().map(|a| std::ptr::from_ref(a).cast_mut().cast()).collect();
        let name = format!("run_{}\0", launch.kernel.name());
        let (grid, block, shared) = (launch.grid as c_int, THREADS as c_int, launch.shared as c_int);
        // SAFETY: made by `build` with this signature; the arguments are the kernel's.
        let result = unsafe {
            let run = library.get::<Entry>(name.as_bytes()).map_err(|e| failed(e.to_string()))?;
            run(arguments.as_mut_ptr(), grid, block, shared)
        };
        match result {
            0 => Ok(()),
            1 => Err(failed("some threads end while others wait at a barrier".into())),
            _ => Err(failed("wrote beyond shared memory".into())),
        }
    }

    fn record(&self, launches: &[Launch]) -> Result<Graph> {
        let mut graphs = self.graphs.borrow_mut();
        graphs.push(launches.to_vec());
        Ok(Graph(graphs.len() - 1))
    }

    fn replay(&self, graph: Graph) -> Result<()> {
        self.graphs.borrow()[graph.0].iter().try_for_each(|l| self.launch(l))
    }
}
