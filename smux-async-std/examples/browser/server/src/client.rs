//! Builds the client: what `wasm-pack` or `trunk` does in a project of your own.

use std::{env, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use wasm_bindgen_cli_support::Bindgen;

const PACKAGE: &str = "smux-browser-client";
const TARGET: &str = "wasm32-unknown-unknown";

/// What the page loads.
pub(crate) struct Client {
    pub(crate) script: String,
    pub(crate) wasm: Vec<u8>,
}

/// Compiles the client, and makes the script that loads it.
pub(crate) fn build() -> Result<Client> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(&workspace)
        .args([
            "build",
            "--release",
            "--package",
            PACKAGE,
            "--target",
            TARGET,
        ])
        .status()
        .context("cargo cannot be run")?;
    ensure!(
        built.success(),
        "the client cannot be built: is {TARGET} installed?"
    );

    let target = env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), Into::into);
    let file = format!("{}.wasm", PACKAGE.replace('-', "_"));
    let mut output = Bindgen::new()
        .input_path(target.join(TARGET).join("release").join(file))
        .out_name("client")
        .web(true)?
        .omit_default_module_path(false)
        .typescript(false)
        .generate_output()?;
    Ok(Client {
        script: output.js().to_owned(),
        wasm: output.wasm_mut().emit_wasm(),
    })
}
