//! The header's text: what is likely to follow is what followed the same text before, in this header or in one that every
//! reader has; where a tensor lies follows from its shape and from the one before.
//!
//! Source: the next symbol by the longest context met before, as in C. Bloom, "Solving the problems of context modeling"
//! (LZP), 1996.

use super::{
    coder::{Bit, Coder},
    header::{self, OFFSETS},
};

/// A header of a model file, put together of many: part of the format, as `known.txt` has it.
const KNOWN: &[u8] = include_bytes!("known.txt");
/// Most bytes of the same text that are looked at.
const LONGEST: usize = 24;
/// Bytes of the header before that are looked through.
const WINDOW: usize = 2048;
/// Probabilities that a guess is right: of the first and the second, of digits and others, by the bytes of the same text.
const FLAGS: usize = 4 * (LONGEST + 1);
/// Probabilities of bytes of ASCII that nothing foretold.
const ASCII: usize = 128;
/// Classes of those, by the byte before.
const CLASSES: usize = 4;
/// Probabilities in all: beside those the bytes beyond ASCII.
pub(super) const STATE: usize = FLAGS + (CLASSES + 1) * ASCII;

/// Codes a header.
pub(super) fn code<C: Coder>(coder: &mut C, state: &mut [Bit], text: &mut [u8]) {
    let (flags, literals) = state.split_at_mut_checked(FLAGS).unwrap_or_default();
    let mut run: Option<Guess> = None;
    let mut place = Place { digits: [0; 24], written: 0, at: 0, end: 0 };
    for n in 0..text.len() {
        let (before, rest) = text.split_at_mut_checked(n).unwrap_or_default();
        let Some(slot) = rest.first_mut() else { return };
        let given = *slot;
        place.look(before);
        let (guess, mut other) = match place.guess().or(run) {
            Some(guess) => (Some(guess), None),
            None => find(before, None),
        };
        let mut right = false;
        if let Some(first) = guess {
            right = coder.flag(flags, first.context(0), first.value == given);
            *slot = first.value;
            if !right {
                other = other.or_else(|| find(before, Some(first.value)).0);
            }
            if !right && let Some(second) = other {
                right = coder.flag(flags, second.context(1), second.value == given);
                *slot = second.value;
            }
        }
        if !right {
            *slot = literal(coder, literals, before.last().copied(), given);
        }
        let value = *slot;
        place.follow(value);
        // A guess that came true goes on; that of a place does not.
        run = guess.filter(|g| g.value == value && g.length > 0).and_then(|g| Guess::at(text, g.next, g.length + 1));
    }
}

/// A byte that may come next.
#[derive(Debug, Clone, Copy)]
struct Guess {
    value: u8,
    /// Bytes before it that are as they were where it came from, at most [`LONGEST`].
    length: usize,
    /// Behind it, where it came from.
    next: usize,
}

impl Guess {
    /// What lies at `at`, behind `length` bytes of the same text.
    fn at(text: &[u8], at: usize, length: usize) -> Option<Self> {
        Some(Self { value: met(text, at)?, length: length.min(LONGEST), next: at + 1 })
    }

    /// Its probability, as the guess of that rank.
    fn context(self, rank: usize) -> usize {
        (2 * rank + usize::from(self.value.is_ascii_digit())) * (LONGEST + 1) + self.length
    }
}

/// Byte `at` of the known text and `text` behind it.
fn met(text: &[u8], at: usize) -> Option<u8> {
    KNOWN.get(at).or_else(|| text.get(at.checked_sub(KNOWN.len())?)).copied()
}

/// What followed the longest end of `text` that was met before, the last of several, and the same among what began with
/// another byte than that; `not` is no byte of either.
fn find(text: &[u8], not: Option<u8>) -> (Option<Guess>, Option<Guess>) {
    let end = KNOWN.len() + text.len();
    let (mut first, mut second): (Option<Guess>, Option<Guess>) = (None, None);
    let mut try_at = |at: usize| {
        let same = |n: &usize| met(text, at - 1 - n) == met(text, end - 1 - n);
        let length = 1 + (1..at.min(LONGEST)).take_while(same).count();
        let Some(guess) = Guess::at(text, at, length).filter(|g| Some(g.value) != not) else { return };
        let longer = |than: &Option<Guess>| than.is_none_or(|than| length > than.length);
        let other = first.is_some_and(|first| first.value != guess.value);
        if longer(&first) {
            if other {
                second = first;
            }
            first = Some(guess);
        } else if other && longer(&second) {
            second = Some(guess);
        }
    };
    // Few places are behind the same byte.
    let last = text.last().or(KNOWN.last()).copied();
    let behind = |(n, byte): (usize, &u8)| (Some(*byte) == last).then_some(n + 1);
    let earlier = text.split_last().map_or(&[][..], |(_, earlier)| earlier);
    earlier.iter().enumerate().rev().take(WINDOW).filter_map(behind).for_each(|n| try_at(KNOWN.len() + n));
    KNOWN.iter().enumerate().rev().filter_map(behind).filter(|&n| n < end).for_each(&mut try_at);
    (first, second)
}

/// A byte that nothing foretold, by a tree of the class of the byte before.
fn literal<C: Coder>(coder: &mut C, literals: &mut [Bit], before: Option<u8>, given: u8) -> u8 {
    let class = match before {
        Some(b'0'..=b'9' | b'-') => 0,
        Some(b'.') => 1,
        Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => 2,
        _ => 3,
    };
    // No tree uses its first probability.
    let beyond = coder.flag(literals, CLASSES * ASCII, !given.is_ascii());
    let tree = ASCII * if beyond { CLASSES } else { class };
    let low = coder.tree(literals.get_mut(tree..).unwrap_or_default(), 7, given.into()) as u8;
    low | u8::from(beyond) << 7
}

/// Where a tensor lies, in digits.
struct Place {
    digits: [u8; 24],
    written: usize,
    /// The digit that comes next.
    at: usize,
    /// End of the tensor before.
    end: usize,
}

impl Place {
    /// Foretells where a tensor lies when that comes next.
    fn look(&mut self, before: &[u8]) {
        if !before.ends_with(OFFSETS) {
            return;
        }
        let start = self.end;
        self.end = start.saturating_add(header::size(before).unwrap_or(0));
        (self.written, self.at) = (0, 0);
        self.number(start);
        self.byte(b',');
        self.number(self.end);
        self.byte(b']');
    }

    fn byte(&mut self, byte: u8) {
        if let Some(slot) = self.digits.get_mut(self.written) {
            *slot = byte;
            self.written += 1;
        }
    }

    fn number(&mut self, value: usize) {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        let mut unit = 1_000_000_000;
        while unit > 0 {
            if value >= unit || unit == 1 {
                self.byte(b'0' + (value / unit % 10) as u8);
            }
            unit /= 10;
        }
    }

    fn guess(&self) -> Option<Guess> {
        let value = *self.digits.get(..self.written)?.get(self.at)?;
        Some(Guess { value, length: 0, next: 0 })
    }

    fn follow(&mut self, value: u8) {
        match self.guess() {
            Some(guess) if guess.value == value => self.at += 1,
            _ => self.written = 0,
        }
    }
}
