//! Columns: one measure of every row, where it is known.

use std::ops::Range;

use rust_decimal::Decimal;

use crate::FactsError;
use crate::wire::{Reader, put_len, put_text, put_uint, unzigzag, zigzag};

/// Decimal places that a value may have. Platforms report six at most.
pub(crate) const MAX_SCALE: u32 = 12;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unsigned,
    Signed,
    /// Indices of texts that stand before the values.
    Text,
}

/// Where a column is in its segment.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    name: Range<usize>,
    kind: Kind,
    scale: u8,
    /// A bit for each row; absent when every row has a value.
    presence: Option<Range<usize>>,
    /// Number of values.
    count: usize,
    texts: Vec<Range<usize>>,
    values: Range<usize>,
}

/// A number at a scale that is the whole column's.
pub(crate) fn mantissa(value: Decimal, scale: u32, name: &str) -> Result<i128, FactsError> {
    let too_large = || FactsError::TooLarge(name.to_owned());
    let value = value.normalize();
    let factor = 10_i128.pow(scale.checked_sub(value.scale()).ok_or_else(too_large)?);
    value.mantissa().checked_mul(factor).ok_or_else(too_large)
}

/// Appends a column of numbers: `values` has the row of each known value, in order.
pub(crate) fn encode_numbers(
    out: &mut Vec<u8>,
    name: &str,
    rows: usize,
    values: &[(u32, Decimal)],
) -> Result<(), FactsError> {
    let scale = values.iter().map(|(_, value)| value.normalize().scale()).max().unwrap_or(0);
    if scale > MAX_SCALE {
        return Err(FactsError::TooLarge(name.to_owned()));
    }
    let numbers: Result<Vec<i128>, _> =
        values.iter().map(|(_, value)| mantissa(*value, scale, name)).collect();
    let numbers = numbers?;
    let kind = if numbers.iter().any(|number| *number < 0) { Kind::Signed } else { Kind::Unsigned };
    let mut body = vec![scale as u8];
    encode_presence(&mut body, rows, values.iter().map(|(row, _)| *row));
    for number in numbers {
        put_uint(&mut body, if kind == Kind::Signed { zigzag(number) } else { number as u128 });
    }
    put_column(out, name, kind, &body);
    Ok(())
}

/// Appends a column of texts.
pub(crate) fn encode_texts(out: &mut Vec<u8>, name: &str, rows: usize, values: &[(u32, &str)]) {
    let mut texts: Vec<&str> = values.iter().map(|(_, text)| *text).collect();
    texts.sort_unstable();
    texts.dedup();
    let mut body = Vec::new();
    put_len(&mut body, texts.len());
    texts.iter().for_each(|text| put_text(&mut body, text));
    encode_presence(&mut body, rows, values.iter().map(|(row, _)| *row));
    for (_, text) in values {
        put_len(&mut body, texts.partition_point(|known| known < text));
    }
    put_column(out, name, Kind::Text, &body);
}

fn put_column(out: &mut Vec<u8>, name: &str, kind: Kind, body: &[u8]) {
    put_text(out, name);
    out.push(match kind {
        Kind::Unsigned => 0,
        Kind::Signed => 1,
        Kind::Text => 2,
    });
    put_len(out, body.len());
    out.extend_from_slice(body);
}

fn encode_presence(out: &mut Vec<u8>, rows: usize, present: impl ExactSizeIterator<Item = u32>) {
    if present.len() == rows {
        out.push(0);
        return;
    }
    out.push(1);
    put_len(out, present.len());
    let start = out.len();
    out.resize(start + rows.div_ceil(8), 0);
    for row in present {
        out[start + row as usize / 8] |= 1 << (row % 8);
    }
}

impl Column {
    /// Reads a column's place and skips its values.
    pub(crate) fn decode(reader: &mut Reader<'_>, rows: usize) -> Result<Option<Self>, FactsError> {
        let name = reader.text()?;
        let name = reader.position() - name.len()..reader.position();
        let kind = reader.byte()?;
        let len = reader.count()?;
        let end = reader.position() + len;
        let kind = match kind {
            0 => Kind::Unsigned,
            1 => Kind::Signed,
            2 => Kind::Text,
            // What a newer program has added is skipped.
            _ => {
                reader.take(len)?;
                return Ok(None);
            }
        };
        let (mut scale, mut texts) = (0, Vec::new());
        if kind == Kind::Text {
            for _ in 0..reader.count()? {
                let text = reader.text()?;
                texts.push(reader.position() - text.len()..reader.position());
            }
        } else {
            scale = reader.byte()?;
            if u32::from(scale) > MAX_SCALE {
                return Err(FactsError::Malformed("a scale"));
            }
        }
        let (mut presence, mut count) = (None, rows);
        if reader.byte()? != 0 {
            count = reader.count()?;
            let start = reader.position();
            reader.take(rows.div_ceil(8))?;
            presence = Some(start..reader.position());
        }
        if reader.position() > end {
            return Err(FactsError::Malformed("a column is longer than it says"));
        }
        let values = reader.position()..end;
        reader.take(values.len())?;
        Ok(Some(Self { name, kind, scale, presence, count, texts, values }))
    }

    pub(crate) fn name<'a>(&self, segment: &'a [u8]) -> &'a str {
        std::str::from_utf8(&segment[self.name.clone()]).unwrap_or_default()
    }

    pub(crate) fn scale(&self) -> u8 {
        self.scale
    }

    pub(crate) fn is_text(&self) -> bool {
        self.kind == Kind::Text
    }

    /// Calls `each` with the row and the value of every known value, in the order of rows. A number is to be read with
    /// the column's scale, a text's value is its index.
    pub(crate) fn for_each(
        &self,
        segment: &[u8],
        rows: usize,
        mut each: impl FnMut(usize, i128) -> Result<(), FactsError>,
    ) -> Result<(), FactsError> {
        let mut reader = Reader::new(&segment[self.values.clone()]);
        let mut left = self.count;
        let mut next = |row| -> Result<(), FactsError> {
            left = left.checked_sub(1).ok_or(FactsError::Malformed("more rows than values"))?;
            let value = reader.uint()?;
            let value = match self.kind {
                Kind::Signed => unzigzag(value),
                _ => i128::try_from(value).map_err(|_| FactsError::Malformed("a value"))?,
            };
            each(row, value)
        };
        match &self.presence {
            None => (0..rows).try_for_each(&mut next)?,
            Some(presence) => {
                let bits = &segment[presence.clone()];
                for (index, byte) in bits.iter().enumerate().filter(|(_, byte)| **byte != 0) {
                    for bit in (0..8).filter(|bit| byte & (1 << bit) != 0) {
                        let row = index * 8 + bit;
                        if row >= rows {
                            return Err(FactsError::Malformed("a row that is not there"));
                        }
                        next(row)?;
                    }
                }
            }
        }
        if left != 0 || !reader.is_at_end() {
            return Err(FactsError::Malformed("more values than rows"));
        }
        Ok(())
    }

    /// Calls `each` with the row and the text of every known text.
    pub(crate) fn for_each_text<'a>(
        &self,
        segment: &'a [u8],
        rows: usize,
        mut each: impl FnMut(usize, &'a str),
    ) -> Result<(), FactsError> {
        self.for_each(segment, rows, |row, index| {
            let text = usize::try_from(index).ok().and_then(|index| self.texts.get(index));
            let text = text.ok_or(FactsError::Malformed("a text that is not there"))?;
            each(row, std::str::from_utf8(&segment[text.clone()]).unwrap_or_default());
            Ok(())
        })
    }
}
