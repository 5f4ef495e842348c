//! Runs the program as a person does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A fixed day, so that two runs see the same account.
const TODAY: [&str; 2] = ["--today", "2026-11-20"];

/// Builds a command for the program, which Cargo puts beside the folder of its tests. The path is computed at run time,
/// because a compiled-in path may be that of another clone with the same target folder.
fn adflight(args: &[&str]) -> Command {
    let test = std::env::current_exe().unwrap();
    let mut command = Command::new(test.parent().unwrap().with_file_name("adflight"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(args: &[&str]) -> Output {
    adflight(args).output().unwrap()
}

/// Runs the main workflow to its end and returns its JSON document.
fn job(data: &str, more: &[&str]) -> Value {
    let args = [&["up", "--exit", "--json", "--port", "0", "--data", data], &TODAY[..], more].concat();
    let output = run(&args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout.lines().count(), 1, "one document and nothing else: {stdout}");
    serde_json::from_str(&stdout).unwrap()
}

/// A process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Returns the numbers that must not depend on how a run went.
fn figures(document: &Value) -> Value {
    let mut figures = document.clone();
    let kept = ["account", "entities", "totals", "chunks"];
    figures.as_object_mut().unwrap().retain(|name, _| kept.contains(&name.as_str()));
    for name in ["rows", "first_day", "last_day"] {
        figures[name] = document["facts"][name].clone();
    }
    figures
}

#[test]
fn a_killed_run_is_completed_by_the_next_one_and_then_nothing_more_is_written() {
    let undisturbed = job(":memory:", &[]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();

    let args = [&["up", "--exit", "--json", "--port", "0", "--data", data], &TODAY[..]].concat();
    let mut child = Running(adflight(&args).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
    let is_begun = |line: &String| line.starts_with("Measuring: ") && !line.starts_with("Measuring: 0 of");
    let middle = lines.by_ref().map_while(Result::ok).find(is_begun);
    child.0.kill().unwrap();
    assert!(middle.is_some(), "it ended before it could be killed");
    drop(child);

    let resumed = job(data, &[]);
    assert_eq!(figures(&resumed), figures(&undisturbed));
    assert!(
        resumed["facts"]["segments_written"].as_u64() < undisturbed["facts"]["segments_written"].as_u64()
    );

    let again = job(data, &[]);
    assert_eq!(figures(&again), figures(&undisturbed));
    assert_eq!(again["facts"]["segments_written"], 0);
    assert!(again["facts"]["segments_unchanged"].as_u64().unwrap() > 0, "{}", again["facts"]);
}

#[test]
fn the_recorded_account_is_shown_to_the_cent() {
    let folder = Path::new("../../../shared/recordings/keboola");
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let args = [
        "up",
        "--account",
        folder.to_str().unwrap(),
        "--data",
        ":memory:",
        "--exit",
        "--json",
        "--port",
        "0",
    ];
    let output = run(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["entities"], serde_json::json!({"campaigns": 64, "adsets": 134, "ads": 337}));
    assert_eq!(shown["facts"]["rows"], 769);
    let rows: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("insights_ad_day.json")).unwrap()).unwrap();
    let rows = rows["data"].as_array().unwrap();
    let number =
        |row: &Value, field: &str| row[field].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
    let sum =
        |field: &str| rows.iter().map(|row| number(row, field)).sum::<rust_decimal::Decimal>().to_string();
    assert_eq!(shown["totals"]["spend"], sum("spend"));
    assert_eq!(shown["totals"]["impressions"].to_string(), sum("impressions"));
    assert_eq!(shown["totals"]["clicks"].to_string(), sum("clicks"));
}

#[test]
fn the_printed_curl_works_while_it_serves_and_the_folder_and_port_are_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let small = ["--campaigns", "4", "--adsets", "4", "--ads", "4", "--days", "10"];
    let args = [&["up", "--data", data, "--port", "0"], &TODAY[..], &small[..]].concat();
    let mut child = Running(adflight(&args).spawn().unwrap());
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let curl = stdout.by_ref().find(|line| line.starts_with("curl ")).unwrap();
    let quoted: Vec<_> = curl.split('\'').collect();
    let (token, url) = (quoted[1].strip_prefix("Authorization: Bearer ").unwrap(), quoted[3]);

    let answer = get(url, token);
    assert!(answer.contains("200 OK"), "{answer}");
    assert!(answer.contains("\"currency\":\"SGD\""), "{answer}");
    let printed = run(&["token", "--data", data, "--role", "viewer"]);
    let viewer = String::from_utf8(printed.stdout).unwrap();
    assert!(get(url, viewer.trim()).contains("200 OK"), "a token from the other terminal works");
    let other = run(&["token", "--data", data, "--workspace", "other"]);
    let other = String::from_utf8(other.stdout).unwrap();
    assert!(get(url, other.trim()).contains("404"), "another workspace sees nothing");
    assert_refused(&["token", "--data", data, "--workspace", "A B"], &["--workspace", "a-z"]);

    let port = url.split('/').nth(2).unwrap().split(':').nth(1).unwrap();
    assert_refused(&["up", "--data", ":memory:", "--port", port], &[port, "cannot be used"]);
    assert_refused(&["up", "--data", data, "--port", "0"], &[data, "in use"]);
}

/// Sends one GET over a plain socket.
fn get(url: &str, token: &str) -> String {
    use std::io::Write;
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Asserts exit code 2 and one line on stderr that contains these words.
fn assert_refused(args: &[&str], words: &[&str]) {
    let output = run(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty());
    for word in words {
        assert!(stderr.contains(word), "{word:?} is missing in: {stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn usage_errors_exit_with_2_and_one_clear_line() {
    assert_refused(&["up", "--today", "2026-13-01"], &["--today"]);
    assert_refused(
        &["up", "--timezone", "Moon/Base", "--data", ":memory:", "--port", "0"],
        &["time zone", "Moon/Base"],
    );
    assert_refused(&["up", "--currency", "sgd"], &["--currency", "capital"]);
    assert_refused(&["up", "--today", "9999-12-30"], &["--today", "2100"]);
    assert_refused(&["up", "--port", "99999"], &["--port"]);
    assert_refused(
        &["token", "--data", ":memory:", "--role", "king"],
        &["--role", "viewer, editor or owner"],
    );
    assert_refused(&["token", "--data", ":memory:"], &[":memory:", "prints"]);
    assert_refused(&["token", "--data", "/nowhere"], &["/nowhere"]);
    assert_refused(
        &["up", "--account", "/nowhere", "--data", ":memory:", "--port", "0"],
        &["/nowhere", "account.json"],
    );
    assert_refused(
        &["up", "--meta", "live", "--data", ":memory:", "--port", "0"],
        &["META_APP_ID", "META_APP_SECRET"],
    );
}

#[test]
fn a_broken_recording_is_named_with_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let empty = r#"{"data": []}"#;
    write("account.json", r#"{"id": "act_1", "account_id": "1", "name": "A", "currency": "EUR"}"#);
    write("campaigns.json", "{\"data\": [\n  {\"id\": \"1\",\n   \"name\" \"x\"}\n]}");
    for name in ["adsets.json", "ads.json", "insights_ad_day.json"] {
        write(name, empty);
    }
    let path: PathBuf = folder.path().to_owned();
    let args = ["up", "--account", path.to_str().unwrap(), "--data", ":memory:", "--port", "0", "--exit"];
    assert_refused(&args, &["campaigns.json:3:"]);
}
