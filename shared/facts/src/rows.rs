//! Rows on their way into blocks: collected as they are read, in a fraction of the memory of the rows themselves.

use std::collections::HashMap;

use domain::id::EntityId;
use domain::metrics::InsightsRow;
use rust_decimal::Decimal;
use rustc_hash::FxHashMap;

use crate::FactsError;
use crate::block::{EncodedSegment, Segment, digest, encode_core, encode_detail};
use crate::column::{encode_numbers, encode_texts};
use crate::level::BlockLevel;
use crate::measures::{is_additive, is_breakdown, part_of, segment_of};
use crate::objects::{Objects, Path, sort_key};
use crate::shard::shard_of;
use crate::wire::{put_len, put_uint, zigzag};

/// Raised when equal rows are to be stored in another way, so that they are written again.
const LAYOUT: u8 = 1;

/// The rows of one level and day. Of a row that comes again, the last one counts.
#[derive(Debug, Clone)]
pub struct Rows {
    level: BlockLevel,
    rows: Vec<Row>,
    cells: Vec<Cell>,
    columns: Vec<ColumnName>,
    column_numbers: HashMap<String, u32>,
    /// The column after the last one: most rows have the values that the row before had.
    next_column: u32,
    row_numbers: FxHashMap<RowKey, usize>,
}

/// The object of a row, and what tells several rows of an object apart.
type RowKey = (EntityId, Box<str>);

#[derive(Debug, Clone)]
struct Row {
    path: Path,
    part: Box<str>,
    cells: std::ops::Range<usize>,
}

/// A known value of a row. A text is the number of one of its column's.
#[derive(Debug, Clone, Copy)]
struct Cell {
    column: u32,
    value: Decimal,
}

#[derive(Debug, Clone)]
struct ColumnName {
    name: String,
    /// The texts so far, of a column of texts.
    texts: Option<Vec<String>>,
}

/// A value that is put into a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Number(Decimal),
    Text(&'a str),
}

/// One of the rows that are summed, which has the values that split them; and the sum of each column.
type RollUp<'a> = (&'a Row, HashMap<u32, Decimal>);

/// The segments of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedShard {
    /// The core segment.
    pub core: EncodedSegment,
    /// The detail segment; `None` at levels that have none.
    pub detail: Option<EncodedSegment>,
}

impl EncodedShard {
    /// Returns a segment; `None` at levels that do not have it.
    pub fn segment(&self, segment: Segment) -> Option<&EncodedSegment> {
        match segment {
            Segment::Core => Some(&self.core),
            Segment::Detail => self.detail.as_ref(),
        }
    }

    #[cfg(test)]
    pub(crate) fn decoded(&self) -> crate::Block {
        let detail = self.detail.as_ref().map(|detail| detail.compressed().unwrap());
        crate::Block::decode(&self.core.compressed().unwrap(), detail.as_deref()).unwrap()
    }
}

impl Rows {
    /// Creates an empty collection.
    pub fn new(level: BlockLevel) -> Self {
        Self {
            level,
            rows: Vec::new(),
            cells: Vec::new(),
            columns: Vec::new(),
            column_numbers: HashMap::new(),
            next_column: 0,
            row_numbers: FxHashMap::default(),
        }
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns whether there is a row about this object, or this part of it.
    pub fn contains(&self, row: &InsightsRow) -> bool {
        self.row_numbers.contains_key(&(row.ad.clone(), part_of(row)))
    }

    /// Begins a row; what is put follows. An earlier row about the same part of the same object is replaced.
    pub(crate) fn begin(&mut self, path: Path, part: Box<str>) {
        let key = |row: &Row| row.path.last().map(|id| (id.clone(), row.part.clone()));
        let row = Row { path, part, cells: self.cells.len()..self.cells.len() };
        let replaced = key(&row).and_then(|key| self.row_numbers.insert(key, self.rows.len()));
        self.rows.push(row);
        if let Some(place) = replaced {
            // The last one of before moves into its place, so that the new one stays last and gets what is put.
            let last = self.rows.len() - 1;
            self.rows.swap(place, last - 1);
            self.rows.swap_remove(last - 1);
            for number in [place, last - 1] {
                self.row_numbers.extend(self.rows.get(number).and_then(key).map(|key| (key, number)));
            }
        }
        self.next_column = 0;
    }

    /// Puts a value into the row that was begun last. `name` and `more` are the parts of the column's name.
    pub(crate) fn put(&mut self, name: &str, value: Value<'_>) {
        let is_next = self.columns.get(self.next_column as usize).is_some_and(|next| next.name == name);
        let known = if is_next { Some(self.next_column) } else { self.column_numbers.get(name).copied() };
        let column = known.unwrap_or_else(|| {
            let number = self.columns.len() as u32;
            let texts = matches!(value, Value::Text(_)).then(Vec::new);
            self.columns.push(ColumnName { name: name.to_owned(), texts });
            self.column_numbers.insert(name.to_owned(), number);
            number
        });
        self.next_column = column + 1;
        let value = match value {
            Value::Number(number) => number,
            Value::Text(text) => {
                let texts = self.columns[column as usize].texts.get_or_insert_default();
                let known = texts.iter().position(|known| known == text);
                Decimal::from(known.unwrap_or_else(|| {
                    texts.push(text.to_owned());
                    texts.len() - 1
                }))
            }
        };
        self.cells.push(Cell { column, value });
        if let Some(row) = self.rows.last_mut() {
            row.cells.end = self.cells.len();
        }
    }

    /// Sums the ads of each campaign, apart by what splits their rows. What may not be summed is left out, and so is the
    /// detail.
    pub fn roll_up(&self) -> Result<Self, FactsError> {
        let is_summed = |column: &ColumnName| {
            column.texts.is_none() && is_additive(&column.name) && segment_of(&column.name) == Segment::Core
        };
        let summed: Vec<bool> = self.columns.iter().map(is_summed).collect();
        let mut sums: HashMap<(&EntityId, &str), RollUp<'_>> = HashMap::new();
        for row in &self.rows {
            let Some(campaign) = row.path.first() else { continue };
            let (_, sums) = sums.entry((campaign, &row.part)).or_insert_with(|| (row, HashMap::new()));
            for cell in self.cells[row.cells.clone()].iter().filter(|cell| summed[cell.column as usize]) {
                let sum = sums.entry(cell.column).or_default();
                let added = sum.checked_add(cell.value);
                *sum = added
                    .ok_or_else(|| FactsError::TooLarge(self.columns[cell.column as usize].name.clone()))?;
            }
        }
        let mut campaigns = Self::new(BlockLevel::Campaign);
        for ((campaign, part), (row, sums)) in sums {
            campaigns.begin(vec![campaign.clone()], part.into());
            for cell in &self.cells[row.cells.clone()] {
                let ColumnName { name, texts } = &self.columns[cell.column as usize];
                let index = usize::try_from(cell.value.mantissa()).unwrap_or_default();
                let text = texts.as_ref().filter(|_| is_breakdown(name)).and_then(|texts| texts.get(index));
                if let Some(text) = text {
                    campaigns.put(name, Value::Text(text));
                }
            }
            for (column, sum) in sums {
                campaigns.put(&self.columns[column as usize].name, Value::Number(sum));
            }
        }
        Ok(campaigns)
    }

    /// Returns a digest of the rows: equal rows that were collected in another order have the same one.
    pub fn digest(&self) -> [u8; 16] {
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by_key(|column| &self.columns[*column].name);
        let mut ranks = vec![0; order.len()];
        let mut all = vec![LAYOUT];
        let put_text = |out: &mut Vec<u8>, text: &str| {
            put_len(out, text.len());
            out.extend_from_slice(text.as_bytes());
        };
        for (rank, column) in order.into_iter().enumerate() {
            ranks[column] = rank;
            put_text(&mut all, &self.columns[column].name);
        }
        let (mut sum, mut bytes) = (0_u128, Vec::new());
        for row in &self.rows {
            bytes.clear();
            row.path.iter().for_each(|id| put_text(&mut bytes, id.as_str()));
            put_text(&mut bytes, &row.part);
            for Cell { column, value } in &self.cells[row.cells.clone()] {
                put_len(&mut bytes, ranks[*column as usize]);
                let texts = self.columns[*column as usize].texts.as_ref();
                let text = texts.and_then(|texts| texts.get(usize::try_from(value.mantissa()).ok()?));
                match text {
                    Some(text) => put_text(&mut bytes, text),
                    None => {
                        put_uint(&mut bytes, zigzag(value.mantissa()));
                        put_uint(&mut bytes, u128::from(value.scale()));
                    }
                }
            }
            sum = sum.wrapping_add(u128::from_le_bytes(digest(&bytes)));
        }
        put_len(&mut all, self.rows.len());
        all.extend(sum.to_le_bytes());
        digest(&all)
    }

    /// Encodes the rows as `2^bits` shards; `None` for a shard without rows.
    pub fn encode(&self, bits: u8) -> Result<Vec<Option<EncodedShard>>, FactsError> {
        let mut shards: Vec<Vec<&Row>> = vec![Vec::new(); 1 << bits];
        for row in &self.rows {
            let shard = row.path.last().map_or(0, |id| shard_of(id, bits));
            shards[shard].push(row);
        }
        let encode = |rows: Vec<&Row>| (!rows.is_empty()).then(|| self.encode_shard(rows)).transpose();
        shards.into_iter().map(encode).collect()
    }

    fn encode_shard(&self, mut rows: Vec<&Row>) -> Result<EncodedShard, FactsError> {
        let by_object = |a: &Row, b: &Row| a.path.iter().map(sort_key).cmp(b.path.iter().map(sort_key));
        rows.sort_by(|a, b| by_object(a, b).then_with(|| a.part.cmp(&b.part)));
        let (objects, object_of_row) = Objects::of(self.level.depth(), rows.iter().map(|row| &row.path));
        let mut columns: Vec<Vec<(u32, Decimal)>> = vec![Vec::new(); self.columns.len()];
        for (number, row) in rows.iter().enumerate() {
            for cell in &self.cells[row.cells.clone()] {
                columns[cell.column as usize].push((number as u32, cell.value));
            }
        }
        let mut order: Vec<usize> =
            (0..columns.len()).filter(|column| !columns[*column].is_empty()).collect();
        order.sort_by_key(|column| &self.columns[*column].name);
        let encode = |segment: Segment| -> Result<(usize, Vec<u8>), FactsError> {
            let (mut count, mut out) = (0, Vec::new());
            for column in &order {
                let ColumnName { name, texts } = &self.columns[*column];
                if segment_of(name) != segment {
                    continue;
                }
                let values = &columns[*column];
                match texts {
                    None => encode_numbers(&mut out, name, rows.len(), values)?,
                    Some(texts) => {
                        let text = |(row, index): &(u32, Decimal)| {
                            let index = usize::try_from(index.mantissa()).unwrap_or_default();
                            (*row, texts[index].as_str())
                        };
                        encode_texts(
                            &mut out,
                            name,
                            rows.len(),
                            &values.iter().map(text).collect::<Vec<_>>(),
                        );
                    }
                }
                count += 1;
            }
            Ok((count, out))
        };
        let (count, core) = encode(Segment::Core)?;
        let (core, binding) = encode_core(&objects, &object_of_row, (count, &core));
        let detail = match self.level {
            BlockLevel::Campaign => None,
            BlockLevel::Ad => {
                let (count, detail) = encode(Segment::Detail)?;
                Some(encode_detail(rows.len(), binding, (count, &detail)))
            }
        };
        Ok(EncodedShard { core, detail })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Block;
    use crate::measures::tests::{DAY, insights_row, rows};

    fn collect(rows: &[InsightsRow]) -> Rows {
        let mut collected = Rows::new(BlockLevel::Ad);
        rows.iter().for_each(|row| collected.push(row));
        collected
    }

    fn decode(shards: Vec<Option<EncodedShard>>) -> Vec<InsightsRow> {
        let mut rows = Vec::new();
        for shard in shards.into_iter().flatten() {
            rows.extend(shard.decoded().to_rows(DAY).unwrap());
        }
        rows.sort_by(|a, b| (&a.ad, &a.breakdowns).cmp(&(&b.ad, &b.breakdowns)));
        rows
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_were(rows in rows(), bits in 0u8..4) {
            let decoded = decode(collect(&rows).encode(bits).unwrap());
            prop_assert_eq!(decoded, rows);
        }

        #[test]
        fn equal_rows_have_equal_bytes_in_any_order(rows in rows(), seed in any::<u64>()) {
            let mut shuffled = rows.clone();
            shuffled.sort_by_key(|row| shard_of(&row.ad, 32) as u64 ^ seed);
            // A row that comes again replaces the first.
            let mut repeated: Vec<_> = shuffled.iter().cloned().map(|mut row| {
                row.facts.measures.impressions += 1;
                row
            }).collect();
            repeated.extend(shuffled);
            let (rows, repeated) = (collect(&rows), collect(&repeated));
            prop_assert_eq!(rows.encode(1).unwrap(), repeated.encode(1).unwrap());
        }

        #[test]
        fn rows_have_equal_digests_just_when_they_are_equal(
            mut rows in rows(), others in rows(), from in any::<usize>()
        ) {
            let digest = collect(&rows).digest();
            let order = |rows: &[InsightsRow]| {
                let mut encoded = decode(collect(rows).encode(0).unwrap());
                encoded.sort_by(|a, b| (&a.ad, &a.breakdowns).cmp(&(&b.ad, &b.breakdowns)));
                encoded
            };
            prop_assert_eq!(order(&rows) == order(&others), digest == collect(&others).digest());
            let len = rows.len();
            if len > 0 {
                rows.rotate_left(from % len);
                prop_assert_eq!(collect(&rows).digest(), digest);
                rows[from % len].facts.measures.clicks += 1;
                prop_assert_ne!(collect(&rows).digest(), digest);
                rows.pop();
                prop_assert_ne!(collect(&rows).digest(), digest);
            }
        }

        #[test]
        fn damaged_bytes_are_an_error_and_never_a_panic(rows in rows(), at in any::<usize>(), bit in 0u8..8) {
            let Some(Some(shard)) = collect(&rows).encode(0).unwrap().pop() else { return Ok(()) };
            let detail = shard.detail.unwrap();
            for damage_core in [true, false] {
                let (mut core, mut detail) = (shard.core.compressed().unwrap(), detail.compressed().unwrap());
                let damaged = if damage_core { &mut core } else { &mut detail };
                let at = at % damaged.len();
                damaged[at] ^= 1 << bit;
                if let Ok(block) = Block::decode(&core, Some(&detail)) {
                    let _ = block.to_rows(DAY);
                }
            }
        }
    }

    #[test]
    fn segments_of_different_rows_are_refused() {
        let encode = |ad| collect(&[insights_row(ad)]).encode(0).unwrap().pop().flatten().unwrap();
        let (one, other) = (encode(1), encode(2));
        let detail = other.detail.unwrap().compressed().unwrap();
        let mixed = Block::decode(&one.core.compressed().unwrap(), Some(&detail));
        assert!(matches!(mixed, Err(FactsError::Malformed(_))), "{mixed:?}");
    }
}
