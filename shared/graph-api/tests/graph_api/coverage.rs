//! Checks that a test makes every public call of the client, so that the tests send all that the client can send.

use std::fs;
use std::path::Path;

/// Returns the text of every Rust file below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => vec![fs::read_to_string(&path).unwrap()],
            _ => Vec::new(),
        })
        .collect()
}

/// Returns the names of a file's public async functions, which are those that call Meta.
fn calls(source: &str) -> impl Iterator<Item = &str> {
    let names = source.split("pub async fn ").skip(1);
    names.filter_map(|rest| rest.split(['(', '<']).next())
}

#[test]
fn every_call_is_covered_by_a_test() {
    let tests = sources(Path::new("tests")).concat();
    let sources = sources(Path::new("src"));
    let calls: Vec<&str> = sources.iter().flat_map(|source| calls(source)).collect();
    assert!(calls.len() > 15, "{calls:?}");
    let is_tested =
        |name: &str| tests.contains(&format!(".{name}(")) || tests.contains(&format!(".{name}::<"));
    let untested: Vec<_> = calls.into_iter().filter(|name| !is_tested(name)).collect();
    assert!(untested.is_empty(), "no test calls {untested:?}");
}
