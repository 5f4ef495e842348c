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
    /// What logging reads, which every program starts.
    logging: BTreeSet<String>,
    /// The methods that the start of each crate calls.
    starts: [(&'static str, BTreeSet<String>); 2],
}

impl VariableReaders {
    fn from_sources() -> Self {
        let mut by_method = BTreeMap::new();
        for method in source("shared/runtime/src/aws.rs").split("\n    pub ").skip(1) {
            let (_, signature) = method.split_once("fn ").unwrap_or_default();
            let name = signature.split('(').next().unwrap().to_owned();
            by_method.insert(name, variables_in(method));
        }
        let starts = ["connector", "middleware"]
            .map(|name| (name, calls_in(&source(&format!("shared/{name}/src/lambda.rs")))));
        Self { by_method, logging: variables_in(&source("shared/runtime/src/telemetry.rs")), starts }
    }

    fn variables_of(&self, folder: &str) -> BTreeSet<String> {
        let main = source(&format!("functions/{folder}/src/main.rs"));
        let used = self.starts.iter().filter(|(name, _)| main.contains(&format!("{name}::lambda")));
        let calls = calls_in(&main).into_iter().chain(used.flat_map(|(_, calls)| calls.iter().cloned()));
        let read = calls.flat_map(|call| match self.by_method.get(&call) {
            Some(variables) => variables.clone(),
            None => panic!("{folder} calls aws.{call}, which is not known"),
        });
        let mut read: BTreeSet<String> = read.collect();
        assert!(read.contains("TABLE_NAME"), "{folder} reads {read:?}: the sources are read wrongly");
        read.extend(self.logging.iter().cloned());
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
