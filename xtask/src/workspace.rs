//! What cargo knows about the workspace.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::Run;
use crate::report::Failure;

/// The folder of the workspace's manifest.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// `cargo metadata`, read.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
}

/// A package of the workspace, or one that it depends on in some way, for some platform.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest: PathBuf,
    pub(crate) licence: Option<String>,
    /// None for one in this workspace.
    pub(crate) source: Option<String>,
    pub(crate) rust_version: Option<String>,
    /// Whether it is for the registry: a library of ours.
    pub(crate) published: bool,
}

impl Workspace {
    pub(crate) fn read() -> Result<Self, Failure> {
        let json = Run::new("cargo metadata --format-version 1 --locked").stdout()?;
        let metadata: Value = serde_json::from_str(&json).map_err(|error| format!("cargo metadata: {error}"))?;
        let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
        let target = text(&metadata["target_directory"]).ok_or("cargo metadata names no target directory")?;
        Ok(Self { packages: packages.iter().map(Package::read).collect(), target: target.into() })
    }

    /// The libraries of this workspace that others will use.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.source.is_none() && package.published)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.source.is_none() && package.name == name)
    }
}

impl Package {
    fn read(package: &Value) -> Self {
        Self {
            name: text(&package["name"]).unwrap_or_default(),
            version: text(&package["version"]).unwrap_or_default(),
            manifest: text(&package["manifest_path"]).unwrap_or_default().into(),
            licence: text(&package["license"]),
            source: text(&package["source"]),
            rust_version: text(&package["rust_version"]),
            // No list of registries means any; an empty one means none.
            published: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
        }
    }

    /// The folder of its manifest.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest.parent().unwrap_or(&self.manifest)
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
