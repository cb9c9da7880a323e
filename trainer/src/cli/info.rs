//! `rwf info`

use std::path::PathBuf;

use rwf_runtime::{
    Quantity, SelfTestError,
    format::{Mapping, key},
};

use super::{open_any, read};
use crate::{
    error::{Error, Result},
    evaluate::Evaluate,
};

/// Say what a model file holds and what it costs
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rwf info photo.safetensors")]
pub(super) struct Args {
    /// Model file
    model: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let bytes = read(&args.model)?;
    let model = open_any(&args.model, &bytes)?;
    print(model.as_ref(), bytes.len());
    match model.self_test() {
        Ok(()) => println!("self-test      passed: the bits of this machine are those of the file"),
        Err(SelfTestError::Missing) => println!("self-test      the file has none"),
        Err(error) => {
            return Err(Error::Model { path: args.model.clone(), message: format!("self-test: {error}") });
        }
    }
    Ok(())
}

fn print(model: &dyn Evaluate, bytes: usize) {
    let a = model.architecture();
    println!("file           {bytes} bytes, {} of them weights ({})", model.weight_bytes(), model.storage());
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
    let [one, batch] = model.scratch_bytes();
    println!("scratch RAM    {one} bytes for one point, {batch} bytes for the fastest batch");
    println!("maths          {}", model.maths());
    for (title, name) in [("error", key::ERROR), ("made from", key::PROVENANCE), ("made by", key::CREATED_BY)] {
        if let Some(text) = word(name) {
            println!("{title:<14} {text}");
        }
    }
}
