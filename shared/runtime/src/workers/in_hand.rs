//! Whose message is being read or written at this moment, noted where a broken run of the code leaves it.
//!
//! When Rust panics in a Worker, or wasm traps, nothing of the run is left but the isolate's JavaScript, in
//! which the code is instantiated anew for the next event. A name noted there is the evidence: while the code
//! runs, nothing else does, so the name that is left is that of the message that broke it.

use worker::js_sys::{Reflect, global};
use worker::wasm_bindgen::JsValue;

const NOTE: &str = "adflightInHand";
/// Names that were left, until their messages come again: other batches may come before.
const LEFT: &str = "adflightLeftInHand";
/// So many characters of them are remembered, which is dozens of names.
const REMEMBERED: usize = 4096;

/// Notes a name until it is dropped, which a trap does not do.
pub(super) struct InHand;

impl InHand {
    /// To be held only where nothing is awaited: other events run meanwhile.
    pub(super) fn of(name: &str) -> Self {
        write(NOTE, &name.into());
        Self
    }

    /// Remembers what a run left that was broken off. To be called before anything is taken in hand.
    pub(super) fn look_back() {
        let Some(name) = read(NOTE).filter(|name| !name.is_empty()) else { return };
        let known = read(LEFT).unwrap_or_default();
        let kept = if known.len() < REMEMBERED { known } else { String::new() };
        write(LEFT, &format!("{kept}{name}\n").into());
        write(NOTE, &JsValue::UNDEFINED);
    }

    /// Whether a run was broken off while it had this message in hand.
    pub(super) fn was_left(name: &str) -> bool {
        read(LEFT).is_some_and(|known| known.lines().any(|left| left == name))
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        write(NOTE, &JsValue::UNDEFINED);
    }
}

fn read(place: &str) -> Option<String> {
    Reflect::get(&global(), &place.into()).ok()?.as_string()
}

fn write(place: &str, value: &JsValue) {
    // The global object takes every property.
    let _set = Reflect::set(&global(), &place.into(), value);
}
