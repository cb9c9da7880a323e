//! Rust text: numbers that read back to the same bits, and the constants every module has.

use std::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    Axis, Quantity,
    describe::{NativeGrid, Order},
    format::Architecture,
};

/// Before every item: not every program asks for all of them, and a weight may look like a constant of nature.
const ATTRIBUTES: &str = "#[rustfmt::skip]\n\
    #[allow(dead_code, unreachable_pub, clippy::approx_constant, clippy::excessive_precision, clippy::unreadable_literal)]\n";

/// Rust text, item by item.
pub(crate) struct Text(pub(crate) String);

impl Text {
    pub(crate) fn new(source: &str) -> Self {
        let source = source.replace(|c: char| c.is_control(), " ");
        let version = env!("CARGO_PKG_VERSION");
        Self(format!("// Written by rwf-runtime {version} from `{source}`: change the model, not this.\n"))
    }

    /// An item behind its documentation.
    pub(crate) fn item(&mut self, documentation: &str, item: &str) {
        self.0.push_str(&format!("\n/// {documentation}\n{ATTRIBUTES}{item}\n"));
    }

    fn number(&mut self, name: &str, value: usize, documentation: &str) {
        self.item(documentation, &format!("pub const {name}: usize = {value};"));
    }

    /// A static of f32s; the expression that borrows it.
    pub(crate) fn floats(&mut self, name: &str, what: &str, values: &[f32]) -> String {
        let rows: Vec<String> = values.chunks(8).map(|row| row.iter().map(|v| float(*v) + ",").collect()).collect();
        self.item(what, &format!("static {name}: [f32; {}] = [\n{}\n];", values.len(), rows.join("\n")));
        format!("&{name}")
    }

    /// A static of bytes at a multiple of 4; the expression that borrows it.
    pub(crate) fn bytes(&mut self, name: &str, what: &str, bytes: &[u8]) -> String {
        let rows: Vec<String> =
            bytes.chunks(32).map(|row| row.iter().map(|b| format!("\\x{b:02x}")).collect()).collect();
        let (count, rows) = (bytes.len(), rows.join("\\\n"));
        let kind = format!("::rwf_runtime::fixed::Aligned<[u8; {count}]>");
        self.item(what, &format!("static {name}: {kind} = ::rwf_runtime::fixed::Aligned(*b\"\\\n{rows}\");"));
        format!("&{name}.0")
    }

    /// Sizes, as every module has them; `scratch` numbers of `size` bytes and type `kind`.
    pub(crate) fn sizes(&mut self, architecture: &Architecture, bytes: usize, scratch: usize, kind: (&str, usize)) {
        self.number("INPUTS", architecture.inputs, "Number of coordinates of a point.");
        self.number("OUTPUTS", architecture.outputs(), "Number of values at a point.");
        self.number("MACS", architecture.multiply_adds(), "Multiply-adds of one point.");
        self.number("SCRATCH", scratch, &format!("Scratch one point needs, in {}s.", kind.0));
        self.number(
            "RAM_BYTES",
            kind.1 * scratch,
            "Bytes of that scratch; an evaluation needs no other memory but stack.",
        );
        let documentation =
            "Bytes of flash the model takes, code not counted: weights, biases, self-test, and their table.";
        let item = format!("pub const FLASH_BYTES: usize = {bytes} + ::core::mem::size_of::<Network>();");
        self.item(documentation, &item);
    }

    /// Names, units and ranges, and the grid of the signal, where the file tells of them.
    pub(crate) fn description<'a>(
        &mut self,
        architecture: &Architecture,
        input: impl Fn(usize) -> Option<Quantity<'a>>,
        output: impl Fn(usize) -> Option<Quantity<'a>>,
        grid: Option<NativeGrid>,
    ) {
        let inputs: Option<Vec<_>> = (0..architecture.inputs).map(input).collect();
        let outputs: Option<Vec<_>> = (0..architecture.outputs()).map(output).collect();
        let mut list = |name: &str, count: &str, what: &str, quantities: &Option<Vec<Quantity<'_>>>| {
            let Some(quantities) = quantities else { return };
            let each: String = quantities.iter().map(quantity).collect();
            let kind = format!("[::rwf_runtime::Quantity<'static>; {count}]");
            self.item(what, &format!("pub static {name}: {kind} = [\n{each}];"));
        };
        list("INPUT_QUANTITIES", "INPUTS", "Name, unit and fitted domain of every input.", &inputs);
        list("OUTPUT_QUANTITIES", "OUTPUTS", "Name, unit and range of every output.", &outputs);
        if let (Some(grid), Some(inputs)) = (grid, inputs) {
            let axes: String = inputs
                .iter()
                .zip(&grid.counts)
                .map(|(q, &count)| {
                    let Axis { start, step, count } = Axis::over(q.lo, q.hi, count, grid.sampling);
                    let (start, step) = (float(start), float(step));
                    format!("    ::rwf_runtime::Axis {{ start: {start}, step: {step}, count: {count} }},\n")
                })
                .collect();
            self.item(
                "The grid the model was fitted on, for a `GridDecoder`.",
                &format!("pub static AXES: [::rwf_runtime::Axis; INPUTS] = [\n{axes}];"),
            );
            let order = match grid.order {
                Order::FirstFastest => "FirstFastest",
                Order::LastFastest => "LastFastest",
            };
            self.item(
                "Which input runs fastest through the grid.",
                &format!("pub const ORDER: ::rwf_runtime::describe::Order = ::rwf_runtime::describe::Order::{order};"),
            );
        }
    }

    /// The convenience function and the test; `number` is the type of the scratch.
    pub(crate) fn functions(&mut self, number: &str, tested: bool) {
        self.item(
            "Values at one point, in physical units, with the scratch on the stack.",
            &format!(
                "pub fn eval(x: &[f32; INPUTS]) -> [f32; OUTPUTS] {{\n    let (mut y, mut scratch) = ([0.0; OUTPUTS], \
                 [{number}; SCRATCH]);\n    // Only a wrong length could fail, and the types exclude that.\n    let _ = \
                 MODEL.eval(x, &mut y, &mut scratch);\n    y\n}}"
            ),
        );
        self.item(
            "Evaluates the file's own samples and compares bits.\n///\n/// # Errors\n/// No samples in the file, or other \
             bits.",
            &format!(
                "pub fn self_test() -> Result<(), ::rwf_runtime::SelfTestError> {{\n    MODEL.self_test(&mut \
                 [{number}; SCRATCH])\n}}"
            ),
        );
        if tested {
            self.0.push_str(
                "\n#[cfg(test)]\n#[rustfmt::skip]\nmod tests {\n    #[test]\n    fn the_bits_are_those_of_the_file() \
                 {\n        assert_eq!(super::self_test(), Ok(()));\n    }\n}\n",
            );
        }
    }
}

/// An f32 that reads back to the same bits.
pub(crate) fn float(v: f32) -> String {
    if v.is_finite() { format!("{v:?}") } else { format!("f32::from_bits(0x{:08x})", v.to_bits()) }
}

fn quantity(q: &Quantity<'_>) -> String {
    let (name, unit, lo, hi) = (q.name, q.unit, float(q.lo), float(q.hi));
    format!("    ::rwf_runtime::Quantity {{ name: {name:?}, unit: {unit:?}, lo: {lo}, hi: {hi} }},\n")
}

/// `USES`, the type and the static.
pub(crate) fn model(text: &mut Text, uses: &[String], kind: &str, parts: &str) {
    let mut uses: Vec<String> = uses.iter().map(ToString::to_string).collect();
    uses.sort();
    uses.dedup();
    let uses = if uses.is_empty() { "0".to_string() } else { uses.join(" | ") };
    text.item(
        "What occurs in the network: the compiler leaves out the rest.",
        &format!("pub const USES: u32 = {uses};"),
    );
    text.item("Type of the model.", &format!("pub type Network = ::rwf_runtime::{kind}<'static, USES>;"));
    text.item("The model.", &format!("pub static MODEL: Network = ::rwf_runtime::{kind}::from_parts({parts});"));
}

/// The word of an enum's variant.
pub(crate) fn variant(value: impl core::fmt::Debug) -> String {
    format!("{value:?}")
}
