//! Faults a test orders in advance.

use axum::http::Method;

/// A fault for coming calls.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Only calls of this method; any when absent.
    pub method: Option<String>,
    /// Only calls whose path and query contain this; an item of a batch has those of its `relative_url`.
    pub path_contains: String,
    /// How many matching calls fail.
    pub times: u32,
    /// How many matching calls are let through first.
    pub skip: u32,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// The call has no effect and is answered with this error.
    Error {
        /// HTTP status.
        status: u16,
        /// Graph's code.
        code: i64,
        /// Graph's subcode.
        subcode: Option<i64>,
        /// Headers of the answer, beside or instead of the usual ones.
        headers: Vec<(String, String)>,
    },
    /// The call has its effect, but the connection is closed without an answer; an item of a batch is null.
    LostAnswer,
    /// The call is lost on its way: no effect and no answer. An item of a batch is null.
    LostCall,
    /// The call has no effect and is answered 502 with a page instead of JSON.
    Html,
    /// The call has its effect, but only half of the JSON arrives.
    Truncated,
}

/// The faults still to come.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// The fault of this call, if it has one. The one ordered first goes first.
    pub(crate) fn next(&mut self, method: &Method, path_and_query: &str) -> Option<FaultKind> {
        let index = self.0.iter().position(|fault| {
            fault.times > 0
                && fault.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method.as_str()))
                && path_and_query.contains(&fault.path_contains)
        })?;
        let fault = &mut self.0[index];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times -= 1;
        let kind = fault.kind.clone();
        self.0.retain(|fault| fault.times > 0);
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_then_strikes_then_is_over() {
        let mut faults = Faults::default();
        let kind = FaultKind::Html;
        faults.add(Fault {
            method: Some("post".into()),
            path_contains: "/ads".into(),
            times: 2,
            skip: 1,
            kind,
        });
        let mut strikes = |method: Method| faults.next(&method, "/v26.0/act_1/ads?x=1").is_some();
        assert!(!strikes(Method::GET));
        assert_eq!([(); 4].map(|()| strikes(Method::POST)), [false, true, true, false]);
    }
}
