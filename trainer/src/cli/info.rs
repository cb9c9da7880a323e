//! `rwf info`

use std::path::PathBuf;

use rwf_runtime::{
    Operator, Quantity, SelfTestError,
    format::{Architecture, Mapping, key},
    operator::is_operator,
};

use super::{open_any, open_operator, read};
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
    if let Ok(packed) = std::fs::metadata(&args.model).map(|m| m.len()).map(|n| n as usize)
        && packed != bytes.len()
    {
        println!("packed         {packed} bytes, {:.1} % less", 100.0 * (1.0 - packed as f64 / bytes.len() as f64));
    }
    if is_operator(&bytes) {
        let operator = open_operator(&args.model, &bytes)?;
        print_operator(&operator, bytes.len());
        let (mut latent, mut scratch) = (vec![0.0; operator.latent_len()], vec![0.0; operator.self_test_scratch_len()]);
        return told(args, operator.self_test(&mut latent, &mut scratch));
    }
    let model = open_any(&args.model, &bytes)?;
    print(model.as_ref(), bytes.len());
    told(args, model.self_test())
}

fn told(args: &Args, self_test: std::result::Result<(), SelfTestError>) -> Result<()> {
    match self_test {
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
    (0..a.inputs).for_each(|i| line("input", model.input(i), i));
    (0..a.outputs()).for_each(|i| line("output", model.output(i), i));
    if let Some(grid) = word(key::GRID) {
        println!("sampling       {grid}");
    }
    layers(a);
    println!("parameters     {}", a.parameters());
    println!("multiply-adds  {} a point", a.multiply_adds());
    let [one, batch] = model.scratch_bytes();
    println!("scratch RAM    {one} bytes for one point, {batch} bytes for the fastest batch");
    println!("maths          {}", model.maths());
    made(&word);
}

fn line(title: &str, q: Option<Quantity<'_>>, i: usize) {
    match q {
        Some(q) if q.unit.is_empty() => println!("{title:<14} {} in {} .. {}", q.name, q.lo, q.hi),
        Some(q) => println!("{title:<14} {} in {} .. {} {}", q.name, q.lo, q.hi, q.unit),
        None => println!("{title:<14} {i}"),
    }
}

fn layers(a: &Architecture) {
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
}

fn made<'w>(word: &dyn Fn(&'static str) -> Option<&'w str>) {
    for (title, name) in [("error", key::ERROR), ("made from", key::PROVENANCE), ("made by", key::CREATED_BY)] {
        if let Some(text) = word(name) {
            println!("{title:<14} {text}");
        }
    }
}

fn print_operator(o: &Operator<'_>, bytes: usize) {
    println!("file           {bytes} bytes, {} of them weights ({})", o.weight_bytes(), o.precision().name());
    println!("operator       an input function at {} sensors, then points", o.sensors());
    line("function", o.function(), 0);
    (0..o.inputs()).for_each(|i| line("input", o.input(i), i));
    (0..o.outputs()).for_each(|i| line("output", o.output(i), i));
    println!("branch");
    layers(o.branch());
    println!("trunk");
    layers(o.trunk());
    match o.activation() {
        None => println!("merge          inner product of {} numbers and a bias", o.latent_len() / o.outputs()),
        Some(a) => println!(
            "merge          a dense layer {} -> {} on {} of the product",
            o.latent_len(),
            o.outputs(),
            a.name()
        ),
    }
    let [function, point] = o.multiply_adds();
    println!("multiply-adds  {function} for an input function, {point} a point");
    let [latent, one, batch] = [o.latent_len(), o.scratch_len(), o.batch_scratch_len()].map(|n| 4 * n);
    println!(
        "RAM            {latent} bytes for an input function, scratch {one} bytes, {batch} bytes for the fastest batch"
    );
    println!("maths          {}", o.math().name());
    made(&|name| o.metadata(name));
}
