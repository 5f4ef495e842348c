//! A marker with the id of the message that is handled at this moment, kept where a run that panics leaves it.
//!
//! When Rust panics in a Worker, or wasm traps, nothing of the run is left but the isolate's JavaScript, in
//! which the code is instantiated anew for the next event. A name noted there is the evidence: while the code
//! runs, nothing else does, so the name that is left is that of the message that broke it.

use worker::js_sys::{Reflect, global};
use worker::wasm_bindgen::JsValue;

const IN_PROGRESS_KEY: &str = "adflightMessageInProgress";
/// Names that were left, until their messages come again: other batches may come before.
const POISON_KEY: &str = "adflightPoisonMessages";
/// So many characters of them are remembered, which is dozens of names.
const MAX_POISON_IDS_CHARS: usize = 4096;

/// Notes a name until it is dropped, which a trap does not do.
pub(super) struct PoisonMarker;

impl PoisonMarker {
    /// To be held only where nothing is awaited: other events run meanwhile.
    pub(super) fn set(name: &str) -> Self {
        write(IN_PROGRESS_KEY, &name.into());
        Self
    }

    /// Remembers what a run left that was broken off. To be called before any message is handled.
    pub(super) fn recover() {
        let Some(name) = read(IN_PROGRESS_KEY).filter(|name| !name.is_empty()) else { return };
        let known = read(POISON_KEY).unwrap_or_default();
        let kept = if known.len() < MAX_POISON_IDS_CHARS { known } else { String::new() };
        write(POISON_KEY, &format!("{kept}{name}\n").into());
        write(IN_PROGRESS_KEY, &JsValue::UNDEFINED);
    }

    /// Whether a run was broken off while it handled this message.
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
    // The global object takes every property.
    let _set = Reflect::set(&global(), &place.into(), value);
}
