//! Sounds: channels over time in seconds, values in [-1, 1].

use std::io::Cursor;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::{Axis, Layout, Order, Quantity, Sampling, Signal, SignalKind, range};

/// Reads a WAV of 8 to 32 bit integers or 32 bit floats.
pub(super) fn load(bytes: &[u8], name: String) -> Result<Signal, String> {
    let damaged = |e: hound::Error| format!("the WAV is damaged, truncated or of an unknown form: {e}");
    let reader = WavReader::new(Cursor::new(bytes)).map_err(damaged)?;
    let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    let values: Vec<f32> = match sample_format {
        SampleFormat::Float => reader.into_samples::<f32>().collect::<Result<_, _>>().map_err(damaged)?,
        SampleFormat::Int => {
            let scale = 1.0 / (1u64 << (bits_per_sample - 1)) as f64;
            let samples = reader.into_samples::<i32>();
            samples.map(|s| s.map(|s| (f64::from(s) * scale) as f32)).collect::<Result<_, _>>().map_err(damaged)?
        }
    };
    let channels = usize::from(channels);
    let count = values.len() / channels;
    if count < 2 || sample_rate == 0 {
        return Err(format!("found {count} samples at {sample_rate} Hz, expected at least 2"));
    }
    let names: Vec<String> = match channels {
        1 => vec!["mono".into()],
        2 => vec!["left".into(), "right".into()],
        n => (0..n).map(|k| format!("ch{k}")).collect(),
    };
    let outputs = names.iter().enumerate().map(|(k, name)| {
        // Floats may leave [-1, 1]; the range then follows them.
        let (lo, hi) = range(&values, k, channels);
        let top = lo.abs().max(hi.abs()).max(1.0);
        Quantity::new(name, "", -top, top)
    });
    let step = 1.0 / f64::from(sample_rate);
    Ok(Signal {
        kind: SignalKind::Audio,
        name,
        inputs: vec![Quantity::new("t", "s", 0.0, (count - 1) as f64 * step)],
        outputs: outputs.collect(),
        layout: Layout::Grid {
            axes: vec![Axis { start: 0.0, step, count }],
            sampling: Sampling::Node,
            order: Order::LastFastest,
        },
        values,
    })
}

/// A WAV of 32 bit floats.
pub(super) fn wav(signal: &Signal) -> Result<Vec<u8>, String> {
    let axis = match &signal.layout {
        Layout::Grid { axes, .. } if axes.len() == 1 && axes[0].step > 0.0 => axes[0],
        _ => return Err("found no sound, expected 1 input on a grid".into()),
    };
    let sample_rate = (1.0 / axis.step).round();
    if !(1.0..=4e9).contains(&sample_rate) {
        return Err(format!("found {sample_rate} samples per unit, expected at least 1 for a WAV"));
    }
    let spec = WavSpec {
        channels: signal.outputs.len() as u16,
        sample_rate: sample_rate as u32,
        bits_per_sample: 32,
        sample_format: SampleFormat::Float,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).map_err(|e| e.to_string())?;
    for &v in &signal.values {
        writer.write_sample(v).map_err(|e| e.to_string())?;
    }
    writer.finalize().map_err(|e| e.to_string())?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_come_back_and_integers_are_scaled() {
        let mut bytes = Cursor::new(Vec::new());
        let spec = WavSpec { channels: 2, sample_rate: 8000, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        for v in [0i16, 16_384, -32_768, 8192, 1, -1] {
            writer.write_sample(v).unwrap();
        }
        writer.finalize().unwrap();
        let signal = load(bytes.get_ref(), "s".into()).unwrap();
        assert_eq!(signal.values[..4], [0.0, 0.5, -1.0, 0.25]);
        assert_eq!(signal.metadata_inputs(), "t[s] 0 0.00025");
        assert_eq!(load(&wav(&signal).unwrap(), "s".into()).unwrap(), signal);
        let half = &bytes.get_ref()[..30];
        assert!(load(half, "s".into()).unwrap_err().contains("truncated"));
    }
}
