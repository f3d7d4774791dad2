//! Runs the `console` blocks of the README in order, in an empty home.

#[test]
fn the_readme_does_what_it_says() {
    let home = tempfile::tempdir().expect("a folder");
    let cases = trycmd::TestCases::new();
    cases
        .env("HAUL_HOME", home.path().to_string_lossy())
        .env("NO_COLOR", "1")
        .default_bin_name("haul")
        .case("README.md");
    cases.run();
    // The tour fetches a file into the folder that it runs in.
    let _ = std::fs::remove_file("COPY");
}
