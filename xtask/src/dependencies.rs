//! What the libraries may depend on: how many crates, whose, under which licences, and which never.

use std::collections::BTreeSet;

use crate::command::Run;
use crate::licence;
use crate::report::{Failure, Outcome};
use crate::workspace::{self, Package, Workspace};

/// The crates that a stdio server is built from, ours included.
const MOST_CRATES: usize = 50;

/// How cargo names the one registry that sources may come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What the core may depend on. What those depend on is their own affair.
const CORE: [&str; 5] = ["hashbrown", "memchr", "serde", "serde_json", "smallvec"];

/// What its optional features may add.
const CORE_OPTIONAL: [&str; 4] = ["base64", "bytes", "http", "sha2"];

/// Runtimes. The crate `mcp` names none: its adapters do.
const RUNTIMES: [(&str, &str); 7] = [
    ("async-executor", "a runtime belongs to an adapter"),
    ("async-io", "a reactor belongs to an adapter"),
    ("async-std", "a runtime belongs to an adapter"),
    ("mio", "a reactor belongs to an adapter"),
    ("polling", "a reactor belongs to an adapter"),
    ("smol", "a runtime belongs to an adapter"),
    ("tokio", "a runtime belongs to an adapter"),
];

/// What of a runtime may be used without running it: hyper has its channels from there.
const LENT: (&str, [&str; 2]) = ("tokio", ["default", "sync"]);

/// What one adapter may not bring: another's runtime.
const FOREIGN: [(&str, &[(&str, &str)]); 3] = [
    ("mcp-asyncstd", &[("smol", "another adapter's"), ("tokio", "another adapter's"), ("mio", "tokio's reactor")]),
    ("mcp-smol", &[("async-std", "another adapter's"), ("tokio", "another adapter's"), ("mio", "tokio's reactor")]),
    (
        "mcp-tokio",
        &[("async-io", "the others' reactor"), ("async-std", "another adapter's"), ("smol", "another adapter's")],
    ),
];

/// Crates that no library may bring, whatever its features, on whatever platform.
const BANNED: [(&str, &str); 6] = [
    ("async-trait", "boxes every call: the language has async fn in traits"),
    ("chrono", "large, and the protocol's times are strings or durations"),
    ("lazy_static", "the standard library has LazyLock"),
    ("native-tls", "needs the platform's C library: TLS is rustls"),
    ("openssl", "needs a C library: TLS is rustls"),
    ("openssl-sys", "needs a C library: TLS is rustls"),
];

/// Crates that no library may bring with its default features.
const HEAVY: [(&str, &str); 1] = [("regex", "large to build: nothing without the feature `validation` needs it")];

pub(crate) fn step() -> Result<Outcome, Failure> {
    let workspace = Workspace::read()?;
    let mut complaints = provenance(&workspace.packages);
    for library in workspace.libraries() {
        let name = &library.name;
        complaints.extend(trespassers(name, &tree(name, "--target all --all-features")?, &BANNED));
        complaints.extend(trespassers(name, &tree(name, "--target all")?, &HEAVY));
    }
    complaints.extend(trespassers("mcp", &borrowing("mcp", "--target all --all-features")?, &RUNTIMES));
    for (adapter, foreign) in FOREIGN {
        // Where it runs: for the web async-std would take tokio along.
        for target in ["x86_64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-gnu"] {
            let tree = borrowing(adapter, &format!("--all-features --target {target}"))?;
            complaints.extend(trespassers(adapter, &tree, foreign));
        }
    }
    for (options, optional) in [("", &[][..]), ("--all-features", &CORE_OPTIONAL)] {
        let mut direct = tree("mcp-proto", &format!("--target all --depth 1 {options}"))?;
        direct.remove("mcp-proto");
        let may = [&CORE, optional].concat();
        for name in direct.iter().filter(|name| !may.contains(&name.as_str())) {
            complaints.push(format!("mcp-proto {options} depends on {name}: it may use {} only", may.join(", ")));
        }
    }
    let server = tree("mcp-tokio", "")?;
    if server.len() > MOST_CRATES {
        let names = server.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        complaints.push(format!("a stdio server takes {} crates, at most {MOST_CRATES}: {names}", server.len()));
    }
    let over_http = tree("mcp-tokio", "--features http")?.len();
    let detail = format!(
        "{} crates in a stdio server, {over_http} in one over HTTP, {} in all",
        server.len(),
        workspace.packages.len()
    );
    Outcome::of_complaints(&complaints, detail)
}

fn list(package: &str, options: &str, format: &str) -> Result<String, Failure> {
    Run::new("cargo tree --edges normal --prefix none --locked --format")
        .args([format, "--package", package])
        .args(options.split_whitespace())
        .stdout()
}

/// Packages from elsewhere, or under other terms, than allowed.
fn provenance(packages: &[Package]) -> Vec<String> {
    let mut complaints = Vec::new();
    for package in packages {
        let Package { name, version, .. } = package;
        match package.source.as_deref() {
            Some(REGISTRY) => {}
            Some(source) => complaints.push(format!("{name} {version} comes from {source}, not from crates.io")),
            None if package.manifest.starts_with(workspace::root()) => {}
            None => complaints.push(format!("{name} {version} lies outside the workspace")),
        }
        match package.licence.as_deref() {
            Some(expression) if licence::allowed(expression) => {}
            Some(expression) => complaints.push(format!("{name} {version} is under {expression:?}: not allowed here")),
            None => complaints.push(format!("{name} {version} names no licence")),
        }
    }
    complaints
}

/// The same without [`LENT`], if no more of that is used than is lent.
fn borrowing(package: &str, options: &str) -> Result<BTreeSet<String>, Failure> {
    let (lender, lent) = LENT;
    let listed = list(package, options, "{p}|{f}")?;
    let used = listed.lines().filter(|line| line.split_whitespace().next() == Some(lender));
    let features = used.filter_map(|line| line.rsplit('|').next()).flat_map(|features| features.split(','));
    let is_more = features.map(|name| name.trim_end_matches(" (*)")).any(|it| !it.is_empty() && !lent.contains(&it));
    let mut tree = tree(package, options)?;
    if !is_more {
        tree.remove(lender);
    }
    Ok(tree)
}

/// The distinct crates that a package is built from, itself included.
fn tree(package: &str, options: &str) -> Result<BTreeSet<String>, Failure> {
    let listed = list(package, options, "{p}")?;
    Ok(listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

fn trespassers(library: &str, tree: &BTreeSet<String>, banned: &[(&str, &str)]) -> Vec<String> {
    let found = banned.iter().filter(|(name, _)| tree.contains(*name));
    found.map(|(name, reason)| format!("{library} brings {name}: {reason}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_named() {
        let ours = Package {
            name: "ours".into(),
            manifest: workspace::root().join("ours/Cargo.toml"),
            licence: Some("MIT".into()),
            ..Package::default()
        };
        let good = Package { source: Some(REGISTRY.into()), ..ours.clone() };
        assert_eq!(provenance(&[ours.clone(), good.clone()]), Vec::<String>::new());

        let outside = Package { manifest: "/elsewhere/Cargo.toml".into(), ..ours };
        let fork = Package { source: Some("git+https://example.com/fork".into()), ..good.clone() };
        let unlicensed = Package { licence: None, ..good.clone() };
        let copyleft = Package { licence: Some("GPL-3.0-only".into()), ..good };
        assert_eq!(provenance(&[outside, fork, unlicensed, copyleft]).len(), 4);
    }

    #[test]
    fn banned_crates_are_named() {
        let tree = ["serde", "tokio"].map(str::to_owned).into();
        assert_eq!(trespassers("mcp", &tree, &RUNTIMES), ["mcp brings tokio: a runtime belongs to an adapter"]);
        assert!(trespassers("mcp", &tree, &BANNED).is_empty());
    }
}
