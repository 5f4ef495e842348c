//! What the files of images and videos say about themselves.

use graph_api::media::{ImageFile, VideoFile};
use graph_sim::SampleVideo;
use proptest::prelude::*;

/// Reads a file in pieces that end at these places.
fn read(file: &[u8], cuts: &[usize]) -> VideoFile {
    let mut video = VideoFile::default();
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (file.len() + 1)).collect();
    ends.push(file.len());
    ends.sort_unstable();
    let mut first = 0;
    for end in ends {
        video.read(first as u64, &file[first..end]);
        first = end;
    }
    video
}

fn problem(file: &[u8]) -> Option<String> {
    read(file, &[]).problem(Some(file.len() as u64))
}

proptest! {
    #[test]
    fn what_a_file_says_does_not_depend_on_how_it_is_cut(
        size in (0_u16.., 0_u16..), millis: u32, index_first: bool, turned: bool, cuts: Vec<usize>
    ) {
        let file = SampleVideo { size, millis, index_first, turned, ..SampleVideo::default() }.file(2_000);
        let (whole, cut) = (read(&file, &[]), read(&file, &cuts));
        prop_assert_eq!(&whole, &cut);
        prop_assert!(serde_json::to_vec(&cut).unwrap().len() < 1_000);
    }

    #[test]
    fn no_bytes_make_it_fail(file: Vec<u8>, begins_well: bool, cuts: Vec<usize>) {
        let file = if begins_well { [b"\0\0\0\x08ftyp", &file[..]].concat() } else { file };
        prop_assert_eq!(read(&file, &cuts), read(&file, &[]));
        let _ = (problem(&file), ImageFile::problem(&file));
    }
}

#[test]
fn a_video_is_shown_as_it_is_turned_and_refused_for_what_ads_cannot_show() {
    let of = |video: SampleVideo| problem(&video.file(3_000));
    let sample = SampleVideo::default();
    assert_eq!(of(sample), None);
    assert_eq!(of(SampleVideo { index_first: true, turned: true, ..sample }), None);
    assert_eq!(
        of(SampleVideo { size: (110, 110), ..sample }).unwrap(),
        "it is 110 pixels wide; 120 are the least"
    );
    let tall = SampleVideo { size: (1000, 2100), ..sample };
    assert_eq!(of(tall).unwrap(), "its picture is 1000 x 2100; 9:16 to 16:9 are possible");
    assert!(of(SampleVideo { size: (1000, 1800), ..sample }).is_none(), "a little more than 9:16");
    assert!(
        of(SampleVideo { millis: 4 * 3_600_000 + 61_000, ..sample }).unwrap().starts_with("it lasts 14461.0")
    );
    let file = sample.file(3_000);
    assert!(problem(&file[..2_500]).unwrap().starts_with("it has no video track"), "its index is missing");
    let file = SampleVideo { index_first: true, ..sample }.file(3_000);
    let cut = problem(&file[..2_500]).unwrap();
    assert_eq!(cut, "the file is incomplete: it has 2500 bytes and says that there are 3000 or more");
    assert_eq!(problem(b"\0\0\0\x02ftypisom").unwrap(), "the file is damaged: export it again");
}

#[test]
fn of_a_file_with_a_part_missing_nothing_is_claimed() {
    let file = SampleVideo { size: (2000, 100), ..SampleVideo::default() }.file(3_000);
    let mut video = VideoFile::default();
    video.read(0, &file[..1_000]);
    video.read(2_900, &file[2_900..]);
    assert_eq!(video.problem(Some(file.len() as u64)), None);
}
