//! Replays inputs on stable Rust: the committed seeds, or a file that the fuzzer has left.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::{fs, io};

use crate::side::IS_SHOWN;
use crate::{TARGETS, Target};

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

/// The committed seeds of a target, in the order of their names.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn seeds(target: Target) -> io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target.name);
    let mut files =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Runs a target on the bytes of a file.
///
/// # Errors
///
/// When the file cannot be read.
pub fn file(target: Target, file: &Path) -> io::Result<()> {
    (target.run)(&fs::read(file)?);
    Ok(())
}

/// The same, printing what comes and goes.
///
/// # Errors
///
/// When the file cannot be read.
pub fn shown(target: Target, path: &Path) -> io::Result<()> {
    IS_SHOWN.store(true, Ordering::Relaxed);
    file(target, path)
}
