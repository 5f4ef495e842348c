//! Pictures of creatives: at Meta they are on media hosts, which ask for no token.

use std::io::Write;

use flate2::Crc;
use flate2::write::ZlibEncoder;
use sha2::{Digest, Sha256};

/// Width and height in pixels, Meta's default.
const SIDE: u32 = 64;

/// Returns the address of a creative's picture.
pub(crate) fn url(base_url: &str, creative: &str) -> String {
    format!("{base_url}/thumbnails/{creative}.png?oe=6A000000")
}

/// Returns the picture of a file name: a disc on a ground, in colours that follow from the creative's id.
pub(crate) fn picture(file: &str) -> Option<Vec<u8>> {
    let creative = file.strip_suffix(".png").filter(|id| id.bytes().all(|digit| digit.is_ascii_digit()))?;
    let hash: [u8; 32] = Sha256::digest(creative).into();
    let [r, g, b, x, y, radius, ..] = hash;
    let ground = [r, g, b].map(|part| 120 + part / 3);
    let disc = [b, r, g].map(|part| 20 + part / 2);
    let (x, y) = (i32::from(x % 32) + 16, i32::from(y % 32) + 16);
    let radius = i32::from(radius % 12) + 12;
    let side = i32::try_from(SIDE).ok()?;
    let mut rows = Vec::new();
    for row in 0..side {
        // No filter.
        rows.push(0);
        for column in 0..side {
            let is_disc = (column - x).pow(2) + (row - y).pow(2) <= radius.pow(2);
            rows.extend(if is_disc { disc } else { ground });
        }
    }
    png(&rows).ok()
}

/// Writes rows of RGB pixels as a PNG (ISO/IEC 15948).
fn png(rows: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut pixels = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    pixels.write_all(rows)?;
    let size = SIDE.to_be_bytes();
    // Eight bits for each of three colours, not interlaced.
    let header = [&size[..], &size, &[8, 2, 0, 0, 0]].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", pixels.finish()?), (b"IEND", Vec::new())] {
        png.extend(u32::try_from(data.len()).unwrap_or_default().to_be_bytes());
        let chunk = [&kind[..], &data].concat();
        let mut crc = Crc::new();
        crc.update(&chunk);
        png.extend(chunk);
        png.extend(crc.sum().to_be_bytes());
    }
    Ok(png)
}
