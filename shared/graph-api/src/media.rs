//! Images and videos of an ad account.
//!
//! Only hashes and ids are stored: URLs are signed and expire after some days (Marketing API, "Ad image", "Ad video").

mod file;
mod image;
mod upload;
mod video;

pub use file::{ImageFile, MAX_VIDEO_BYTES, VideoFile};
pub use image::Image;
pub use upload::VideoUpload;
pub use video::{Thumbnail, Video, VideoState};
