//! Each function of the template gets exactly the variables that its program reads.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use hosts::process::root;

use crate::template::{Violations, assert_rule, compare, folder_of};

#[test]
fn every_function_gets_the_variables_that_its_program_reads_and_no_other() {
    let readers = VariableReaders::from_sources();
    assert_rule(
        |template| {
            let mut violations = Violations::new();
            for function in template.functions() {
                let folder = folder_of(&function);
                let given = function.properties["Environment"]["Variables"].as_object().unwrap();
                let given: BTreeSet<String> = given.keys().cloned().collect();
                let violation = compare(&readers.variables_of(&folder), &given);
                violations.extend(violation.into_iter().map(|violation| format!("{folder}: {violation}")));
            }
            violations
        },
        &[
            ("          KEYRING_SECRET_ID:", "          KEYRING_ID:"),
            ("          PUBLIC_URL: !Ref PublicUrl\n", ""),
            ("          ADFLIGHT_LOG: !Ref LogLevel\n", ""),
        ],
    );
}

/// The variables that each method of `runtime::aws::Aws` reads, and its callers, from the sources.
struct VariableReaders {
    by_method: BTreeMap<String, BTreeSet<String>>,
    /// The methods that the shared `lambda::start` calls.
    start: BTreeSet<String>,
}

impl VariableReaders {
    fn from_sources() -> Self {
        let mut by_method = BTreeMap::new();
        for method in source("shared/runtime/src/aws.rs").split("\n    pub ").skip(1) {
            let (_, signature) = method.split_once("fn ").unwrap_or_default();
            let name = signature.split('(').next().unwrap().to_owned();
            by_method.insert(name, variables_in(method));
        }
        // `load` also sets up logging.
        let logging = variables_in(&source("shared/runtime/src/telemetry.rs"));
        by_method.get_mut("load").unwrap().extend(logging);
        Self { by_method, start: calls_in(&source("shared/connector/src/lambda.rs")) }
    }

    fn variables_of(&self, folder: &str) -> BTreeSet<String> {
        let main = source(&format!("functions/{folder}/src/main.rs"));
        let mut calls = calls_in(&main);
        if main.contains("connector::lambda") {
            calls.extend(self.start.iter().cloned());
        }
        calls.insert("load".to_owned());
        let read = calls.iter().map(|call| {
            self.by_method
                .get(call)
                .unwrap_or_else(|| panic!("{folder} calls aws.{call}, which is not known"))
        });
        let read: BTreeSet<String> = read.flatten().cloned().collect();
        assert!(read.contains("TABLE_NAME"), "{folder} reads {read:?}: the sources are read wrongly");
        read
    }
}

fn source(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns `TABLE_NAME` and so on: literals in capital letters.
fn variables_in(text: &str) -> BTreeSet<String> {
    let literals = text.split('"').skip(1).step_by(2);
    let is_variable = |text: &&str| {
        text.contains('_') && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    literals.filter(is_variable).map(str::to_owned).collect()
}

/// Returns the methods that are called on `aws`.
fn calls_in(text: &str) -> BTreeSet<String> {
    let calls = text.split("aws.").skip(1).filter_map(|rest| rest.split_once('('));
    let names =
        calls.map(|(name, _)| name).filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    names.map(str::to_owned).collect()
}
