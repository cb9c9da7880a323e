//! Pictures by the protocol of Tancik et al. 2020: trained on every second pixel along each side, measured on all.

use std::path::PathBuf;

use image::{Rgb, RgbImage};

use super::{Options, Plan, Row, rows::Sizes};
use crate::{
    compare::{Block, Choice, Observe, Results, Sampled, Trial},
    error::{Error, Result},
    plot::sheet,
    signal::{SquarePicture, photograph, photograph_from, photographs, words},
};

/// What belongs to pictures alone.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageOptions {
    /// Photographs, or folders of them; none: the bundled one, scaled to what it has.
    pub photographs: Vec<PathBuf>,
    /// Pictures of words.
    pub texts: u64,
    /// Pixels along a side; none: 512, or 128 if quick.
    pub size: Option<usize>,
    /// Architectures and mappings.
    pub rows: Vec<Row>,
}

/// The photograph of the demo: 128x128 pixels of a portrait of Eileen Collins (NASA, public domain).
const BUNDLED: &[u8] = include_bytes!("../../../assets/astronaut-128.png");

/// Pixels along a side in Tancik et al.; their frequencies belong to it.
const FULL: f64 = 512.0;

/// The bundled photograph at a size of at most 128 pixels.
pub(super) fn small_photograph(side: usize) -> Result<SquarePicture> {
    photograph_from(BUNDLED, "astronaut".into(), side)
        .map_err(|message| Error::Config { field: "--size".into(), message: format!("bundled photograph: {message}") })
}

pub(super) fn plan<'a>(options: &Options, image: &'a ImageOptions) -> Result<Plan<'a>> {
    let side = image.size.unwrap_or(if options.quick { 128 } else { 512 });
    if side < 8 || !side.is_multiple_of(2) {
        return Err(Error::Config {
            field: "--size".into(),
            message: format!("found {side}, expected an even number of pixels, at least 8"),
        });
    }
    let mut pictures = Vec::new();
    if image.photographs.is_empty() && side <= 128 {
        pictures.push(small_photograph(side)?);
    } else if image.photographs.is_empty() {
        return Err(Error::Config {
            field: "--photos".into(),
            message: format!("found none; the bundled photograph has 128x128 pixels, so {side} needs files or folders"),
        });
    }
    for path in photographs(&image.photographs)? {
        pictures.push(photograph(&path, side)?);
    }
    let natural = pictures.len();
    pictures.extend((0..image.texts).map(|seed| words(seed, side)));
    if pictures.is_empty() || image.rows.is_empty() {
        return Err(Error::Config { field: "--rows".into(), message: "found nothing to compare".into() });
    }

    let (hidden, frequencies) = if options.quick { (64, 64) } else { (256, 256) };
    let size = if options.quick { (1, 300) } else { (1, 2000) };
    let size = (options.seeds.unwrap_or(size.0), options.steps.unwrap_or(size.1));
    // Frequencies are told per side, so fewer pixels carry lower ones.
    let share = side as f64 / FULL;
    let mut trials = Vec::new();
    for (n, picture) in pictures.iter().enumerate() {
        let (kind, scale) = if n < natural { ("natural", 10.0) } else { ("text", 14.0) };
        let sizes = Sizes {
            hidden,
            depth: 4,
            frequencies,
            scale: scale * share,
            max_power: (6.0 + share.log2()).max(1.0),
            sigmoid: true,
            rate: 1e-3,
            siren_rate: 1e-4,
        };
        for row in &image.rows {
            let observe = |seed| Observe { output: seed == 0 && [0, natural].contains(&n), kernel: false };
            trials.extend(options.trials(
                &format!("{kind}: {}", row.name()),
                &|_| picture.name.clone(),
                &row.preset(&sizes),
                size,
                &observe,
            ));
        }
    }
    // Rows of a table stand together, whatever the order of pictures.
    trials.sort_by_key(|t| !t.row.starts_with("natural"));
    let about = format!(
        "{natural} photograph(s) and {} picture(s) of words at {side}x{side} pixels; trained on every second pixel along \
         each side ({} of {}), PSNR over all pixels (Tancik et al. 2020). 4 hidden layers of {hidden} neurons; Gaussian \
         mapping of {frequencies} frequencies with scale {:.2} (photographs) or {:.2} (words), positional encoding up to \
         2^{:.1}, both those of 512x512 scaled to this size; learning rate 1e-3, a SIREN's 1e-4; full batch.",
        image.texts,
        side * side / 4,
        side * side,
        10.0 * share,
        14.0 * share,
        (6.0 + share.log2()).max(1.0),
    );
    let shown = pictures.clone();
    Ok(Plan {
        trials,
        problem: Box::new(move |trial: &Trial| {
            let picture = pictures.iter().find(|p| p.name == trial.problem).expect("a picture of the plan");
            let row = Row::ALL.into_iter().find(|r| trial.row.ends_with(&format!(": {}", r.name())));
            Ok(Box::new(picture_problem(picture, row.expect("a row of the plan"))))
        }),
        title: "Pictures",
        about,
        figures: Box::new(move |results| figures(results, &shown)),
        tables: true,
    })
}

/// Every second pixel along each side to train on, all to measure at; coordinates and values as `row` has them.
pub(super) fn picture_problem(picture: &SquarePicture, row: Row) -> Sampled {
    let side = picture.side;
    let place = |i: usize| {
        let at = i as f64 / side as f64;
        (if row.symmetric() { 2.0 * at - 1.0 } else { at }) as f32
    };
    // A sigmoid gives [0, 1]; a linear output is centred.
    let (scale, offset) = if row.sigmoid() { (1.0, 0.0) } else { (2.0, -1.0) };
    let of = |step: usize| {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for row in (0..side).step_by(step) {
            for column in (0..side).step_by(step) {
                x.extend([place(column), place(row)]);
                let at = (row * side + column) * 3;
                y.extend(picture.values[at..at + 3].iter().map(|v| v * scale + offset));
            }
        }
        (x, y)
    };
    let ((x, y), (test_x, test_y)) = (of(2), of(1));
    Sampled { inputs: 2, outputs: 3, x, y, test_x, test_y, range: Some((offset, scale + offset)), batches: None }
}

/// What each method made of the first photograph and the first text, a row of the table a line.
fn figures(results: &Results<'_>, pictures: &[SquarePicture]) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    for kind in ["natural", "text"] {
        let mut lines = Vec::new();
        for row in results.rows.iter().filter(|r| r.starts_with(kind)) {
            let mut line = Vec::new();
            for method in &results.methods {
                let factor = results.factor(row, method, Choice::SameRate);
                let found = results.of(row, method, factor);
                let Some(record) = found.into_iter().find(|r| r.output.is_some()) else { continue };
                let Some(picture) = pictures.iter().find(|p| p.name == record.trial.problem) else { continue };
                let (scale, offset) = if row.ends_with(Row::Siren.name()) { (0.5, 0.5) } else { (1.0, 0.0) };
                let values: Vec<f32> = record.output.iter().flatten().map(|v| v * scale + offset).collect();
                let caption = format!(
                    "{}, {method}: {:.2} dB",
                    row.trim_start_matches(kind).trim_start_matches(": "),
                    record.score()
                );
                line.push((caption, show(&values, picture.side)));
            }
            lines.push(line);
        }
        let Some(truth) = pictures.iter().find(|p| p.name.starts_with("text") == (kind == "text")) else { continue };
        if lines.is_empty() {
            continue;
        }
        lines.push(vec![(truth.name.clone(), show(&truth.values, truth.side))]);
        blocks.push(Block::Figure(
            kind.into(),
            format!("{}: what the networks made of it, at the same rate; last: the picture itself.", truth.name),
            sheet(&lines)?,
        ));
    }
    Ok(blocks)
}

/// The picture, enlarged to be seen.
fn show(values: &[f32], side: usize) -> RgbImage {
    let picture = RgbImage::from_fn(side as u32, side as u32, |x, y| {
        let at = (y as usize * side + x as usize) * 3;
        Rgb(std::array::from_fn(|k| (255.0 * values[at + k]).round().clamp(0.0, 255.0) as u8))
    });
    let times = (256 / side as u32).max(1);
    let (w, h) = if side > 256 { (256, 256) } else { (picture.width() * times, picture.height() * times) };
    let filter = if side > 256 { image::imageops::FilterType::Triangle } else { image::imageops::FilterType::Nearest };
    image::imageops::resize(&picture, w, h, filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_pixel_is_trained_and_all_are_measured() {
        let picture = words(0, 16);
        let p = picture_problem(&picture, Row::Gaussian);
        assert_eq!((p.x.len(), p.y.len(), p.test_x.len(), p.test_y.len()), (128, 192, 512, 768));
        assert_eq!(p.test_y, picture.values);
        // The second training point is the third pixel of the first line.
        assert_eq!((p.x[2], p.x[3], p.y[3]), (2.0 / 16.0, 0.0, picture.values[6]));
        let siren = picture_problem(&picture, Row::Siren);
        assert_eq!((siren.x[0], siren.range), (-1.0, Some((-1.0, 1.0))));
        assert_eq!(siren.y[3], 2.0 * p.y[3] - 1.0);
    }
}
