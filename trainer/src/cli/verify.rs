//! `rwf verify`

use super::certify::CaseArgs;
use crate::{
    error::{Error, Result},
    task::certify,
};

const EXAMPLES: &str = "Example:
  rwf verify map.safetensors --against map.npy

Exit code 0 when every figure holds, 1 when one does not, 2 for bad input.";

/// Compute a model's certificate anew and say whether it holds
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    case: CaseArgs,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let (claim, broken) = certify::verify(&args.case.case())?;
    if broken.is_empty() {
        println!("the certificate holds over {} samples", claim.samples);
        return Ok(());
    }
    Err(Error::Certificate(format!("the certificate does not hold:\n  {}", broken.join("\n  "))))
}
