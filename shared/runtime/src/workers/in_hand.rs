//! Whose message is being read or written at this moment, noted where a broken run of the code leaves it.
//!
//! When Rust panics in a Worker, or wasm traps, nothing of the run is left but the isolate's JavaScript, in
//! which the code is instantiated anew for the next event. A name noted there is the evidence: while the code
//! runs, nothing else does, so the name that is left is that of the message that broke it.

use worker::js_sys::{Reflect, global};
use worker::wasm_bindgen::JsValue;

const NOTE: &str = "adflightInHand";

/// Notes names until it is dropped, which a trap does not do.
pub(super) struct InHand;

impl InHand {
    /// To be held only where nothing is awaited: other events run meanwhile.
    pub(super) fn of(names: &str) -> Self {
        note(&names.into());
        Self
    }

    /// What a run left that was broken off, once.
    pub(super) fn left() -> Option<String> {
        let left = Reflect::get(&global(), &NOTE.into()).ok()?.as_string();
        note(&JsValue::UNDEFINED);
        left
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        note(&JsValue::UNDEFINED);
    }
}

fn note(value: &JsValue) {
    // The global object takes every property.
    let _set = Reflect::set(&global(), &NOTE.into(), value);
}
