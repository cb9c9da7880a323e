//! What a safetensors header says about the data behind it, as far as it helps to code that: no check of anything.

/// Key in front of a tensor's type.
const DTYPE: &[u8] = b"\"dtype\":\"";
/// Key in front of a tensor's shape.
const SHAPE: &[u8] = b"\"shape\":[";
/// Key in front of a tensor's place.
pub(super) const OFFSETS: &[u8] = b"\"data_offsets\":[";
/// Most bytes from a type to a place.
const NEAR: usize = 160;

/// What a tensor's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Whole8,
    Whole16,
    Whole32,
    Float16,
    Float32,
    /// Bytes, or narrow weights in them.
    Bytes,
}

/// A tensor of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) kind: Kind,
    /// Kernels and weights 0, biases 1, others 2.
    pub(super) set: u8,
    /// Where it ends, in bytes of data.
    pub(super) end: usize,
}

/// The tensors of a header as long as each begins where the one before ends.
pub(super) struct Tensors<'a> {
    text: &'a [u8],
    end: usize,
}

impl<'a> Tensors<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, end: 0 }
    }
}

impl Iterator for Tensors<'_> {
    type Item = Tensor;

    fn next(&mut self) -> Option<Tensor> {
        let at = find(self.text, DTYPE)?;
        let (before, from) = self.text.split_at_checked(at)?;
        // The last part of the name says what the numbers are.
        let part = before.iter().rposition(|&c| c == b'.').and_then(|dot| before.get(dot.wrapping_add(1)));
        let set = match part {
            Some(b'k' | b'w') => 0,
            Some(b'b') => 1,
            _ => 2,
        };
        let (kind, _) = kind(from.get(DTYPE.len()..)?);
        let place = after(from, OFFSETS)?;
        let (start, rest) = number(place);
        let (end, _) = number(rest.get(1..)?);
        if start != self.end || end < start {
            return None;
        }
        (self.text, self.end) = (place, end);
        Some(Tensor { kind, set, end })
    }
}

/// Bytes of the tensor whose place is to come at the end of `text`.
pub(super) fn size(text: &[u8]) -> Option<usize> {
    let mut from = text.get(text.len().saturating_sub(NEAR)..)?;
    while let Some(later) = after(from, DTYPE) {
        from = later;
    }
    let (_, mut size) = kind(from);
    let mut rest = after(from, SHAPE)?;
    loop {
        let (count, behind) = number(rest);
        size = size.saturating_mul(count);
        match behind.split_first() {
            Some((b',', more)) => rest = more,
            _ => return Some(size),
        }
    }
}

fn kind(dtype: &[u8]) -> (Kind, usize) {
    match dtype {
        [b'F', b'3', ..] => (Kind::Float32, 4),
        [b'F', b'1', ..] => (Kind::Float16, 2),
        [b'I', b'3', ..] => (Kind::Whole32, 4),
        [b'I', b'1', ..] => (Kind::Whole16, 2),
        [b'I', b'8', ..] => (Kind::Whole8, 1),
        _ => (Kind::Bytes, 1),
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|part| part == what)
}

/// `text` behind `what`, the first time it is there.
fn after<'a>(text: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    text.get(find(text, what)?.wrapping_add(what.len())..)
}

/// The digits at the start of `text`, and what follows.
fn number(text: &[u8]) -> (usize, &[u8]) {
    let (mut value, mut rest) = (0usize, text);
    while let Some((digit @ b'0'..=b'9', behind)) = rest.split_first() {
        value = value.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
        rest = behind;
    }
    (value, rest)
}
