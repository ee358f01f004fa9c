//! The programs of the examples, found where cargo puts them, and built if need be.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

/// The program of an example, built as the tests themselves are.
pub fn program(example: &str) -> PathBuf {
    static BUILT: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.ancestors().nth(2).expect("the folder of the profile, above deps/");
    let mut built = BUILT.lock().expect("not poisoned");
    if built.insert(example.to_string()) {
        build(example, folder);
    }
    let path = folder.join("examples").join(example);
    assert!(path.exists(), "{} is not built; run: cargo build --examples", path.display());
    path
}

/// Makes sure that the example is that of the present sources: `cargo test --test caser` alone does
/// not build it. Without cargo, what is there has to do.
fn build(example: &str, profile_folder: &Path) {
    let Some(cargo) = std::env::var_os("CARGO") else { return };
    let profile = match profile_folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--example", example, "--profile", profile]);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    build.arg("--target-dir").arg(profile_folder.parent().expect("the target folder"));
    let status = build.status().expect("cargo starts");
    assert!(status.success(), "the example {example} cannot be built");
}
