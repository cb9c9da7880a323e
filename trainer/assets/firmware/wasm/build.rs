//! Makes a Rust module of the network.

fn main() -> Result<(), rwf_runtime::build::Error> {
    rwf_runtime::build::model("model.safetensors")
}
