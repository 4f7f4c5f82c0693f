//! The mapping holds, both ways: see README.md beside this folder.

#[test]
fn every_requirement_has_its_tests_and_every_claim_its_row() {
    let (summary, complaints) = mcp_manifest::check_all().expect("the workspace is readable");
    assert!(complaints.is_empty(), "{summary}\n{}", complaints.join("\n"));
}
