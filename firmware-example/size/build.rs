//! Writes the SIREN that is measured as a Rust module.

fn main() -> Result<(), rwf_runtime::build::Error> {
    rwf_runtime::build::model("../models/siren32-f32.safetensors")
}
