//! The frequency factor of a SIREN, with and without factorization.

use super::{
    Options, Plan, Row,
    image::{picture_problem, small_photograph},
    regression::{SIZES, colour},
    rows::Preset,
};
use crate::{
    compare::{Block, Choice, Observe, Results, summary},
    error::Result,
    network::NetworkConfig,
    plot::{Chart, Line, Spacing, Stroke},
};

const OMEGA: [f64; 7] = [1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0];

pub(super) fn plan(options: &Options) -> Result<Plan<'static>> {
    let size = if options.quick { (2, 300) } else { (3, 1000) };
    let size = (options.seeds.unwrap_or(size.0), options.steps.unwrap_or(size.1));
    let picture = small_photograph(if options.quick { 64 } else { 128 })?;
    let base = Row::Siren.preset(&SIZES);
    let trials = OMEGA
        .iter()
        .flat_map(|&omega0| {
            let network = NetworkConfig { omega0, omega0_first: omega0, hidden: 64, ..base.network.clone() };
            let preset = Preset { network, learning_rate: 5e-4 };
            options.trials(&row(omega0), &|_| "photograph".into(), &preset, size, &|_| Observe::default())
        })
        .collect();
    let about = format!(
        "SIREN of 3x64 with the same frequency factor in every layer, on a photograph of {0}x{0} pixels of which every \
         second along each side is trained on and all are measured; learning rate 5e-4.",
        picture.side
    );
    Ok(Plan {
        trials,
        problem: Box::new(move |_| Ok(Box::new(picture_problem(&picture, Row::Siren)))),
        title: "The frequency factor of a SIREN",
        about,
        figures: Box::new(figures),
        tables: true,
    })
}

fn row(omega0: f64) -> String {
    format!("omega0 {omega0}")
}

fn figures(results: &Results<'_>) -> Result<Vec<Block>> {
    let lines = results
        .methods
        .iter()
        .map(|method| {
            let mean = |omega0: &f64| {
                let factor = results.factor(&row(*omega0), method, Choice::SameRate);
                let records = results.of(&row(*omega0), method, factor);
                (*omega0, summary(&records.iter().map(|r| r.score()).collect::<Vec<_>>()).mean)
            };
            let points = OMEGA.iter().map(mean).collect();
            Line { name: (*method).into(), points, colour: colour(method), stroke: Stroke::Solid }
        })
        .collect();
    let chart = Chart {
        title: "Frequency factor and error".into(),
        x: ("omega0".into(), Spacing::Logarithmic),
        y: ("PSNR [dB]".into(), Spacing::Linear),
        lines,
    };
    Ok(vec![Block::Figure("omega0".into(), "PSNR over all pixels, means over the seeds.".into(), chart.draw()?)])
}
