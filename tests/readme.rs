//! Runs the `console` blocks of the README in order, in an empty home.

#[test]
fn the_readme_does_what_it_says() {
    // The tour fetches a file into the folder that it runs in; a failed run has left it there.
    let forget = || drop(std::fs::remove_file("COPY"));
    forget();
    let home = tempfile::tempdir().expect("a folder");
    let cases = trycmd::TestCases::new();
    cases
        .env("HAUL_HOME", home.path().to_string_lossy())
        .env("NO_COLOR", "1")
        .default_bin_name("haul")
        .case("README.md");
    cases.run();
    forget();
}
