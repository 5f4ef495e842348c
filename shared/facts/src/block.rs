//! Blocks: the rows of one level, day and shard.
//!
//! Format 1, before compression. Core: format byte, objects, rows per object, columns. Detail: format byte, number of
//! rows, digest of the core's objects and rows, columns. A stored segment is the length of these bytes and one zstd
//! frame.

use domain::entity::Level;
use domain::id::EntityId;
use sha2::{Digest, Sha256};

use crate::FactsError;
use crate::column::Column;
use crate::objects::Objects;
use crate::wire::{Reader, put_len, put_uint};

const FORMAT: u8 = 1;

/// The largest segment that is decompressed, in bytes.
const MAX_SEGMENT_BYTES: usize = 16 * 1024 * 1024;

/// zstd's own default: higher levels save 2 % at many times the time.
const COMPRESSION_LEVEL: i32 = 3;

/// A part of a block, stored as an item of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Ids, and the measures that most reads need.
    Core,
    /// Values by action type and by attribution window.
    Detail,
}

impl Segment {
    /// Both segments.
    pub const ALL: [Self; 2] = [Self::Core, Self::Detail];

    /// Returns the segment's name in keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Detail => "detail",
        }
    }
}

/// A segment before compression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedSegment {
    bytes: Vec<u8>,
    /// Digest of its bytes: equal rows have equal digests, whatever compresses them.
    pub digest: [u8; 16],
}

impl EncodedSegment {
    fn new(bytes: Vec<u8>) -> Self {
        Self { digest: digest(&bytes), bytes }
    }

    /// Returns the segment as it is stored. Fails with [`FactsError::TooLarge`] above 16 MB.
    pub fn compressed(&self) -> Result<Vec<u8>, FactsError> {
        compress(&self.bytes)
    }
}

/// Compresses bytes: their length, and one zstd frame. Fails with [`FactsError::TooLarge`] above 16 MB.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>, FactsError> {
    let len = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= MAX_SEGMENT_BYTES);
    let len = len.ok_or_else(|| FactsError::TooLarge("a segment".to_owned()))?;
    let mut data = len.to_le_bytes().to_vec();
    let frame = zstd::bulk::compress(bytes, COMPRESSION_LEVEL);
    data.extend(frame.map_err(|_| FactsError::Malformed("it cannot be compressed"))?);
    Ok(data)
}

/// Decompresses what [`compress`] returned. Damaged bytes are an error, whatever they are.
pub fn decompress(data: &[u8]) -> Result<Vec<u8>, FactsError> {
    let (len, frame) = data.split_first_chunk().ok_or(FactsError::Malformed("it ends too early"))?;
    let len = u32::from_le_bytes(*len) as usize;
    if len > MAX_SEGMENT_BYTES {
        return Err(FactsError::TooLarge("a segment".to_owned()));
    }
    let bytes = zstd::bulk::decompress(frame, len);
    let bytes = bytes.map_err(|_| FactsError::Malformed("it cannot be decompressed"))?;
    if bytes.len() != len { Err(FactsError::Malformed("its length is wrong")) } else { Ok(bytes) }
}

/// Returns the first half of the bytes' SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(bytes)[..16]);
    half
}

/// Encodes the core segment: the objects, the object of each row in order, and the columns that `columns` appends after
/// their number. Returns it with the digest that binds the detail segment to it.
pub(crate) fn encode_core(
    objects: &Objects,
    rows: &[u32],
    columns: (usize, &[u8]),
) -> (EncodedSegment, [u8; 16]) {
    let mut out = vec![FORMAT];
    objects.encode(&mut out);
    let mut counts = vec![0_u128; objects.len()];
    for object in rows {
        counts[*object as usize] += 1;
    }
    if counts.iter().all(|count| *count == 1) {
        out.push(0);
    } else {
        out.push(1);
        counts.into_iter().for_each(|count| put_uint(&mut out, count));
    }
    let binding = digest(&out);
    put_len(&mut out, columns.0);
    out.extend_from_slice(columns.1);
    (EncodedSegment::new(out), binding)
}

/// Encodes the detail segment that belongs to a core segment.
pub(crate) fn encode_detail(rows: usize, binding: [u8; 16], columns: (usize, &[u8])) -> EncodedSegment {
    let mut out = vec![FORMAT];
    put_len(&mut out, rows);
    out.extend_from_slice(&binding);
    put_len(&mut out, columns.0);
    out.extend_from_slice(columns.1);
    EncodedSegment::new(out)
}

/// The rows of one level, day and shard, decompressed. Values are decoded when they are read, so that columns which
/// nobody reads cost nothing.
#[derive(Debug, Clone)]
pub struct Block {
    pub(crate) objects: Objects,
    /// The object of each row.
    pub(crate) rows: Vec<u32>,
    segments: Vec<Vec<u8>>,
    /// Each with its segment.
    columns: Vec<(usize, Column)>,
}

impl Block {
    /// Decodes a block of its stored segments. Without the detail segment, what that holds is unknown.
    pub fn decode(core: &[u8], detail: Option<&[u8]>) -> Result<Self, FactsError> {
        let core = decompress(core)?;
        let mut reader = format_reader(&core)?;
        let objects = Objects::decode(&mut reader)?;
        let mut rows: Vec<u32> = (0..objects.len() as u32).collect();
        if reader.byte()? != 0 {
            rows.clear();
            for object in 0..objects.len() as u32 {
                let count = reader.len()?;
                if rows.len() + count > MAX_SEGMENT_BYTES {
                    return Err(FactsError::Malformed("too many rows"));
                }
                rows.resize(rows.len() + count, object);
            }
        }
        let objects_end = reader.position();
        let mut block = Self { objects, rows, segments: Vec::new(), columns: Vec::new() };
        block.read_columns(&mut reader)?;
        let binding = detail.map(|_| digest(&core[..objects_end]));
        block.segments.push(core);
        if let (Some(detail), Some(binding)) = (detail, binding) {
            let detail = decompress(detail)?;
            let mut reader = format_reader(&detail)?;
            if reader.len()? != block.rows.len() || reader.take(binding.len())? != binding {
                return Err(FactsError::Malformed("its segments do not belong together"));
            }
            block.read_columns(&mut reader)?;
            block.segments.push(detail);
        }
        Ok(block)
    }

    fn read_columns(&mut self, reader: &mut Reader<'_>) -> Result<(), FactsError> {
        for _ in 0..reader.count()? {
            let column = Column::decode(reader, self.rows.len())?;
            self.columns.extend(column.map(|column| (self.segments.len(), column)));
        }
        if reader.is_at_end() { Ok(()) } else { Err(FactsError::Malformed("something follows its columns")) }
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the id of the object of a row, or of what that is below; `None` at a level that the block does not have.
    pub fn id(&self, row: usize, level: Level) -> Option<EntityId> {
        self.objects.id(*self.rows.get(row)?, level)
    }

    /// The columns with their names and the bytes that they read.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&str, &Column, &[u8])> {
        self.columns.iter().map(|(segment, column)| {
            let bytes = &self.segments[*segment][..];
            (column.name(bytes), column, bytes)
        })
    }
}

fn format_reader(bytes: &[u8]) -> Result<Reader<'_>, FactsError> {
    let mut reader = Reader::new(bytes);
    match reader.byte()? {
        FORMAT => Ok(reader),
        other => Err(FactsError::UnknownFormat(other)),
    }
}
