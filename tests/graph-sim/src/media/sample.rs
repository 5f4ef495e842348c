//! Made-up media files, as small as their kind allows.

/// What a made-up video says about itself.
#[derive(Debug, Clone, Copy)]
pub struct SampleVideo {
    /// Width and height in pixels.
    pub size: (u16, u16),
    /// Length in milliseconds.
    pub millis: u32,
    /// The codec, such as `avc1`.
    pub codec: &'static [u8; 4],
    /// Whether the index is before the data.
    pub index_first: bool,
    /// Whether the picture is turned by 90 degrees when it is shown.
    pub turned: bool,
}

impl Default for SampleVideo {
    fn default() -> Self {
        Self { size: (1080, 1920), millis: 8_000, codec: b"avc1", index_first: false, turned: false }
    }
}

fn boxed(kind: &[u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = content.len() as u32 + 8;
    [&length.to_be_bytes()[..], kind, &content].concat()
}

impl SampleVideo {
    /// Returns an MP4 file of at least this length.
    pub fn file(&self, bytes: usize) -> Vec<u8> {
        let number = |number: u32| number.to_be_bytes();
        let (width, height) = self.size;
        let matrix: Vec<u8> = match self.turned {
            false => [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000_u32],
            true => [0, 0x1_0000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000],
        }
        .into_iter()
        .flat_map(number)
        .collect();
        let movie = boxed(b"mvhd", &[&[0; 12], &number(1_000), &number(self.millis), &[0; 80]]);
        let sides = [number(u32::from(width) << 16), number(u32::from(height) << 16)].concat();
        let track = boxed(b"tkhd", &[&[0; 40], &matrix, &sides]);
        let handler = boxed(b"hdlr", &[&[0; 8], b"vide", &[0; 13]]);
        let entry = boxed(self.codec, &[&[0; 78]]);
        let description = boxed(b"stsd", &[&number(0), &number(1), &entry]);
        let media = boxed(b"minf", &[&boxed(b"stbl", &[&description])]);
        let media = boxed(b"mdia", &[&boxed(b"mdhd", &[&[0; 24]]), &handler, &media]);
        let index = boxed(b"moov", &[&movie, &boxed(b"trak", &[&track, &media])]);
        let begin = boxed(b"ftyp", &[b"isom", &number(0), b"isommp42"]);
        // Different files of the same length differ.
        let fill = vec![self.millis as u8; bytes.saturating_sub(begin.len() + index.len() + 8)];
        let data = boxed(b"mdat", &[&fill]);
        if self.index_first { [begin, index, data] } else { [begin, data, index] }.concat()
    }
}
