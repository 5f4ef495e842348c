//! `wasm-bindgen` as `worker-build` calls it: generates the JavaScript side of a Worker's compiled code.
//!
//! It must have exactly the version of the library in the Worker. `worker-build` would download it from GitHub, and the
//! published tool comes without a lock file. This program is the only part that is needed, locked here and built from
//! the registry alone.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Parser;
use wasm_bindgen_cli_support::Bindgen;

/// The options that `worker-build` passes; an unknown one fails the build.
#[derive(Parser)]
struct Options {
    /// The compiled Worker.
    input: PathBuf,
    #[arg(long)]
    out_dir: PathBuf,
    #[arg(long)]
    out_name: String,
    #[arg(long)]
    target: String,
    #[arg(long)]
    no_typescript: bool,
    #[arg(long)]
    no_demangle: bool,
    #[arg(long)]
    experimental_reset_state_function: bool,
    #[arg(long)]
    force_enable_abort_handler: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    ensure!(options.target == "module", "a Worker is made for the target module, not {}", options.target);
    Bindgen::new()
        .input_path(options.input)
        .out_name(&options.out_name)
        .module(true)?
        .typescript(!options.no_typescript)
        .demangle(!options.no_demangle)
        // Saves a sixth of the upload; a panic names its file and line without it.
        .remove_name_section(true)
        .reset_state_function(options.experimental_reset_state_function)
        .force_enable_abort_handler(options.force_enable_abort_handler)
        .generate(options.out_dir)
}
