//! Ids of objects at Meta that only this crate deals with.

use domain::id_type;

fn is_digits(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

id_type!(
    /// A pixel, catalog, creative, Instagram account or the like. Meta's ids exceed 2^53, so they stay text.
    ObjectId, "id", is_digits, "^[0-9]{1,32}$", "must be the digits of a Meta object id"
);
id_type!(
    /// A Facebook Page, for which ads speak.
    PageId, "page", is_digits, "^[0-9]{1,32}$", "must be the digits of a Page's id"
);
id_type!(
    /// A video of an ad account.
    VideoId, "video", is_digits, "^[0-9]{1,32}$", "must be the digits of a video's id"
);
id_type!(
    /// An image of an ad account, known by its content: the same image has the same hash in every account.
    ImageHash, "image", |text| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()),
    "^[A-Za-z0-9]{1,64}$", "must be the hash that Meta gave the image"
);
