//! The loss over a weight and over its factors (Wang et al. 2022, Fig. 1), and Theorem 1's distances.

use super::{Options, Row, regression};
use crate::{
    compare::{Block, Report, Table},
    diagnose::landscape::{SineNeuron, factor_distance, network_distance},
    error::Result,
    network::Network,
    plot::{Chart, Line, Spacing, Stroke, Surface, mosaic},
    rng::Rng,
};

/// The weight that fits.
const TARGET: f64 = 8.0;
/// Weights shown.
const RANGE: (f64, f64) = (0.5, 20.0);
/// Largest scale shown.
const LARGEST: f64 = 10.0;

pub(super) fn report(options: &Options) -> Result<Report> {
    let neuron = SineNeuron::new(TARGET);
    let minima = neuron.minima(RANGE.0, RANGE.1);
    let best = TARGET;
    let other = minima.iter().copied().find(|w| (w - best).abs() > 1e-3).unwrap_or(best);

    let loss = (0..=600).map(|i| RANGE.0 + (RANGE.1 - RANGE.0) * f64::from(i) / 600.0).map(|w| (w, neuron.loss(w)));
    let line = |name: String, points, colour, stroke| Line { name, points, colour, stroke };
    let chart = Chart {
        title: "Loss over the weight".into(),
        x: ("w".into(), Spacing::Linear),
        y: ("loss".into(), Spacing::Linear),
        lines: vec![
            line(String::new(), loss.collect(), 0, Stroke::Solid),
            line(format!("w = {best:.2}"), vec![(best, neuron.loss(best))], 3, Stroke::Points),
            line(format!("w = {other:.2}"), vec![(other, neuron.loss(other))], 1, Stroke::Points),
        ],
    };
    let hyperbola = |w: f64| (1..=2000).map(|i| LARGEST * f64::from(i) / 2000.0).map(|g| (g, w / g)).collect();
    let surface = Surface {
        title: "Loss over scale and direction".into(),
        x: ("scale g = exp(s)", 0.3, LARGEST),
        y: ("v", 0.0, 12.0),
        value: &|g, v| neuron.loss(g * v),
        curves: vec![(hyperbola(best), 3), (hyperbola(other), 1)],
    };

    let scales = [3.0, 5.0, 10.0, 20.0, 50.0, 100.0];
    let rows = scales.iter().map(|&g| {
        let found = factor_distance(best, other, g);
        let bound = (best - other).abs() / g;
        vec![format!("{g}"), format!("{found:.4}"), format!("{bound:.4}"), format!("{:.3}", found / bound)]
    });
    let curve = Table {
        header: ["scale g", "distance", "|w1 - w2|/g", "ratio"].map(String::from).to_vec(),
        rows: rows.collect(),
    };

    let config = Row::Mlp.preset(&regression::SIZES).network;
    let make = |seed| Network::new(&config, 1, 1, &mut Rng::new(seed).stream("network"));
    let ((network, a), (_, b)) = (make(0)?, make(1)?);
    let zero = network_distance(&network, &a, &b, 0.0);
    let rows = [0.0, 1.0, 2.0, 4.0, 8.0].iter().map(|&s: &f64| {
        let found = network_distance(&network, &a, &b, s);
        vec![format!("{s}"), format!("{found:.4e}"), format!("{:.4e}", zero * (-s).exp())]
    });
    let networks = Table {
        header: ["log scale s", "|V_a - V_b|", "e^-s·|W_a - W_b|"].map(String::from).to_vec(),
        rows: rows.collect(),
    };
    Ok(Report {
        title: "The loss over a weight and over its factors".into(),
        blocks: vec![
            Block::Text(format!(
                "One sine neuron sin(w·x) fitted to sin({TARGET}·x) at {} points of [-1, 1]: the loss over w has the minimum \
                 at w = {best} and others, the next at w = {other:.2}. Over a scale g and a v with w = g·v each minimum is a \
                 hyperbola, and where g is large the hyperbolas lie close together. Nothing here is trained.",
                neuron.points.len()
            )),
            Block::Text(format!("Made by `{}`; it takes no seeds beyond the two networks below.", options.command)),
            Block::Figure(
                "landscape".into(),
                "Left: the loss over w. Right: the loss over g and v (dark is low), with the hyperbolas of the two minima in \
                 their colours."
                    .into(),
                mosaic(&[chart.draw()?, surface.draw()?], 2),
            ),
            Block::Heading("Theorem 1".into()),
            Block::Text(
                "The distance in the plane (g, v) from one hyperbola to the other, at scale g: at most |w1 - w2|/g, and \
                 nearly that where the curves are flat."
                    .into(),
            ),
            Block::Table(curve),
            Block::Text(
                "The same for two whole networks (MLP 3x128, seeds 0 and 1), factorized anew with every log scale equal to \
                 s: their functions stay, their factorizations approach each other as e^-s. Biases are not factorized and \
                 left out; between them the distance stays."
                    .into(),
            ),
            Block::Table(networks),
        ],
    })
}
