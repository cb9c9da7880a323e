//! Mean and deviation of the log scale: where the factorization is like plain weights, where it helps, where it breaks.

use super::{Options, Plan, Row, regression, rows::Preset};
use crate::{
    compare::{Block, Choice, Observe, Results, Trial, summary},
    error::Result,
    network::{Parameterization, Scale},
    plot::HeatMap,
};

const MU: [f64; 7] = [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0];
const SIGMA: [f64; 6] = [0.0, 0.1, 0.25, 0.5, 1.0, 2.0];

pub(super) fn plan(options: &Options) -> Plan<'static> {
    let size = if options.quick { (1, 1000) } else { (3, 5000) };
    let size = (options.seeds.unwrap_or(size.0), options.steps.unwrap_or(size.1));
    let preset = Row::Mlp.preset(&regression::SIZES);
    let mut trials = Vec::new();
    let mut add = |row: &str, parameterization: Parameterization| {
        let one = Options { methods: vec![parameterization], rate_factors: vec![1.0], ..options.clone() };
        let preset: &Preset = &preset;
        trials.extend(one.trials(row, &|seed| format!("field{seed}"), preset, size, &|_| Observe::default()));
    };
    add("plain", Parameterization::Plain);
    for mu in MU {
        for sigma in SIGMA {
            add(&row(mu, sigma), Parameterization::RandomWeightFactorization { scale: Scale::Log, mu, sigma });
        }
    }
    Plan {
        trials,
        problem: Box::new(|trial: &Trial| Ok(Box::new(regression::field(trial.training.seed, false)))),
        title: "Mean and deviation of the log scale",
        about:
            "The regression of a random field (`rwf compare regression`) with s ~ N(mu, sigma²) for a grid of mu and \
                sigma, log scale, everything at the same learning rate."
                .into(),
        figures: Box::new(figures),
        tables: false,
    }
}

fn row(mu: f64, sigma: f64) -> String {
    format!("mu {mu}, sigma {sigma}")
}

fn figures(results: &Results<'_>) -> Result<Vec<Block>> {
    let mean = |row: &str, method| {
        let records = results.of(row, method, 1.0);
        let scores: Vec<f64> = records.iter().map(|r| r.score()).collect();
        (summary(&scores).mean, records.iter().any(|r| r.diverged.is_some()))
    };
    let cells: Vec<(f64, bool)> =
        SIGMA.iter().flat_map(|&sigma| MU.map(move |mu| row(mu, sigma))).map(|r| mean(&r, "rwf")).collect();
    let (plain, _) = mean("plain", "plain");
    let best = cells.iter().enumerate().min_by(|a, b| a.1.0.total_cmp(&b.1.0)).map_or(0, |(i, _)| i);
    let at = |i: usize| (MU[i % MU.len()], SIGMA[i / MU.len()]);
    let (like_plain, _) = mean(&row(0.0, 0.0), "rwf");
    let (paper, _) = mean(&row(1.0, 0.1), "rwf");
    let (corner, broken) = mean(&row(MU[MU.len() - 1], SIGMA[SIGMA.len() - 1]), "rwf");
    let map = HeatMap {
        title: "log10 of the final mean squared error".into(),
        x: ("mu".into(), MU.map(|v| v.to_string()).to_vec()),
        y: ("sigma".into(), SIGMA.map(|v| v.to_string()).to_vec()),
        values: cells.iter().map(|c| c.0).collect(),
        marked: cells.iter().map(|c| c.1).collect(),
    };
    let (mu, sigma) = at(best);
    Ok(vec![
        Block::Figure("sweep".into(), "Means over the seeds; a dot: diverged in one of them.".into(), map.draw()?),
        Block::Text(format!(
            "Plain weights: {plain:.2}. At mu 0, sigma 0, where the factorization starts as plain weights with a trained \
             scale: {like_plain:.2}. At the paper's mu 1, sigma 0.1: {paper:.2}. Best: {:.2} at mu {mu}, sigma {sigma}. At \
             the largest mu and sigma: {corner:.2}{}.",
            cells[best].0,
            if broken { ", diverged" } else { "" },
        )),
        Block::Text(format!(
            "Means of {} at the same learning rate. Adam's step on s and V does not depend on the size of a gradient, so \
             its step on a dense weight grows with exp(mu): part of what mu does, a larger learning rate does too.",
            results.unit()
        )),
    ]
    .into_iter()
    .chain(std::iter::once(Block::Table(results.scores_table(Choice::SameRate))))
    .collect())
}
