//! What a model file tells of its signal: names, units, ranges and the grid it was sampled on.
//!
//! Parsed only when asked for, so that a program that does not ask carries no number parser.

use heapless::Vec;

use crate::{decimal::float, format::MAX_INPUTS, json::decimal};

/// Name, unit and range of one input or output, in that unit.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Quantity<'a> {
    /// Name.
    pub name: &'a str,
    /// Unit; empty when there is none.
    pub unit: &'a str,
    /// Lower end of the range.
    pub lo: f32,
    /// Upper end of the range.
    pub hi: f32,
}

impl<'a> Quantity<'a> {
    /// The one at `index` of a list as in [`key::INPUTS`](crate::format::key::INPUTS).
    pub fn parse(list: &'a str, index: usize) -> Option<Self> {
        let mut part = list;
        for _ in 0..index {
            part = around(part, part.bytes().position(|b| b == b';')?)?.1;
        }
        part = part.bytes().position(|b| b == b';').map_or(Some(part), |end| part.get(..end))?;
        let last_space = |text: &str| text.as_bytes().iter().rposition(|b| *b == b' ');
        let (rest, hi) = around(part, last_space(part)?)?;
        let (label, lo) = around(rest, last_space(rest)?)?;
        let bracket = label.bytes().position(|b| b == b'[').filter(|_| label.ends_with(']'));
        let (name, unit) = match bracket {
            Some(at) => {
                around(label, at).and_then(|(name, unit)| Some((name, unit.get(..unit.len().checked_sub(1)?)?)))?
            }
            None => (label, ""),
        };
        Some(Self { name, unit, lo: float(lo.as_bytes())?, hi: float(hi.as_bytes())? })
    }
}

/// What is before and behind the byte at `index`, which is ASCII.
fn around(text: &str, index: usize) -> Option<(&str, &str)> {
    Some((text.get(..index)?, text.get(index + 1..)?))
}

/// Where the samples of a regular grid lie in the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// In the middle of cells; the domain reaches half a step beyond the first and the last.
    Cell,
    /// From one end of the domain to the other.
    Node,
}

/// Which input runs fastest through the samples of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The first: x of an image.
    FirstFastest,
    /// The last: the last axis of an array.
    LastFastest,
}

/// The grid a model was fitted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeGrid {
    /// Where samples lie.
    pub sampling: Sampling,
    /// How they follow each other.
    pub order: Order,
    /// Samples along each input.
    pub counts: Vec<usize, MAX_INPUTS>,
}

impl NativeGrid {
    /// From the words of [`key::GRID`](crate::format::key::GRID); `None` when they are not of that form.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.as_bytes().split(|b| *b == b' ');
        let sampling = match words.next()? {
            b"cell" => Sampling::Cell,
            b"node" => Sampling::Node,
            _ => return None,
        };
        let order = match words.next()? {
            b"first" => Order::FirstFastest,
            b"last" => Order::LastFastest,
            _ => return None,
        };
        let mut counts = Vec::new();
        for word in words {
            counts.push(decimal(word).filter(|&n| n > 0)? as usize).ok()?;
        }
        Some(Self { sampling, order, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_quantities_are_read_by_position() {
        let list = "t[s] -1 2.5;dose rate[uSv/h] 0 1e-3;plain 3 4";
        let q = Quantity::parse(list, 1).unwrap();
        assert_eq!((q.name, q.unit, q.lo, q.hi), ("dose rate", "uSv/h", 0.0, 1e-3));
        assert_eq!(Quantity::parse(list, 2).unwrap().unit, "");
        assert_eq!(Quantity::parse(list, 3), None);
        assert_eq!(Quantity::parse("x 1", 0), None);
    }

    #[test]
    fn grids_say_sampling_order_and_counts() {
        let grid = NativeGrid::parse("cell first 512 256").unwrap();
        assert_eq!((grid.sampling, grid.order), (Sampling::Cell, Order::FirstFastest));
        assert_eq!(grid.counts.as_slice(), [512, 256]);
        for bad in ["", "cell", "cell middle 3", "node last 0", "node last x"] {
            let found = NativeGrid::parse(bad);
            assert!(found.is_none_or(|g| g.counts.is_empty()), "{bad}");
        }
    }
}
