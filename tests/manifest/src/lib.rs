//! Every requirement and the tests that prove it: the tables beside this folder, and what must hold of them.
//!
//! [`table`] reads the rows, [`sources`] finds the tests of the workspace, [`check`] compares the two.

pub mod check;
pub mod sources;
pub mod table;

use std::path::Path;
use std::{fs, io};

use check::Summary;
use sources::Sources;

/// The tables, in their folder.
const TABLES: [&str; 3] = ["protocol.txt", "acceptance.txt", "pains.txt"];

/// Checks the tables against the workspace: how many rows there are, and everything that does not hold.
///
/// # Errors
///
/// When a file cannot be read.
pub fn check_all() -> io::Result<(Summary, Vec<String>)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).unwrap_or(here);
    let (mut rows, mut complaints) = (Vec::new(), Vec::new());
    for name in TABLES {
        let (read, faults) = table::read(&fs::read_to_string(here.join(name))?);
        rows.extend(read);
        complaints.extend(faults.into_iter().map(|fault| format!("{name}:{fault}")));
    }
    let steps = check::steps(&fs::read_to_string(root.join("xtask/src/main.rs"))?);
    complaints.extend(check::complaints(&rows, &Sources::read(root)?, &steps));
    Ok((Summary::of(&rows), complaints))
}
