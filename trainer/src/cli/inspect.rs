//! `rwf inspect`

use std::path::PathBuf;

use crate::{
    error::Result,
    plot,
    task::inspect::{Inspection, inspect},
    train::metrics::short,
};

/// Look inside a run: factors, change of weights, tangent kernel, effective learning rates, gradients
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  rwf inspect photo.run\n  rwf inspect photo.run/checkpoint.safetensors -o inside.png\n\n\
    Rates are those of gradient descent on the factors, in units of the learning rate, for the dense weights of a\n\
    neuron across and along themselves (Theorem 2). Flat spectra learn all parts of a signal at a like speed."
)]
pub(super) struct Args {
    /// Run folder, or the checkpoint in it
    checkpoint: PathBuf,
    /// Picture to write [default: inspect.png in the run folder]
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Most samples the tangent kernel is computed at
    #[arg(long, default_value_t = 256)]
    points: usize,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let inspection = inspect(&args.checkpoint, args.points)?;
    print(&inspection);
    let out = args.output.clone().unwrap_or_else(|| inspection.folder.join("inspect.png"));
    plot::save_png(&out, &inspection.picture()?)?;
    println!("wrote {}", out.display());
    Ok(())
}

fn print(i: &Inspection) {
    println!("step {} of {}, {}", i.step, i.steps, i.parameterization);
    println!(
        "{:<12} {:>7} {:>26} {:>14} {:>14} {:>9}",
        "layer", "neurons", "scale: min median max", "rate across", "rate along", "change"
    );
    for layer in &i.layers {
        let (low, middle, high) = spread(&layer.scale);
        println!(
            "{:<12} {:>7} {:>26} {:>14} {:>14} {:>9}",
            layer.name,
            layer.scale.len(),
            format!("{} {} {}", short(low), short(middle), short(high)),
            short(spread(&layer.rate_across).1),
            short(spread(&layer.rate_along).1),
            short(layer.change)
        );
    }
    println!("dense weights in all: |W - W0|/|W0| = {}", short(i.change));
    println!("gradient of the loss over {} samples (loss {}):", i.samples, short(i.loss));
    for (name, norm) in &i.gradients {
        println!("  {name:<18} {:>12}", short(*norm));
    }
    println!("tangent kernel at {} samples:", i.points);
    println!(
        "  {:<22} {:>12} {:>12} {:>22} {:>20}",
        "", "largest", "median", "effective directions", "above 1e-4 of it"
    );
    for (name, s) in i.spectra() {
        println!(
            "  {:<22} {:>12} {:>12} {:>22} {:>20}",
            name,
            short(s[0]),
            short(s[s.len() / 2]),
            short(crate::diagnose::tangent::participation(s)),
            format!("{:.0} %", 100.0 * crate::diagnose::tangent::share_above(s, 1e-4))
        );
    }
}

/// Smallest, median and largest.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}
