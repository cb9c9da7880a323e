//! Tables: CSV with a header, units in brackets, any number of inputs and outputs.

use std::fmt::Write as _;

use super::{Layout, LoadOptions, Quantity, Signal, SignalKind, lattice::lattice, range, widened};

/// Fewest rows a curve can be fitted to.
const FEWEST: usize = 4;

/// Reads a CSV; the separator is whichever of `,` `;` and tab the header has most of.
pub(super) fn load(bytes: &[u8], name: String, options: &LoadOptions) -> Result<Signal, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "found bytes that are not text, expected a CSV")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let header = text.lines().find(|l| !l.starts_with('#') && !l.trim().is_empty()).unwrap_or("");
    let delimiter = [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|&d| (header.bytes().filter(|&b| b == d).count(), d == b','))
        .unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let columns: Vec<Column> = reader.headers().map_err(|e| e.to_string())?.iter().map(Column::parse).collect();
    check_names(&columns)?;
    let (inputs, outputs) = choose(&columns, options)?;

    let mut rows: Vec<Vec<f64>> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| e.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != columns.len() {
            return Err(format!(
                "line {line} has {} fields, expected {} as in the header",
                record.len(),
                columns.len()
            ));
        }
        let mut row = vec![0.0; columns.len()];
        for &k in inputs.iter().chain(&outputs) {
            let value: Option<f64> = record[k].parse().ok();
            row[k] = value.filter(|v| v.is_finite()).ok_or_else(|| {
                format!("line {line}, column `{}`: found `{}`, expected a finite number", columns[k].name, &record[k])
            })?;
        }
        rows.push(row);
    }
    if rows.len() < FEWEST {
        return Err(format!("found {} rows of numbers, expected at least {FEWEST}", rows.len()));
    }

    let coordinates: Vec<f64> = rows.iter().flat_map(|row| inputs.iter().map(|&k| row[k])).collect();
    let values: Vec<f32> = rows.iter().flat_map(|row| outputs.iter().map(|&k| row[k] as f32)).collect();
    let mut described = Vec::new();
    for &k in &inputs {
        let ends = rows.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), r| (lo.min(r[k]), hi.max(r[k])));
        if ends.0 == ends.1 {
            return Err(format!("input `{}` is {} in every row, expected it to change", columns[k].name, ends.0));
        }
        let (lo, hi) = ends;
        // The device sees f32: where neighbouring values fall together there, nothing can be learnt of them.
        let largest = lo.abs().max(hi.abs());
        if largest * f64::from(f32::EPSILON) > 1e-3 * (hi - lo) {
            return Err(format!(
                "input `{}` runs from {lo} to {hi}, too narrow for f32 so far from 0; subtract an offset first",
                columns[k].name
            ));
        }
        described.push(Quantity::new(&columns[k].name, &columns[k].unit, lo, hi));
    }
    let outputs = outputs
        .iter()
        .enumerate()
        .map(|(i, &k)| {
            let (lo, hi) = widened(range(&values, i, outputs.len()));
            Quantity::new(&columns[k].name, &columns[k].unit, lo, hi)
        })
        .collect();
    Ok(Signal {
        kind: SignalKind::Table,
        name,
        inputs: described,
        outputs,
        layout: lattice(&coordinates, inputs.len()).unwrap_or(Layout::Scattered { coordinates }),
        values,
    })
}

struct Column {
    name: String,
    unit: String,
}

impl Column {
    /// From `temp[degC]`.
    fn parse(text: &str) -> Self {
        let (name, unit) = match text.trim().strip_suffix(']').and_then(|t| t.split_once('[')) {
            Some((name, unit)) => (name.trim(), unit.trim()),
            None => (text.trim(), ""),
        };
        Self { name: name.into(), unit: unit.into() }
    }

    /// As the header had it, or its name alone.
    fn is(&self, wanted: &str) -> bool {
        let wanted = Self::parse(wanted);
        self.name == wanted.name && (wanted.unit.is_empty() || wanted.unit == self.unit)
    }
}

fn check_names(columns: &[Column]) -> Result<(), String> {
    if columns.len() < 2 {
        return Err(format!("found {} column(s), expected at least 2 with a header line", columns.len()));
    }
    for (k, column) in columns.iter().enumerate() {
        if column.name.is_empty() {
            return Err(format!("column {} has no name in the header", k + 1));
        }
        if column.name.parse::<f64>().is_ok() {
            return Err(format!("the header has the number `{}`, expected names in the first line", column.name));
        }
        if columns[..k].iter().any(|c| c.name == column.name) {
            return Err(format!("the header has `{}` twice, expected every name once", column.name));
        }
    }
    Ok(())
}

/// Positions of the input and the output columns.
fn choose(columns: &[Column], options: &LoadOptions) -> Result<(Vec<usize>, Vec<usize>), String> {
    let find = |wanted: &String| {
        columns.iter().position(|c| c.is(wanted)).ok_or_else(|| {
            let known: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
            format!("there is no column `{wanted}`, expected one of {}", known.join(", "))
        })
    };
    let given = |names: &[String]| names.iter().map(find).collect::<Result<Vec<_>, _>>();
    let (mut inputs, mut outputs) = (given(&options.inputs)?, given(&options.outputs)?);
    if outputs.is_empty() {
        let last = (0..columns.len()).rfind(|k| !inputs.contains(k));
        outputs = vec![last.ok_or("every column is an input, expected one to be left as the output")?];
    }
    if inputs.is_empty() {
        inputs = (0..columns.len()).filter(|k| !outputs.contains(k)).collect();
    }
    if inputs.is_empty() {
        return Err("every column is an output, expected one to be left as an input".into());
    }
    for (n, k) in inputs.iter().chain(&outputs).enumerate() {
        if inputs.iter().chain(&outputs).take(n).any(|other| other == k) {
            return Err(format!("column `{}` is named twice as input or output", columns[*k].name));
        }
    }
    Ok((inputs, outputs))
}

/// A CSV of any signal: inputs, then outputs, a row a sample.
pub(super) fn csv(signal: &Signal) -> Vec<u8> {
    let quantities = signal.inputs.iter().chain(&signal.outputs);
    let names: Vec<String> = quantities.map(crate::train::metrics::label).collect();
    let mut text = names.join(",") + "\n";
    let mut at = vec![0.0; signal.inputs.len()];
    for (i, values) in signal.values.chunks_exact(signal.outputs.len()).enumerate() {
        signal.coordinate(i, &mut at);
        let fields = at.iter().map(f64::to_string).chain(values.iter().map(f32::to_string));
        writeln!(text, "{}", fields.collect::<Vec<_>>().join(",")).expect("a string");
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, options: &LoadOptions) -> Result<Signal, String> {
        load(text.as_bytes(), "t".into(), options)
    }

    #[test]
    fn units_separators_and_comments_are_understood_and_written_back() {
        let text = "# a note\nt[s];p [kPa];temp[degC]\n0;1;2\n1;3;4.5\n2;3;5\n3;4;-1e-3\n";
        let signal = read(text, &LoadOptions::default()).unwrap();
        assert_eq!(signal.metadata_inputs(), "t[s] 0 3;p[kPa] 1 4");
        assert_eq!(signal.values, [2.0, 4.5, 5.0, -1e-3]);
        let back = load(&csv(&signal), "t".into(), &LoadOptions::default()).unwrap();
        assert_eq!(back, signal);
        let options = LoadOptions { outputs: vec!["t[s]".into(), "temp".into()], ..LoadOptions::default() };
        let signal = read(text, &options).unwrap();
        assert_eq!((signal.inputs.len(), signal.outputs.len()), (1, 2));
        assert_eq!(signal.values[..4], [0.0, 2.0, 1.0, 4.5]);
    }

    #[test]
    fn bad_tables_name_line_and_column() {
        let head = "x,y\n1,2\n2,3\n3,4\n";
        for (text, words) in [
            (format!("{head}4,warm\n"), &["line 5", "`y`", "`warm`"][..]),
            (format!("{head}inf,1\n"), &["line 5", "`x`", "`inf`"]),
            (format!("{head}4\n"), &["line 5", "1 fields", "2"]),
            ("x,x\n1,2\n".into(), &["`x` twice"]),
            ("x,\n1,2\n".into(), &["column 2"]),
            ("1,2\n3,4\n".into(), &["`1`", "names"]),
            ("x\n1\n2\n".into(), &["1 column"]),
            ("x,y\n1,2\n".into(), &["1 rows", "4"]),
            ("x,y\n1,2\n1,3\n1,4\n1,5\n".into(), &["`x` is 1 in every row"]),
            ("t,y\n1e9,2\n1000000001,3\n1000000002,4\n1000000003,5\n".into(), &["`t`", "offset"]),
        ] {
            let error = read(&text, &LoadOptions::default()).unwrap_err();
            assert!(words.iter().all(|w| error.contains(w)), "{text}: {error}");
        }
        let options = LoadOptions { outputs: vec!["z".into()], ..LoadOptions::default() };
        assert!(read(&format!("{head}4,5\n"), &options).unwrap_err().contains("expected one of x, y"));
        let options = LoadOptions { inputs: vec!["x".into(), "y".into()], ..LoadOptions::default() };
        assert!(read(&format!("{head}4,5\n"), &options).unwrap_err().contains("every column is an input"));
    }
}
