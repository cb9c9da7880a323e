//! As much JSON as a safetensors header has: objects, lists of whole numbers, strings. Bounded, without recursion, and
//! small: a general reader costs more flash than all the rest of the loader.

/// The text is not such JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bad;

/// What is left to read of a text.
pub(crate) struct Json<'a>(&'a [u8]);

/// What to do with a name and the value behind it, which it reads.
type Each<'f, 'a> = dyn FnMut(&mut Json<'a>, &'a [u8]) -> Result<(), Bad> + 'f;

impl<'a> Json<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// Whether `byte` comes next, which is then taken; white space before it is passed over.
    #[inline(never)]
    fn take(&mut self, byte: u8) -> bool {
        loop {
            match self.0.split_first() {
                Some((first, rest)) if *first == byte => {
                    self.0 = rest;
                    return true;
                }
                Some((b' ' | b'\n' | b'\r' | b'\t', rest)) => self.0 = rest,
                _ => return false,
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Bad> {
        if self.take(byte) { Ok(()) } else { Err(Bad) }
    }

    /// Nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Bad> {
        // No text has a byte 255; looking for one passes over the white space.
        if !self.take(255) && self.0.is_empty() { Ok(()) } else { Err(Bad) }
    }

    /// What stands between two quotes, as it is written, in UTF-8; with `escapes` there may be some.
    #[inline(never)]
    pub(crate) fn string(&mut self, escapes: bool) -> Result<&'a [u8], Bad> {
        self.expect(b'"')?;
        let text = self.0;
        let mut length = 0;
        while let Some((first, rest)) = self.0.split_first() {
            self.0 = rest;
            match first {
                b'"' => return text.get(..length).ok_or(Bad),
                0..0x20 => return Err(Bad),
                b'\\' => {
                    let (second, rest) = self.0.split_first().ok_or(Bad)?;
                    // Not `contains`, which brings a search word by word.
                    let known = matches!(second, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u');
                    if !escapes || !known {
                        return Err(Bad);
                    }
                    (self.0, length) = (rest, length + 2);
                }
                0x80.. => {
                    let more = self.wide(*first)?;
                    (self.0, length) = (self.0.get(more..).ok_or(Bad)?, length + 1 + more);
                }
                _ => length += 1,
            }
        }
        Err(Bad)
    }

    /// How many bytes of UTF-8 follow `first`, which is no ASCII; they come next.
    fn wide(&self, first: u8) -> Result<usize, Bad> {
        let (more, least) = match first {
            0xc2..=0xdf => (1, 0x80),
            0xe0..=0xef => (2, 0x800),
            0xf0..=0xf4 => (3, 0x1_0000),
            _ => return Err(Bad),
        };
        let mut code = u32::from(first) & (0x3f >> more);
        for byte in self.0.get(..more).ok_or(Bad)? {
            if byte & 0xc0 != 0x80 {
                return Err(Bad);
            }
            code = code << 6 | u32::from(byte & 0x3f);
        }
        let fine = (least..=0x10_ffff).contains(&code) && code >> 11 != 0xd800 >> 11;
        if fine { Ok(more) } else { Err(Bad) }
    }

    /// A whole number of 32 bits.
    #[inline(never)]
    pub(crate) fn number(&mut self) -> Result<usize, Bad> {
        // White space goes first.
        self.take(255);
        let length = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(length).ok_or(Bad)?;
        self.0 = rest;
        decimal(digits).map(|n| n as usize).ok_or(Bad)
    }

    /// An object: `each` is called behind every name and its colon, and reads the value.
    #[inline(never)]
    pub(crate) fn object(&mut self, each: &mut Each<'_, 'a>) -> Result<(), Bad> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let name = self.string(false)?;
            self.expect(b':')?;
            each(self, name)?;
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// A list of whole numbers: the first two, and how many there are.
    #[inline(never)]
    pub(crate) fn numbers(&mut self) -> Result<([usize; 2], usize), Bad> {
        let (mut first, mut count) = ([0; 2], 0);
        self.expect(b'[')?;
        if self.take(b']') {
            return Ok((first, 0));
        }
        loop {
            let number = self.number()?;
            if let Some(slot) = first.get_mut(count) {
                *slot = number;
            }
            count += 1;
            if !self.take(b',') {
                self.expect(b']')?;
                return Ok((first, count));
            }
        }
    }
}

/// A whole number without leading zeros.
#[inline(never)]
pub(crate) fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || (digits.len() > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    let mut value = 0u32;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u32::from(digit))?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_what_is_none_is_refused() {
        let read = |text: &'static str| {
            let mut json = Json::new(text.as_bytes());
            let (mut words, mut all) = (0, 0);
            json.object(&mut |json, name| {
                words += name.len();
                match name {
                    b"text" => words += json.string(true)?.len(),
                    b"n" => all += json.number()?,
                    _ => all += json.numbers()?.1,
                }
                Ok(())
            })?;
            json.end().map(|()| (words, all))
        };
        assert_eq!(read("{}"), Ok((0, 0)));
        assert_eq!(
            read(" { \"text\" : \"a\\\"b\" ,\n\"n\":4294967295,\t\"x\":[ 1, 2 ,3]} \r"),
            Ok((10, 4_294_967_298))
        );
        assert_eq!(read("{\"x\":[],\"n\":0}"), Ok((2, 0)));
        for bad in [
            "",
            "{",
            "{}}",
            "[]",
            "{\"n\":1",
            "{\"n\":1,}",
            "{,}",
            "{\"n\" 1}",
            "{n:1}",
            "{\"n\":01}",
            "{\"n\":-1}",
            "{\"n\":1.0}",
            "{\"n\":}",
            "{\"n\":4294967296}",
            "{\"n\":\"1\"}",
            "{\"x\":[1,]}",
            "{\"x\":[1 2]}",
            "{\"x\":[1}",
            "{\"text\":\"a}",
            "{\"text\":\"\n\"}",
            "{\"text\":\"\\x\"}",
            "{\"text\":\"\\",
            "{\"a\\\"\":[]}",
            "{} x",
            "{\"text\":null}",
        ] {
            assert_eq!(read(bad), Err(Bad), "{bad}");
        }
    }

    #[test]
    fn strings_are_utf8_as_core_judges_it() {
        let edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0];
        for first in 0x80..=0xff {
            for second in 0x20..=0xff {
                for third in edges {
                    for fourth in edges {
                        let text = [b'"', first, second, third, fourth, b'a', b'"'];
                        if text.iter().filter(|b| **b < 0x20 || **b == b'\\' || **b == b'"').count() > 2 {
                            continue;
                        }
                        let inside = &text[1..6];
                        let expected = core::str::from_utf8(inside).map(|_| inside).map_err(|_| Bad);
                        assert_eq!(Json::new(&text).string(true), expected, "{inside:x?}");
                    }
                }
            }
        }
    }
}
