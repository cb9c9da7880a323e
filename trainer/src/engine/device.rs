//! Where to compute.

use std::str::FromStr;

use candle_core::Device;

use crate::error::{Error, Result};

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

/// The device and what to call it.
///
/// # Errors
/// [`Error::Device`] saying what is missing for a GPU that was asked for.
pub fn device(choice: DeviceChoice) -> Result<(Device, String)> {
    match choice {
        DeviceChoice::Cpu => Ok((Device::Cpu, "cpu".into())),
        DeviceChoice::Auto => Ok(cuda(0).unwrap_or_else(|_| (Device::Cpu, "cpu".into()))),
        DeviceChoice::Cuda(n) => cuda(n),
    }
}

#[cfg(feature = "cuda")]
fn cuda(n: usize) -> Result<(Device, String)> {
    match Device::new_cuda(n) {
        Ok(device) => Ok((device, format!("cuda:{n}"))),
        Err(e) => Err(Error::Device(format!(
            "--device cuda:{n}: no such GPU, or its driver is missing ({e}); `nvidia-smi` lists what there is, \
             `--device cpu` works everywhere"
        ))),
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(n: usize) -> Result<(Device, String)> {
    Err(Error::Device(format!(
        "--device cuda:{n}: this build has no CUDA; with the CUDA toolkit installed, build it with \
         `cargo build --release --features rwf-trainer/cuda`, or use `--device cpu`"
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
}
