//! What rustup has to bring: components, targets, toolchains. Each is fetched only if it is missing.

use crate::command::Run;
use crate::report::Failure;

/// A component of the toolchain in use, such as clippy.
pub(crate) fn component(name: &str) -> Result<(), Failure> {
    bring_component(name, &[])
}

/// A component of another toolchain.
pub(crate) fn component_of(toolchain: &str, name: &str) -> Result<(), Failure> {
    bring_component(name, &["--toolchain", toolchain])
}

fn bring_component(name: &str, whose: &[&str]) -> Result<(), Failure> {
    let installed = Run::new("rustup component list --installed").args(whose).stdout()?;
    // Listed with the platform behind it: clippy-x86_64-unknown-linux-gnu.
    if !installed.lines().any(|line| line == name || line.starts_with(&format!("{name}-"))) {
        Run::new("rustup component add").arg(name).args(whose).stdout()?;
    }
    Ok(())
}

/// A target of the toolchain in use.
pub(crate) fn target(triple: &str) -> Result<(), Failure> {
    let installed = Run::new("rustup target list --installed").stdout()?;
    if !installed.lines().any(|line| line == triple) {
        Run::new("rustup target add").arg(triple).stdout()?;
    }
    Ok(())
}

/// A whole toolchain, bare.
pub(crate) fn toolchain(version: &str) -> Result<(), Failure> {
    let installed = Run::new("rustup toolchain list").stdout()?;
    if !installed.lines().any(|line| line.starts_with(&format!("{version}-"))) {
        Run::new("rustup toolchain install --profile minimal --no-self-update").arg(version).stdout()?;
    }
    Ok(())
}

/// The toolchain that a manifest's `rust-version` means: 1.88 is 1.88.0.
pub(crate) fn of_rust_version(version: &str) -> String {
    if version.matches('.').count() == 1 { format!("{version}.0") } else { version.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_versions() {
        assert_eq!(of_rust_version("1.88"), "1.88.0");
        assert_eq!(of_rust_version("1.88.1"), "1.88.1");
    }
}
