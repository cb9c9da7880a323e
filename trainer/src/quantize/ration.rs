//! Bits where they are worth their bytes: each layer gets as many as the error asks for.
//!
//! Source: the marginal return of bits, as in Y. Shoham, A. Gersho, "Efficient bit allocation for an arbitrary set of
//! quantizers", 1988: the next bits to go are those with the least squared error for a byte.

use std::collections::HashMap;

use rwf_runtime::{IntegerModel, entropy, integer::Bits};

use super::{added, load, model, narrow_layers, refused};
use crate::{
    error::{Error, Result},
    export::Description,
    network::DenseNetwork,
};

/// Error that integers may add unless something else is asked for, root mean square over the range of the network in f32.
const ERROR: f64 = 0.005;

/// What bits have to keep to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ration {
    /// The largest error they may add, root mean square over the range of the network in f32; with `bytes` none.
    pub error: f64,
    /// The most bytes of the file; none: as few as the error allows.
    pub bytes: Option<usize>,
    /// Whether bytes are those of the packed file.
    pub packed: bool,
}

impl Default for Ration {
    fn default() -> Self {
        Self { error: ERROR, bytes: None, packed: false }
    }
}

/// Size and added error of a choice.
#[derive(Debug, Clone, Copy)]
struct Price {
    bytes: usize,
    square: f64,
}

/// Bits of every narrow layer of `dense`, from 16 down by the least squared error for a byte, as measured by the runtime at
/// `points` and in the file itself; `float` is the same network's file in f32.
///
/// # Errors
/// As [`model`]; [`Error::Config`] when not even 4 bits everywhere are within the bytes.
pub fn mixed(
    dense: &DenseNetwork,
    description: &Description,
    points: &[f32],
    float: &[u8],
    ration: Ration,
) -> Result<Vec<Bits>> {
    let float = load(float)?;
    let mut known: HashMap<Vec<usize>, Option<Price>> = HashMap::new();
    let mut price = |chosen: &[Bits]| -> Result<Option<Price>> {
        let key: Vec<usize> = chosen.iter().map(|&b| place(b)).collect();
        if let Some(price) = known.get(&key) {
            return Ok(*price);
        }
        // A layer whose sums could overflow is no choice.
        let price = match model(dense, description, chosen, points) {
            Err(_) => None,
            Ok(file) => {
                let integer = IntegerModel::new(&file).map_err(refused)?;
                let bytes = if ration.packed { entropy::encode(&file).len() } else { file.len() };
                Some(Price { bytes, square: added(&float, &integer, points).rms.powi(2) })
            }
        };
        known.insert(key, price);
        Ok(price)
    };
    let fits = |price: Price| ration.bytes.is_none_or(|most| price.bytes <= most);
    let mut chosen = vec![Bits::Sixteen; narrow_layers(dense)];
    loop {
        let here = price(&chosen)?;
        if ration.bytes.is_some() && here.is_some_and(fits) {
            return Ok(chosen);
        }
        let mut best: Option<(f64, Vec<Bits>)> = None;
        for layer in 0..chosen.len() {
            // The next steps down, and those beyond: six bits may cost more bytes than four save.
            for &bits in Bits::ALL.iter().take(place(chosen[layer])) {
                let mut next = chosen.clone();
                next[layer] = bits;
                let Some(there) = price(&next)? else { continue };
                if ration.bytes.is_none() && there.square.sqrt() > ration.error {
                    continue;
                }
                let slope = match here {
                    None => 0.0,
                    Some(here) if there.bytes >= here.bytes => continue,
                    Some(here) => (there.square - here.square).max(0.0) / (here.bytes - there.bytes) as f64,
                };
                if best.as_ref().is_none_or(|(least, _)| slope < *least) {
                    best = Some((slope, next));
                }
            }
        }
        match (best, here, ration.bytes) {
            (Some((_, next)), ..) => chosen = next,
            (None, Some(here), Some(most)) => {
                let message = format!("found {most} bytes, expected at least {}: 4 bits in every layer", here.bytes);
                return Err(Error::Config { field: "--bytes".into(), message });
            }
            (None, Some(_), None) => return Ok(chosen),
            // The error of the exporter names the layer.
            (None, None, _) => return model(dense, description, &chosen, points).map(|_| chosen),
        }
    }
}

fn place(bits: Bits) -> usize {
    Bits::ALL.iter().position(|&b| b == bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rwf_runtime::format::{MathBackend, Precision};

    use super::*;
    use crate::{
        export,
        network::{ArchitectureKind, Network, NetworkConfig},
        quantize::calibration,
        rng::Rng,
    };

    #[test]
    fn fewer_bytes_take_fewer_bits_and_more_error_and_are_kept_to() {
        let config = NetworkConfig::new(ArchitectureKind::Siren, 24, 3);
        let (network, parameters) = Network::new(&config, 2, 1, &mut Rng::new(3)).unwrap();
        let dense = network.dense_f64(&parameters);
        let description = Description {
            signal: "table".into(),
            inputs: "x -1 1;y -1 1".into(),
            outputs: "z -1 1".into(),
            grid: None,
            error: None,
            provenance: String::new(),
        };
        let points = calibration(&description, 2, None);
        let float = export::model(&dense, &description, Precision::F32, MathBackend::Polynomial).unwrap();
        let reference = load(&float).unwrap();
        let measure = |ration: Ration| {
            let bits = mixed(&dense, &description, &points, &float, ration)?;
            let file = model(&dense, &description, &bits, &points)?;
            let error = added(&reference, &IntegerModel::new(&file).unwrap(), &points).rms;
            let bytes = if ration.packed { entropy::encode(&file).len() } else { file.len() };
            Ok::<_, Error>((bytes, error))
        };
        let wide = measure(Ration { error: 1e-9, ..Ration::default() }).unwrap();
        for packed in [false, true] {
            let least = measure(Ration { error: f64::INFINITY, packed, ..Ration::default() }).unwrap();
            let most = (least.0 + measure(Ration { error: 1e-9, packed, ..Ration::default() }).unwrap().0) / 2;
            let middle = measure(Ration { bytes: Some(most), packed, ..Ration::default() }).unwrap();
            assert!(middle.0 <= most && middle.0 > least.0, "{middle:?} of {most}");
            assert!(wide.1 < middle.1 && middle.1 < least.1, "{wide:?} {middle:?} {least:?}");
            let refusal = measure(Ration { bytes: Some(least.0 - 1), packed, ..Ration::default() }).unwrap_err();
            assert!(refusal.to_string().contains(&least.0.to_string()), "{refusal}");
        }
        let usual = measure(Ration::default()).unwrap();
        assert!(usual.1 <= ERROR && usual.0 < wide.0, "{usual:?}");
    }
}
