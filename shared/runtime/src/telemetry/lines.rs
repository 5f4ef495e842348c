//! Log lines as JSON: one flat object per line, with the fields of the enclosing spans.

use std::fmt;

use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use tracing::field::{self, Field};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::clock::Clock;
use crate::telemetry::unit;

/// Formats each line for `print`. A canonical line is passed through unchanged.
pub(super) struct JsonLines<P> {
    pub(super) print: P,
    pub(super) clock: Clock,
}

/// Names of a line's own fields. Other fields with these names get the prefix `field_`.
const RESERVED_FIELDS: [&str; 3] = ["timestamp", "level", "target"];

/// Fields of a span or event, in order.
#[derive(Debug, Clone, Default)]
struct Fields {
    message: Option<String>,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    /// Sets text. The message comes first; another field named `message` is an ordinary field.
    fn set_text(&mut self, name: &'static str, text: String) {
        match name {
            "message" if self.message.is_none() => self.message = Some(text),
            "message" => self.set("field_message", text.into()),
            name => self.set(name, text.into()),
        }
    }

    /// Sets a field; a later value replaces an earlier one.
    fn set(&mut self, name: &'static str, value: Value) {
        match self.others.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.others.push((name, value)),
        }
    }
}

impl field::Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set_text(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set_text(field.name(), value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }
}

impl<S, P> Layer<S> for JsonLines<P>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    P: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        if event.metadata().target() == unit::CANONICAL_TARGET {
            return (self.print)(own.message.as_deref().unwrap_or_default());
        }
        let mut fields = Fields { message: own.message, ..Fields::default() };
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                of_span.others.iter().for_each(|(name, value)| fields.set(name, value.clone()));
            }
        }
        own.others.into_iter().for_each(|(name, value)| fields.set(name, value));
        if let Ok(line) = self.line(event.metadata(), &fields) {
            (self.print)(&line);
        }
    }
}

impl<P> JsonLines<P> {
    fn line(&self, metadata: &Metadata<'_>, fields: &Fields) -> serde_json::Result<String> {
        let mut line = Vec::new();
        let mut json = serde_json::Serializer::new(&mut line);
        let mut map = json.serialize_map(None)?;
        map.serialize_entry("timestamp", &self.clock.now())?;
        map.serialize_entry("level", metadata.level().as_str())?;
        map.serialize_entry("message", fields.message.as_deref().unwrap_or_default())?;
        map.serialize_entry("target", metadata.target())?;
        for (name, value) in &fields.others {
            if RESERVED_FIELDS.contains(name) {
                map.serialize_entry(&format!("field_{name}"), value)?;
            } else {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()?;
        Ok(String::from_utf8(line).unwrap_or_default())
    }
}
