//! Primitives of the block format: variable-length integers and texts.

use crate::FactsError;

/// Appends an integer, seven bits a byte, the lowest first.
pub(crate) fn put_uint(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length or an index.
pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_uint(out, len as u128);
}

/// Appends a text with its length.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Maps a signed integer to an unsigned one: small ones stay small.
pub(crate) fn zigzag(value: i128) -> u128 {
    ((value << 1) ^ (value >> 127)) as u128
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u128) -> i128 {
    (value >> 1) as i128 ^ -((value & 1) as i128)
}

/// Reads what the functions above have written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.position == self.bytes.len()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, FactsError> {
        let byte = *self.bytes.get(self.position).ok_or(FactsError::Malformed("it ends too early"))?;
        self.position += 1;
        Ok(byte)
    }

    pub(crate) fn uint(&mut self) -> Result<u128, FactsError> {
        let mut value = 0;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            value |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(FactsError::Malformed("an integer does not end"))
    }

    /// Reads a length or an index.
    pub(crate) fn len(&mut self) -> Result<usize, FactsError> {
        usize::try_from(self.uint()?).map_err(|_| FactsError::Malformed("a length"))
    }

    /// Reads the number of parts that follow, each of which takes at least a byte: more than there are bytes is refused
    /// before anything is allocated.
    pub(crate) fn count(&mut self) -> Result<usize, FactsError> {
        let count = self.len()?;
        if count > self.bytes.len() - self.position {
            return Err(FactsError::Malformed("a count is larger than what follows"));
        }
        Ok(count)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], FactsError> {
        let end = self.position.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(FactsError::Malformed("it ends too early"))?;
        let taken = &self.bytes[self.position..end];
        self.position = end;
        Ok(taken)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, FactsError> {
        let len = self.count()?;
        std::str::from_utf8(self.take(len)?).map_err(|_| FactsError::Malformed("a text"))
    }
}
