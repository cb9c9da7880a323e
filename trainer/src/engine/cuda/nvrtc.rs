//! NVIDIA's run-time compiler, opened where it is installed: no toolkit is needed to build.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    path::{Path, PathBuf},
};

use libloading::Library;

use crate::error::{Error, Result};

/// Names under which systems have it.
const NAMES: [&str; 6] = [
    "libnvrtc.so",
    "libnvrtc.so.13",
    "libnvrtc.so.12",
    "/usr/local/cuda/lib64/libnvrtc.so",
    "nvrtc64_130_0.dll",
    "nvrtc64_120_0.dll",
];

type Program = *mut c_void;

/// The compiler.
#[derive(Debug)]
pub(super) struct Nvrtc {
    library: Library,
    /// What NVRTC opens by itself, kept open: it looks for it by name alone.
    _builtins: Option<Library>,
}

impl Nvrtc {
    /// The library that the variable `RWF_NVRTC` names, or the system's.
    ///
    /// # Errors
    /// [`Error::Device`] where there is none.
    pub(super) fn open() -> Result<Self> {
        Self::open_from(std::env::var_os("RWF_NVRTC").map(PathBuf::from).as_deref())
    }

    pub(super) fn open_from(given: Option<&Path>) -> Result<Self> {
        let names: Vec<&Path> = given.map_or_else(|| NAMES.iter().map(Path::new).collect(), |path| vec![path]);
        let builtins = given.and_then(Path::parent).and_then(builtins);
        for name in &names {
            // SAFETY: what NVRTC does when it is opened is NVIDIA's; it has no preconditions.
            if let Ok(library) = unsafe { Library::new(*name) } {
                return Ok(Self { library, _builtins: builtins });
            }
        }
        let where_from = match given {
            Some(path) => format!("RWF_NVRTC is `{}`, which cannot be opened", path.display()),
            None => "there is no libnvrtc".into(),
        };
        Err(Error::Device(format!(
            "the CUDA engine compiles its kernels with NVRTC, and {where_from}; `pip install nvidia-cuda-nvrtc` brings it \
             (set RWF_NVRTC to its libnvrtc.so.13), the CUDA toolkit has it too, and `--device cpu` works without"
        )))
    }

    /// Code for multiprocessors of this version, 90 say for 9.0; beside it what compiler and assembler say.
    ///
    /// # Errors
    /// [`Error::Device`] with the compiler's log.
    pub(super) fn compile(&self, source: &str, version: i32) -> Result<(Vec<u8>, String)> {
        let failed = |what: String| Error::Device(format!("NVRTC: {what}; `--device cpu` works without it"));
        let source = CString::new(source).expect("the source has no zero byte");
        let options = [
            format!("--gpu-architecture=sm_{version}"),
            "--std=c++17".into(),
            "--device-as-default-execution-space".into(),
            "--ptxas-options=-v".into(),
        ]
        .map(|o| CString::new(o).expect("options have no zero byte"));
        let options: Vec<*const c_char> = options.iter().map(|o| o.as_ptr()).collect();
        let mut program: Program = std::ptr::null_mut();
        let none = std::ptr::null::<*const c_char>();
        // SAFETY: signatures are those of nvrtc.h; all pointers outlive the calls, and buffers have the sizes asked for.
        unsafe {
            type Create = unsafe extern "C" fn(
                *mut Program,
                *const c_char,
                *const c_char,
                c_int,
                *const *const c_char,
                *const *const c_char,
            ) -> c_int;
            let create = self.function::<Create>(c"nvrtcCreateProgram")?;
            self.check(create(&raw mut program, source.as_ptr(), c"rwf.cu".as_ptr(), 0, none, none)).map_err(failed)?;
            type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
            let compile = self.function::<Compile>(c"nvrtcCompileProgram")?;
            let compiled = self.check(compile(program, options.len() as c_int, options.as_ptr()));
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned();
            let log = text(self.output(program, c"nvrtcGetProgramLogSize", c"nvrtcGetProgramLog")?);
            let code = match compiled {
                Ok(()) => self.output(program, c"nvrtcGetCUBINSize", c"nvrtcGetCUBIN"),
                Err(what) => Err(failed(format!("{what} for sm_{version}: {log}"))),
            };
            let destroy = self.function::<unsafe extern "C" fn(*mut Program) -> c_int>(c"nvrtcDestroyProgram")?;
            destroy(&raw mut program);
            Ok((code?, log))
        }
    }

    /// What two functions give, one the size and the other the bytes.
    unsafe fn output(&self, program: Program, size: &CStr, get: &CStr) -> Result<Vec<u8>> {
        let failed = |what: String| Error::Device(format!("NVRTC: {what}"));
        let mut bytes = 0usize;
        // SAFETY: as for `compile`.
        unsafe {
            let size = self.function::<unsafe extern "C" fn(Program, *mut usize) -> c_int>(size)?;
            self.check(size(program, &raw mut bytes)).map_err(failed)?;
            let mut out = vec![0u8; bytes];
            let get = self.function::<unsafe extern "C" fn(Program, *mut c_char) -> c_int>(get)?;
            self.check(get(program, out.as_mut_ptr().cast())).map_err(failed)?;
            Ok(out)
        }
    }

    /// # Safety
    /// `F` is the function's type.
    unsafe fn function<F: Copy>(&self, name: &CStr) -> Result<F> {
        // SAFETY: the caller's.
        let found = unsafe { self.library.get::<F>(name.to_bytes_with_nul()) };
        let missing = |_| {
            Error::Device(format!("libnvrtc has no {}: it is too old, 12.0 is the first to do", name.to_string_lossy()))
        };
        Ok(*found.map_err(missing)?)
    }

    /// The compiler's word for a result that is not 0.
    fn check(&self, result: c_int) -> std::result::Result<(), String> {
        if result == 0 {
            return Ok(());
        }
        // SAFETY: the signature is that of nvrtc.h; the text is a constant of the library.
        let word = unsafe {
            self.library
                .get::<unsafe extern "C" fn(c_int) -> *const c_char>(b"nvrtcGetErrorString\0")
                .map(|f| CStr::from_ptr(f(result)).to_string_lossy().into_owned())
        };
        Err(word.unwrap_or_else(|_| format!("error {result}")))
    }
}

/// The library beside NVRTC in this folder, which it looks for by name alone.
fn builtins(folder: &Path) -> Option<Library> {
    let entries = std::fs::read_dir(folder).ok()?.filter_map(std::result::Result::ok);
    let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    paths.sort();
    let named = |p: &PathBuf| {
        let name = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("libnvrtc-builtins.so")
    };
    // SAFETY: as for NVRTC itself.
    paths.iter().filter(|p| named(p)).find_map(|p| unsafe { Library::new(p) }.ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_what_to_do() {
        let error = Nvrtc::open_from(Some(Path::new("no-such-folder/libnvrtc.so"))).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(
            text.contains("no-such-folder/libnvrtc.so") && text.contains("pip install nvidia-cuda-nvrtc"),
            "{text}"
        );
        assert!(text.contains("--device cpu"), "{text}");
    }
}
