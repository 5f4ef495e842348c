//! Image dimensions, read from the first bytes of the file.

/// Returns width and height in pixels of a PNG, GIF or JPEG; `None` for any other format, such as WebP.
pub(super) fn size(content: &[u8]) -> Option<(u32, u32)> {
    if content.starts_with(b"\x89PNG\r\n\x1a\n") {
        let side = |at: usize| Some(u32::from_be_bytes(content.get(at..at + 4)?.try_into().ok()?));
        return Some((side(16)?, side(20)?));
    }
    if content.starts_with(b"GIF87a") || content.starts_with(b"GIF89a") {
        let side = |at: usize| Some(u32::from(u16::from_le_bytes(content.get(at..at + 2)?.try_into().ok()?)));
        return Some((side(6)?, side(8)?));
    }
    content.starts_with(b"\xff\xd8").then(|| jpeg(content)).flatten()
}

/// Skips from segment to segment until the frame header.
fn jpeg(content: &[u8]) -> Option<(u32, u32)> {
    let short = |at: usize| Some(u16::from_be_bytes(content.get(at..at + 2)?.try_into().ok()?));
    let mut at = 2;
    loop {
        let [0xff, kind] = *content.get(at..at + 2)? else { return None };
        let begins = matches!(kind, 0xc0..=0xcf) && !matches!(kind, 0xc4 | 0xc8 | 0xcc);
        if begins {
            return Some((u32::from(short(at + 7)?), u32::from(short(at + 5)?)));
        }
        at += 2 + usize::from(short(at + 2)?);
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn the_size_is_in_the_header() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\xb0\0\0\x02\x76\x08";
        assert_eq!(size(png), Some((1200, 630)));
        assert_eq!(size(b"GIF89a\x10\0\x20\0more"), Some((16, 32)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\x02\x76\x04\xb0\x03";
        assert_eq!(size(jpeg), Some((1200, 630)));
    }

    #[test]
    fn other_files_are_no_pictures() {
        for content in [&b"RIFF\0\0\0\0WEBPVP8 "[..], b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"text"] {
            assert_eq!(size(content), None);
        }
    }
}
