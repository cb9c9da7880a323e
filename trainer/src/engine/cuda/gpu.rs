//! A CUDA GPU through its driver, which is opened at run time.

use std::{
    cell::RefCell,
    ffi::{CString, c_void},
    sync::Arc,
};

use cudarc::driver::{CudaContext, CudaGraph, CudaStream, DriverError, result, sys};

use super::{
    machine::{Graph, Kernel, Launch, Machine, Module, Pointer, Properties},
    nvrtc::Nvrtc,
    plan::THREADS,
};
use crate::{
    engine::MatmulPrecision,
    error::{Error, Result},
};

/// The first driver whose functions and kernels' code we use, CUDA 12.0.
const DRIVER: i32 = 12_000;
/// The first multiprocessors that kernels are written for, 7.5: what NVRTC 13 begins with.
const VERSION: i32 = 75;
/// The first whose tensor cores take TF32 and BF16, 8.0.
const TENSOR_VERSION: i32 = 80;

/// A GPU with a stream of its own.
pub(super) struct Gpu {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    nvrtc: Nvrtc,
    version: i32,
    properties: Properties,
    modules: RefCell<Vec<Loaded>>,
    graphs: RefCell<Vec<CudaGraph>>,
}

/// A module and its kernels.
type Loaded = (sys::CUmodule, Vec<(Kernel, sys::CUfunction)>);

/// What went wrong, and what to do.
fn explain(what: &str, error: DriverError) -> Error {
    use sys::cudaError_enum as Code;
    let advice = match error.0 {
        Code::CUDA_ERROR_OUT_OF_MEMORY => {
            "the GPU's memory is full: close what else uses it (`nvidia-smi` lists it), take a smaller --batch or \
             network, or `--device cpu`"
        }
        Code::CUDA_ERROR_NO_DEVICE | Code::CUDA_ERROR_INVALID_DEVICE => {
            "no such GPU: `nvidia-smi` lists what there is, `--device cpu` works everywhere"
        }
        Code::CUDA_ERROR_UNSUPPORTED_PTX_VERSION
        | Code::CUDA_ERROR_NO_BINARY_FOR_GPU
        | Code::CUDA_ERROR_INVALID_IMAGE
        | Code::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => {
            "the driver is older than the compiler: update the driver, set RWF_NVRTC to an older libnvrtc, or use \
             `--device cpu`"
        }
        _ => "`nvidia-smi` tells whether GPU and driver are well, `--device cpu` works everywhere",
    };
    // By its name in the header: asking the driver for it needs a driver.
    Error::Device(format!("CUDA: cannot {what} ({:?}); {advice}", error.0))
}

/// Whether a driver of this version will do.
fn check_driver(found: i32) -> Result<()> {
    if found >= DRIVER {
        return Ok(());
    }
    let words = |v: i32| format!("{}.{}", v / 1000, v % 1000 / 10);
    Err(Error::Device(format!(
        "CUDA: the driver knows CUDA {}, expected {} or later: update the driver, or use `--device cpu`",
        words(found),
        words(DRIVER)
    )))
}

/// Whether multiprocessors of this version will do.
fn check_version(found: i32) -> Result<()> {
    if found >= VERSION {
        return Ok(());
    }
    Err(Error::Device(format!(
        "CUDA: the GPU's compute capability is {}.{}, expected {}.{} or later; use `--device cpu`",
        found / 10,
        found % 10,
        VERSION / 10,
        VERSION % 10
    )))
}

/// Whether their tensor cores take products of this precision.
fn check_products(found: i32, matmul: MatmulPrecision) -> Result<()> {
    if matmul == MatmulPrecision::F32 || found >= TENSOR_VERSION {
        return Ok(());
    }
    Err(Error::Device(format!(
        "--matmul-precision {}: the GPU's compute capability is {}.{}, expected {}.{} or later; use f32",
        matmul.name(),
        found / 10,
        found % 10,
        TENSOR_VERSION / 10,
        TENSOR_VERSION % 10
    )))
}

/// Whether the driver's library is there at all.
pub(super) fn has_driver() -> bool {
    // SAFETY: opens the driver's library, which has no preconditions.
    unsafe { sys::is_culib_present() }
}

impl Gpu {
    /// GPU number `n`, ready to compile and run kernels.
    ///
    /// # Errors
    /// [`Error::Device`] saying what is missing and what to do: driver, GPU, or compiler.
    pub(super) fn new(n: usize) -> Result<Self> {
        if !has_driver() {
            return Err(Error::Device(format!(
                "--device cuda:{n}: there is no NVIDIA driver (libcuda); install it, or use `--device cpu`"
            )));
        }
        let mut driver = 0;
        // SAFETY: writes one integer.
        unsafe { sys::cuDriverGetVersion(&raw mut driver) }.result().map_err(|e| explain("ask the driver", e))?;
        check_driver(driver)?;
        let context = CudaContext::new(n).map_err(|e| explain(&format!("open cuda:{n}"), e))?;
        let ask = |what| context.attribute(what).map_err(|e| explain("ask the GPU", e));
        use sys::CUdevice_attribute_enum as Ask;
        let version = 10 * ask(Ask::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?
            + ask(Ask::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        check_version(version)?;
        let properties = Properties {
            multiprocessors: ask(Ask::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)? as usize,
            shared_per_block: ask(Ask::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)? as usize,
            shared_per_multiprocessor: ask(Ask::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)? as usize,
        };
        let stream = context.new_stream().map_err(|e| explain("make a stream", e))?;
        let (modules, graphs) = (RefCell::default(), RefCell::default());
        Ok(Self { context, stream, nvrtc: Nvrtc::open()?, version, properties, modules, graphs })
    }

    /// Whether it can compute products so.
    ///
    /// # Errors
    /// [`Error::Device`] with what it would take.
    pub(super) fn check(&self, matmul: MatmulPrecision) -> Result<()> {
        check_products(self.version, matmul)
    }

    /// What NVIDIA calls it.
    pub(super) fn name(&self) -> String {
        self.context.name().unwrap_or_else(|_| "GPU".into())
    }

    /// Most f32 operations it can do, in 10^9 a second: a fused multiply-add a lane and cycle.
    pub(super) fn peak(&self) -> f64 {
        use sys::CUdevice_attribute_enum as Ask;
        // Lanes of a multiprocessor by its version, CUDA C++ Programming Guide, arithmetic instructions.
        let lanes = if matches!(self.version, 75 | 80) { 64.0 } else { 128.0 };
        let kilohertz = self.context.attribute(Ask::CU_DEVICE_ATTRIBUTE_CLOCK_RATE).map_or(0.0, f64::from);
        2e-6 * lanes * kilohertz * self.properties.multiprocessors as f64
    }

    /// Makes the GPU the one this thread speaks to.
    fn bind(&self) -> Result<()> {
        self.context.bind_to_thread().map_err(|e| explain("reach the GPU", e))
    }

    fn wait(&self) -> Result<()> {
        self.stream.synchronize().map_err(|e| explain("run the kernels", e))
    }
}

impl Machine for Gpu {
    fn properties(&self) -> Properties {
        self.properties
    }

    fn load(&self, source: &str, kernels: &[Kernel]) -> Result<Module> {
        let (code, _) = self.nvrtc.compile(source, self.version)?;
        self.bind()?;
        let failed = |e| explain("load the kernels", e);
        // SAFETY: `code` is a whole image of NVRTC's; functions live as long as the module, which `self` keeps.
        unsafe {
            let module = result::module::load_data(code.as_ptr().cast()).map_err(failed)?;
            let mut functions = Vec::new();
            for &kernel in kernels {
                let name = CString::new(kernel.name()).expect("names have no zero byte");
                let function = result::module::get_function(module, name).map_err(failed)?;
                if kernel == Kernel::Tile {
                    // More than 48 KiB must be asked for.
                    let most = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                    let fixed = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;
                    let fixed = result::function::get_function_attribute(function, fixed).map_err(failed)?;
                    let room = self.properties.shared_per_block as i32 - fixed;
                    result::function::set_function_attribute(function, most, room).map_err(failed)?;
                }
                functions.push((kernel, function));
            }
            let mut modules = self.modules.borrow_mut();
            modules.push((module, functions));
            Ok(Module(modules.len() - 1))
        }
    }

    fn allocate(&self, bytes: usize) -> Result<Pointer> {
        self.bind()?;
        // SAFETY: the memory is freed by `free` alone.
        unsafe { result::malloc_sync(bytes) }.map_err(|e| explain(&format!("take {} MiB", bytes.div_ceil(1 << 20)), e))
    }

    fn free(&self, pointer: Pointer) {
        // Kernels may still use it. Nothing can be done about a failure here; the next call reports it.
        let _ = self.wait();
        // SAFETY: made by `allocate`, and freed once.
        let _ = unsafe { result::free_sync(pointer) };
    }

    fn clear(&self, to: Pointer, bytes: usize) -> Result<()> {
        self.bind()?;
        // SAFETY: within what `allocate` gave, as all callers are buffers.
        unsafe { result::memset_d8_async(to, 0, bytes, self.stream.cu_stream()) }
            .map_err(|e| explain("clear memory", e))
    }

    fn upload(&self, to: Pointer, bytes: &[u8]) -> Result<()> {
        self.bind()?;
        // SAFETY: as for `clear`; the wait keeps `bytes` until they are there.
        unsafe { result::memcpy_htod_async(to, bytes, self.stream.cu_stream()) }.map_err(|e| explain("upload", e))?;
        self.wait()
    }

    fn download(&self, from: Pointer, bytes: &mut [u8]) -> Result<()> {
        self.bind()?;
        // SAFETY: as for `upload`.
        unsafe { result::memcpy_dtoh_async(bytes, from, self.stream.cu_stream()) }
            .map_err(|e| explain("download", e))?;
        self.wait()
    }

    fn launch(&self, launch: &Launch) -> Result<()> {
        self.bind()?;
        let modules = self.modules.borrow();
        let functions = &modules[launch.module.0].1;
        let function = functions.iter().find(|(k, _)| *k == launch.kernel).expect("the module has the kernel").1;
        let mut arguments: Vec<*mut c_void> =
            launch.arguments.iter().map(|a| std::ptr::from_ref(a).cast_mut().cast()).collect();
        let (grid, block) = ((launch.grid as u32, 1, 1), (THREADS as u32, 1, 1));
        // SAFETY: each argument has at least the bytes the kernel takes, lowest first; pointers are those of buffers
        // that outlive the wait behind every download.
        unsafe {
            let stream = self.stream.cu_stream();
            result::launch_kernel(function, grid, block, launch.shared as u32, stream, &mut arguments)
        }
        .map_err(|e| explain(&format!("launch {}", launch.kernel.name()), e))
    }

    fn record(&self, launches: &[Launch]) -> Result<Graph> {
        let failed = |e| explain("record a step", e);
        let mode = sys::CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        self.stream.begin_capture(mode).map_err(failed)?;
        let launched = launches.iter().try_for_each(|l| self.launch(l));
        let graph = self.stream.end_capture(sys::CUgraphInstantiate_flags(0)).map_err(failed)?;
        launched?;
        let graph = graph.ok_or_else(|| Error::Device("CUDA: a step was recorded as nothing".into()))?;
        let mut graphs = self.graphs.borrow_mut();
        graphs.push(graph);
        Ok(Graph(graphs.len() - 1))
    }

    fn replay(&self, graph: Graph) -> Result<()> {
        self.graphs.borrow()[graph.0].launch().map_err(|e| explain("run a step", e))
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // Nothing can be done about a failure here.
        let _ = self.wait();
        for (module, _) in self.modules.borrow_mut().drain(..) {
            // SAFETY: made by `load`, unloaded once.
            let _ = unsafe { result::module::unload(module) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_says_what_to_do() {
        use sys::cudaError_enum as Code;
        for (code, advice) in [
            (Code::CUDA_ERROR_OUT_OF_MEMORY, "smaller --batch"),
            (Code::CUDA_ERROR_NO_DEVICE, "nvidia-smi"),
            (Code::CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "update the driver"),
            (Code::CUDA_ERROR_LAUNCH_FAILED, "nvidia-smi"),
        ] {
            let error = explain("take 5 MiB", DriverError(code));
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(text.contains("take 5 MiB") && text.contains(advice) && text.contains("--device cpu"), "{text}");
        }
    }

    #[test]
    fn what_is_too_old_is_refused_with_versions() {
        assert!(check_driver(12_040).is_ok() && check_version(90).is_ok());
        let text = check_driver(11_080).unwrap_err().to_string();
        assert!(text.contains("CUDA 11.8") && text.contains("12.0"), "{text}");
        let text = check_version(61).unwrap_err().to_string();
        assert!(text.contains("6.1") && text.contains("7.5"), "{text}");
        assert!(check_products(75, MatmulPrecision::F32).is_ok() && check_products(80, MatmulPrecision::Bf16).is_ok());
        let text = check_products(75, MatmulPrecision::Tf32).unwrap_err().to_string();
        assert!(text.contains("tf32") && text.contains("7.5") && text.contains("8.0"), "{text}");
    }

    #[test]
    fn without_a_driver_that_is_said() {
        if !has_driver() {
            let text = Gpu::new(3).err().expect("no GPU without a driver").to_string();
            assert!(text.contains("cuda:3") && text.contains("driver") && text.contains("--device cpu"), "{text}");
        }
    }
}
