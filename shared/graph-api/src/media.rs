//! Images and videos of an ad account.
//!
//! What is kept of them is a hash or an id: their addresses are signed and end after some days (Marketing API,
//! "Ad image", "Ad video").

mod image;
mod upload;
mod video;

pub use image::Image;
pub use video::{Thumbnail, Video, VideoState};
