//! Where to compute.

use std::str::FromStr;

use super::{MatmulPrecision, cuda, has_cuda_driver};
use crate::error::{Error, Result};

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The CPU.
    Cpu,
    /// A CUDA GPU.
    Cuda {
        /// Its number.
        ordinal: usize,
        /// Whether nobody insists on it: what fails there goes on on the CPU.
        or_cpu: bool,
        /// How exactly it computes matrix products.
        matmul: MatmulPrecision,
    },
}

impl Device {
    /// Whether it is the CPU.
    pub fn is_cpu(&self) -> bool {
        *self == Self::Cpu
    }

    /// Whether what runs on the CPU alone may run there.
    pub fn may_be_cpu(&self) -> bool {
        matches!(self, Self::Cpu | Self::Cuda { or_cpu: true, .. })
    }

    /// The same for candle, whose kernels for GPUs are in builds with the feature `cuda` alone.
    pub(super) fn candle(self) -> Result<candle_core::Device> {
        match self {
            Self::Cuda { ordinal, or_cpu, .. } if cfg!(feature = "cuda") || !or_cpu => candle_cuda(ordinal),
            _ => Ok(candle_core::Device::Cpu),
        }
    }
}

/// A device as people ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A CUDA GPU when this build and machine have one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// This CUDA GPU.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("found `{text}`, expected auto, cpu, cuda or cuda:N")),
        }
    }
}

/// The device and what to call it. Where a GPU is there but cannot be used, and the CPU may be, that is said, as it is where
/// less exact products that were asked for are exact, there being no GPU.
///
/// # Errors
/// [`Error::Device`] saying what is missing for a GPU that was asked for, [`Error::Config`] for less exact products on a
/// CPU that was asked for.
pub fn device(choice: DeviceChoice, matmul: MatmulPrecision) -> Result<(Device, String)> {
    let rounded = matmul != MatmulPrecision::F32;
    let found = |ordinal, or_cpu| {
        let (name, _) = cuda(ordinal)?;
        let products = if rounded { format!(", products in {}", matmul.name()) } else { String::new() };
        Ok((Device::Cuda { ordinal, or_cpu, matmul }, format!("cuda:{ordinal}, {name}{products}")))
    };
    if rounded && choice == DeviceChoice::Cpu {
        return Err(Error::Config {
            field: "--matmul-precision".into(),
            message: format!(
                "found {} with --device cpu, expected f32: the CPU has exact products alone",
                matmul.name()
            ),
        });
    }
    if rounded && choice == DeviceChoice::Auto && !has_cuda_driver() {
        eprintln!(
            "on the CPU, where products are exact: there is no CUDA GPU for --matmul-precision {}",
            matmul.name()
        );
    }
    match choice {
        DeviceChoice::Auto if has_cuda_driver() => Ok(found(0, true).unwrap_or_else(|reason: Error| {
            eprintln!("on the CPU: {reason}");
            (Device::Cpu, "cpu".into())
        })),
        DeviceChoice::Auto | DeviceChoice::Cpu => Ok((Device::Cpu, "cpu".into())),
        DeviceChoice::Cuda(n) => found(n, false),
    }
}

#[cfg(feature = "cuda")]
fn candle_cuda(n: usize) -> Result<candle_core::Device> {
    candle_core::Device::new_cuda(n).map_err(|e| {
        Error::Device(format!(
            "--device cuda:{n}: no such GPU, or its driver is missing ({e}); `nvidia-smi` lists what there is, \
             `--device cpu` works everywhere"
        ))
    })
}

#[cfg(not(feature = "cuda"))]
fn candle_cuda(n: usize) -> Result<candle_core::Device> {
    Err(Error::Device(format!(
        "--device cuda:{n} --engine candle: this build has candle for the CPU alone; leave out `--engine candle`, use \
         `--device cpu`, or with the CUDA toolkit installed build it with \
         `cargo build --release --features rwf-trainer/cuda`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_devices() {
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(3)));
        assert!("gpu".parse::<DeviceChoice>().unwrap_err().contains("cuda:N"));
    }

    #[test]
    fn a_gpu_that_is_not_there_is_an_error_only_for_who_insists() {
        if !has_cuda_driver() {
            assert_eq!(device(DeviceChoice::Auto, MatmulPrecision::F32).unwrap(), (Device::Cpu, "cpu".into()));
            let error = device(DeviceChoice::Cuda(1), MatmulPrecision::F32).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains("--device cpu"), "{error}");
        }
    }

    #[test]
    fn products_are_exact_on_the_cpu() {
        let error = device(DeviceChoice::Cpu, MatmulPrecision::Tf32).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("found tf32 with --device cpu"), "{error}");
        if !has_cuda_driver() {
            assert_eq!(device(DeviceChoice::Auto, MatmulPrecision::Bf16).unwrap().0, Device::Cpu);
        }
    }

    #[test]
    fn candle_is_on_the_cpu_where_nobody_insists_and_this_build_has_no_other() {
        let gpu = |ordinal, or_cpu| Device::Cuda { ordinal, or_cpu, matmul: MatmulPrecision::F32 };
        if !cfg!(feature = "cuda") {
            assert!(gpu(0, true).candle().unwrap().is_cpu());
            let error = gpu(2, false).candle().unwrap_err().to_string();
            assert!(error.contains("cuda:2") && error.contains("--features rwf-trainer/cuda"), "{error}");
        }
    }
}
