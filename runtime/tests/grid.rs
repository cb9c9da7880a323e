//! A grid decoded row by row, by tiles of any width, from any memory: the bits of single points.

mod common;

use common::File;
use rwf_runtime::{
    Axis, GridDecoder, LoadError, Model,
    describe::Order,
    format::{MAX_INPUTS, Precision},
    uses,
};

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Every kind of network on `inputs` coordinates, f32 and f16.
fn files(inputs: usize) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for mapping in ["none", "fourier", "fourier+raw"] {
        for gate in [None, Some("tanh")] {
            for activation in ["sine", "relu", "gelu"] {
                let words = format!("{activation},{activation},identity");
                let file = File::on_inputs(inputs, mapping, &words, gate);
                let name = format!("{inputs} {mapping} {activation} {gate:?}");
                files.push((format!("{name} f16"), file.clone().halve().bytes()));
                files.push((format!("{name} masked"), file.clone().masked(inputs).bytes()));
                files.push((name, file.bytes()));
            }
        }
    }
    files
}

/// Samples along each input: more than a tile along the first and the last.
fn axes(inputs: usize) -> Vec<Axis> {
    let axis = |i: usize| Axis {
        start: -0.7 + 0.3 * i as f32,
        step: 0.137 + 0.01 * i as f32,
        count: if i == 0 || i + 1 == inputs { 9 } else { 2 },
    };
    (0..inputs).map(axis).collect()
}

/// The values sample by sample, `[samples, 3]`.
fn one_by_one(model: &Model<'_>, axes: &[Axis], order: Order) -> Vec<f32> {
    let total = axes.iter().map(|a| a.count).product();
    let mut scratch = vec![f32::NAN; model.scratch_len()];
    let mut values = Vec::new();
    for index in 0..total {
        let (mut left, mut x) = (index, vec![0.0; axes.len()]);
        let mut set = |i: usize| {
            x[i] = axes[i].at(left % axes[i].count);
            left /= axes[i].count;
        };
        match order {
            Order::FirstFastest => (0..axes.len()).for_each(&mut set),
            Order::LastFastest => (0..axes.len()).rev().for_each(&mut set),
        }
        let mut y = [f32::NAN; 3];
        model.eval(&x, &mut y, &mut scratch).unwrap();
        values.extend(y);
    }
    values
}

/// Decodes a grid by calls for `at_once` samples.
fn decoded(at_once: usize, mut fill: impl FnMut(&mut [f32]) -> usize) -> Vec<u32> {
    let mut all = Vec::new();
    let mut some = vec![f32::NAN; 3 * at_once];
    loop {
        match fill(&mut some) {
            0 => return all,
            n => all.extend(bits(&some[..3 * n])),
        }
    }
}

#[test]
fn a_row_gives_the_bits_of_its_points() {
    for inputs in [1, 2, 3, 5] {
        let axes = axes(inputs);
        for (name, file) in files(inputs) {
            let model = Model::new(&file).unwrap();
            for order in [Order::FirstFastest, Order::LastFastest] {
                let expected = bits(&one_by_one(&model, &axes, order));
                let most = model.grid_scratch_len();
                for length in [model.scratch_len(), 4 * model.scratch_len(), most - 1, most, most + 5] {
                    for at_once in [1, 3, 7, 32, 9 * 9 * 8] {
                        let mut scratch = vec![f32::NAN; length];
                        let mut decoder = GridDecoder::new(&model, &axes, order).unwrap();
                        let found = decoded(at_once, |y| {
                            // What the last call left is not relied upon.
                            scratch.fill(f32::NAN);
                            decoder.fill(y, &mut scratch).unwrap()
                        });
                        assert_eq!(found, expected, "{name} {order:?} scratch {length}, {at_once} at once");
                    }
                }
            }
        }
    }
}

#[test]
fn tiles_of_one_width_and_weights_made_aligned_give_the_same_bits() {
    const ALIGNED: u32 = uses::ALL & !(uses::UNALIGNED | uses::precision(Precision::F16));
    for (name, file) in files(3) {
        // At an odd address, so that nothing is aligned.
        let moved = [&[0], &file[..]].concat();
        let start = moved.as_ptr().addr() % 2;
        let file = if start == 0 { &moved[1..] } else { &file[..] };
        let model = Model::new(file).unwrap();
        assert!(matches!(Model::<ALIGNED>::load(file), Err(LoadError::NotInUses) | Ok(_)), "{name}");
        let mut memory = vec![0.0; file.len() / 2];
        let mut left = &mut memory[..];
        let widened = Model::<ALIGNED>::load_widened::<LoadError>(file, &mut left).unwrap();
        let used = file.len() / 2 - left.len();
        assert!(used == 0 || used == model.architecture().parameters(), "{name}");
        assert!(!name.contains("f16") || used > 0, "{name}");
        assert_eq!((widened.architecture(), widened.precision()), (model.architecture(), model.precision()));
        assert_eq!(widened.weight_bytes(), model.weight_bytes());
        for order in [Order::FirstFastest, Order::LastFastest] {
            let axes = axes(3);
            let expected = one_by_one(&model, &axes, order);
            tiled::<1>(&widened, &axes, order, &expected, &name);
            tiled::<4>(&widened, &axes, order, &expected, &name);
            tiled::<7>(&widened, &axes, order, &expected, &name);
        }
    }
}

fn tiled<const L: usize>(
    model: &Model<'_, { uses::ALL & !(uses::UNALIGNED | uses::precision(Precision::F16)) }>,
    axes: &[Axis],
    order: Order,
    expected: &[f32],
    name: &str,
) {
    for length in [model.tiled_scratch_len::<L>(), model.tiled_grid_scratch_len::<L>()] {
        let mut scratch = vec![f32::NAN; length];
        let mut decoder = GridDecoder::with(model, |i| axes[i], order).unwrap();
        let found = decoded(31, |y| decoder.fill_tiled::<L>(y, &mut scratch).unwrap());
        assert_eq!(found, bits(expected), "{name} {order:?} by {L}");
    }
    // Scattered points: those of the first row.
    let input = if order == Order::FirstFastest { 0 } else { axes.len() - 1 };
    let row = (0..axes[input].count).flat_map(|k| {
        let mut point = [0.0; MAX_INPUTS];
        for (i, x) in point.iter_mut().enumerate().take(axes.len()) {
            *x = axes[i].at(if i == input { k } else { 0 });
        }
        point.into_iter().take(axes.len())
    });
    let x: Vec<f32> = row.collect();
    let mut y = vec![f32::NAN; 3 * axes[input].count];
    let mut scratch = vec![f32::NAN; model.tiled_scratch_len::<L>()];
    model.eval_tiled::<L>(&x, &mut y, &mut scratch).unwrap();
    assert_eq!(bits(&y), bits(&expected[..y.len()]), "{name} {order:?} by {L}");
    let short = scratch.len() - 1;
    assert!(model.eval_tiled::<L>(&x, &mut y, &mut scratch[..short]).is_err());
    assert!(model.eval_tiled::<L>(&x[1..], &mut y, &mut scratch).is_err());
    assert!(model.eval_tiled::<L>(&x, &mut y[1..], &mut scratch).is_err());
}
