//! What does not compile: the table is opened by a tenant, and nobody makes one up.

#[test]
fn the_table_takes_no_workspace_that_was_not_let_in() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/refused/*.rs");
}
