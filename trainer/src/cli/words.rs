//! Words of the command line as the configuration writes them.

use clap::ValueEnum;
use rwf_runtime::format::{MathBackend, Precision};
use toml::{Table, Value};

use crate::{
    error::{Error, Result},
    network::Parameterization,
    quantize::Weights,
};

/// Parameterizations and their short names.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Param {
    /// Random weight factorization, log scale: W = diag(exp(s))·V
    Rwf,
    /// Random weight factorization, the scale itself trained: W = diag(g)·V
    RwfDirect,
    /// Weight normalization: W = g·V/|V|
    Wn,
    /// Adaptive activation, one slope a layer
    Aa,
    /// Adaptive activation, one slope a neuron
    AaNeuron,
    /// W itself
    Plain,
}

impl Param {
    /// As a table of the configuration; `mu` and `sigma` belong to the factorization only.
    pub(super) fn table(self, mu: Option<f64>, sigma: Option<f64>) -> Result<Table> {
        let mut table = Table::new();
        let mut put = |key: &str, value: &str| table.insert(key.into(), value.into());
        match self {
            Self::Rwf | Self::RwfDirect => {
                put("kind", "random-weight-factorization");
                put("scale", if matches!(self, Self::Rwf) { "log" } else { "direct" });
            }
            Self::Wn => _ = put("kind", "weight-norm"),
            Self::Aa | Self::AaNeuron => {
                put("kind", "adaptive-activation");
                put("per", if matches!(self, Self::Aa) { "layer" } else { "neuron" });
            }
            Self::Plain => _ = put("kind", "plain"),
        }
        for (name, value) in [("mu", mu), ("sigma", sigma)] {
            let Some(value) = value else { continue };
            if !matches!(self, Self::Rwf | Self::RwfDirect) {
                return Err(Error::Config {
                    field: format!("--{name}"),
                    message: format!("found with {self:?}, expected only with rwf or rwf-direct"),
                });
            }
            table.insert(name.into(), value.into());
        }
        Ok(table)
    }
}

/// A choice with numbers behind colons, `gaussian:128:10`, as a table with `kind` and the named fields. What is
/// not given keeps its default.
pub(super) fn choice(flag: &str, text: &str, known: &[(&str, &str, &[Field])]) -> Result<Table> {
    let mut parts = text.split(':');
    let word = parts.next().unwrap_or_default();
    let wrong = |found: &str| Error::Config {
        field: flag.into(),
        message: format!("found `{found}`, expected {}", describe(known)),
    };
    let (_, kind, fields) = known.iter().find(|(w, ..)| *w == word).ok_or_else(|| wrong(text))?;
    let mut table = Table::from_iter([("kind".to_owned(), Value::from(*kind))]);
    let mut fields = fields.iter();
    for part in parts {
        let field = fields.next().ok_or_else(|| wrong(text))?;
        let (name, value) = match *field {
            Field::Integer(name) => (name, part.parse::<i64>().ok().map(Value::from)),
            Field::Number(name) => (name, part.parse::<f64>().ok().map(Value::from)),
        };
        table.insert(name.into(), value.ok_or_else(|| wrong(text))?);
    }
    Ok(table)
}

/// A number behind a colon.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    /// Whole.
    Integer(&'static str),
    /// Any.
    Number(&'static str),
}

fn describe(known: &[(&str, &str, &[Field])]) -> String {
    let each: Vec<String> = known
        .iter()
        .map(|(word, _, fields)| {
            fields.iter().fold((*word).to_owned(), |text, field| match field {
                Field::Integer(name) | Field::Number(name) => format!("{text}[:{name}]"),
            })
        })
        .collect();
    each.join(", ")
}

/// Mappings.
pub(super) const MAPPINGS: &[(&str, &str, &[Field])] = &[
    ("none", "none", &[]),
    ("gaussian", "gaussian", &[Field::Integer("frequencies"), Field::Number("scale")]),
    ("pe", "positional-log", &[Field::Number("max_power"), Field::Integer("frequencies")]),
    ("octaves", "positional-octaves", &[Field::Integer("levels")]),
    ("periodic", "periodic", &[Field::Integer("harmonics"), Field::Integer("waves"), Field::Number("scale")]),
];

/// Learning-rate schedules.
pub(super) const SCHEDULES: &[(&str, &str, &[Field])] = &[
    ("constant", "constant", &[]),
    ("cosine", "cosine", &[Field::Number("end")]),
    ("exponential", "exponential", &[Field::Number("factor"), Field::Integer("every")]),
];

/// For clap: a parameterization by its short name, with the paper's settings.
pub(super) fn parameterization(word: &str) -> std::result::Result<Parameterization, String> {
    Parameterization::named(word).ok_or_else(|| {
        let known: Vec<&str> = Parameterization::ALL.iter().map(|p| p.name()).collect();
        format!("expected {}", known.join(", "))
    })
}

/// For clap: a precision by name.
pub(super) fn precision(text: &str) -> std::result::Result<Precision, String> {
    let expected = match text {
        "tf32" | "bf16" => "expected f32 or f16, weights in the file; what training rounds to is --matmul-precision",
        _ => "expected f32 or f16",
    };
    Precision::from_name(text).ok_or_else(|| expected.into())
}

/// For clap: weights of any kind by name.
pub(super) fn weights(text: &str) -> std::result::Result<Weights, String> {
    Weights::from_name(text).ok_or_else(|| "expected f32, f16, int16, int8, int6, int4 or mixed".into())
}

/// For clap: a number of bytes, `4096`, `4k` or `1M`; k is 1024.
pub(super) fn bytes(text: &str) -> std::result::Result<usize, String> {
    let lower = text.trim().to_lowercase();
    let lower = lower.trim_end_matches("ib").trim_end_matches('b').trim_end();
    let (number, factor) = match lower.strip_suffix('k') {
        Some(number) => (number, 1024.0),
        None => lower.strip_suffix('m').map_or((lower, 1.0), |number| (number, 1_048_576.0)),
    };
    let bytes = number.trim().parse::<f64>().ok().map(|n| n * factor).filter(|b| (1.0..1e12).contains(b));
    bytes.map(|b| b as usize).ok_or_else(|| "expected a number of bytes such as 4096, 4k or 1.5M".into())
}

/// For clap: a time, `200us`, `1.5ms` or `0.01s`, in microseconds.
pub(super) fn microseconds(text: &str) -> std::result::Result<f64, String> {
    let lower = text.trim().to_lowercase();
    let units = [("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)];
    let found = units.iter().find_map(|(unit, factor)| Some((lower.strip_suffix(unit)?, factor)));
    let time = found.and_then(|(number, factor)| Some(number.trim().parse::<f64>().ok()? * factor));
    time.filter(|t| t.is_finite() && *t > 0.0).ok_or_else(|| "expected a time such as 200us, 1.5ms or 0.01s".into())
}

/// For clap: a maths backend by name.
pub(super) fn math(text: &str) -> std::result::Result<MathBackend, String> {
    MathBackend::from_name(text).ok_or_else(|| "expected polynomial, libm or micromath".into())
}

/// For clap: a signal kind by name.
pub(super) fn kind(text: &str) -> std::result::Result<crate::signal::SignalKind, String> {
    use serde::{Deserialize, de::IntoDeserializer};
    let word: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    crate::signal::SignalKind::deserialize(word).map_err(|_| "expected image, table, audio or array".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_times_are_read_as_people_write_them() {
        let all = ["4096", "4k", "4K", "4KiB", "4kb", "1.5M"].map(|t| bytes(t).unwrap());
        assert_eq!(all, [4096, 4096, 4096, 4096, 4096, 1_572_864]);
        assert!(["", "k", "-4", "0", "4q", "nan"].iter().all(|t| bytes(t).is_err()));
        assert_eq!(["200us", "1.5ms", "0.01s", "3µs"].map(|t| microseconds(t).unwrap()), [200.0, 1500.0, 1e4, 3.0]);
        assert!(["200", "us", "-1ms", "0s"].iter().all(|t| microseconds(t).is_err()));
    }
}
