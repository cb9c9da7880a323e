//! `rwf info`

use std::path::PathBuf;

use rwf_runtime::{
    Model, Quantity, SelfTestError,
    format::{Mapping, key},
};

use super::{open, read};
use crate::error::{Error, Result};

/// Say what a model file holds and what it costs
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rwf info photo.safetensors")]
pub(super) struct Args {
    /// Model file
    model: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let bytes = read(&args.model)?;
    let model = open(&args.model, &bytes)?;
    print(&model, bytes.len());
    let mut scratch = vec![0.0; model.scratch_len()];
    match model.self_test(&mut scratch) {
        Ok(()) => println!("self-test      passed: the bits of this machine are those of the file"),
        Err(SelfTestError::Missing) => println!("self-test      the file has none"),
        Err(error) => {
            return Err(Error::Model { path: args.model.clone(), message: format!("self-test: {error}") });
        }
    }
    Ok(())
}

fn print(model: &Model<'_>, bytes: usize) {
    let a = model.architecture();
    println!("file           {bytes} bytes, {} of them weights ({})", model.weight_bytes(), model.precision().name());
    let word = |name| model.metadata(name);
    println!("signal         {}", word(key::SIGNAL).unwrap_or("unknown"));
    let line = |title: &str, q: Option<Quantity<'_>>, i: usize| match q {
        Some(q) if q.unit.is_empty() => println!("{title:<14} {} in {} .. {}", q.name, q.lo, q.hi),
        Some(q) => println!("{title:<14} {} in {} .. {} {}", q.name, q.lo, q.hi, q.unit),
        None => println!("{title:<14} {i}"),
    };
    (0..a.inputs).for_each(|i| line("input", model.input(i), i));
    (0..a.outputs()).for_each(|i| line("output", model.output(i), i));
    if let Some(grid) = word(key::GRID) {
        println!("sampling       {grid}");
    }
    match a.mapping {
        Mapping::None => println!("mapping        none"),
        Mapping::Fourier { frequencies, raw } => {
            let beside = if raw { ", coordinates beside them" } else { "" };
            println!("mapping        sine and cosine of {frequencies} frequencies{beside}");
        }
    }
    if let Some(gate) = a.gate {
        println!("encoders       2 x {} -> {} {}", a.features(), a.hidden(), gate.name());
    }
    for (n, layer) in a.layers.iter().enumerate() {
        println!("layer {n:<8} {} -> {} {}", layer.inputs, layer.outputs, layer.activation.name());
    }
    println!("parameters     {}", a.parameters());
    println!("multiply-adds  {} a point", a.multiply_adds());
    println!(
        "scratch RAM    {} bytes for one point, {} bytes for the fastest batch",
        4 * model.scratch_len(),
        4 * model.batch_scratch_len()
    );
    println!("maths          {}", model.math().name());
    for (title, name) in [("error", key::ERROR), ("made from", key::PROVENANCE), ("made by", key::CREATED_BY)] {
        if let Some(text) = word(name) {
            println!("{title:<14} {text}");
        }
    }
}
