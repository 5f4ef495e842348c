//! Marker with the id of the message in progress, stored where it survives a panic.
//!
//! When Rust panics in a Worker, or wasm traps, only the isolate's JavaScript state survives, in which the module is
//! instantiated again for the next event. While the module runs, nothing else does, so an id that is left there belongs
//! to the message that caused the panic.

use worker::js_sys::{Reflect, global};
use worker::wasm_bindgen::JsValue;

const IN_PROGRESS_KEY: &str = "adflightMessageInProgress";
/// Ids left by panics, stored until their messages are redelivered: other batches may come before.
const POISON_KEY: &str = "adflightPoisonMessages";
/// Maximum total length of the stored ids, enough for dozens.
const MAX_POISON_IDS_CHARS: usize = 4096;

/// Holds a message id until it is dropped. A trap does not drop it.
pub(super) struct PoisonMarker;

impl PoisonMarker {
    /// Sets the marker. Do not hold it across an await: other events run meanwhile.
    pub(super) fn set(name: &str) -> Self {
        write(IN_PROGRESS_KEY, &name.into());
        Self
    }

    /// Stores the id left by an aborted run. Call it before handling any message.
    pub(super) fn recover() {
        let Some(name) = read(IN_PROGRESS_KEY).filter(|name| !name.is_empty()) else { return };
        let known = read(POISON_KEY).unwrap_or_default();
        let kept = if known.len() < MAX_POISON_IDS_CHARS { known } else { String::new() };
        write(POISON_KEY, &format!("{kept}{name}\n").into());
        write(IN_PROGRESS_KEY, &JsValue::UNDEFINED);
    }

    /// Checks whether a run was aborted while it handled this message.
    pub(super) fn is_poison(name: &str) -> bool {
        read(POISON_KEY).is_some_and(|known| known.lines().any(|left| left == name))
    }
}

impl Drop for PoisonMarker {
    fn drop(&mut self) {
        write(IN_PROGRESS_KEY, &JsValue::UNDEFINED);
    }
}

fn read(place: &str) -> Option<String> {
    Reflect::get(&global(), &place.into()).ok()?.as_string()
}

fn write(place: &str, value: &JsValue) {
    // Setting a property of the global object cannot fail.
    let _set = Reflect::set(&global(), &place.into(), value);
}
