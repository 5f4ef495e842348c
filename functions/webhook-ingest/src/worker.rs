//! `webhook-ingest` at the edge, on Cloudflare Workers.

use domain::job::Queue;
use runtime::Clock;
use runtime::workers::{forward, report_health, serve};
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::worker_sys::MessageBatch;
use worker::{Context, Env, Request, Response, ScheduleContext, ScheduledEvent, event};

use crate::WebhookReceiver;

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> worker::Result<Response> {
    let receiver = |request, queues, secrets| async {
        WebhookReceiver::new(Clock::system(), queues, secrets).handle(request).await
    };
    serve(request, &env, &WebhookReceiver::HEADERS, receiver).await
}

/// Processes a batch. Written by hand because the `event(queue)` macro does not expose a message's number of attempts.
#[wasm_bindgen(wasm_bindgen = ::worker::wasm_bindgen, wasm_bindgen_futures = ::worker::wasm_bindgen_futures, js_sys = ::worker::js_sys)]
#[expect(unreachable_pub, reason = "what JavaScript calls must be public")]
pub async fn queue(batch: MessageBatch, env: Env) {
    forward(&batch, &env, Queue::WebhookIngest).await;
}

#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    report_health(&env, Queue::WebhookIngest.name()).await;
}
