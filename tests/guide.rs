//! The guide's page on the eras says what the code does: its tables are those of the code, or every cell of them is tried.

#[path = "guide/tables.rs"]
mod tables;
#[path = "guide/verbs.rs"]
mod verbs;

/// The page.
const PAGE: &str = include_str!("../src/guide/eras.md");

/// The rows of the page's table that begins with this cell, without its head: their cells.
fn table(first: &str) -> Vec<Vec<&'static str>> {
    let mut lines = PAGE.lines().skip_while(|line| cells(line).first() != Some(&first));
    assert!(lines.next().is_some(), "the page has no table that begins with {first:?}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(cells).collect()
}

fn cells(line: &str) -> Vec<&str> {
    let inner = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    inner.map(|inner| inner.split('|').map(str::trim).collect()).unwrap_or_default()
}
