//! The core touches nothing: it builds where there is no operating system, and a module of it asks its host for nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::Run;
use crate::report::{Failure, Outcome};
use crate::toolchain;
use crate::workspace::Workspace;

const WASM: &str = "wasm32-unknown-unknown";

/// A processor without an operating system: there is no std to use by accident.
const BARE: &str = "thumbv7em-none-eabi";

/// What is built: without optional features, and with those that need a standard library, if no operating system.
const BUILDS: [(&str, &str); 3] = [(BARE, ""), (WASM, "http"), (WASM, "")];

pub(crate) fn step() -> Result<Outcome, Failure> {
    let workspace = Workspace::read()?;
    let mut sizes = Vec::new();
    for (triple, features) in BUILDS {
        toolchain::target(triple)?;
        Run::new("cargo build --package mcp-proto --release --no-default-features --locked --target")
            .args([triple, "--features", features])
            .stdout()?;
        if triple == WASM {
            sizes.push(format!("{} KiB", imports_nothing(&workspace)? / 1024));
        }
    }
    Ok(Outcome::held(format!("{BARE}; {WASM}: no imports in {}", sizes.join(" and "))))
}

/// Links what was built for WebAssembly; its size, if it asks its host for nothing.
fn imports_nothing(workspace: &Workspace) -> Result<usize, Failure> {
    let module = link(&workspace.target)?;
    let bytes = fs::read(&module).map_err(|error| format!("{}: {error}", module.display()))?;
    let imports = imports(&bytes).ok_or_else(|| format!("{} is no WebAssembly module", module.display()))?;
    if !imports.is_empty() {
        return Err(format!("the core imports from its host: {}", imports.join(", ")).into());
    }
    Ok(bytes.len())
}

/// Links the core into a module: all of it, used or not, and std only for what a module needs besides.
fn link(target: &Path) -> Result<PathBuf, Failure> {
    let (built, host) = (target.join(WASM).join("release"), target.join("release"));
    let (core, module) = (built.join("libmcp_proto.rlib"), built.join("mcp_proto_whole.wasm"));
    // The core comes twice: as the dependency, of which the linker takes what is used, and whole.
    let flags = ["--no-gc-sections", "--allow-multiple-definition", "--whole-archive"];
    Run::new("rustc --edition 2024 --crate-type cdylib --crate-name whole -C opt-level=1 -C panic=abort")
        .args(["--target", WASM, "-L"])
        .arg(format!("dependency={}", built.join("deps").display()))
        // Derive macros of the dependencies are built for the host.
        .arg("-L")
        .arg(format!("dependency={}", host.join("deps").display()))
        .arg("--extern")
        .arg(format!("mcp_proto={}", core.display()))
        .args(flags.map(|flag| format!("-Clink-arg={flag}")))
        .arg(format!("-Clink-arg={}", core.display()))
        .arg("-Clink-arg=--no-whole-archive")
        .arg("-o")
        .arg(&module)
        .arg("-")
        .stdin("extern crate mcp_proto as _;")
        .stdout()?;
    Ok(module)
}

/// What a module imports, as `module.name`. None if it cannot be read.
fn imports(mut bytes: &[u8]) -> Option<Vec<String>> {
    /// The section that lists imports.
    const IMPORTS: u8 = 2;

    bytes = bytes.strip_prefix(b"\0asm\x01\0\0\0")?;
    while !bytes.is_empty() {
        let (&section, rest) = bytes.split_first()?;
        bytes = rest;
        let size = number(&mut bytes)?;
        let mut body = take(&mut bytes, size)?;
        if section != IMPORTS {
            continue;
        }
        let count = number(&mut body)?;
        let mut found = Vec::new();
        for _ in 0..count {
            let (module, name) = (text(&mut body)?, text(&mut body)?);
            found.push(format!("{module}.{name}"));
            skip_kind(&mut body)?;
        }
        return Some(found);
    }
    Some(Vec::new())
}

/// Past what an import is: a function, a table, a memory, a global or a tag.
fn skip_kind(bytes: &mut &[u8]) -> Option<()> {
    match take(bytes, 1)? {
        [0] => number(bytes).map(drop),
        [1] => take(bytes, 1).and_then(|_| skip_limits(bytes)),
        [2] => skip_limits(bytes),
        [3] => take(bytes, 2).map(drop),
        [4] => take(bytes, 1).and_then(|_| number(bytes)).map(drop),
        _ => None,
    }
}

fn skip_limits(bytes: &mut &[u8]) -> Option<()> {
    let has_maximum = take(bytes, 1)?[0] & 1 == 1;
    number(bytes)?;
    if has_maximum { number(bytes).map(drop) } else { Some(()) }
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let size = number(bytes)?;
    take(bytes, size).map(|text| String::from_utf8_lossy(text).into_owned())
}

fn take<'a>(bytes: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(size)?;
    *bytes = rest;
    Some(taken)
}

/// An unsigned LEB128 number of at most 32 bits.
fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = usize::from(take(bytes, 1)?[0]);
        value |= (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn modules() {
        let custom = [HEAD, b"\0\x05\x04name"].concat();
        assert_eq!(imports(&custom), Some(vec![]));
        let body = b"\x03\x03env\x03now\0\x81\x01\x03env\x06memory\x02\x01\x10\x20\x01a\x01b\x03\x7f\0";
        let size = u8::try_from(body.len()).unwrap_or_default();
        let importing = [HEAD, b"\0\x02\x01x\x02", &[size], body].concat();
        assert_eq!(imports(&importing), Some(vec!["env.now".into(), "env.memory".into(), "a.b".into()]));
        assert_eq!(imports(&importing[..importing.len() - 1]), None);
        assert_eq!(imports(b"\x7fELF"), None);
    }
}
