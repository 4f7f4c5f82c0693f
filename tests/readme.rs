//! The README's examples: the first test runs here as it stands there, and each is as short as promised.
//! (The other two are compiled as doctests of the crate `mcp`.)

#[path = "first/test.rs"]
mod first_test;

const README: &str = include_str!("../README.md");

#[test]
fn the_first_test_is_the_one_in_the_readme() {
    assert!(examples().contains(&include_str!("first/test.rs")), "README.md and tests/first/test.rs differ");
}

#[test]
fn first_server_client_and_test_are_short() {
    let lines = examples().iter().map(|example| example.lines().count()).collect::<Vec<_>>();
    let [server, client, test] = lines.as_slice() else { panic!("the README has {} examples", lines.len()) };
    assert!(*server <= 15 && *client <= 8 && *test <= 15, "{lines:?} lines, wanted at most 15, 8 and 15");
}

/// The Rust code blocks of the README.
fn examples() -> Vec<&'static str> {
    let blocks = README.split("```rust").skip(1);
    blocks.filter_map(|block| Some(block.split_once('\n')?.1.split_once("```")?.0)).collect()
}
