//! Builds the Go peer, once per process and release.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::OnceLock,
    time::Duration,
};

use super::{
    Release,
    process::{GoError, Process},
};

/// The first build fetches a module and compiles Go's standard library.
const BUILD_LIMIT: Duration = Duration::from_secs(300);

/// Set to 1 where a missing Go toolchain is a failure.
const REQUIRE_GO: &str = "SMUX_REQUIRE_GO";

/// See [`GoPeer::available`](super::GoPeer::available).
pub(super) fn available() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        if Command::new("go")
            .arg("version")
            .output()
            .is_ok_and(|output| output.status.success())
        {
            return true;
        }
        let required = env::var_os(REQUIRE_GO).is_some_and(|value| value == OsStr::new("1"));
        assert!(!required, "{REQUIRE_GO}=1, but no go toolchain was found");
        // Not eprintln!, whose output the test harness hides. A failed write does not matter.
        let _ = writeln!(
            io::stderr(),
            "skipped: live Go interop (no go toolchain found)"
        );
        false
    })
}

/// The program with this release of the module.
pub(super) fn program(release: Release) -> Result<PathBuf, GoError> {
    static BUILT: [OnceLock<Result<PathBuf, GoError>>; Release::ALL.len()] =
        [const { OnceLock::new() }; Release::ALL.len()];
    BUILT[release as usize]
        .get_or_init(|| build(release))
        .clone()
}

fn build(release: Release) -> Result<PathBuf, GoError> {
    let what = format!("go build of the peer with smux {release}");
    let folder = output_folder().map_err(|error| GoError::new(format_args!("{what}: {error}")))?;
    let program = folder.join(format!("peer-{release}{}", env::consts::EXE_SUFFIX));
    let unfinished = folder.join(format!("peer-{release}.{}", process::id()));

    let mut command = Command::new("go");
    command
        .args(["build", "-buildvcs=false"])
        .arg(format!("-modfile=go{release}.mod"));
    if release.has_close_write() {
        command.arg("-tags=closewrite");
    }
    command.arg("-o").arg(&unfinished).arg(".");
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("go"));
    // Neither a workspace file further up nor a C compiler may affect the build.
    command.env("GOWORK", "off").env("CGO_ENABLED", "0");
    Process::spawn(what.clone(), &mut command)?.wait(BUILD_LIMIT)?;

    // Other test processes may build and run the same program now: renaming replaces it as a whole.
    fs::rename(&unfinished, &program)
        .map_err(|error| GoError::new(format_args!("{what}: {error}")))?;
    Ok(program)
}

/// Beside the test program that runs now, which is in cargo's target directory.
fn output_folder() -> io::Result<PathBuf> {
    let folder = env::current_exe()?.with_file_name("smux-go-peers");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
