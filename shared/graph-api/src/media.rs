//! Images and videos of an ad account.
//!
//! Only hashes and ids are stored: URLs are signed and expire after some days (Marketing API, "Ad image", "Ad video").

mod image;
mod upload;
mod video;

pub use image::Image;
pub use video::{Thumbnail, Video, VideoState};
