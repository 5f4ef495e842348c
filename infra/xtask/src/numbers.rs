//! Every figure of the product, held against Python's own sums over the simulated Meta's rows. The scripts are in
//! tests/numbers.

use crate::{api, browser, build, command, console, edge, python, root, run, say};

/// A real account as Meta answered for it, where that folder exists.
const RECORDING: &str = "../shared/recordings/keboola";
/// Data of the programs that are compared.
const DATA: &str = "target/numbers";

/// Compares a recorded account, then seven generated ones in six currencies, with what the console shows of them.
pub(crate) fn compare() -> anyhow::Result<()> {
    console::install()?;
    build::development()?;
    if root().join(RECORDING).exists() {
        say(&format!("\n   {RECORDING}"));
        compare_with(&["--account", RECORDING])?;
    }
    say("\n   Seven generated ad accounts");
    let node = edge::node()?;
    let mut options =
        "--accounts 7 --campaigns 8 --adsets 16 --ads 40 --screens".split(' ').collect::<Vec<_>>();
    options.extend([node.as_str(), "tests/numbers/screens.mjs", browser::PACKAGES, api::PACKAGES]);
    compare_with(&options)
}

fn compare_with(options: &[&str]) -> anyhow::Result<()> {
    let data = root().join(DATA);
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    let mut compare = command(python::interpreter()?.0, &["-B", "tests/numbers/compare.py"]);
    compare.arg(build::program("adflight")).arg(&data).args(options);
    browser::unpacking(&mut compare);
    run(compare)
}
