//! What the file of an image or video says about itself, and whether ads can show it.
//!
//! Sources: ISO/IEC 14496-12 (boxes, which MP4 and MOV share), and Meta's "Video ad specifications" and "Ad image".

use imagesize::ImageType;
use serde::{Deserialize, Serialize};

/// The largest video, in bytes.
pub const MAX_VIDEO_BYTES: u64 = 4 << 30;

/// How long a video may be, in milliseconds: a second to 241 minutes.
const VIDEO_MILLIS: std::ops::RangeInclusive<u64> = 1_000..=241 * 60 * 1_000;

/// The least width of a video, in pixels.
const MIN_VIDEO_WIDTH: u32 = 120;

/// How far a side may be longer than 16:9 and 9:16, in percent.
const RATIO_TOLERANCE: u64 = 3;

/// Bytes of a box that are looked at, at most: the values that are read are near its beginning.
const MAX_BOX_BYTES: u64 = 128;

/// Tracks that are looked at.
const MAX_TRACKS: usize = 32;

/// Boxes that a file may begin with. Old MOV files have no `ftyp`.
const FIRST_BOXES: [&[u8; 4]; 6] = [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"];

/// Boxes that hold others.
const CONTAINERS: [&[u8; 4]; 5] = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];

/// Codecs that Meta encodes from: H.264, H.265, MPEG-4, VP9, AV1, ProRes.
const CODECS: [&[u8; 4]; 12] = [
    b"avc1", b"avc3", b"hvc1", b"hev1", b"mp4v", b"vp09", b"av01", b"apco", b"apcs", b"apcn", b"apch",
    b"ap4h",
];

/// A video file as its bytes pass by, in order. It keeps some hundred bytes, wherever in the file its index is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoFile {
    /// Where the box begins that is read next.
    next: u64,
    /// The beginning of that box, as far as it has passed.
    begun: Vec<u8>,
    damage: Option<Damage>,
    millis: Option<u64>,
    tracks: Vec<Track>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Damage {
    /// It begins with no box of an MP4 or MOV file.
    OtherFormat,
    /// A box is shorter than its own header.
    BadBox,
    /// A part has not passed by, so that nothing is known of what follows.
    PartMissing,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Track {
    is_video: bool,
    codec: Option<[u8; 4]>,
    width: u32,
    height: u32,
}

impl VideoFile {
    /// Returns the first byte that is of interest next: what is before it need not be read.
    pub fn position(&self) -> u64 {
        self.next.saturating_add(self.begun.len() as u64)
    }

    /// Reads the bytes from `first` on. What was read before is passed over.
    pub fn read(&mut self, first: u64, bytes: &[u8]) {
        let end = first.saturating_add(bytes.len() as u64);
        while self.damage.is_none() && self.position() < end {
            if self.position() < first {
                self.damage = Some(Damage::PartMissing);
                return;
            }
            let wanted = self.wanted().saturating_sub(self.begun.len() as u64);
            let from = usize::try_from(self.position() - first).unwrap_or(bytes.len());
            let until = from.saturating_add(usize::try_from(wanted).unwrap_or(bytes.len())).min(bytes.len());
            self.begun.extend_from_slice(&bytes[from..until]);
            if self.begun.len() as u64 >= self.wanted() {
                self.take_box();
            }
        }
    }

    /// The header of the box that was begun: its kind, the length of the header, and that of the whole box.
    fn header(&self) -> Option<([u8; 4], u64, u64)> {
        let size = u32::from_be_bytes(*self.begun.first_chunk()?);
        let kind = *self.begun.get(4..)?.first_chunk()?;
        match size {
            // Up to the end of the file.
            0 => Some((kind, 8, u64::MAX)),
            1 => Some((kind, 16, u64::from_be_bytes(*self.begun.get(8..)?.first_chunk()?))),
            size => Some((kind, 8, size.into())),
        }
    }

    /// How many bytes of the box are needed.
    fn wanted(&self) -> u64 {
        match self.header() {
            None => {
                if self.begun.len() < 8 {
                    8
                } else {
                    16
                }
            }
            Some((kind, header, size)) => {
                let is_read = [b"mvhd", b"tkhd", b"hdlr", b"stsd"].contains(&&kind);
                if is_read { size.min(MAX_BOX_BYTES).max(header) } else { header }
            }
        }
    }

    /// Takes what is known of the box that was begun, and goes on to the next.
    fn take_box(&mut self) {
        let Some((kind, header, size)) = self.header() else { return };
        if self.next == 0 && !FIRST_BOXES.contains(&&kind) {
            self.damage = Some(Damage::OtherFormat);
        } else if size < header {
            self.damage = Some(Damage::BadBox);
        }
        let begun = std::mem::take(&mut self.begun);
        let content = begun.get(header as usize..).unwrap_or_default();
        let holds_others = CONTAINERS.contains(&&kind);
        self.next = self.next.saturating_add(if holds_others { header } else { size });
        if &kind == b"trak" && self.tracks.len() < MAX_TRACKS {
            self.tracks.push(Track::default());
        }
        let Some(track) = self.tracks.last_mut() else {
            if &kind == b"mvhd" {
                self.millis = duration(content);
            }
            return;
        };
        match &kind {
            b"tkhd" => (track.width, track.height) = dimensions(content).unwrap_or_default(),
            // That of the track comes first; those of its data follow.
            b"hdlr" => track.is_video |= content.get(8..12) == Some(b"vide"),
            b"stsd" => track.codec = content.get(12..).and_then(|content| content.first_chunk()).copied(),
            _ => {}
        }
    }

    /// Returns why ads cannot show the video, with what to do about it, as far as its bytes have passed by.
    /// `whole` is the file's length, once all of it has.
    pub fn problem(&self, whole: Option<u64>) -> Option<String> {
        let shape = |message: &str| Some(message.to_owned());
        match self.damage {
            Some(Damage::OtherFormat) => return shape("it is neither MP4 nor MOV: save it as one of them"),
            Some(Damage::BadBox) => return shape("the file is damaged: export it again"),
            Some(Damage::PartMissing) => return None,
            None => {}
        }
        if let Some(millis) = self.millis.filter(|millis| *millis > 0 && !VIDEO_MILLIS.contains(millis)) {
            let seconds = millis as f64 / 1_000.0;
            return Some(format!("it lasts {seconds:.1} seconds; a second to 241 minutes are possible"));
        }
        let video = self.tracks.iter().find(|track| track.is_video);
        if let Some(Track { width, height, codec, .. }) = video.filter(|track| track.codec.is_some()) {
            if let Some(codec) = codec.filter(|codec| !CODECS.contains(&codec)) {
                let codec = String::from_utf8_lossy(&codec).into_owned();
                return Some(format!("it is encoded as {}: encode it as H.264", codec.escape_default()));
            }
            let (long, short) = (u64::from(*width.max(height)), u64::from(*width.min(height)));
            if short > 0 && *width < MIN_VIDEO_WIDTH {
                return Some(format!("it is {width} pixels wide; {MIN_VIDEO_WIDTH} are the least"));
            }
            if short > 0 && long * 9 * 100 > short * 16 * (100 + RATIO_TOLERANCE) {
                return Some(format!("its picture is {width} x {height}; 9:16 to 16:9 are possible"));
            }
        }
        let whole = whole?;
        if video.is_none() {
            return shape("it has no video track: it may be sound only, or its end is missing");
        }
        (self.next != u64::MAX && self.next > whole).then(|| {
            format!(
                "the file is incomplete: it has {whole} bytes and says that there are {} or more",
                self.next
            )
        })
    }
}

/// Returns the milliseconds of a movie header; `None` where it does not say.
fn duration(header: &[u8]) -> Option<u64> {
    let number = |at: usize| Some(u64::from(u32::from_be_bytes(*header.get(at..)?.first_chunk()?)));
    let (scale, units) = match header.first()? {
        1 => (number(20)?, u64::from_be_bytes(*header.get(24..)?.first_chunk()?)),
        _ => (number(12)?, number(16)?),
    };
    let is_known = units != u64::MAX && units != u64::from(u32::MAX);
    is_known.then(|| units.saturating_mul(1_000).checked_div(scale))?
}

/// Returns the width and height of a track header, as the video is shown: turned by its matrix.
fn dimensions(header: &[u8]) -> Option<(u32, u32)> {
    let matrix = if *header.first()? == 1 { 52 } else { 40 };
    let number = |at: usize| Some(u32::from_be_bytes(*header.get(at..)?.first_chunk()?));
    let is_turned = number(matrix)? == 0 && number(matrix + 16)? == 0;
    let (width, height) = (number(matrix + 36)? >> 16, number(matrix + 40)? >> 16);
    Some(if is_turned { (height, width) } else { (width, height) })
}

/// An image file.
#[derive(Debug, Clone, Copy)]
pub struct ImageFile;

impl ImageFile {
    /// Returns why ads cannot show the image, with what to do about it.
    pub fn problem(bytes: &[u8]) -> Option<String> {
        match imagesize::image_type(bytes) {
            Ok(ImageType::Jpeg | ImageType::Png | ImageType::Gif) => {}
            Ok(other) => return Some(format!("it is {other:?}; Meta takes JPG, PNG and GIF")),
            Err(_) => return Some("it is no image that Meta takes: JPG, PNG or GIF".to_owned()),
        }
        let size = imagesize::blob_size(bytes).is_err();
        size.then(|| "the file is damaged: export it again".to_owned())
    }
}
