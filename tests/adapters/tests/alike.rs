//! The adapters are alike: the same files with the same functions, signatures and documentation, so that another runtime is another
//! crate name. And they only open things: no word of the protocol is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, Expr, ImplItem, Item, Lit, Meta, Visibility};

/// The adapters, and what each calls itself and its runtime.
const ADAPTERS: [(&str, &str, &str); 3] = [
    ("mcp-tokio", "mcp_tokio", "Tokio"),
    ("mcp-smol", "mcp_smol", "Smol"),
    ("mcp-asyncstd", "mcp_asyncstd", "AsyncStd"),
];

/// What only one has, since only its runtime does.
const OWN: [(&str, &str); 1] = [("mcp-tokio", "impl From < Handle > for RUNTIME")];

/// Something public, by name: how it is written, and what its documentation says.
type Surface = BTreeMap<String, (String, String)>;

#[test]
fn the_adapters_have_the_same_public_api() {
    let [tokio, others @ ..] = ADAPTERS.map(surface);
    assert!(tokio.len() > 15, "all is found: {:?}", tokio.keys());
    for (adapter, other) in ADAPTERS[1..].iter().zip(others) {
        for (name, (written, says)) in &tokio {
            let Some((theirs, they_say)) = other.get(name) else {
                panic!("{} has no {name}, and mcp-tokio has", adapter.0)
            };
            assert_eq!(theirs, written, "{} declares {name} unlike mcp-tokio", adapter.0);
            assert_eq!(they_say, says, "{} documents {name} unlike mcp-tokio", adapter.0);
        }
        let more = other.keys().filter(|name| !tokio.contains_key(*name)).collect::<Vec<_>>();
        assert!(more.is_empty(), "mcp-tokio has no {more:?}, and {} has", adapter.0);
    }
}

#[test]
fn the_adapters_have_the_same_files() {
    let files = ADAPTERS.map(|(package, ..)| {
        let names = sources(package).into_iter().map(|path| path.file_name().expect("a file").to_owned());
        names.collect::<BTreeSet<_>>()
    });
    assert_eq!(files[0], files[1]);
    assert_eq!(files[0], files[2]);
}

/// A decision about the protocol in an adapter would have to be made three times.
#[test]
fn the_adapters_hold_no_word_of_the_protocol() {
    let methods = mcp::model::METHODS.iter().map(|rule| rule.method);
    let words = ["jsonrpc", "_meta", "protocolVersion", "-32", "serde_json", "\"method\"", "\"params\"", "\"id\""];
    let words = methods.chain(words).chain(["2024-", "2025-", "2026-", "Message", "Connection", "mcp_proto"]);
    let words = words.filter(|word| *word != "ping").collect::<Vec<_>>();
    for (package, ..) in ADAPTERS {
        for path in sources(package) {
            let text = fs::read_to_string(&path).expect("readable");
            let found = words.iter().filter(|word| text.contains(**word)).collect::<Vec<_>>();
            assert!(found.is_empty(), "{} says {found:?}", path.display());
        }
        let manifest = fs::read_to_string(folder(package).join("Cargo.toml")).expect("readable");
        assert!(!manifest.contains("mcp-proto") && !manifest.contains("serde"), "{package} reaches past mcp");
    }
}

fn folder(package: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(package)
}

fn sources(package: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(package).join("src")).expect("a folder");
    let mut paths = entries.map(|entry| entry.expect("readable").path()).collect::<Vec<_>>();
    paths.sort();
    paths
}

/// The public API of an adapter, its own names made alike.
fn surface((package, krate, runtime): (&str, &str, &str)) -> Surface {
    let mut surface = Surface::new();
    let alike = |text: &str| text.replace(krate, "ADAPTER").replace(runtime, "RUNTIME");
    for path in sources(package) {
        let file = syn::parse_file(&fs::read_to_string(&path).expect("readable")).expect("it compiles");
        for item in file.items {
            let mut add = |name: String, written: String, attributes: &[Attribute]| {
                let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
                let conditions = conditions.map(|attribute| attribute.to_token_stream().to_string());
                let written = conditions.chain([written]).collect::<Vec<_>>().join(" ");
                let old = surface.insert(alike(&name), (alike(&written), alike(&prose(attributes))));
                assert!(old.is_none(), "{name} stands twice in {package}");
            };
            match item {
                Item::Fn(function) if is_public(&function.vis) => {
                    add(function.sig.ident.to_string(), function.sig.to_token_stream().to_string(), &function.attrs);
                }
                Item::Use(import) if is_public(&import.vis) => {
                    add("use".into(), import.tree.to_token_stream().to_string(), &import.attrs);
                }
                // What a type consists of is its own affair, and what it documents is about its own runtime.
                Item::Struct(item) if is_public(&item.vis) && item.ident == runtime => {
                    add(item.ident.to_string(), "struct".into(), &[]);
                }
                Item::Impl(block) => {
                    let name = block.self_ty.to_token_stream().to_string();
                    if name != runtime {
                        continue;
                    }
                    if let Some((of, _)) = &block.trait_ {
                        let written = format!("impl {} for {name}", of.to_token_stream());
                        if !OWN.contains(&(package, &alike(&written))) {
                            add(written, String::new(), &[]);
                        }
                        continue;
                    }
                    for item in block.items {
                        if let ImplItem::Fn(function) = item
                            && is_public(&function.vis)
                        {
                            let name = format!("{name}::{}", function.sig.ident);
                            add(name, function.sig.to_token_stream().to_string(), &[]);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    surface
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// What documentation says besides its examples: those may be the runtime's own.
fn prose(attributes: &[Attribute]) -> String {
    let mut in_example = false;
    let mut prose = Vec::new();
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        let Expr::Lit(literal) = &pair.value else { continue };
        let Lit::Str(line) = &literal.lit else { continue };
        let line = line.value();
        if line.trim_start().starts_with("```") {
            in_example = !in_example;
        } else if !in_example && pair.path.is_ident("doc") {
            prose.push(line);
        }
    }
    prose.join("\n")
}
